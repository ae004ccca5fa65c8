//! Graceful restarts under load: no child dies, no acknowledged change is lost.

mod support;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use support::{Httpd, Mpm, mpm_tests};

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

mpm_tests!(twenty_graceful_restarts_under_load_lose_no_acknowledged_change);
