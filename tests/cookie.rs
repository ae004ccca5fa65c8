//! The cookie: sent when it must be, once, wherever the response comes from; and what clients may present without harm.

mod support;

use std::collections::HashSet;

use support::{Client, Httpd, Mpm, Response, mpm_tests};

const CONF: &str = "SessionDir @DIR@\n<Location /secret>\nSetHandler capi\n</Location>";

fn stored(client: &mut Client) -> String {
    client.get("/capi?open=create&set_int=n:1");
    client.cookie("sid").expect("a session cookie").to_owned()
}

fn a_session_that_was_only_read_sends_no_cookie_and_leaves_no_record(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    for path in ["/capi?open=&get_int=n", "/capi?open=create&get_int=n&is_new", "/stock?load&get=n", "/notes?get=session:new", "/hello"] {
        let response = client.get(path);
        assert_eq!((response.status, response.set_cookies().len()), (200, 0), "{path}");
    }
    let used = std::fs::read_dir(httpd.dir()).unwrap().any(|entry| entry.unwrap().file_type().unwrap().is_dir());
    assert!(!used, "something was stored");
    stored(&mut client);
    for path in ["/capi?open=&get_int=n", "/capi?open=create&set_int=n:2", "/notes?incr=session.n"] {
        assert_eq!(client.get(path).set_cookies().len(), 0, "a known session needs no new cookie: {path}");
    }
}

fn one_cookie_on_every_kind_of_response(mpm: Mpm) {
    let conf = format!("{CONF}\nErrorDocument 404 /hello\nErrorDocument 410 /capi?open=create&add=errors:1");
    let httpd = Httpd::start(mpm, &conf);
    for (how, status) in [
        ("", 200),
        ("&redirect=/hello", 302),
        ("&status=403", 403),
        ("&status=500", 500),
        ("&status=404", 404),
        ("&status=410", 410),
        ("&status=304", 304),
        ("&internal=/hello", 200),
        ("&internal=/capi?open=create%26add=n:1", 200),
        ("&sub=/hello", 200),
        ("&sub=/capi?open=create%26add=n:1", 200),
        ("&save&set_int=m:2&save", 200),
        ("&body=3000000", 200),
    ] {
        let response = httpd.client().get(&format!("/capi?open=create&set_int=n:1{how}"));
        assert_eq!((response.status, response.set_cookies().len()), (status, 1), "{how}");
    }
    let mut client = httpd.client();
    assert_eq!(client.head("/capi?open=create&set_int=n:1").set_cookies().len(), 1);
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1", "the cookie of a HEAD request is as good");
}

fn the_cookie_has_the_documented_form(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let response = httpd.get("/capi?open=create&set_int=n:1&id");
    let id = response.line("id").to_owned();
    assert_eq!(id.len(), 32);
    assert_eq!(response.set_cookies(), [format!("sid={id}; Path=/; HttpOnly; SameSite=Lax")]);
}

/// A generator that was seeded before the fork, or that threads share, would answer two of them the same.
fn ids_of_all_processes_and_threads_differ(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).workers(16).start();
    let visits = |_| (0..10).map(|_| httpd.get("/capi?open=create&set_int=n:1&sleep=20&id&pid")).collect::<Vec<_>>();
    let responses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|n| scope.spawn(move || visits(n))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let different = |op| responses.iter().map(|response| response.line(op)).collect::<HashSet<_>>().len();
    assert_eq!(different("id"), 160);
    assert!(different("pid") > 1, "one process served all");
}

fn a_session_whose_last_value_goes_with_a_change_of_its_id_clears_its_cookie(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    for log_out in ["clear&regenerate=0", "clear&regenerate=1"] {
        let mut client = httpd.client();
        stored(&mut client);
        let response = client.get(&format!("/capi?open=create&{log_out}"));
        assert_eq!((response.line("regenerate"), response.set_cookies().len()), ("OK", 1), "{log_out}");
        assert_eq!(client.cookie("sid"), None, "{log_out}");
    }
}

fn an_id_that_is_no_session_is_never_adopted_and_no_error(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let valid = stored(&mut client);
    let upper = if valid.to_uppercase() == valid { valid.to_lowercase() } else { valid.to_uppercase() };
    let long = "A".repeat(6000);
    for id in [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &upper,
        &format!("\"{valid}\""),
        &format!("{valid}A"),
        &valid[1..],
        &format!("{} {}", &valid[..16], &valid[16..]),
        "../../../../../../../etc/passwd.",
        "..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "",
        "\u{e9}\u{e9}\u{e9}",
        "$(reboot)",
        &long,
    ] {
        let response = httpd.client().get_with("/capi?open=create&is_new&get_int=n&set_int=n:7", &[("Cookie", &format!("sid={id}"))]);
        assert_eq!((response.status, response.line("is_new"), response.line("get_int")), (200, "1", "NONE"), "{id}");
        let cookie = &response.set_cookies()[0];
        assert!(!cookie.starts_with(&format!("sid={id};")), "adopted: {cookie}");
    }
    let response = httpd.client().get_with("/capi?open=create&was_invalidated", &[("Cookie", "sid=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]);
    assert_eq!(response.line("was_invalidated"), "1");
    let response = httpd.client().get_with("/capi?open=create&was_invalidated", &[("Cookie", "sid=nonsense")]);
    assert_eq!(response.line("was_invalidated"), "0", "that had not the form of an id");
}

fn a_valid_id_among_invalid_ones_is_found(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let valid = stored(&mut httpd.client());
    let unknown = "A".repeat(32);
    let ask = |cookie: &str| httpd.client().get_with("/capi?open=&get_int=n", &[("Cookie", cookie)]).line("get_int").to_owned();
    for cookie in [
        format!("sid=bad; sid={unknown}; sid={valid}"),
        format!("sid={valid}; sid=bad; sid={unknown}"),
        format!("a=1; sid=\"x\"; b=2; sid={valid}; c=3"),
        format!("{}sid={valid}", "sid=x; ".repeat(60)),
        format!("$Version=1; sid={valid}; $Path=/; $Domain=localhost"),
        format!("spam=foo; path=blah;;, sid={valid};"),
    ] {
        assert_eq!(ask(&cookie), "OK 1", "{cookie}");
    }
    let two = httpd.client().get_with("/capi?open=&get_int=n", &[("Cookie", "sid=bad"), ("Cookie", &format!("sid={valid}"))]);
    assert_eq!(two.line("get_int"), "OK 1", "two Cookie headers");
}

fn two_valid_ids_give_the_first_and_one_notice(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let first = stored(&mut httpd.client());
    let mut other = httpd.client();
    let second = stored(&mut other);
    other.get("/capi?open=create&set_int=n:2");
    let response = httpd.client().get_with("/capi?open=&get_int=n&ref", &[("Cookie", &format!("sid={first}; sid={second}"))]);
    assert_eq!(response.line("get_int"), "OK 1");
    let notice = httpd.wait_for_log("two sessions");
    assert!(notice.contains(response.line("ref")) && !notice.contains(&first) && !notice.contains(&second), "{notice}");
}

fn another_virtual_host_does_not_see_the_session(mpm: Mpm) {
    let httpd = Httpd::start(
        mpm,
        "SessionDir @DIR@\n\
         <VirtualHost *:@PORT@>\nServerName one.example\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName two.example\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName shared-a.example\nSessionScope shared\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName shared-b.example\nSessionScope shared\n</VirtualHost>",
    );
    let on = |host: &str, path: &str, cookie: &str| -> Response { httpd.client().get_with(path, &[("Host", host), ("Cookie", cookie)]) };
    let id = on("one.example", "/capi?open=create&set_int=n:1&id", "").line("id").to_owned();
    let cookie = format!("sid={id}");
    assert_eq!(on("one.example", "/capi?open=&get_int=n", &cookie).line("open"), "OK");
    assert_eq!(on("ONE.example", "/capi?open=&get_int=n", &cookie).line("open"), "OK");
    assert_eq!(on("two.example", "/capi?open=&get_int=n", &cookie).line("open"), "NONE");
    let id = on("shared-a.example", "/capi?open=create&set_int=n:1&id", "").line("id").to_owned();
    assert_eq!(on("shared-b.example", "/capi?open=&get_int=n", &format!("sid={id}")).line("get_int"), "OK 1");
}

fn invalidating_clears_the_cookie_and_writing_afterwards_sends_the_new_one(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let first = stored(&mut client);
    let response = client.clone().get("/capi?open=create&invalidate&set_int=n:5&id");
    let cookies = response.set_cookies();
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].starts_with(&format!("sid={};", response.line("id"))) && !cookies[0].contains(&first));
    let old = client.get("/capi?open=&get_int=n");
    assert_eq!(old.line("open"), "NONE", "the old id is good for nothing");

    let mut client = httpd.client();
    stored(&mut client);
    let cookies = client.get("/capi?open=create&invalidate").set_cookies();
    assert_eq!(cookies, ["sid=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"]);
    assert_eq!(client.cookie("sid"), None);
}

fn a_session_whose_last_value_went_leaves_no_record_and_no_cookie(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    for path in ["/capi?open=create&unset=n", "/capi?open=create&clear&save", "/stock?load&unset=n", "/notes?unset=session.n"] {
        let mut client = httpd.client();
        stored(&mut client);
        let cookies = client.get(path).set_cookies();
        assert!(cookies.len() == 1 && cookies[0].contains("Max-Age=0"), "{path}: {cookies:?}");
    }
    let mut client = httpd.client();
    let id = stored(&mut client);
    let response = client.get("/capi?open=create&clear&save&set_int=m:1");
    assert_eq!((response.set_cookies().len(), client.cookie("sid")), (0, Some(&*id)), "written again in the same request");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK m=INT");
    let records = |sub: std::fs::DirEntry| std::fs::read_dir(sub.path()).map_or(0, Iterator::count);
    assert_eq!(std::fs::read_dir(httpd.dir()).unwrap().map(|sub| records(sub.unwrap())).sum::<usize>(), 1);
}

fn a_new_session_after_the_headers_went_out_is_refused_and_stores_nothing(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).expect_log("the response headers have gone").start();
    for path in ["/capi?open=create&body=10&flush&set_int=n:1&save&save", "/capi?open=create&body=10&flush&remove&set_int=n:1&save&save"] {
        let response = httpd.get(path);
        assert_eq!((response.lines("save"), response.set_cookies().len()), (vec!["TOO_LATE", "TOO_LATE"], 0), "{path}");
    }
    let used = std::fs::read_dir(httpd.dir()).unwrap().any(|entry| entry.unwrap().file_type().unwrap().is_dir());
    assert!(!used, "something was stored");
}

fn late_changes_to_a_known_session_are_kept(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    stored(&mut client);
    client.get("/capi?open=create&set_int=n:2&body=10&flush&set_int=late:3");
    let response = client.get("/capi?open=&get_int=n&get_int=late");
    assert_eq!(response.lines("get_int"), ["OK 2", "OK 3"]);
}

fn a_cookie_with_an_age_is_sent_again_when_a_touch_is_written(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTouchInterval 0\nSessionIdCookie app Max-Age=600 SameSite=Strict Path=/");
    let mut client = httpd.client();
    let first = client.get("/capi?open=create&set_int=n:1&id");
    let expected = format!("app={}; Path=/; Max-Age=600; HttpOnly; SameSite=Strict", first.line("id"));
    assert_eq!(first.set_cookies(), std::slice::from_ref(&expected));
    assert_eq!(client.get("/capi?open=&get_int=n").set_cookies(), [expected]);
}

mpm_tests!(
    a_session_whose_last_value_goes_with_a_change_of_its_id_clears_its_cookie,
    a_session_that_was_only_read_sends_no_cookie_and_leaves_no_record,
    one_cookie_on_every_kind_of_response,
    the_cookie_has_the_documented_form,
    ids_of_all_processes_and_threads_differ,
    an_id_that_is_no_session_is_never_adopted_and_no_error,
    a_valid_id_among_invalid_ones_is_found,
    two_valid_ids_give_the_first_and_one_notice,
    another_virtual_host_does_not_see_the_session,
    invalidating_clears_the_cookie_and_writing_afterwards_sends_the_new_one,
    a_session_whose_last_value_went_leaves_no_record_and_no_cookie,
    a_new_session_after_the_headers_went_out_is_refused_and_stores_nothing,
    late_changes_to_a_known_session_are_kept,
    a_cookie_with_an_age_is_sent_again_when_a_touch_is_written,
);
