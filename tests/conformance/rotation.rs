//! New ids for old sessions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::runner::cases;
use crate::subject::Subject;
use crate::watch::{at_once, pause, soon, timely, while_busy};

cases![
    R1 Http within_the_grace_the_old_id_goes_on_with_the_session,
    R2 Server after_the_grace_the_old_id_is_nobodys_and_is_told_of,
    R3 Http of_two_regenerations_at_once_both_clients_keep_their_session,
    R4 Http a_client_that_never_got_the_new_cookie_is_still_logged_in,
    R5 Http who_knew_the_id_before_a_login_never_sees_what_comes_after_it,
    R6 Faults a_crash_amid_a_regeneration_leaves_the_old_id_usable,
];

const TOLD: &str = "superseded id used";

fn within_the_grace_the_old_id_goes_on_with_the_session(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    let mut late = member.clone();
    let old = member.id();
    let response = member.ask("regenerate&set=m:2&all");
    assert_eq!((response.line("regenerate"), response.line("all"), response.set_cookies().len()), ("ok", "m=2 n=1", 1));
    let new = member.id();
    assert_ne!(new, old);
    assert_eq!(member.ask("look&all").set_cookies().len(), 0);
    for words in ["look&all", "all"] {
        let mut late = late.clone();
        let response = late.ask(words);
        assert_eq!((response.line("all"), response.set_cookies().len()), ("m=2 n=1", 1), "{words}");
        assert_eq!(late.id(), new, "{words}: the new cookie is sent again");
    }
    assert_eq!(late.says("set=late:3&add=n:1"), "2");
    assert_eq!(member.says("look&all"), "late=3 m=2 n=2", "one record");
}

fn after_the_grace_the_old_id_is_nobodys_and_is_told_of(subject: &Subject) {
    let server = subject.server("SessionIdGrace 1");
    let mut member = server.member();
    let old = member.id();
    assert_eq!(member.says("regenerate"), "ok");
    assert!(soon(Duration::from_secs(10), || !server.knows(&old)), "the old id is good for ever");
    let told = server.log_lines_with(TOLD).len();
    let response = server.with_id(&old, "new&invalidated&all&set=m:2");
    assert_eq!(["new", "invalidated", "all"].map(|word| response.line(word)), ["1", "1", ""]);
    assert!(!response.set_cookies()[0].contains(&member.id()), "the old id was told the new one");
    let lines = server.log_lines_with(TOLD);
    assert!(lines.len() == told + 1 && lines[told].contains("notice]"), "{lines:?}");
    assert_eq!(member.value("n"), "1");
}

fn of_two_regenerations_at_once_both_clients_keep_their_session(subject: &Subject) {
    for conf in if subject.is_ours() { &["", "SessionLock access"][..] } else { &[""] } {
        let server = subject.server(conf);
        for round in 0..10 {
            let member = server.member();
            let ids = at_once(3, |n| {
                let mut client = member.clone();
                assert_eq!(client.says(&format!("add=n:1&sleep={}&regenerate", 10 * (round % 3))), "ok");
                assert_ne!(client.id(), member.id());
                assert_eq!(client.says(&format!("set=k{n}:1")), "ok");
                client
            });
            for mut client in ids.into_iter().chain([member]) {
                assert_eq!(client.says("look&all"), "k0=1 k1=1 k2=1 n=4", "{conf}: all have one session");
            }
        }
    }
}

fn a_client_that_never_got_the_new_cookie_is_still_logged_in(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    assert_eq!(member.ask("login=ann").status, 200);
    let old = member.id();
    for _ in 0..2 {
        let lost = member.begin("regenerate&add=n:1").finish(); // nobody learns from it
        assert_eq!((lost.line("regenerate"), member.id()), ("ok", old.clone()));
    }
    let hung_up = member.begin("regenerate&add=n:1&sleep=300");
    pause(150);
    drop(hung_up);
    timely(soon(Duration::from_secs(5), || member.clone().says("peek&get=n") == "4"), "the request of who hung up is not there yet");
    let response = member.ask("look&user&get=n");
    assert_eq!((response.line("user"), response.line("get"), response.set_cookies().len()), ("ann", "4", 1));
    assert_ne!(member.id(), old);
    assert_eq!(member.says("look&user"), "ann");
}

fn who_knew_the_id_before_a_login_never_sees_what_comes_after_it(subject: &Subject) {
    let server = subject.server("");
    for _ in 0..5 {
        let mut victim = server.member();
        let mut attacker = victim.clone();
        let watch = |stop: &AtomicBool| {
            let mut seen = String::new();
            while !stop.load(Ordering::Relaxed) {
                let response = attacker.clone().ask("look&user&get=secret");
                seen += response.line("get");
                seen += response.line("user");
            }
            seen
        };
        let (seen, _) = while_busy(watch, || {
            pause(30);
            let response = victim.ask("login=ann&set=secret:S&get=n");
            assert_eq!((response.line("login"), response.line("get"), response.set_cookies().len()), ("ok", "1", 1));
            pause(30);
        });
        assert!(!seen.contains('S') && !seen.contains("ann"), "the old id showed {seen}");
        let response = attacker.ask("new&get=n&get=secret&set=m:2");
        assert_eq!((response.line("new"), response.lines("get")), ("1", vec!["-", "-"]));
        assert_ne!(attacker.id(), victim.id());
        assert_eq!((victim.value("secret"), victim.says("look&user")), ("S".into(), "ann".into()));
    }
    if subject.is_ours() {
        assert!(!server.log_lines_with(TOLD).is_empty(), "an id that was superseded is told of");
    }
}

/// The process kills itself when the new record is written and the old one does not point to it yet.
fn a_crash_amid_a_regeneration_leaves_the_old_id_usable(subject: &Subject) {
    let server = Subject::start(subject.setup("").env("MSRS_FAULT_KILL", "regenerate"));
    let mut member = server.member();
    member.ask("set=secret:S");
    let before = member.says("look&all");
    assert!(member.clone().try_ask("set=m:2&regenerate").is_err(), "the process did not die");
    assert!(soon(Duration::from_secs(10), || member.try_ask("look").is_ok()), "nobody else serves");
    assert_eq!(member.says("look&all"), before);
    assert_eq!((member.says("add=n:1"), member.value("n")), ("2".into(), "2".into()), "and goes on");
}
