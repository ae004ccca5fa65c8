//! Requests of one session wait for each other, and for nobody else.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::{Client, Httpd, Mpm, mpm_tests};

/// A handler that reads a number and writes one more, through each door; what it answers, and what shows the number.
const DOORS: [(&str, &str); 3] = [("/notes?incr=session.n", "incr"), ("/stock?load&incr=n", "incr"), ("/capi?open=create&incr=n", "incr")];

fn number(client: &mut Client) -> i64 {
    let response = client.get("/capi?open=&get_text=n&get_int=n");
    let both = [response.line("get_text"), response.line("get_int")];
    both.iter().find_map(|said| said.strip_prefix("OK ")?.parse().ok()).unwrap_or_else(|| panic!("{both:?}"))
}

fn increments_of_8_clients_through_every_door_are_all_kept(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(16).start();
    for (page, op) in DOORS {
        let mut client = httpd.client();
        client.get(page);
        thread::scope(|scope| {
            for _ in 0..8 {
                let mut client = client.clone();
                scope.spawn(move || {
                    for _ in 0..200 {
                        let response = client.get(page);
                        assert_eq!(response.status, 200);
                        response.line(op);
                    }
                });
            }
        });
        assert_eq!(number(&mut client), 1601, "{page}");
    }
}

/// Sends all at once, and answers how long all of them took.
fn side_by_side(clients: &[Client], path: &str) -> Duration {
    let started = Instant::now();
    thread::scope(|scope| {
        for client in clients {
            let mut client = client.clone();
            scope.spawn(move || assert_eq!(client.get(path).status, 200));
        }
    });
    started.elapsed()
}

/// A server with the spare processes that a busy one has.
fn busy(mpm: Mpm, conf: &str) -> Httpd {
    let spare = if mpm == Mpm::Prefork { "StartServers 24\nMinSpareServers 24" } else { "" };
    Httpd::with(mpm).conf(&format!("SessionDir @DIR@\n{conf}\n{spare}")).workers(32).start()
}

fn strangers(httpd: &Httpd, number: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..number).map(|_| httpd.client()).collect();
    for client in &mut clients {
        client.get("/capi?open=create&set_int=n:1");
    }
    clients
}

fn different_sessions_do_not_wait_for_each_other(mpm: Mpm) {
    let httpd = busy(mpm, "");
    let clients = strangers(&httpd, 16);
    let fastest = (0..3).map(|_| side_by_side(&clients, "/notes?sleep=400")).min().unwrap();
    assert!(fastest < Duration::from_millis(600), "16 sessions, 0.4 s each: {fastest:?}");
}

fn one_session_is_served_in_turn(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(16).start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let same: Vec<_> = (0..4).map(|_| client.clone()).collect();
    for page in ["/notes?sleep=200", "/stock?load&sleep=200", "/capi?open=&sleep=200"] {
        let took = side_by_side(&same, page);
        assert!(took >= Duration::from_millis(800), "{page}: {took:?}");
    }
}

fn one_mutex_is_enough_for_all(mpm: Mpm) {
    let httpd = busy(mpm, "SessionMutexes 1");
    let clients = strangers(&httpd, 16);
    let fastest = (0..3).map(|_| side_by_side(&clients, "/notes?sleep=400")).min().unwrap();
    assert!(fastest < Duration::from_millis(600), "{fastest:?}");
}

fn one_worker_is_enough(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(1).start();
    let mut client = httpd.client();
    for n in 1..=5 {
        let page = "/notes?incr=session.n&sub=/capi?open=create%26get_text=n";
        assert_eq!(client.get(page).line("incr"), n.to_string());
    }
}

fn a_request_never_waits_for_itself(mpm: Mpm) {
    let httpd = Httpd::start(
        mpm,
        "SessionDir @DIR@\nSessionLockTimeout 2\nErrorDocument 403 /notes?incr=session.n\n\
         <Location /stock>\nSessionIdCookie other\n</Location>",
    );
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    client.get("/stock?load&set=n:0");
    let started = Instant::now();
    for page in [
        "/capi?open=&open=read_only&open=&lock=1000&lock=1000&trylock&incr=n",
        "/notes?incr=session.n&sub=/capi?open=%26incr=n&sub=/notes?incr=session.n",
        "/notes?incr=session.n&internal=/capi?open=%26incr=n",
        "/capi?open=&incr=n&status=403",
        "/capi?open=&incr=n&bucket=403",
        "/capi?open=&incr=n&sub=/stock?load%26incr=n",
        "/stock?load&incr=n&sub=/capi?open=%26incr=n",
    ] {
        let response = client.get(page);
        assert!([200, 403].contains(&response.status), "{page}: {}", response.text());
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(number(&mut client), 1 + 3 + 2 + 2 + 2 + 1 + 1);
}

fn two_sessions_taken_in_opposite_order_do_not_block_each_other(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLockTimeout 5\n<Location /stock>\nSessionIdCookie other\n</Location>");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    client.get("/stock?load&set=n:0");
    let started = Instant::now();
    let one = client.clone().begin("/capi?open=&sleep=300&sub=/stock?load%26incr=n");
    let other = client.clone().begin("/stock?load&sleep=300&sub=/capi?open=%26incr=n");
    assert_eq!((one.finish().status, other.finish().status), (200, 200));
    assert!(started.elapsed() < Duration::from_secs(2), "a second session of a tree is opened without a lease");
}

fn access_and_none_let_all_go_on_at_once(mpm: Mpm) {
    for mode in ["access", "none"] {
        let httpd = Httpd::with(mpm).conf(&format!("SessionDir @DIR@\nSessionLock {mode}")).workers(16).start();
        let mut client = httpd.client();
        client.get("/capi?open=create&set_int=n:1");
        let same: Vec<_> = (0..4).map(|_| client.clone()).collect();
        let took = (0..3).map(|_| side_by_side(&same, "/notes?sleep=300")).min().unwrap();
        assert!(took < Duration::from_millis(600), "{mode}: {took:?}");
    }
}

fn read_only_and_no_lock_do_not_wait(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\n<Location /capi>\nSessionNotes Off\n</Location>");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let slow = client.clone().begin("/capi?open=&sleep=1500");
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    for flags in ["read_only", "no_lock", "read_only,no_touch"] {
        assert_eq!(client.get(&format!("/capi?open={flags}&get_int=n")).line("get_int"), "OK 1");
    }
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    let upgraded = client.get("/capi?open=read_only&open=&get_int=n");
    assert!(started.elapsed() > Duration::from_millis(800), "an upgrade waits for the lease");
    assert_eq!((upgraded.line("open"), slow.finish().status), ("OK", 200));
}

fn an_upgrade_sees_what_was_written_while_it_waited(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\n<Location /capi>\nSessionNotes Off\n</Location>");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let slow = client.clone().begin("/capi?open=&sleep=600&incr=n");
    thread::sleep(Duration::from_millis(200));
    let upgraded = client.get("/capi?open=read_only&get_int=n&open=&get_int=n&incr=n");
    assert_eq!((upgraded.lines("get_int"), upgraded.line("incr")), (vec!["OK 1", "OK 2"], "OK 3"));
    slow.finish();
}

/// Whatever came before the handler in the tree: the page that answers in the end has the session for itself.
fn an_error_document_behind_a_file_is_served_in_turn(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nErrorDocument 404 /notes?incr=session.n").workers(16).start();
    for page in ["/missing.html", "/notes?internal=/missing.html", "/capi?open=&internal=/missing.html"] {
        let mut client = httpd.client();
        client.get("/notes?incr=session.n");
        thread::scope(|scope| {
            for _ in 0..8 {
                let mut client = client.clone();
                scope.spawn(move || (0..40).for_each(|_| assert_eq!(client.get(page).status, 404)));
            }
        });
        assert_eq!(number(&mut client), 321, "{page}");
    }
}

/// The session of the client, opened by its id as well: one session, one lease, one picture of it.
fn by_id_and_by_cookie_it_is_one_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLockTimeout 3\n<Location /capi>\nSessionNotes Off\n</Location>");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    let id = client.cookie("sid").unwrap().to_owned();
    for page in [
        format!("/capi?open=no_lock&sleep=300&open_by_id={id}&get_int=n&open=&get_int=n&incr=n"),
        format!("/capi?open_by_id={id}:no_lock&sleep=300&open=&get_int=n&open_by_id={id}&get_int=n&incr=n"),
        format!("/capi?open_by_id={id}:no_lock&sleep=300&lock=1000000&open=&get_int=n&open_by_id={id}&get_int=n&incr=n"),
    ] {
        let before = number(&mut client);
        let pending = client.clone().begin(&page);
        thread::sleep(Duration::from_millis(100));
        client.get("/capi?open=&incr=n");
        let response = pending.finish();
        let seen = format!("OK {}", before + 1);
        assert_eq!(response.lines("get_int"), [&*seen, &*seen], "{page}");
        assert_eq!(number(&mut client), before + 2, "{page}");
    }
}

fn what_cannot_be_read_under_the_lease_is_not_shown_and_not_held(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf("SessionDir @DIR@\nSessionInvalidateCorrupt Off\n<Location /capi>\nSessionNotes Off\n</Location>")
        .expect_log("is damaged")
        .start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:5");
    let pending = client.clone().begin("/capi?open=read_only&sleep=400&open=&open=&lock=0&sleep=400");
    thread::sleep(Duration::from_millis(200));
    let record = support::sessions::files(&httpd.dir()).remove(0);
    std::fs::write(&record, "damage").unwrap();
    thread::sleep(Duration::from_millis(400));
    let started = Instant::now();
    assert_eq!(client.get("/capi?open=").line("open"), "CORRUPT");
    assert!(started.elapsed() < Duration::from_millis(200), "nobody holds it: {:?}", started.elapsed());
    let response = pending.finish();
    assert_eq!((response.lines("open"), response.line("lock")), (vec!["OK", "CORRUPT", "CORRUPT"], "CORRUPT"));
}

/// `unlock` gives up what is held, whatever a part of the page is configured to do, and whatever became of the session.
fn unlock_gives_up_in_any_case(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\n<Location /stock>\nSessionLock none\n</Location>");
    for page in [
        "/capi?open=&incr=n&sub=/stock?load&open=&unlock&sleep=900",
        "/capi?open=&incr=n&invalidate&unlock&sleep=900",
        "/capi?open=&incr=n&unlock&open=&sub=/notes?get=session.n&sleep=900",
    ] {
        let mut client = httpd.client();
        client.get("/capi?open=create&set_int=n:0");
        let pending = client.clone().begin(page);
        thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        assert_eq!(client.get("/notes?get=session.n").status, 200);
        assert!(started.elapsed() < Duration::from_millis(400), "{page}: {:?}", started.elapsed());
        assert_eq!(pending.finish().line("unlock"), "OK", "{page}");
    }
}

fn unlock_stores_what_was_written_through_other_doors(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    let pending = client.clone().begin("/stock?load&set=m:7&internal=/capi?open=%26unlock%26sleep=500");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(client.get("/capi?open=&get_text=m").line("get_text"), "OK 7");
    assert_eq!(pending.finish().line("unlock"), "OK");
}

/// A module that loaded the session before the handler keeps its `session_rec` over the wait.
fn a_stock_record_shows_what_was_stored_while_it_was_waited_for(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLock access");
    let mut client = httpd.client();
    client.get("/stock?load&set=n:0");
    let pending = client.clone().begin("/stock?load&get=n&sub=/capi?open=%26sleep=400%26lock=1000000&incr=n");
    thread::sleep(Duration::from_millis(200));
    client.get("/stock?load&incr=n");
    assert!(pending.finish().text().contains("incr: 0 2"));
    assert_eq!(number(&mut client), 2);
}

fn who_waited_for_a_log_out_gets_no_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=user:ann");
    let id = client.cookie("sid").unwrap().to_owned();
    let slow = client.clone().begin("/capi?open=create&sleep=500&invalidate");
    thread::sleep(Duration::from_millis(200));
    let response = client.get("/capi?open=create&was_invalidated&get_text=user&set_text=user:bob");
    assert_eq!((response.line("was_invalidated"), response.line("get_text")), ("1", "NONE"));
    assert_ne!(client.cookie("sid"), Some(&*id));
    slow.finish();
}

fn lock_trylock_and_unlock_do_what_their_names_say(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLock access");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    let slow = client.clone().begin("/capi?open=&lock=1000000&incr=n&sleep=700&unlock&sleep=700");
    thread::sleep(Duration::from_millis(250));
    let response = client.get("/capi?open=&trylock&lock=50000&get_int=n");
    assert_eq!((response.line("trylock"), response.line("lock"), response.line("get_int")), ("BUSY", "BUSY", "OK 0"));
    let started = Instant::now();
    let response = client.get("/capi?open=&lock=-1&get_int=n&incr=n&unlock&unlock&trylock"); // and it may be taken again
    assert!(started.elapsed() < Duration::from_millis(900), "unlock gave it back: {:?}", started.elapsed());
    assert_eq!((response.line("lock"), response.line("get_int"), response.line("incr")), ("OK", "OK 1", "OK 2"));
    assert_eq!((response.lines("unlock"), response.line("trylock")), (vec!["OK", "OK"], "OK"));
    assert_eq!(slow.finish().line("unlock"), "OK");
    let slow = client.clone().begin("/capi?open=create&sleep=400&invalidate");
    thread::sleep(Duration::from_millis(100));
    let response = client.get("/capi?open=&sleep=600&lock=0&trylock");
    assert_eq!((response.line("lock"), response.line("trylock")), ("GONE", "GONE"));
    slow.finish();
}

fn none_refuses_locks(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLock none");
    let response = httpd.get("/capi?open=create&set_int=n:1&lock=0&trylock&unlock");
    assert_eq!((response.line("lock"), response.line("trylock"), response.line("unlock")), ("OFF", "OFF", "OFF"));
}

fn a_new_session_can_be_locked_before_anybody_knows_it(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionLock access");
    let mut client = httpd.client();
    let pending = client.begin("/capi?open=create&lock=0&set_int=n:1&flush&trylock&sleep=300&set_int=n:2&unlock");
    let response = pending.finish();
    assert_eq!((response.lines("lock"), response.line("trylock"), response.line("unlock")), (vec!["OK"], "OK", "OK"));
    client.learn(&response);
    assert_eq!(client.get("/capi?open=&trylock&get_int=n").line("get_int"), "OK 2");
}

mpm_tests!(
    increments_of_8_clients_through_every_door_are_all_kept,
    one_session_is_served_in_turn,
    one_worker_is_enough,
    an_error_document_behind_a_file_is_served_in_turn,
    none_refuses_locks,
);
mpm_tests!(
    by_the_clock:
    different_sessions_do_not_wait_for_each_other,
    one_mutex_is_enough_for_all,
    a_request_never_waits_for_itself,
    two_sessions_taken_in_opposite_order_do_not_block_each_other,
    access_and_none_let_all_go_on_at_once,
    read_only_and_no_lock_do_not_wait,
    an_upgrade_sees_what_was_written_while_it_waited,
    by_id_and_by_cookie_it_is_one_session,
    what_cannot_be_read_under_the_lease_is_not_shown_and_not_held,
    unlock_gives_up_in_any_case,
    unlock_stores_what_was_written_through_other_doors,
    a_stock_record_shows_what_was_stored_while_it_was_waited_for,
    who_waited_for_a_log_out_gets_no_session,
    lock_trylock_and_unlock_do_what_their_names_say,
    a_new_session_can_be_locked_before_anybody_knows_it,
);
