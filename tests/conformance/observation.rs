//! What an administrator sees.

use crate::runner::cases;
use crate::subject::Subject;
use crate::support::wait_for;

cases![
    A3 Server no_log_holds_an_id,
    A4 Server each_event_of_a_life_is_told_exactly_once,
];

fn no_log_holds_an_id(subject: &Subject) {
    let conf = "SessionIdGrace 0\nSessionSecret 0123456789abcdef0123456789abcdef\nSessionTouchInterval 0\nLogLevel info session:trace8";
    let expected = ["SessionMaxSize", "is damaged", "the response headers have gone"];
    let server = subject.server_that_logs(conf, &expected);
    let (mut one, mut other) = (server.member(), server.member());
    let mut ids = vec![one.id(), other.id()];
    server.with_cookies(&format!("{}; {}", server.pair(&one.id()), server.pair(&other.id())), "get=n");
    server.with_id("0123456789abcdefghijklmnopqrstuv", "set=n:1");
    server.with_id("0123456789abcdefghijklmnopqrstuv.0123456789abcdefghijkl", "set=n:1");
    for words in
        ["regenerate", "login=ann", "add=n:1&save", "lock&unlock", "fill=big:2000000&save", "fill=a:600000&save", "fill=b:600000&save"]
    {
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
    let server = subject
        .server("SessionIdGrace 0\nSessionTimeout 1000\nSessionTouchInterval 100\nSessionCleanupInterval 1\nLogLevel info session:debug");
    server.visitor().ask("look&get=n"); // who only looks is no event
    let mut member = server.member();
    let first = member.id();
    member.ask("set=m:2"); // a change is none
    server.age(101);
    (0..3).for_each(|_| drop(member.ask("look")));
    member.ask("regenerate");
    let second = member.id();
    (0..2).for_each(|_| drop(server.with_id(&first, "look")));
    member.ask("destroy&save");
    (0..2).for_each(|_| drop(server.with_id(&second, "look")));
    let mut brief = server.member();
    let third = brief.id();
    server.age(1101);
    (0..3).for_each(|_| assert!(!brief.has_session()));
    server.age(400); // beyond what a request may outlive its session
    if subject.tells_of_expiry() {
        server.wait_for_log("conform event=expired");
        wait_for("another pass", || server.log_lines_with("cleaned ").last().filter(|line| line.contains("deleted 0 of")).cloned());
    }
    let [first, second, third] = [first, second, third].map(|id| server.key(&id).reference().to_string());
    let mut expected = vec![
        ("created", &first, "info]"),
        ("renewed", &first, "debug]"), // a mere access
        ("renewed", &second, "info]"), // it goes on under another id
        ("superseded", &first, "notice]"),
        ("superseded", &first, "notice]"), // each time somebody comes with the old one
        ("destroyed", &second, "info]"),
        ("created", &third, "info]"),
    ];
    expected.extend(subject.tells_of_expiry().then_some(("expired", &third, "info]")));
    let (told, heard) = (server.log_lines_with("session event="), server.log_lines_with("conform event="));
    assert_eq!((told.len(), heard.len()), (expected.len(), expected.len()), "{told:#?}\n{heard:#?}");
    for ((event, reference, level), (told, heard)) in expected.into_iter().zip(told.into_iter().zip(heard)) {
        let is = format!(" event={event} ref={reference}");
        assert!(told.contains(&is) && told.contains(level), "not{is}, but {told}");
        assert!(heard.contains(&is), "not{is}, but {heard}");
    }
}
