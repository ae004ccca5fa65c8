//! What an administrator sees.

use crate::runner::cases;
use crate::subject::Subject;
use crate::support::wait_for;

cases![
    A3 Server no_log_holds_an_id,
    A4 Server each_event_of_a_life_is_told_exactly_once,
];

fn no_log_holds_an_id(subject: &Subject) {
    let conf = "SessionIdGrace 0\nSessionSecret 0123456789abcdef0123456789abcdef\nSessionTouchInterval 0\nLogLevel trace8 core:info";
    let expected = ["SessionMaxSize", "is damaged", "the response headers have gone"];
    let server = subject.server_that_logs(conf, &expected);
    let (mut one, mut other) = (server.member(), server.member());
    let mut ids = vec![one.id(), other.id()];
    server.with_cookies(&format!("{}; {}", server.pair(&one.id()), server.pair(&other.id())), "get=n");
    server.with_id("0123456789abcdefghijklmnopqrstuv", "set=n:1");
    server.with_id("0123456789abcdefghijklmnopqrstuv.0123456789abcdefghijkl", "set=n:1");
    for words in ["regenerate", "login=ann", "add=n:1&save", "lock&unlock", "fill=big:2000000&save", "fill=a:600000&save", "fill=b:600000&save"] {
        one.ask(words);
        ids.push(one.id());
    }
    server.with_id(&ids[0], "get=n");
    if subject.offers(crate::subject::Needs::Files) {
        std::fs::write(server.file(&other.id()), "damage").unwrap();
        other.ask("get=n");
    }
    server.visitor().ask("body=9&flush&set=n:1&save");
    one.ask("destroy&set=n:1");
    ids.push(one.id());
    one.ask("timeout=1&save");
    server.age(400);
    one.ask("get=n");
    ids.extend(["0123456789abcdefghijklmnopqrstuv".to_owned()]);
    let log = server.error_log();
    assert!(log.contains("session:"), "the module says something at all");
    for id in ids {
        let id = id.split('.').next().unwrap();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

fn each_event_of_a_life_is_told_exactly_once(subject: &Subject) {
    let server = subject.server("SessionIdGrace 0\nSessionTimeout 1000\nSessionTouchInterval 100\nSessionCleanupInterval 1");
    let mut member = server.member();
    let first = member.id();
    (0..3).for_each(|_| drop(member.ask("look")));
    server.age(101);
    (0..3).for_each(|_| drop(member.ask("look")));
    member.ask("regenerate");
    let second = member.id();
    server.with_id(&first, "look");
    member.ask("destroy&save");
    let mut expired = server.member();
    let third = expired.id();
    server.age(1101);
    (0..3).for_each(|_| assert!(!expired.has_session()));
    server.age(400); // beyond what a request may outlive its session
    if subject.offers(crate::subject::Needs::Files) {
        wait_for("the cleaner", || (!server.file(&third).exists()).then_some(()));
    }
    for (event, id, number) in [
        ("created", &first, 1),
        ("renewed", &first, 1),
        ("superseded", &first, 1),
        ("created", &second, 0),
        ("renewed", &second, 0),
        ("destroyed", &second, 1),
        ("destroyed", &first, 0),
        ("expired", &second, 0),
        ("created", &third, 1),
        ("renewed", &third, 0),
        ("expired", &third, 1),
        ("destroyed", &third, 0),
    ] {
        let reference = server.key(id).reference();
        let told = server.events(event, id);
        assert_eq!(told.len(), number, "{event} of {reference}: {told:#?}");
        let heard = server.log_lines_with(&format!("conform event={event} ref={reference}"));
        assert_eq!(heard.len(), number, "the hook heard {event} of {reference}: {heard:#?}");
        let level = if event == "superseded" { "notice]" } else { "info]" };
        assert!(told.iter().all(|line| line.contains(level)), "{told:?}");
    }
}
