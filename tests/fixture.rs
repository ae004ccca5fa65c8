//! The fixture itself: what the other tests take for granted.

mod support;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use support::{Httpd, Mpm, mpm_tests};

fn a_server_answers(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "");
    let response = httpd.get("/hello");
    assert_eq!((response.status, &*response.text()), (200, "hello\n"));
    assert!(httpd.children().contains(&httpd.get("/notes?pid").line("pid").parse().expect("a pid")));
}

fn requests_are_served_side_by_side(mpm: Mpm) {
    let httpd = Httpd::with(mpm).workers(4).start();
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(httpd.get("/notes?sleep=500").status, 200));
        }
    });
    assert!(started.elapsed() < Duration::from_millis(1500));
}

fn a_graceful_restart_keeps_the_parent_and_replaces_the_children(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "");
    let before = httpd.children();
    httpd.graceful_for_all();
    assert!(before.iter().all(|child| !httpd.children().contains(child)));
    httpd.restart();
    assert_eq!(httpd.get("/hello").status, 200);
}

fn a_stopped_server_starts_again_in_its_place(mpm: Mpm) {
    let mut httpd = Httpd::start(mpm, "");
    let mut client = httpd.client();
    assert_eq!(client.get("/floor").text(), "hello 1\n");
    httpd.stop();
    httpd.start_again();
    assert_eq!(client.get("/floor").text(), "hello 2\n");
    httpd.kill();
    httpd.start_again();
    assert_eq!(client.get("/floor").text(), "hello 3\n");
}

mpm_tests!(a_server_answers, a_graceful_restart_keeps_the_parent_and_replaces_the_children, a_stopped_server_starts_again_in_its_place,);
mpm_tests!(
    by_the_clock:
    requests_are_served_side_by_side,
);

#[test]
fn configtest_names_a_directive_that_does_not_exist() {
    let (well, said) = Httpd::configtest("SessionNonsense on");
    assert!(!well && said.contains("SessionNonsense"), "{said}");
    assert!(Httpd::configtest("").0);
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let refusal = Httpd::with(Mpm::Prefork).conf("CustomLog @ROOT@/none/access.log common").try_start();
    assert!(refusal.is_err_and(|said| said.contains("none/access.log")));
}

#[test]
fn an_error_in_the_log_fails_the_test_unless_it_is_expected() {
    let ends_well = |expected: &str| {
        let httpd = Httpd::with(Mpm::Prefork).expect_log(expected).start();
        assert_eq!(httpd.get("/notes?nonsense").line("nonsense"), "UNKNOWN");
        httpd.wait_for_log("no operation 'nonsense'");
        catch_unwind(AssertUnwindSafe(|| drop(httpd))).is_ok()
    };
    assert!(!ends_well("something else"));
    assert!(ends_well("no operation 'nonsense'"));
}

#[test]
fn a_crashed_child_fails_the_test_unless_it_is_expected() {
    let ends_well = |expected: &str| {
        let httpd = Httpd::with(Mpm::Prefork).expect_log(expected).start();
        let child = Pid::from_raw(httpd.children()[0] as i32).expect("a child");
        kill_process(child, Signal::ABORT).expect("a signal to the child");
        httpd.wait_for_log("exit signal Abort ");
        catch_unwind(AssertUnwindSafe(|| drop(httpd))).is_ok()
    };
    assert!(!ends_well("something else"));
    assert!(ends_well("exit signal Abort "));
}

#[test]
fn the_handlers_run_their_operations_in_order() {
    let httpd = Httpd::start(Mpm::Prefork, "");
    let mut client = httpd.client();
    let response = client.get("/notes?set=session.n:4&incr=session.n&set=session:do:expire&get=session%3Ado&body=3&all");
    assert_eq!(response.text(), "set: 4\nincr: 5\nset: expire\nget: expire\nxxx\nall: 2\nsession.n=5\nsession:do=expire\n");
    let response = client.get("/notes?set=a:1&flush&sub=/notes?set=b:2%26get=a&get=a&get=b");
    assert_eq!(response.text(), "set: 1\nset: 2\nget: -\nsub: 0\nget: 1\nget: -\n");
    let response = client.get("/notes?set=a:1&internal=/notes?get=a");
    assert_eq!(response.text(), "set: 1\nget: -\n");
    let response = client.get("/notes?redirect=/hello");
    assert_eq!((response.status, response.header("Location")), (302, Some("/hello")));
    assert_eq!(client.get("/notes?status=403").status, 403);
}

#[test]
fn the_client_keeps_cookies_and_connections_as_it_is_told() {
    let httpd = Httpd::start(
        Mpm::Event,
        r#"
        <Location /set>
            Header always set Set-Cookie "a=1; Path=/"
            Header always add Set-Cookie "b=2; Path=/"
        </Location>
        <Location /clear>
            Header always set Set-Cookie "a=; Max-Age=0"
        </Location>
        SetEnvIf Cookie (.*) seen=$1
        Header always set Seen "%{seen}e"
        "#,
    );
    let mut client = httpd.client().keep_alive();
    assert_eq!(client.get("/set").set_cookies().len(), 2);
    assert_eq!(client.clone().get("/hello").header("Seen"), Some("a=1; b=2"));
    client.get("/clear");
    assert_eq!((client.cookie("a"), client.cookie("b")), (None, Some("2")));
    assert_eq!(client.head("/hello").body, b"");
    assert_eq!(client.get_with("/hello", &[("Cookie", "c=3")]).header("Seen"), Some("c=3"));
    let slow = client.begin("/notes?body=100000&flush&sleep=50&pid");
    assert_eq!(client.get("/hello").status, 200);
    assert!(!slow.finish().line("pid").is_empty());
}
