//! Requests of one session side by side: nothing is lost, nobody is revived.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@\nSessionLock access";

fn changes_to_different_keys_are_all_kept_and_not_serialised(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).workers(16).start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=start:1");
    let started = Instant::now();
    thread::scope(|scope| {
        for n in 0..8 {
            let mut client = client.clone();
            scope.spawn(move || {
                let response = client.get(&format!("/capi?open=create&set_int=key{n}:{n}&sleep=400"));
                assert_eq!(response.line("set_int"), "OK");
            });
        }
    });
    assert!(started.elapsed() < Duration::from_millis(2800), "8 handlers of 0.4 s took {:?}", started.elapsed());
    let response = client.get("/capi?open=&each");
    for n in 0..8 {
        assert!(response.line("each").contains(&format!("key{n}=INT")), "{}", response.text());
    }
}

fn additions_of_8_clients_are_exact(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).workers(16).start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut client = client.clone();
            scope.spawn(move || {
                for _ in 0..200 {
                    assert_eq!(client.get("/capi?open=create&add=n:1").line("add"), "OK");
                }
            });
        }
    });
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1600");
}

fn a_slow_request_does_not_revive_what_was_invalidated_meanwhile(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=user:ann");
    let slow = client.clone().begin("/capi?open=create&set_text=late:1&sleep=600&save");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(client.clone().get("/capi?open=create&invalidate").line("invalidate"), "OK");
    let slow = slow.finish();
    assert_eq!(slow.line("save"), "GONE");
    assert_eq!(slow.set_cookies(), Vec::<String>::new(), "an answer 'gone' sends no cookie");
    assert_eq!(client.get("/capi?open=&was_invalidated").line("open"), "NONE");
    let files = walk(&httpd.dir());
    assert_eq!(files, 0, "a record came back");
}

fn deleting_does_not_bring_back_what_somebody_else_ended(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    for slow in ["/capi?open=create&sleep=500&remove&set_int=n:9&save", "/notes?sleep=500&set=session:do:delete&set=session.n:9"] {
        let mut client = httpd.client();
        client.get("/capi?open=create&set_text=user:ann");
        let pending = client.clone().begin(slow);
        thread::sleep(Duration::from_millis(200));
        client.clone().get("/capi?open=create&invalidate");
        let response = pending.finish();
        if slow.starts_with("/capi") {
            assert_eq!((response.line("remove"), response.line("save")), ("GONE", "GONE"));
        }
        assert_eq!(client.get("/capi?open=").line("open"), "NONE", "{slow}");
    }
}

/// Records in a session directory.
fn walk(dir: &std::path::Path) -> usize {
    let subs = std::fs::read_dir(dir).unwrap().filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    subs.map(|sub| std::fs::read_dir(sub).unwrap().count()).sum()
}

fn several_threads_of_a_handler_find_a_handle_busy_and_nothing_breaks(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:0&thread_get=n:4&get_int=n");
    let counts = response.line("thread_get");
    let ok: i64 = counts.split("OK=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!(counts.contains("other=0"), "{counts}");
    assert_eq!(response.line("get_int"), format!("OK {ok}"), "{counts}");
}

mpm_tests!(
    changes_to_different_keys_are_all_kept_and_not_serialised,
    additions_of_8_clients_are_exact,
    several_threads_of_a_handler_find_a_handle_busy_and_nothing_breaks,
);
mpm_tests!(
    by_the_clock:
    a_slow_request_does_not_revive_what_was_invalidated_meanwhile,
    deleting_does_not_bring_back_what_somebody_else_ended,
);
