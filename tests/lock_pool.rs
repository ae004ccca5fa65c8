//! The pool of mutexes: nobody works without it where it cannot be had.

mod support;

use std::collections::HashSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use support::{Httpd, Mpm, mpm_tests, wait_for};

/// No file can be made there.
const CONF: &str = "SessionDir @DIR@\nSessionMutexes 4\nMutex flock:/proc session-pool\n";

fn a_pool_that_cannot_be_made_ends_the_start(mpm: Mpm) {
    let said = Httpd::with(mpm).conf(CONF).try_start().err().expect("a start without a pool");
    assert!(said.contains("cannot make 4 mutexes (SessionMutexes)") && said.contains("Mutex directive"), "{said}");
}

fn without_a_pool_after_a_restart_the_server_lives_and_no_known_session_is_served(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf("").start();
    for expected in ["session-pool mutex", "cannot make 4 mutexes", "no table of leases"] {
        httpd.expect_log(expected);
    }
    httpd.reconfigure(CONF);
    httpd.graceful();
    // A child of before may still answer.
    let mut client = httpd.client();
    wait_for("a session", || (client.get("/capi?open=create&set_int=n:1").set_cookies().len() == 1).then_some(()));
    let response = wait_for("a refusal", || Some(client.get("/notes?incr=session.n")).filter(|response| response.status == 503));
    assert_eq!(response.header("Retry-After"), Some("1"));
    assert_eq!(httpd.get("/hello").status, 200);
}

/// The files of the mutexes are gone, so a new child finds none.
fn a_child_that_cannot_attach_to_the_pool_does_not_serve(mpm: Mpm) {
    let conf = "SessionDir @DIR@\nSessionMutexes 2\nMutex flock:@ROOT@ session-pool";
    let spare = if mpm == Mpm::Prefork { "MinSpareServers 4" } else { "" };
    let setup = Httpd::with(mpm).conf(conf).conf(spare);
    let httpd = setup.expect_log("exit signal Killed").expect_log("this child cannot use the session-pool").start();
    let before = wait_for("all children to serve", || {
        let requests: Vec<_> = (0..16).map(|_| httpd.client().begin("/capi?pid&sleep=50")).collect();
        let serving: HashSet<u32> = requests.into_iter().map(|request| request.finish().line("pid").parse().unwrap()).collect();
        Some(httpd.children()).filter(|children| children.iter().all(|child| serving.contains(child)))
    });
    for file in fs::read_dir(httpd.root()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_string_lossy().contains("session-pool") {
            fs::remove_file(file).unwrap();
        }
    }
    let killed = if mpm == Mpm::Prefork { before.len() - 1 } else { 1 }; // so many that others are made
    for &child in &before[..killed] {
        kill_process(Pid::from_raw(child.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    let line = httpd.wait_for_log("this child cannot use the session-pool, and ends");
    let new: u32 = line.split("[pid ").nth(1).and_then(|rest| rest.split(':').next()).and_then(|pid| pid.parse().ok()).expect("a pid");
    assert!(!before.contains(&new), "{line}");
    wait_for("its end", || (!httpd.children().contains(&new)).then_some(()));
    assert_eq!(httpd.get("/capi?open=create&set_int=n:1&save").line("save"), "OK", "the others go on");
}

mpm_tests!(
    a_pool_that_cannot_be_made_ends_the_start,
    without_a_pool_after_a_restart_the_server_lives_and_no_known_session_is_served,
    a_child_that_cannot_attach_to_the_pool_does_not_serve,
);
