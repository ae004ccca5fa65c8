//! The faults of the ancestors that had to do with ids: adopted, tossed, kept alive, forged.

use crate::cookie::is_never_adopted;
use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::visitor::Visitor;
use crate::watch::{ms, soon};

cases![
    N1 Http an_unknown_id_of_good_form_is_not_adopted,
    N2 Http an_id_in_other_case_or_quotes_or_with_a_line_end_is_none,
    N3 Http a_tossed_cookie_does_not_log_anybody_out,
    N20 Http an_ended_session_sends_one_cookie_and_its_id_is_worthless,
    N21 Server a_regenerated_id_is_worthless_after_the_grace_or_at_once,
    N22 Server a_signed_cookie_is_verified_and_keys_can_be_changed,
];

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
        let conf = subject.conf(server);
        server.reconfigure(&format!("{conf}\nSessionSecret {keys}\n"));
        server.graceful_for_all();
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
