//! Waiting has limits, and who makes others wait has a name.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::locks::{locks, waiting};
use support::{Client, Httpd, Mpm, Pending, mpm_tests, wait_for};

fn begin_session(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    client
}

/// Begins a request that holds the session, and waits until it does.
fn hold(httpd: &Httpd, client: &Client, path: &str) -> Pending {
    let pending = client.clone().begin(path);
    wait_for("the lease", || (!locks(httpd).is_empty()).then_some(()));
    pending
}

fn who_waits_too_long_is_answered_503_and_the_log_names_the_holder(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf("SessionDir @DIR@\nSessionLockTimeout 1\n<Location /capi>\nSessionNotes Off\n</Location>")
        .expect_log("SessionLockTimeout")
        .start();
    let mut client = begin_session(&httpd);
    let reference = client.get("/capi?open=&ref").line("ref").to_owned();
    let holder = hold(&httpd, &client, "/notes?pid&sleep=3500&get=session.secret");
    let started = Instant::now();
    let response = client.get("/notes?get=session.n");
    let took = started.elapsed();
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    assert!(took > Duration::from_millis(950) && took < Duration::from_millis(2000), "{took:?}");
    assert_eq!(client.get("/capi?open=").line("open"), "BUSY");
    assert_ne!(client.get("/stock?load").status, 200, "SessionNotes is on there");
    let lines = httpd.log_lines_with("SessionLockTimeout");
    let pid = holder.finish().line("pid").to_owned();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in lines {
        assert!(line.contains(&reference) && line.contains(&format!("held by pid {pid} (GET /notes) for ")), "{line}");
        assert!(!line.contains("secret") && line.contains("session:warn"), "{line}");
    }
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), "1", "and goes on afterwards");
}

fn the_error_document_of_a_503_does_not_wait_again(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf("SessionDir @DIR@\nSessionLockTimeout 500ms\nErrorDocument 503 /notes?all&sub=/capi?open=create")
        .expect_log("SessionLockTimeout")
        .start();
    let mut client = begin_session(&httpd);
    let holder = hold(&httpd, &client, "/notes?sleep=3000");
    let started = Instant::now();
    let response = client.get("/notes?get=session.n");
    assert!(started.elapsed() < Duration::from_millis(1400), "{:?}", started.elapsed());
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    assert_eq!((response.line("all"), response.line("open")), ("1", "BUSY"));
    assert!(response.text().contains("session:error=busy"), "{}", response.text());
    holder.finish();
}

fn htsession_shows_who_holds_a_session_and_who_waits(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\n<Location /stock>\nSessionDir @ROOT@/other\nSessionIdCookie other\n</Location>");
    let mut client = begin_session(&httpd);
    let reference = client.get("/capi?open=&ref").line("ref").to_owned();
    client.get("/stock?load&set=n:0");
    let elsewhere = client.clone().begin("/stock?load&sleep=1000");
    let holder = hold(&httpd, &client, "/capi/some/path?open=&pid&sleep=1000&get_int=secret");
    let second = client.clone().begin("/notes?sleep=300");
    wait_for("a waiter", || (waiting(&httpd) == 1).then_some(()));
    let lines = locks(&httpd);
    let pid = holder.finish().line("pid").to_owned();
    assert_eq!(lines.len(), 1, "those of this directory: {lines:?}");
    assert_eq!(
        (&lines[0][0], &lines[0][1], &lines[0][3], lines[0][4..].join(" ")),
        (&reference, &pid, &"1".into(), "GET /capi/some/path".into())
    );
    second.finish();
    elsewhere.finish();
    wait_for("nobody holds anything", || locks(&httpd).is_empty().then_some(()));
}

fn as_many_wait_as_may_and_the_rest_is_answered_at_once(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLockWaiters 2").workers(16).expect_log("SessionLockWaiters (2)").start();
    let mut client = begin_session(&httpd);
    let holder = hold(&httpd, &client, "/notes?incr=session.n&sleep=1500");
    let waiters: Vec<_> = (0..2).map(|_| client.clone().begin("/notes?incr=session.n")).collect();
    wait_for("two waiters", || (waiting(&httpd) == 2).then_some(()));
    let started = Instant::now();
    for _ in 0..5 {
        let response = client.get("/notes?incr=session.n");
        assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    }
    assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
    assert!(httpd.wait_for_log("SessionLockWaiters (2)").contains("(GET /notes)"));
    // A place comes free when its waiter hangs up.
    let mut waiters = waiters.into_iter();
    drop(waiters.next());
    wait_for("a place", || (waiting(&httpd) == 1).then_some(()));
    let third = client.clone().begin("/notes?incr=session.n");
    wait_for("two again", || (waiting(&httpd) == 2).then_some(()));
    let mut counts: Vec<_> =
        [holder, waiters.next().unwrap(), third].into_iter().map(|pending| pending.finish().line("incr").to_owned()).collect();
    counts.sort();
    assert_eq!(counts, ["1", "2", "3"]);
}

fn no_waiters_at_all_is_a_setting(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLockWaiters 0").expect_log("SessionLockWaiters (0)").start();
    let mut client = begin_session(&httpd);
    let holder = hold(&httpd, &client, "/notes?sleep=700");
    assert_eq!(client.get("/notes").status, 503);
    assert_eq!((holder.finish().status, client.get("/notes").status), (200, 200));
}

fn at_most_half_of_the_workers_wait(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(8).expect_log("half of MaxRequestWorkers").start();
    let (mut one, mut two) = (begin_session(&httpd), begin_session(&httpd));
    let holders = [one.clone().begin("/notes?sleep=1500"), two.clone().begin("/notes?sleep=1500")];
    wait_for("both", || (locks(&httpd).len() == 2).then_some(()));
    let mut waiters: Vec<_> = (0..2).flat_map(|_| [one.clone().begin("/notes"), two.clone().begin("/notes")]).collect();
    wait_for("four of eight", || (waiting(&httpd) == 4).then_some(()));
    let started = Instant::now();
    assert_eq!((one.get("/notes").status, two.get("/notes").status), (503, 503));
    assert_eq!(httpd.get("/notes").status, 200, "who has no session waits for none");
    assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
    waiters.extend(holders);
    assert!(waiters.into_iter().all(|pending| pending.finish().status == 200));
}

fn a_full_table_refuses_and_says_so(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf("SessionDir @DIR@\nSessionMutexes 1")
        .env("MSRS_FAULT_LEASES", "1")
        .expect_log("the table of leases is full")
        .start();
    let (one, mut two) = (begin_session(&httpd), begin_session(&httpd));
    let holder = hold(&httpd, &one, "/notes?sleep=800");
    assert_eq!(two.get("/notes").status, 503, "never without a lease");
    httpd.wait_for_log("the table of leases is full");
    assert_eq!((holder.finish().status, two.get("/notes").status), (200, 200));
}

fn a_client_that_hangs_up_keeps_nobody_waiting(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = begin_session(&httpd);
    let holder = hold(&httpd, &client, "/notes?incr=session.n&sleep=700");
    for _ in 0..2 {
        drop(client.clone().begin("/notes?incr=session.n"));
        drop(client.clone().begin_post("/notes?incr=session.n", &[b'x'; 60_000]));
    }
    drop(holder); // its handler goes on to the end
    thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), "2", "those that hung up while they waited never ran");
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
}

mpm_tests!(
    by_the_clock:
    who_waits_too_long_is_answered_503_and_the_log_names_the_holder,
    the_error_document_of_a_503_does_not_wait_again,
    htsession_shows_who_holds_a_session_and_who_waits,
    as_many_wait_as_may_and_the_rest_is_answered_at_once,
    no_waiters_at_all_is_a_setting,
    at_most_half_of_the_workers_wait,
    a_full_table_refuses_and_says_so,
    a_client_that_hangs_up_keeps_nobody_waiting,
);
