//! Graceful restarts under load: no child dies, no acknowledged change is lost.

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::redis::Redis;
use support::{Httpd, Mpm, mpm_tests, wait_for};

fn twenty_graceful_restarts_under_load_lose_no_acknowledged_change(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLock access").workers(8).start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    let (stop, acknowledged, unanswered) = (AtomicBool::new(false), AtomicI64::new(0), AtomicI64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = client.clone();
            let (stop, acknowledged, unanswered) = (&stop, &acknowledged, &unanswered);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match client.try_request("GET", "/capi?open=create&add=n:1&save", &[], b"") {
                        Ok(response) => {
                            assert_eq!((response.status, response.line("save")), (200, "OK"), "{}", response.text());
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        // The server may close a connection that it has just accepted; the change may or may not have happened.
                        Err(_) => drop(unanswered.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(100));
            httpd.graceful();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let stored: i64 = client.get("/capi?open=&get_int=n").line("get_int").replace("OK ", "").parse().unwrap();
    let (acknowledged, unanswered) = (acknowledged.into_inner(), unanswered.into_inner());
    println!("{acknowledged} acknowledged, {unanswered} unanswered, {stored} stored");
    assert!(acknowledged > 50, "hardly any load");
    assert!((acknowledged..=acknowledged + unanswered).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
    assert!(!httpd.error_log().contains("exit signal"));
}

/// Connections, threads and leases are those of children.
fn twenty_graceful_restarts_leave_nothing_of_redis_behind(mpm: Mpm) {
    let redis = Redis::start(&[]);
    let httpd = Httpd::start(mpm, &format!("SessionStore {}", redis.url()));
    let mut client = httpd.client();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", httpd.pid())).expect("its descriptors").count();
    let mut at_first = None;
    for n in 1..=20 {
        assert_eq!(client.get("/notes?incr=session.n&get=session.n").line("get"), n.to_string());
        httpd.graceful();
        assert_eq!(*at_first.get_or_insert_with(descriptors), descriptors(), "restart {n}");
    }
    // What idle children of old generations had, ends with them.
    wait_for("the connections to end", || (redis.info("connected_clients") == "1").then_some(()));
    assert_eq!(redis.cli(&["DBSIZE"]), "1", "the session, and no lease");
}

fn a_server_whose_requests_wait_for_another_server_stops_at_once(mpm: Mpm) {
    let redis = Redis::start(&[]);
    let conf = format!("SessionStore {}", redis.url());
    let (one, mut two) = (Httpd::start(Mpm::Event, &conf), Httpd::start(mpm, &conf));
    let mut here = one.client();
    here.get("/notes?incr=session.n");
    let mut there = two.client();
    here.cookies().iter().for_each(|(name, value)| there.set_cookie(name, value));
    let held = here.clone().begin("/notes?incr=session.n&sleep=4000");
    wait_for("the lease", || redis.cli(&["KEYS", "msrs1:lease:*"]).contains("lease").then_some(()));
    let waiting: Vec<_> = (0..4).map(|_| there.clone().begin("/notes?incr=session.n")).collect();
    wait_for("one to wait", || redis.cli(&["KEYS", "msrs1:queue:*"]).contains("queue").then_some(()));
    let started = Instant::now();
    two.stop();
    assert!(started.elapsed() < Duration::from_millis(2800), "{:?}", started.elapsed());
    drop(waiting);
    assert_eq!(held.finish().status, 200);
    two.start_again();
    assert_eq!(there.get("/notes?incr=session.n&get=session.n").line("get"), "3");
}

mpm_tests!(
    twenty_graceful_restarts_under_load_lose_no_acknowledged_change,
    twenty_graceful_restarts_leave_nothing_of_redis_behind,
    a_server_whose_requests_wait_for_another_server_stops_at_once
);
