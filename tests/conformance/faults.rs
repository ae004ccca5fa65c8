//! Processes that die, restarts, clients that hang up, and cleaning beside all of it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::locks::{holder, locks, waiting};
use crate::support::process::has_ended;
use crate::support::{sessions, wait_for};
use crate::visitor::Visitor;
use crate::watch::{at_once, in_time, ms, pause, soon, timed, timely, while_busy};

cases![
    K8 Server a_killed_holder_is_passed_over_and_leaves_whole_values,
    K12 Server graceful_restarts_under_load_lose_no_change_and_leak_no_lock,
    K13 Files cleaning_beside_requests_takes_what_expired_and_nothing_else,
    N15 Server a_killed_handler_that_held_a_lock_blocks_nobody,
    N16 Server a_graceful_restart_keeps_old_and_new_requests_apart,
];

fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

/// Until then a thread of it may take a connection, which ends with it.
fn wait_for_the_end_of(pid: u32) {
    wait_for("a killed process to end", || has_ended(pid).then_some(()));
}

/// Where half of the children may be killed, some must be left: the parent makes new ones once a second.
fn server_to_kill(subject: &Subject, conf: &str) -> Server {
    let processes = match subject.is_prefork() {
        true => "StartServers 24\nMinSpareServers 16",
        false => "ServerLimit 16\nThreadsPerChild 4\nStartServers 8\nMinSpareThreads 16\nMaxSpareThreads 64\nMaxRequestWorkers 64",
    };
    let setup = subject.setup(&format!("{conf}\n{processes}")).workers(32);
    Subject::start(setup.expect_log("exit signal Killed").expect_log("children are killed successively"))
}

/// Begins a request that holds its session, and kills its process; how long the next request of the session took.
fn kill_a_holder(server: &Server, member: &mut Visitor, words: &str) -> Duration {
    let held = member.begin(&format!("{words}&sleep=20000"));
    let pid = wait_for("the holder", || holder(server));
    kill(pid);
    let ((), took) = timed(|| wait_for("an answer", || member.try_ask("add=n:1&save").ok().map(drop)));
    wait_for_the_end_of(pid);
    drop(held);
    took
}

fn a_killed_holder_is_passed_over_and_leaves_whole_values(subject: &Subject) {
    let server = server_to_kill(subject, "");
    let mut member = server.member();
    for _ in 0..3 {
        let took = kill_a_holder(&server, &mut member, "set=a:x&fill=b:3000");
        in_time(took, ms(1000), "the next request");
        assert_eq!(member.says("look&all"), format!("n={}", member.number("n")), "what was not stored is not there");
    }
    // Kills at any moment: pairs of values are always stored together.
    let unanswered = AtomicI64::new(0);
    let before = member.number("n");
    let (acknowledged, ()) = while_busy(
        |stop| {
            let sums = at_once(4, |n| {
                let mut client = member.clone();
                let mut acknowledged = 0;
                while !stop.load(Ordering::Relaxed) {
                    let size = 700 * (acknowledged % 7);
                    match client.try_ask(&format!("int=a{n}:{acknowledged}&fill=pad{n}:{size}&int=b{n}:{acknowledged}&add=n:1&save")) {
                        Ok(response) => {
                            assert_eq!(response.line("save"), "ok");
                            acknowledged += 1;
                        }
                        Err(_) => drop(unanswered.fetch_add(1, Ordering::Relaxed)),
                    }
                }
                acknowledged
            });
            sums.iter().sum::<i64>()
        },
        || {
            for round in 0..8 {
                pause(200);
                let children = server.children();
                if let Some(&child) = children.get(round * 7 % children.len().max(1)) {
                    kill(child);
                    wait_for_the_end_of(child);
                }
            }
            pause(200);
        },
    );
    wait_for("an answer", || member.try_ask("peek").ok().map(drop));
    for n in 0..4 {
        let response = member.ask(&format!("look&get=a{n}&get=b{n}"));
        let values = response.lines("get");
        assert!(values[0] == values[1] && values[0] != "-", "half of what was written together: {values:?}");
    }
    let (stored, unanswered) = (member.number("n") - before, unanswered.into_inner());
    assert!(
        (acknowledged..=acknowledged + unanswered).contains(&stored),
        "{acknowledged} acknowledged, {unanswered} unanswered, {stored} stored"
    );
    timely(acknowledged > 50, "hardly any load");
}

fn graceful_restarts_under_load_lose_no_change_and_leak_no_lock(subject: &Subject) {
    let server = Subject::start(subject.setup("SessionLockWaiters 30").workers(32));
    let (member, mut adder) = (server.member(), server.member());
    let unanswered = [AtomicI64::new(0), AtomicI64::new(0)];
    let increment = |stop: &AtomicBool, client: &Visitor, words: &str, unanswered: &AtomicI64| {
        let sums = at_once(3, |_| {
            let mut client = client.clone();
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match client.try_ask(words) {
                    Ok(response) => {
                        assert_eq!(response.status, 200, "{}", response.text());
                        acknowledged.push(response.line("incr").parse::<i64>().unwrap());
                    }
                    // The server may close a connection that it has just accepted.
                    Err(_) => drop(unanswered.fetch_add(1, Ordering::Relaxed)),
                }
            }
            acknowledged
        });
        sums.concat()
    };
    let (mut numbers, (idle, ())) = while_busy(
        |stop| increment(stop, &member, "incr=n&sleep=5", &unanswered[0]),
        || {
            while_busy(
                |stop| increment(stop, &adder, "incr=n&save", &unanswered[1]),
                || {
                    (0..6).for_each(|_| {
                        pause(150);
                        server.graceful();
                    });
                },
            )
        },
    );
    let acknowledged = i64::try_from(numbers.len()).unwrap();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(i64::try_from(numbers.len()).unwrap(), acknowledged, "two requests read the same number");
    let [first, second] = unanswered.map(AtomicI64::into_inner);
    let stored = member.clone().number("n") - 1;
    assert!((acknowledged..=acknowledged + first).contains(&stored), "{acknowledged} acknowledged, {first} unanswered, {stored} stored");
    let (acknowledged, stored) = (i64::try_from(idle.len()).unwrap(), adder.number("n") - 1);
    assert!((acknowledged..=acknowledged + second).contains(&stored), "{acknowledged} acknowledged, {second} unanswered, {stored} stored");
    timely(numbers.len() > 30 && idle.len() > 30, "hardly any load");
    wait_for("nobody to hold anything", || (locks(&server).is_empty() && waiting(&server) == 0).then_some(()));
    let (response, took) = timed(|| member.clone().ask("incr=n"));
    assert_eq!(response.status, 200);
    in_time(took, ms(1000), "a request after all of that");
}

/// Expired for longer than any request may outlive its session.
const LONG_AGO: Option<Duration> = Some(Duration::from_secs(3600));

fn cleaning_beside_requests_takes_what_expired_and_nothing_else(subject: &Subject) {
    let setup = subject.setup("SessionLock access\nSessionCleanupInterval 1\nSessionCleanupFrequency 20\nSessionTouchInterval 0");
    sessions::put(&setup.dir(), 0..2000, |n| LONG_AGO.filter(|_| n % 10 > 0));
    let server = Subject::start(setup);
    let until = Instant::now() + ms(3000);
    let members = at_once(4, |n| {
        let mut member = server.member();
        let mut rounds = 1;
        while Instant::now() < until {
            rounds += 1;
            assert_eq!(member.says(&format!("fill=pad:{}&add=n:1", 900 * (rounds % 3))), rounds.to_string());
            assert_eq!(member.value("n"), rounds.to_string(), "reading");
            assert_eq!(member.says("peek"), "1");
            let mut brief = server.member(); // one that comes and goes
            assert_eq!((brief.says("destroy"), brief.has_session()), ("ok".into(), false), "client {n}");
        }
        (member, rounds)
    });
    let left = || server.files().len();
    assert!(soon(Duration::from_secs(60), || left() <= 204), "{} are left: {:#?}", left(), server.log_lines_with("cleaned "));
    for (mut member, rounds) in members {
        assert_eq!(member.number("n"), rounds);
    }
    assert_eq!(left(), 204, "the living and those of our four clients: {:#?}", server.log_lines_with("cleaned "));
}

fn a_killed_handler_that_held_a_lock_blocks_nobody(subject: &Subject) {
    let server = server_to_kill(subject, "SessionLock access");
    let mut member = server.member();
    for round in 0..3 {
        let took = kill_a_holder(&server, &mut member, "lock&set=lost:1");
        in_time(took, ms(1000), "the next request");
        assert_eq!(member.says("look&all"), format!("n={}", round + 2));
        let (response, took) = timed(|| member.ask("lock&get=n&unlock"));
        assert_eq!((response.line("lock"), response.line("unlock")), ("ok", "ok"));
        in_time(took, ms(1000), "the next lock");
    }
}

fn a_graceful_restart_keeps_old_and_new_requests_apart(subject: &Subject) {
    let server = Subject::start(subject.setup("").workers(16));
    let mut member = server.member();
    for _ in 0..2 {
        let before = member.number("n");
        let started = Instant::now();
        let old = member.begin("pid&incr=n&sleep=2500");
        let pid = wait_for("the holder", || holder(&server));
        server.graceful();
        let new = member.ask("pid&incr=n");
        let took = started.elapsed();
        assert!(took > ms(2400), "the new generation did not wait: {took:?}");
        let old = old.finish();
        assert_eq!((old.line("incr"), new.line("incr")), (&*(before + 1).to_string(), &*(before + 2).to_string()));
        assert_eq!(old.line("pid"), pid.to_string());
        timely(old.line("pid") != new.line("pid"), "the old generation served both");
    }
}
