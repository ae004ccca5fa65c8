//! Another id for a session: what the old one is worth afterwards.

mod support;

use std::thread;
use std::time::Duration;

use support::sessions::age;
use support::{Client, Httpd, Mpm, mpm_tests, wait_for};

const USED: &str = "superseded id used";

fn conf(more: &str) -> String {
    format!("SessionDir @DIR@\n{more}")
}

fn begin(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    client
}

/// A client as it was before, and the one that knows the new id.
fn moved(client: &mut Client, how: &str) -> Client {
    let before = client.clone();
    let response = client.get(&format!("/capi?open=create&{how}"));
    assert!(response.text().contains(": OK"), "{}", response.text());
    assert_eq!(response.set_cookies().len(), 1, "{how}");
    assert_ne!(client.cookie("sid"), before.cookie("sid"), "{how}");
    before
}

fn the_old_id_goes_on_with_the_session_within_the_grace(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionNotes Off"));
    let mut client = begin(&httpd);
    let mut old = moved(&mut client, "set_int=n:2&regenerate=0&add=n:1&ref");
    for expected in ["OK 4", "OK 5"] {
        let mut late = old.clone();
        let response = late.get("/capi?open=create&is_new&add=n:1&get_int=n");
        assert_eq!((response.line("is_new"), response.line("get_int")), ("0", expected));
        assert_eq!(late.cookie("sid"), client.cookie("sid"), "the new cookie is sent again");
    }
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 5");
    age(&httpd.dir(), 11);
    let response = old.get("/capi?open=create&is_new&was_invalidated");
    assert_eq!((response.line("is_new"), response.line("was_invalidated")), ("1", "1"));
    assert_eq!(httpd.log_lines_with(USED).len(), 1);
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 5");
}

fn without_a_grace_the_old_id_is_worth_nothing(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionIdGrace 0"));
    let mut client = begin(&httpd);
    let mut old = moved(&mut client, "regenerate=0");
    assert_eq!(old.get("/capi?open=&get_int=n").line("open"), "NONE");
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

fn an_id_from_before_a_change_of_privilege_never_sees_what_came_after(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionNotes Off"));
    for how in ["regenerate=1&set_text=token:secret", "set_text=token:secret&regenerate=1", "set_text=token:secret&set_user=ann"] {
        let mut client = begin(&httpd);
        let mut old = moved(&mut client, how);
        let response = old.get("/capi?open=create&is_new&get_text=token&get_int=n");
        assert_eq!((response.line("is_new"), response.line("get_text"), response.line("get_int")), ("1", "NONE", "NONE"), "{how}");
        assert_eq!(client.get("/capi?open=&get_text=token").line("get_text"), "OK secret", "{how}");
    }
    assert_eq!(httpd.log_lines_with(USED).len(), 3);
}

fn the_owner_is_kept_and_another_one_is_a_change_of_privilege(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf(""));
    let mut client = begin(&httpd);
    moved(&mut client, "set_user=ann");
    let id = client.cookie("sid").map(str::to_owned);
    let response = client.get("/capi?open=create&user&set_user=ann&save");
    assert_eq!((response.line("user"), response.line("set_user"), response.line("save")), ("ann", "OK", "OK"));
    assert_eq!(client.cookie("sid"), id.as_deref(), "the same owner changes nothing");
    assert_eq!(client.get("/notes?get=session:user").line("get"), "ann");
    moved(&mut client, "set_user=ben");
    moved(&mut client, "set_user");
    assert_eq!(client.get("/capi?open=&user&get_int=n").line("user"), "-");
    for bad in ["a%0Ab", &"x".repeat(256)] {
        assert_eq!(client.get(&format!("/capi?open=create&set_user={bad}")).line("set_user"), "BAD_TYPE");
    }
    assert_eq!(client.get("/capi?open=read_only&set_user=eve").line("set_user"), "OFF");
}

fn a_new_session_has_its_owner_and_no_alias(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf(""));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_user=ann&set_int=n:1&regenerate=1&save");
    assert_eq!((response.line("set_user"), response.line("regenerate"), response.line("save")), ("OK", "OK", "OK"));
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(client.get("/capi?open=&user&get_int=n").line("user"), "ann");
    assert_eq!(support::sessions::files(&httpd.dir()).len(), 1);
}

fn a_note_changes_the_id_with_what_was_written_beside_it(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf(""));
    let mut client = begin(&httpd);
    let mut old = client.clone();
    let response = client.get("/notes?set=session.m:7&set=session:do:regenerate");
    assert_eq!(response.set_cookies().len(), 1);
    assert_ne!(client.cookie("sid"), old.cookie("sid"));
    for client in [&mut client, &mut old] {
        assert_eq!(client.get("/notes?get=session.m").line("get"), "7");
    }
}

fn after_the_headers_an_id_stays(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(&conf("")).expect_log("the response headers have gone").start();
    let mut client = begin(&httpd);
    let response = client.get("/capi?open=create&flush&regenerate=0&set_user=ann&set_int=n:9");
    assert_eq!((response.line("regenerate"), response.line("set_user")), ("TOO_LATE", "TOO_LATE"));
    let response = client.get("/capi?open=&get_int=n&user");
    assert_eq!((response.line("get_int"), response.line("user")), ("OK 9", "-"));
}

fn requests_that_wait_for_the_old_id_go_on_with_the_session_one_after_the_other(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(&conf("SessionLockWaiters 20")).workers(32).start();
    let mut client = begin(&httpd);
    let mover = client.clone().begin("/capi?open=create&incr=n&regenerate=0&sleep=300&incr=n");
    thread::sleep(Duration::from_millis(100));
    let waiting: Vec<_> = (0..6).map(|_| client.clone().begin("/capi?open=create&incr=n&sleep=20")).collect();
    client.learn(&mover.finish());
    let later: Vec<_> = (0..4).map(|_| client.clone().begin("/capi?open=create&incr=n&sleep=20")).collect();
    for request in waiting.into_iter().chain(later) {
        assert!(request.finish().line("incr").starts_with("OK"));
    }
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 13");
}

fn what_a_slow_request_changed_under_the_old_id_arrives(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionLock access\nSessionIdGrace 0"));
    let mut client = begin(&httpd);
    let slow = client.clone().begin("/capi?open=create&add=n:10&sleep=500&save");
    thread::sleep(Duration::from_millis(150));
    moved(&mut client, "regenerate=0");
    let slow = slow.finish();
    assert_eq!(slow.line("save"), "OK");
    assert_eq!(slow.set_cookies(), Vec::<String>::new(), "behind the grace its client does not learn the new id");
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 11");
}

fn a_log_out_is_final_in_every_lock_mode_wherever_the_session_moved(mpm: Mpm) {
    for mode in ["request", "access", "none"] {
        let httpd = Httpd::start(mpm, &conf(&format!("SessionLock {mode}\nSessionNotes Off")));
        let mut client = begin(&httpd);
        let no_lock = if mode == "request" { "create,no_lock" } else { "create" };
        let slow = client.clone().begin(&format!("/capi?open={no_lock}&set_int=late:1&sleep=600&save"));
        let logout = client.clone().begin(&format!("/capi?open={no_lock}&sleep=300&invalidate"));
        thread::sleep(Duration::from_millis(150));
        moved(&mut client, "regenerate=0");
        assert_eq!(logout.finish().line("invalidate"), "OK", "{mode}");
        assert_eq!(slow.finish().line("save"), "GONE", "{mode}");
        assert_eq!(client.get("/capi?open=").line("open"), "NONE", "{mode}");
        let mut tool = std::process::Command::new(env!("CARGO_BIN_EXE_htsession"));
        let listed = tool.arg("--dir").arg(httpd.dir()).args(["-f", "json", "list"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("\"sessions\": []"), "{mode}: {listed}");
    }
}

fn two_requests_that_change_the_id_at_once_both_go_on(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionLock access\nSessionNotes Off"));
    for _ in 0..20 {
        let client = begin(&httpd);
        let clients: Vec<_> = (0..4).map(|_| client.clone()).collect();
        thread::scope(|scope| {
            for mut client in clients {
                scope.spawn(move || {
                    let response = client.get("/capi?open=create&add=n:1&regenerate=0");
                    assert_eq!(response.line("regenerate"), "OK");
                    assert!(client.get("/capi?open=&get_int=n").line("get_int").starts_with("OK"));
                });
            }
        });
        let mut client = client;
        assert_eq!(client.get("/capi?open=create&get_int=n").line("get_int"), "OK 5");
    }
}

fn a_child_that_dies_while_an_id_changes_leaves_the_session_under_the_old_one(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(&conf("")).env("MSRS_FAULT_KILL", "regenerate").expect_log("exit signal Killed").start();
    let mut client = begin(&httpd);
    let died = client.try_request("GET", "/capi?open=create&set_int=n:2&regenerate=1", &[], b"");
    assert!(died.is_err(), "the child was to die");
    let value = wait_for("another child", || client.try_request("GET", "/capi?open=create&get_int=n", &[], b"").ok());
    assert_eq!(value.line("get_int"), "OK 1");
}

/// `SessionLock request`: it waits for the session, and comes in when the grace is over.
fn a_slow_request_under_an_old_id_never_sees_what_came_after_the_grace(mpm: Mpm) {
    for mode in ["request", "access"] {
        let httpd = Httpd::start(mpm, &conf(&format!("SessionLock {mode}\nSessionIdGrace 0\nSessionNotes Off")));
        let mut client = begin(&httpd);
        let slow = client.clone().begin("/capi?open=create,no_lock&sleep=500&load&get_text=token&open=create&get_text=token&is_new");
        thread::sleep(Duration::from_millis(150));
        moved(&mut client, "set_text=token:secret&regenerate=0");
        let slow = slow.finish();
        assert_eq!((slow.line("load"), slow.lines("get_text")), ("GONE", vec!["NONE", "NONE"]), "{mode}");
        assert_eq!(slow.set_cookies(), Vec::<String>::new(), "{mode}");
    }
}

fn a_session_that_is_emptied_with_its_id_changed_is_gone_with_its_cookie(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf(""));
    for (first, last) in [("set_int=n:1", "unset=n&regenerate=1"), ("set_user=ann", "set_user")] {
        let mut client = httpd.client();
        client.get(&format!("/capi?open=create&{first}"));
        let response = client.get(&format!("/capi?open=create&{last}"));
        assert!(response.set_cookies()[0].contains("Max-Age=0"), "{last}: {:?}", response.set_cookies());
        assert_eq!(client.cookie("sid"), None);
    }
    assert!(support::sessions::files(&httpd.dir()).is_empty());
    assert_eq!(httpd.log_lines_with("session event=destroyed").len(), 2);
}

fn nothing_is_stored_under_an_id_that_the_client_does_not_get(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(&conf("")).expect_log("the response headers have gone").start();
    for ops in [
        "remove&regenerate=0&flush&set_int=n:2&save",
        "remove&flush&regenerate=0&set_int=n:2&save",
        "unset=n&regenerate=0&flush&set_int=n:2&save",
    ] {
        let mut client = begin(&httpd);
        let answer = client.get(&format!("/capi?open=create&{ops}"));
        let stored = client.get("/capi?open=&get_int=n").line("get_int") == "OK 2";
        assert_eq!(answer.line("save") == "OK", stored, "{ops}: {}", answer.text());
    }
    let mut client = begin(&httpd);
    assert_eq!(client.get("/capi?open=create&remove&flush&set_int=n:2&save").line("save"), "OK", "its old id is known");
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 2");
}

fn to_open_a_session_by_the_id_it_had_takes_no_cookie_away(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf("SessionNotes Off"));
    let mut client = begin(&httpd);
    let old = client.cookie("sid").unwrap().to_owned();
    let response = client.get(&format!("/capi?open=create&regenerate=0&open_by_id={old}&get_int=n"));
    assert_eq!((response.line("get_int"), response.set_cookies().len()), ("OK 1", 1));
    assert_ne!(client.cookie("sid"), Some(&*old));
    assert_eq!(httpd.log_lines_with(USED).len(), 0);
    age(&httpd.dir(), 11);
    assert_eq!(client.get(&format!("/capi?exists={old}")).line("exists"), "NONE");
    assert_eq!(httpd.log_lines_with(USED).len(), 0, "no client came with it");
}

/// Both hold the session, one after the other, whoever comes in by which id.
fn two_requests_never_hold_a_session_that_moves_at_once(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(&conf("SessionNotes Off\nSessionLockWaiters 20")).workers(32).start();
    let mut client = begin(&httpd);
    for round in 0..10 {
        let pending: Vec<_> =
            (0..3).map(|_| client.clone().begin("/capi?open=create,no_lock&open=create&incr=n&regenerate=0&incr=n")).collect();
        for request in pending {
            client.learn(&request.finish());
        }
        let value = client.get("/capi?open=create&get_int=n").line("get_int").to_owned();
        assert_eq!(value, format!("OK {}", 1 + (round + 1) * 6));
    }
}

mpm_tests!(
    a_session_that_is_emptied_with_its_id_changed_is_gone_with_its_cookie,
    nothing_is_stored_under_an_id_that_the_client_does_not_get,
    to_open_a_session_by_the_id_it_had_takes_no_cookie_away,
    two_requests_never_hold_a_session_that_moves_at_once,
    the_old_id_goes_on_with_the_session_within_the_grace,
    without_a_grace_the_old_id_is_worth_nothing,
    an_id_from_before_a_change_of_privilege_never_sees_what_came_after,
    the_owner_is_kept_and_another_one_is_a_change_of_privilege,
    a_new_session_has_its_owner_and_no_alias,
    a_note_changes_the_id_with_what_was_written_beside_it,
    after_the_headers_an_id_stays,
    requests_that_wait_for_the_old_id_go_on_with_the_session_one_after_the_other,
    two_requests_that_change_the_id_at_once_both_go_on,
    a_child_that_dies_while_an_id_changes_leaves_the_session_under_the_old_one,
);
mpm_tests!(
    by_the_clock:
    a_slow_request_under_an_old_id_never_sees_what_came_after_the_grace,
    what_a_slow_request_changed_under_the_old_id_arrives,
    a_log_out_is_final_in_every_lock_mode_wherever_the_session_moved,
);
