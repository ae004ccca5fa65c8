//! `SessionEnv` and `SessionHeader` with a store of ours: CGI programs and backends.

mod support;

use support::{Httpd, Mpm, Setup, mpm_tests};

fn site(mpm: Mpm, more: &str) -> Setup {
    let cgi = if mpm == Mpm::Prefork { "cgi" } else { "cgid" };
    Httpd::with(mpm)
        .module(cgi)
        .module("proxy")
        .module("proxy_http")
        .conf(if mpm == Mpm::Prefork { "" } else { "ScriptSock @ROOT@/cgid.sock" })
        .conf("SessionDir @DIR@\nScriptAlias /env @ROOT@/env\nScriptAlias /answer @ROOT@/answer\nProxyPass /behind/ http://127.0.0.1:@PORT@/answer/")
        .conf(more)
        .program("env", "#!/bin/sh\necho Content-Type: text/plain\necho\nenv | grep ^HTTP_SESSION=\necho end\n")
        .program("answer", "#!/bin/sh\necho Content-Type: text/plain\necho \"X-Session: $QUERY_STRING\"\necho\necho done\n")
}

fn programs_see_the_session_in_their_environment(mpm: Mpm) {
    let httpd = site(mpm, "SessionEnv On").start();
    let mut client = httpd.client();
    assert_eq!(client.get("/env").text(), "end\n", "who stored nothing has none");
    let response = client.get("/env");
    assert_eq!((response.set_cookies().len(), response.header("Cache-Control"), response.header("Vary")), (0, None, None));
    client.get("/capi?open=create&set_int=n:5&set_bool=yes:1&set_text=a+b:x%26y&set_null=nothing&set_text=realm-pw:secret&set_user=ann");
    let response = client.get("/env");
    assert_eq!(response.text(), "HTTP_SESSION=a+b=x%26y&n=5&yes=1\nend\n");
    assert_eq!((response.header("Vary"), response.header("Cache-Control")), (Some("Cookie"), Some("private")));
}

fn a_header_of_the_client_is_never_taken_for_the_session(mpm: Mpm) {
    for more in ["SessionEnv On", "SessionEnv Off", "Session Off\nSessionEnv On"] {
        let httpd = site(mpm, more).start();
        assert_eq!(httpd.client().get_with("/env", &[("Session", "user=admin")]).text(), "end\n", "{more}");
    }
}

fn a_session_beyond_64_kib_is_not_shown(mpm: Mpm) {
    let httpd = site(mpm, "SessionEnv On").expect_log("64 KiB are the limit").start();
    let mut client = httpd.client();
    for n in 0..17 {
        client.get(&format!("/capi?open=create&set_text=k{n}:{}", "x".repeat(4000)));
    }
    assert_eq!(client.get("/env").text(), "end\n");
    client.get("/capi?open=create&unset=k0");
    assert!(client.get("/env").text().len() > 60_000);
}

fn a_backend_writes_texts_by_a_header(mpm: Mpm) {
    let httpd = site(mpm, "SessionHeader X-Session").expect_log("is not for a backend to write").start();
    let mut client = httpd.client();
    let response = client.get("/answer?a=1&b=x+y%2526");
    assert_eq!((response.header("X-Session"), response.set_cookies().len()), (None, 1), "it goes no further");
    client.get("/capi?open=create&set_int=n:5&set_text=gone:1&set_user=ann");
    let response = client.get("/behind/?a=2&gone=&n=7&expiry=1&realm-pw=secret&user=eve");
    assert_eq!(response.header("X-Session"), None);
    let response = client.get("/capi?open=&each&get_text=a&get_int=n&user&get_text=b");
    assert_eq!(response.line("each"), "OK a=TEXT b=TEXT n=INT user=TEXT");
    assert_eq!((response.lines("get_text"), response.line("get_int")), (vec!["OK 2", "OK x y%26"], "OK 5"));
    let user = response.line("user");
    assert_eq!(user, "ann", "the owner is not a value");
}

fn a_header_too_long_and_pages_without_one_change_nothing(mpm: Mpm) {
    let httpd = site(mpm, "SessionHeader X-Session\nLimitRequestLine 100000").expect_log("64 KiB are the limit").start();
    let response = httpd.get("/hello");
    assert_eq!((response.set_cookies().len(), response.header("Vary")), (0, None));
    for (length, cookies) in [(65_000, 1), (66_000, 0)] {
        let response = httpd.get(&format!("/capi?header=X-Session:a={}", "x".repeat(length)));
        assert_eq!((response.status, response.set_cookies().len()), (200, cookies), "{length}");
    }
}

mpm_tests!(
    programs_see_the_session_in_their_environment,
    a_header_of_the_client_is_never_taken_for_the_session,
    a_session_beyond_64_kib_is_not_shown,
    a_backend_writes_texts_by_a_header,
    a_header_too_long_and_pages_without_one_change_nothing,
);
