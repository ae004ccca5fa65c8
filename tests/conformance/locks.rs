//! The faults of the ancestors that had to do with locks: who waits for whom, and for how long.

use crate::runner::cases;
use crate::subject::Subject;
use crate::support::locks::locks;
use crate::support::wait_for;
use crate::watch::{at_once, in_time, ms, pause, timed, timely};

cases![
    N11 Http strangers_never_wait_for_each_other,
    N12 Http a_client_that_does_not_read_keeps_nobody_waiting,
    N13 Server all_parts_of_a_page_share_one_session,
    N14 Server a_wait_for_a_lock_ends_and_the_page_is_told,
    N17 Server one_worker_and_one_mutex_are_enough,
];

fn strangers_never_wait_for_each_other(subject: &Subject) {
    for conf in if subject.is_ours() { &["", "SessionMutexes 1"][..] } else { &[""] } {
        let server = subject.busy_server(conf);
        let members: Vec<_> = (0..16).map(|_| server.member()).collect();
        let (_, took) = timed(|| at_once(16, |n| assert_eq!(members[n].clone().ask("add=n:1&sleep=500").status, 200)));
        in_time(took, ms(1000), &format!("{conf}: 16 sessions, half a second each"));
    }
}

fn a_client_that_does_not_read_keeps_nobody_waiting(subject: &Subject) {
    let server = subject.server("SendBufferSize 4096");
    // Pieces on the way, all at once, and so little that the page has ended before anybody waits for the client.
    for body in ["pieces=16777216:8192", "body=16777216", "body=60000", "fill=big:60000&get=big"] {
        let mut member = server.member();
        let slow = member.clone().reluctant().begin(&format!("add=n:1&{body}"));
        pause(500); // it has begun, and what the kernels take is full
        let (response, took) = timed(|| member.ask("add=n:1&save"));
        timely(response.line("add") != "2", "the slow request was the later one");
        assert_eq!(response.line("add"), "3", "{body}: what was changed before the body is there");
        in_time(took, ms(700), body);
        pause(1200);
        assert_eq!(slow.finish().status, 200, "{body}");
        let (response, took) = timed(|| member.ask("add=n:1"));
        assert_eq!(response.line("add"), "4", "{body}");
        in_time(took, ms(700), body);
    }
}

fn all_parts_of_a_page_share_one_session(subject: &Subject) {
    let server = subject.server("SessionLockTimeout 3\nErrorDocument 403 /conform?add=n:1&all");
    let mut visitor = server.visitor();
    let response = visitor.ask("add=n:1&sub=/conform?add=n:1%26set=sub:1&get=sub&add=n:1&internal=/conform?add=n:1%26all");
    assert_eq!((response.line("get"), response.line("all"), response.set_cookies().len()), ("1", "n=4 sub=1", 1));
    let response = visitor.ask("add=n:1&look&add=n:1&status=403");
    assert_eq!((response.status, response.line("all"), response.set_cookies().len()), (403, "n=7 sub=1", 0));
    let response = visitor.ask("set=x:1&sub=/conform?destroy%26set=y:2&all");
    assert_eq!((response.line("all"), response.set_cookies().len()), ("y=2", 1), "{}", response.text());
    assert_eq!(visitor.says("look&all"), "y=2");
}

fn a_wait_for_a_lock_ends_and_the_page_is_told(subject: &Subject) {
    let server = subject.server_that_logs("SessionLockTimeout 700ms", &["SessionLockTimeout"]);
    let mut member = server.member();
    let holder = member.begin("add=n:1&sleep=3000");
    wait_for("the holder", || (!locks(&server).is_empty()).then_some(()));
    let (response, took) = timed(|| member.ask("add=n:1&get=n"));
    timely(response.line("add").starts_with('!'), "the holder is done");
    assert_eq!((response.line("add"), response.line("get"), response.set_cookies().len()), ("!busy", "!busy", 0));
    assert!(took > ms(650), "{took:?}");
    in_time(took, ms(1700), "a wait of 0.7 s, once");
    assert_eq!(member.value("n"), "1", "who only reads does not wait");
    assert_eq!((holder.finish().line("add"), member.says("add=n:1")), ("2", "3".into()));

    let server = subject.server_that_logs("SessionLockTimeout 700ms\nSessionLock access", &["SessionLockTimeout"]);
    let mut member = server.member();
    let holder = member.begin("lock&add=n:1&sleep=2500");
    wait_for("the holder", || (!locks(&server).is_empty()).then_some(()));
    let response = member.ask("lock&add=m:1");
    timely(response.line("lock") != "ok", "the holder is done");
    assert_eq!((response.line("lock"), response.line("add")), ("!busy", "1"));
    assert_eq!((holder.finish().line("lock"), member.says("lock&all")), ("ok", "m=1 n=2".into()));
}

fn one_worker_and_one_mutex_are_enough(subject: &Subject) {
    let setup = subject.setup("SessionMutexes 1\nSessionLockTimeout 3\nErrorDocument 403 /conform?incr=n").workers(1);
    let server = Subject::start(setup);
    let (mut one, mut other) = (server.member(), server.member());
    for n in 1..=5 {
        assert_eq!(one.says("incr=n&sub=/conform?incr=n&lock&incr=n"), (1 + 3 * n).to_string());
        assert_eq!(other.says("incr=n&look&get=n"), (2 * n).to_string());
        assert_eq!(other.ask("status=403").line("incr"), (2 * n + 1).to_string());
    }
}
