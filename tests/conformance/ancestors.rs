//! What the tests of mod_python's Session asked (P), and the faults of it and its relatives that were seen (N): cookies, ids, values.

use crate::cookie::is_never_adopted;
use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::wait_for;
use crate::visitor::Visitor;
use crate::watch::{at_once, ms, soon, timed};

cases![
    P1 Server a_new_visitor_gets_the_cookie_with_the_configured_path_and_domain,
    P2 Http a_whole_set_cookie_line_as_cookie_is_accepted,
    P3 Http an_id_that_is_a_path_is_replaced,
    P4 Http an_id_of_384_characters_is_replaced,
    P5 Http five_requests_of_a_second_each_take_five_seconds,
    P6 Server an_error_page_with_the_session_of_the_page_does_not_block,
    P7 Http odd_syntax_in_the_cookie_header_is_survived,
    N1 Http an_unknown_id_of_good_form_is_not_adopted,
    N2 Http an_id_in_other_case_or_quotes_or_with_a_line_end_is_none,
    N3 Http a_tossed_cookie_does_not_log_anybody_out,
    N4 Http the_cookie_survives_redirects_and_errors,
    N5 Http a_session_that_begins_after_the_headers_is_told_of,
    N6 Server reading_renews_and_peeking_does_not,
    N10 Http what_cannot_be_stored_is_told_and_harms_nothing,
    N20 Http an_ended_session_sends_one_cookie_and_its_id_is_worthless,
    N21 Server a_regenerated_id_is_worthless_after_the_grace_or_at_once,
    N22 Server a_signed_cookie_is_verified_and_keys_can_be_changed,
];

fn a_new_visitor_gets_the_cookie_with_the_configured_path_and_domain(subject: &Subject) {
    let server = subject.server("<Location /path>\nSetHandler conform\nSessionIdCookie pysid Path=/path Domain=test.example\n</Location>");
    let mut visitor = server.visitor_of("/path");
    let cookie = visitor.ask("set=n:1").set_cookies().remove(0);
    let attributes: Vec<_> = cookie.split("; ").collect();
    assert_eq!((attributes[1], attributes[2]), ("Path=/path", "Domain=test.example"));
    assert_eq!((visitor.ask("add=m:1").set_cookies().len(), visitor.value("n")), (0, "1".into()));
}

fn a_whole_set_cookie_line_as_cookie_is_accepted(subject: &Subject) {
    let server = subject.server("");
    let line = server.visitor().ask("set=n:1").set_cookies().remove(0);
    let response = server.with_cookies(&line, "new&get=n");
    assert_eq!((response.line("new"), response.line("get"), response.set_cookies().len()), ("0", "1", 0));
}

fn an_id_that_is_a_path_is_replaced(subject: &Subject) {
    let server = subject.server("");
    for value in ["/path/traversal/attack/bad", "../../../tmp/x", "..", "a/../../b", &"../".repeat(11)[..32]] {
        is_never_adopted(&server, value);
        let response = server.with_cookies(&format!("{}; path=/", server.pair(value)), "set=n:1");
        assert_eq!((response.status, response.set_cookies().len()), (200, 1), "{value}");
    }
}

fn an_id_of_384_characters_is_replaced(subject: &Subject) {
    is_never_adopted(&subject.server(""), &"abcdef".repeat(64));
}

fn five_requests_of_a_second_each_take_five_seconds(subject: &Subject) {
    let server = subject.server("");
    let member = server.member();
    let (_, took) = timed(|| at_once(5, |_| assert_eq!(member.clone().ask("set=m:1&sleep=1000").status, 200)));
    assert!(took >= ms(5000), "they took {took:?}");
}

fn an_error_page_with_the_session_of_the_page_does_not_block(subject: &Subject) {
    let server = subject.server("SessionLockTimeout 5\nErrorDocument 500 /conform?get=dummy&set=seen:1");
    let mut member = server.member();
    let (response, took) = timed(|| member.ask("set=dummy:okay&status=500"));
    assert_eq!((response.status, response.line("get")), (500, "okay"));
    assert!(took < ms(5000));
    assert_eq!(member.says("look&all"), "dummy=okay n=1 seen=1");
}

fn odd_syntax_in_the_cookie_header_is_survived(subject: &Subject) {
    let server = subject.server("");
    let good = server.pair(&server.member().id());
    for cookies in [
        format!("$Version=1; {good}; $Path=/; $Domain=x"),
        format!("spam=foo; path=blah;;eggs=bar;{good};"),
        format!(";;;  ;{good}"),
        format!("a; =b; =; {good}; c"),
        format!("a=\"x; y\"; {good}"),
        format!("  {good}  "),
        format!("\t{good}"),
        format!("{}{good}", "x=y; ".repeat(300)),
    ] {
        assert_eq!(server.with_cookies(&cookies, "get=n").line("get"), "1", "{cookies}");
    }
    let name = &server.cookie;
    let two = server.visitor().ask_with("get=n", &[("Cookie", "spam=foo; path=blah;;"), ("Cookie", &good)]);
    assert_eq!(two.line("get"), "1", "two headers");
    for cookies in
        [name.clone(), format!("{name}="), format!("{name} = x"), format!("x{good}"), format!("x={good}"), ";".repeat(4000), "=".into()]
    {
        let response = server.with_cookies(&cookies, "new&get=n");
        assert_eq!((response.status, response.line("new"), response.line("get")), (200, "1", "-"), "{cookies}");
    }
}

fn an_unknown_id_of_good_form_is_not_adopted(subject: &Subject) {
    let server = subject.server("");
    for value in ["A".repeat(32), "0".repeat(32), "attackerchosen0123456789abcdefgh".into(), "-_".repeat(16)] {
        for words in ["set=victim:1", "get=n&set=victim:1&save", "lock&set=victim:1"] {
            let mut victim = server.visitor();
            victim.ask_with(words, &[("Cookie", &server.pair(&value))]);
            assert_eq!(victim.value("victim"), "1");
            assert!(victim.id() != value && !server.knows(&value), "{value} was adopted");
        }
    }
}

fn an_id_in_other_case_or_quotes_or_with_a_line_end_is_none(subject: &Subject) {
    let server = subject.server("");
    // One with letters of which there are two.
    let id = std::iter::repeat_with(|| server.member().id()).find(|id| id.to_uppercase() != *id && id.to_lowercase() != *id);
    let id = id.expect("an id");
    for value in [
        id.to_uppercase(),
        id.to_lowercase(),
        format!("\"{id}\""),
        format!("{id}\""),
        format!("{id}%0a"),
        format!("{id}\n"),
        format!("{id}\r"),
    ] {
        if value.ends_with(['\n', '\r']) {
            // A line end ends the header: what comes of that is the server's, but no session with it in the id.
            let response = server.with_id(&value, "get=n");
            assert!(response.status == 400 || ["1", "-"].contains(&response.line("get")));
        } else if value != id {
            is_never_adopted(&server, &value);
        }
    }
    assert!(server.knows(&id));
}

fn a_tossed_cookie_does_not_log_anybody_out(subject: &Subject) {
    let server = subject.server("");
    let good = server.pair(&server.member().id());
    for tossed in ["x".to_owned(), "A".repeat(32), String::new(), "../../x".into()] {
        let tossed = server.pair(&tossed);
        for cookies in [format!("{good}; {tossed}"), format!("{tossed}; {good}"), format!("{tossed}; {good}; {tossed}")] {
            let response = server.with_cookies(&cookies, "get=n&add=hits:1");
            assert_eq!((response.line("get"), response.set_cookies().len()), ("1", 0), "{cookies}");
        }
    }
    let other = server.pair(&server.member().id());
    let mut both = server.visitor();
    let response = both.ask_with("get=hits", &[("Cookie", &format!("{good}; {other}"))]);
    assert_eq!((response.line("get"), response.set_cookies().len()), ("12", 0), "of two good ones the first, always");
}

fn the_cookie_survives_redirects_and_errors(subject: &Subject) {
    let server = subject.server("");
    for (how, status) in [("redirect=/elsewhere", 302), ("status=301", 301), ("status=403", 403), ("status=404", 404), ("status=500", 500)]
    {
        let mut visitor = server.visitor();
        let response = visitor.ask(&format!("set=user:ann&{how}"));
        assert_eq!((response.status, response.set_cookies().len(), &*visitor.value("user")), (status, 1, "ann"));
        let response = visitor.ask(&format!("destroy&{how}"));
        assert_eq!((response.status, response.set_cookies().len(), visitor.has_cookie()), (status, 1, false), "{how}: nor is its end lost");
    }
}

fn a_session_that_begins_after_the_headers_is_told_of(subject: &Subject) {
    let server = subject.server_that_logs("", &["the response headers have gone"]);
    for words in ["body=9&flush&set=n:1&save", "get=n&body=9&flush&set=n:1&save&set=m:1&save"] {
        let response = server.visitor().ask(words);
        assert_eq!((response.lines("save").last(), response.set_cookies().len()), (Some(&"!late"), 0), "{words}");
    }
    if subject.is_ours() {
        assert!(!server.log_lines_with("the response headers have gone").is_empty());
    }
    let mut member = server.member();
    assert_eq!(member.says("body=9&flush&set=m:2&save"), "ok", "one that the client knows can be changed to the end");
    assert_eq!(member.value("m"), "2");
}

fn reading_renews_and_peeking_does_not(subject: &Subject) {
    let server = subject.server("SessionTimeout 100\nSessionTouchInterval 5");
    let ages_beside = |words: &str| {
        let mut member = server.member();
        (0..3).for_each(|_| {
            server.age(60);
            member.ask(words);
        });
        member.has_session()
    };
    assert!(ages_beside("look"));
    assert!(ages_beside("get=n"));
    assert!(!ages_beside("peek&get=n"));
    // The former access is still known where it counts: a session ends by its own last use.
    let (mut used, mut idle) = (server.member(), server.member());
    server.age(60);
    used.ask("look");
    server.age(60);
    assert_eq!((used.has_session(), idle.has_session()), (true, false));
}

fn what_cannot_be_stored_is_told_and_harms_nothing(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    member.ask("set=m:2");
    for words in ["text=v:ff", "text=v:c3", "text=v:eda080", "text=m:80"] {
        let response = member.ask(&format!("set=before:1&{words}&set=after:1&save"));
        assert_eq!((response.line("text"), response.line("save")), ("!bad-type", "ok"), "{words}");
        assert_eq!(member.says("look&all"), "after=1 before=1 m=2 n=1", "{words}");
        assert_eq!(member.says("unset=before&unset=after"), "ok");
    }
    assert_eq!(member.says("set=t:x&add=t:1"), "!bad-type", "a text is no number");
    assert_eq!((member.value("t"), member.value("n")), ("x".into(), "1".into()));
}

fn is_worthless(server: &Server, id: &str) {
    assert!(!server.knows(id));
    let response = server.with_id(id, "new&all");
    assert_eq!((response.line("new"), response.line("all")), ("1", ""));
}

fn an_ended_session_sends_one_cookie_and_its_id_is_worthless(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    let old = member.id();
    assert_eq!((member.ask("destroy").set_cookies().len(), member.has_cookie()), (1, false));
    is_worthless(&server, &old);
    for words in ["destroy&set=m:2", "set=x:1&destroy&set=m:2&save", "destroy&destroy&set=m:2", "clear&save&destroy&set=m:2"] {
        let mut member = server.member();
        let old = member.id();
        let response = member.ask(words);
        assert_eq!((response.set_cookies().len(), member.says("look&all")), (1, "m=2".into()), "{words}");
        assert_ne!(member.id(), old, "{words}");
        is_worthless(&server, &old);
    }
    let mut visitor = server.visitor();
    assert!(visitor.ask("set=n:1&destroy").set_cookies().len() <= 1, "one that had just begun");
    assert!(!visitor.has_cookie());
    let mut visitor = server.visitor();
    assert_eq!((visitor.ask("set=n:1&destroy&set=m:2").set_cookies().len(), visitor.says("look&all")), (1, "m=2".into()));
}

fn regenerated(member: &mut Visitor) -> String {
    let old = member.id();
    assert_eq!(member.says("regenerate&set=m:2"), "ok");
    assert_ne!(member.id(), old);
    assert_eq!(member.says("look&all"), "m=2 n=1");
    old
}

fn a_regenerated_id_is_worthless_after_the_grace_or_at_once(subject: &Subject) {
    let at_once = subject.server("SessionIdGrace 0");
    let mut member = at_once.member();
    let old = regenerated(&mut member);
    is_worthless(&at_once, &old);
    assert_eq!(member.says("look&all"), "m=2 n=1");

    let later = subject.server("SessionIdGrace 2");
    let mut member = later.member();
    let old = regenerated(&mut member);
    assert!(soon(ms(10_000), || !later.knows(&old)), "it is good for ever");
    is_worthless(&later, &old);
    assert_eq!(member.says("look&all"), "m=2 n=1");
}

const KEYS: [&str; 3] =
    ["first-key-0123456789abcdef0123456789", "second-key-0123456789abcdef012345678", "third-key-0123456789abcdef0123456789"];

fn a_signed_cookie_is_verified_and_keys_can_be_changed(subject: &Subject) {
    let [first, second, third] = KEYS;
    let mut server = subject.server(&format!("SessionSecret {first}"));
    let configure = |server: &mut Server, keys: &str| {
        let conf = "SessionDir @DIR@\n<Location /conform>\nSessionNotes Off\n</Location>";
        server.reconfigure(&format!("{conf}\nSessionSecret {keys}\n"));
        let old = server.children();
        server.graceful();
        wait_for("the old children to leave", || old.iter().all(|pid| !server.children().contains(pid)).then_some(()));
    };
    let mut member = server.member();
    let signed = member.id();
    let (id, tag) = signed.split_once('.').expect("a tag");
    assert_eq!((id.len(), tag.len()), (32, 22));
    for place in 0..tag.len() {
        let other = if &tag[place..=place] == "A" { "B" } else { "A" };
        assert!(!server.knows(&format!("{id}.{}{other}{}", &tag[..place], &tag[place + 1..])), "with another character at {place}");
    }
    for tampered in [id.to_owned(), format!("{id}."), format!("{id}.{}", &tag[1..]), format!("{id}.{tag}="), format!("{id}..{tag}")] {
        is_never_adopted(&server, &tampered);
    }
    configure(&mut server, second);
    assert!(!server.knows(&signed), "of another key");
    configure(&mut server, &format!("{third} {second} {first}"));
    let response = member.ask("get=n");
    assert_eq!((response.line("get"), response.set_cookies().len()), ("1", 1), "sent again under the new key");
    let renewed = member.id();
    assert!(renewed != signed && renewed.split('.').next() == Some(id), "the same id under another key");
    assert_eq!(member.ask("get=n").set_cookies().len(), 0);
    configure(&mut server, third);
    assert_eq!((server.knows(&signed), server.knows(&renewed)), (false, true));
    for short in ["SessionSecret short", "SessionSecret 0123456789abcdef0123456789abcde", &format!("SessionSecret {first} short")] {
        assert!(!subject.setup(short).configtest().0, "{short}");
    }
}
