//! When sessions end.

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::{Httpd, Mpm, mpm_tests};

fn millis(n: u64) {
    sleep(Duration::from_millis(n));
}

fn an_idle_session_ends_and_a_used_one_lives_on(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 2");
    let (mut idle, mut used) = (httpd.client(), httpd.client());
    idle.get("/capi?open=create&set_int=n:1");
    used.get("/capi?open=create&set_int=n:1");
    for _ in 0..4 {
        millis(700);
        assert_eq!(used.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
    }
    let response = idle.get("/capi?open=create&is_new&was_invalidated&len");
    assert_eq!((response.line("is_new"), response.line("was_invalidated"), response.line("len")), ("1", "1", "0"));
}

fn a_lifetime_is_extended_by_nothing(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 60\nSessionLifetime 2\nSessionTouchInterval 0");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    for _ in 0..3 {
        millis(500);
        assert_eq!(client.get("/capi?open=create&add=n:1").line("open"), "OK");
    }
    let slow = client.clone().begin("/capi?open=create&set_int=late:1&sleep=900&save");
    assert_eq!(slow.finish().line("save"), "GONE", "judged again at commit");
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn some_opens_do_not_renew(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 2\nSessionTouchInterval 0\nSessionNotes Off");
    let mut client = httpd.client();
    let id = client.get("/capi?open=create&set_int=n:1&id").line("id").to_owned();
    for _ in 0..3 {
        millis(500);
        client.get("/capi?open=no_touch");
        client.get(&format!("/capi?exists={id}"));
    }
    millis(700);
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn a_touch_renews_what_the_open_did_not(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 100\nSessionTouchInterval 0\nSessionNotes Off");
    let (mut touched, mut opened) = (httpd.client(), httpd.client());
    touched.get("/capi?open=create&set_int=n:1");
    opened.get("/capi?open=create&set_int=n:1");
    for _ in 0..2 {
        support::sessions::age(&httpd.dir(), 60);
        assert_eq!(touched.get("/capi?open=read_only,no_touch&touch").line("touch"), "OK");
        opened.get("/capi?open=read_only,no_touch");
    }
    assert_eq!((touched.get("/capi?open=").line("open"), opened.get("/capi?open=").line("open")), ("OK", "NONE"));
}

fn touches_are_written_at_most_once_an_interval(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 60\nSessionTouchInterval 1");
    let mut client = httpd.client();
    let created: u64 = client.get("/capi?open=create&set_int=n:1&created").line("created").parse().unwrap();
    let accessed = |client: &mut support::Client| -> u64 { client.get("/capi?open=&accessed").line("accessed").parse().unwrap() };
    assert!(accessed(&mut client).abs_diff(created) < 100_000);
    assert!(accessed(&mut client).abs_diff(created) < 100_000, "within the interval nothing is written");
    millis(1100);
    assert!(accessed(&mut client).abs_diff(created) < 100_000, "the access before this one");
    let later = accessed(&mut client);
    assert!((1_000_000..1_500_000).contains(&(later - created)), "{}", later - created);
}

fn accessed_stays_the_access_before_this_request_over_save_and_load(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTouchInterval 0");
    let mut client = httpd.client();
    let created = client.get("/capi?open=create&set_int=n:1&created").line("created").parse::<u64>().unwrap();
    millis(300);
    let response = client.get("/capi?open=create&set_int=n:2&save&load&accessed");
    assert!(response.line("accessed").parse::<u64>().unwrap().abs_diff(created) < 200_000);
}

fn a_timeout_can_be_set_for_one_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 60");
    let (mut short, mut normal) = (httpd.client(), httpd.client());
    normal.get("/capi?open=create&set_int=n:1");
    short.get("/capi?open=create&set_int=n:1");
    let response = short.get("/capi?open=create&set_timeout=1&timeout&set_timeout=0&set_timeout=-1&set_timeout=99999999999");
    assert_eq!((response.lines("set_timeout"), response.line("timeout")), (vec!["OK", "BAD_TYPE", "BAD_TYPE", "BAD_TYPE"], "1"));
    assert_eq!(short.get("/capi?open=&timeout").line("timeout"), "1");
    millis(1200);
    assert_eq!(short.get("/capi?open=").line("open"), "NONE");
    assert_eq!(normal.get("/capi?open=").line("open"), "OK");
}

fn a_new_session_that_never_comes_back_is_gone_after_the_new_timeout_and_one_that_did_lives_on(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 60\nSessionNewTimeout 2");
    let (mut lost, mut back) = (httpd.client(), httpd.client());
    // Opened, saved and opened again in one tree, the id has not left the server yet.
    lost.get("/capi?open=create&set_int=n:1&save&open=&add=n:1");
    back.get("/capi?open=create&set_int=n:1");
    millis(300);
    assert_eq!(back.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
    millis(1900);
    let response = lost.get("/capi?open=create&is_new&was_invalidated&len");
    assert_eq!((response.line("is_new"), response.line("was_invalidated"), response.line("len")), ("1", "1", "0"));
    assert_eq!(back.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

fn a_client_that_writes_all_the_time_gets_its_cookie_again(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 6\nSessionTouchInterval 1\nSessionIdCookie sid Max-Age=6");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let mut sent = 0;
    for _ in 0..25 {
        sent += client.get("/capi?open=create&add=n:1").set_cookies().len();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!((1..=4).contains(&sent), "{sent} times in 2.5 s");
}

mpm_tests!(
    by_the_clock:
    a_client_that_writes_all_the_time_gets_its_cookie_again,
    a_new_session_that_never_comes_back_is_gone_after_the_new_timeout_and_one_that_did_lives_on,
    an_idle_session_ends_and_a_used_one_lives_on,
    a_lifetime_is_extended_by_nothing,
    some_opens_do_not_renew,
    a_touch_renews_what_the_open_did_not,
    touches_are_written_at_most_once_an_interval,
    accessed_stays_the_access_before_this_request_over_save_and_load,
    a_timeout_can_be_set_for_one_session,
);
