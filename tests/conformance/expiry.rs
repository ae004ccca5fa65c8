//! When sessions end, and what keeps them alive.

use std::fs;
use std::time::{Duration, Instant};

use crate::runner::cases;
use crate::subject::Subject;
use crate::visitor::Visitor;
use crate::watch::{ms, pause, soon, timely, while_busy};

cases![
    E1 Http an_idle_session_ends_after_its_timeout_to_the_second,
    E2 Server a_lifetime_is_extended_by_nothing,
    E3 Server a_used_session_is_renewed_once_an_interval_has_passed,
    E4 Files within_the_interval_a_mere_access_is_not_written,
    E5 Server a_clock_that_steps_neither_ends_a_session_early_nor_keeps_it,
    E6 Http a_timeout_that_is_none_is_refused,
    E7 Http a_timeout_holds_for_the_one_session_that_set_it,
    E8 Http a_request_that_only_peeks_does_not_extend_the_session,
    E9 Files an_expired_session_is_invisible_before_it_is_collected,
];

fn an_idle_session_ends_after_its_timeout_to_the_second(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    let asked = Instant::now();
    assert_eq!(member.says("timeout=3"), "ok");
    let answered = Instant::now();
    pause(2000);
    let is_there = member.has_session();
    timely(is_there || asked.elapsed() < ms(2900), "there is no telling whether it ended early");
    assert!(is_there, "it ended within {:?} of 3 s", asked.elapsed());
    pause(u64::try_from(ms(4000).saturating_sub(answered.elapsed()).as_millis()).unwrap());
    assert!(!member.has_session(), "it is still there {:?} after its last use, of 3 s", answered.elapsed());
}

fn a_lifetime_is_extended_by_nothing(subject: &Subject) {
    let server = subject.server("SessionTimeout 1min\nSessionLifetime 3\nSessionTouchInterval 0\nSessionLock access");
    let asked = Instant::now();
    let mut member = server.member();
    let answered = Instant::now();
    let slow = member.begin("get=n&sleep=3500&set=late:1&save");
    for words in ["add=n:1&save", "regenerate&add=n:1", "timeout=1000&save", "look", "lock&add=n:1&unlock"] {
        pause(400);
        let response = member.ask(&format!("new&{words}&get=n"));
        timely(response.line("new") == "0" || asked.elapsed() < ms(2900), "its life was over in the middle");
        assert_eq!(response.line("new"), "0", "{words}");
        assert_ne!(response.line("get"), "-", "{words}");
    }
    pause(u64::try_from(ms(3050).saturating_sub(answered.elapsed()).as_millis()).unwrap());
    assert!(!member.has_session());
    assert_eq!(slow.finish().line("save"), "!gone", "judged again when something is stored");
}

fn a_used_session_is_renewed_once_an_interval_has_passed(subject: &Subject) {
    let server = subject.server("SessionTimeout 1000\nSessionTouchInterval 100\nSessionIdCookie sid Max-Age=1000");
    let mut member = server.member();
    let id = member.id();
    for words in ["look", "get=n", "look&all"] {
        assert_eq!(member.ask(words).set_cookies().len(), 0, "{words}: the interval is not over");
    }
    for words in ["look", "get=n", "look&all"] {
        server.age(101);
        let cookies = member.ask(words).set_cookies();
        assert!(cookies.len() == 1 && cookies[0].contains("; Max-Age=1000"), "{words}: {cookies:?}");
        assert_eq!((member.ask(words).set_cookies().len(), member.id()), (0, id.clone()), "{words}: once, and the same");
    }
    server.age(900);
    assert_eq!(member.value("n"), "1", "1203 s after it began, but not idle for 1000 s");
    server.age(1101);
    assert_eq!(member.value("n"), "-");
}

fn within_the_interval_a_mere_access_is_not_written(subject: &Subject) {
    let server = subject.server("SessionTimeout 1000\nSessionTouchInterval 100");
    let mut member = server.member();
    member.ask("look"); // the first access says that the client has the cookie
    let file = server.file(&member.id());
    let record = || (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    let before = record();
    for _ in 0..10 {
        member.ask("look&get=n");
        member.ask("get=n");
    }
    assert!(record() == before, "something was written");
    server.age(101);
    let aged = record();
    member.ask("look");
    let renewed = record();
    assert!(renewed != aged, "a renewal that is due is written");
    member.ask("look");
    assert!(record() == renewed, "once");
}

fn a_clock_that_steps_neither_ends_a_session_early_nor_keeps_it(subject: &Subject) {
    let server = subject.server("SessionTimeout 1000\nSessionTouchInterval 10");
    let mut member = server.member();
    server.adjust_time(86_400); // the clock was a day fast, and was set right
    assert_eq!(member.says("add=n:1"), "2", "what lies in the future counts as now");
    server.age(900);
    assert_eq!(member.value("n"), "2");
    server.age(1011);
    assert_eq!(member.value("n"), "-", "it did not live a day longer");

    let mut member = server.member();
    server.age(900); // the clock steps forward
    assert_eq!(member.value("n"), "1");
    server.age(1011);
    assert_eq!(member.value("n"), "-");
}

fn a_timeout_that_is_none_is_refused(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    assert_eq!(member.says("timeout=1000"), "ok");
    for wrong in ["0", "-1", "-9223372036854775808", "315360001", "9223372036854775807", "99999999999999999999999", "x", ""] {
        assert_eq!(member.says(&format!("timeout={wrong}")), "!bad-type", "{wrong:?}");
    }
    assert_eq!((member.says("timeout"), member.value("n")), ("1000".into(), "1".into()));
    assert_eq!(member.says("timeout=315360000"), "ok", "ten years are a timeout");
    if subject.is_ours() {
        for directive in ["SessionTimeout", "SessionLifetime", "SessionTouchInterval", "SessionNewTimeout", "SessionLockTimeout"] {
            for wrong in ["-1", "3651d", "4000000000", "99999999999999999999", "x", "1y"] {
                let (accepted, said) = subject.setup(&format!("{directive} {wrong}")).configtest();
                assert!(!accepted && said.contains(directive), "{directive} {wrong}: {said}");
            }
        }
        assert!(!subject.setup("SessionTimeout 0").configtest().0);
    }
}

fn a_timeout_holds_for_the_one_session_that_set_it(subject: &Subject) {
    let server = subject.server("");
    let (mut short, mut other) = (server.member(), server.member());
    assert_eq!(short.says("timeout=1"), "ok");
    assert_eq!(short.says("timeout"), "1", "another request finds it");
    assert!(soon(Duration::from_secs(10), || !short.has_session()), "it did not end");
    assert_eq!(other.value("n"), "1");
}

/// Asks again and again until the session has ended, for 7 s at most; and how long two askings lay apart at most.
fn asked_until_it_ends(member: &mut Visitor, words: &str) -> (bool, Duration) {
    let (mut longest, mut asked) = (Duration::ZERO, Instant::now());
    let ends = soon(Duration::from_secs(7), || {
        let is_there = member.says(words) == "1";
        longest = longest.max(asked.elapsed());
        asked = Instant::now();
        !is_there
    });
    (ends, longest)
}

fn a_request_that_only_peeks_does_not_extend_the_session(subject: &Subject) {
    let server = subject.server("");
    let [mut idle, mut used] = [(), ()].map(|()| server.member());
    idle.ask("timeout=4");
    used.ask("timeout=4");
    let ((ends, longest), (idle_ends, _)) =
        while_busy(|_| asked_until_it_ends(&mut used, "look"), || asked_until_it_ends(&mut idle, "peek"));
    assert!(idle_ends, "peeking kept it alive");
    timely(!ends || longest < ms(3000), "nobody asked for a while");
    assert!(!ends, "a session that was looked at ended");
}

fn an_expired_session_is_invisible_before_it_is_collected(subject: &Subject) {
    let server = subject.server("SessionCleanupInterval 0");
    let mut member = server.member();
    server.age(1900);
    assert_eq!(server.files().len(), 1, "its record is there");
    assert!(!member.has_session());
    assert_eq!(member.value("n"), "-");
    assert_eq!(member.says("new&invalidated"), "1");
    member.ask("set=m:1");
    assert_eq!((member.says("all"), server.files().len()), ("m=1".into(), 2));
}
