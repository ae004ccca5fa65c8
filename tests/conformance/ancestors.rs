//! What the tests of mod_python's Session asked (P), and the faults of it and its relatives that were seen (N): cookies and values.

use crate::cookie::is_never_adopted;
use crate::runner::cases;
use crate::subject::Subject;
use crate::watch::{at_once, ms, timed};

cases![
    P1 Server a_new_visitor_gets_the_cookie_with_the_configured_path_and_domain,
    P2 Http a_whole_set_cookie_line_as_cookie_is_accepted,
    P3 Http an_id_that_is_a_path_is_replaced,
    P4 Http an_id_of_384_characters_is_replaced,
    P5 Http five_requests_of_a_second_each_take_five_seconds,
    P6 Server an_error_page_with_the_session_of_the_page_does_not_block,
    P7 Http odd_syntax_in_the_cookie_header_is_survived,
    N4 Http the_cookie_survives_redirects_and_errors,
    N5 Http a_session_that_begins_after_the_headers_is_told_of,
    N6 Server reading_renews_and_peeking_does_not,
    N10 Http what_cannot_be_stored_is_told_and_harms_nothing,
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
    for words in ["body=9&flush&regenerate", "get=n&body=9&flush&regenerate", "body=9&flush&login=ann"] {
        let id = member.id();
        assert_eq!((member.says(words), server.knows(&id)), ("!late".into(), true), "{words}: its client would never learn the new id");
    }
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
