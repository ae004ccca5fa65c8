//! One session over connections of all kinds.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;

use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::apxs::Installed;
use crate::visitor::Visitor;
use crate::watch::{at_once, ms, soon, timely};

cases![K11 Http a_session_is_the_same_over_every_connection_and_protocol];

fn a_session_is_the_same_over_every_connection_and_protocol(subject: &Subject) {
    let h2 = subject.is_ours() && !subject.is_prefork() && Installed::get().has("http2") && curl_speaks_http2();
    let server = match h2 {
        true => Subject::start(subject.setup("Protocols h2c http/1.1\nSessionLockWaiters 30").module("http2").workers(64)),
        false => subject.busy_server(""),
    };
    let mut member = server.member();
    at_once(6, |n| {
        let mut client = if n % 2 == 0 { member.clone().keep_alive() } else { member.clone() };
        (0..20).for_each(|_| assert_eq!(client.ask("incr=n").status, 200));
    });
    assert_eq!(member.number("n"), 121);
    if subject.is_ours() {
        let seen = Mutex::new(BTreeSet::new());
        let is_seen_by_two = || {
            at_once(6, |_| {
                let response = member.clone().ask("look&get=n&pid&sleep=20");
                assert_eq!(response.line("get"), "121");
                seen.lock().unwrap().insert(response.line("pid").to_owned());
            });
            seen.lock().unwrap().len() > 1
        };
        assert!(soon(ms(10_000), is_seen_by_two), "all is served by one process");
    }
    if h2 {
        over_http2(&server, &mut member);
    }
}

fn curl_speaks_http2() -> bool {
    Command::new("curl").arg("-V").output().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("HTTP2"))
}

/// Streams of one connection at once, beside HTTP/1.1. Some versions of curl lose a stream now and then.
fn over_http2(server: &Server, member: &mut Visitor) {
    const STREAMS: usize = 24;
    let url = format!("http://127.0.0.1:{}/conform?incr=n", server.port());
    let before = member.number("n");
    let cookie = server.pair(&member.id());
    let curl = || {
        let mut command = Command::new("curl");
        command.args(["-s", "--http2", "-Z", "--parallel-max", "8", "--max-time", "30", "-w", "HTTP/%{http_version} %{num_connects}\n"]);
        let output = command.args(["-b", &cookie]).args(vec![url.clone(); STREAMS]).output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = at_once(3, |n| match n {
        0 | 1 => curl(),
        _ => {
            let mut client = member.clone();
            (0..STREAMS).map(|_| client.ask("incr=n").text().into_owned()).collect()
        }
    });
    let said = said.concat();
    timely(said.contains("HTTP/2 0\n"), &format!("no streams shared a connection: {said}"));
    let mut numbers: Vec<i64> = said.lines().filter_map(|line| line.strip_prefix("incr: ")?.parse().ok()).collect();
    let answered = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), answered, "two requests read the same number: {said}");
    let (counted, asked) = (member.number("n") - before, 3 * STREAMS);
    assert!((answered..=asked).contains(&usize::try_from(counted).unwrap()), "{asked} asked, {answered} answered, {counted} counted");
}
