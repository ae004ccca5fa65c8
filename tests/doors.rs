//! Several doors of one session in one request: the stock interface, the C interface, notes and headers, and parts of a page.

mod support;

use support::{Httpd, Mpm, Setup, mpm_tests};

fn site(mpm: Mpm, more: &str) -> Setup {
    let cgi = if mpm == Mpm::Prefork { "cgi" } else { "cgid" };
    Httpd::with(mpm)
        .of_ours("doors")
        .module("include")
        .module(cgi)
        .conf(if mpm == Mpm::Prefork { "" } else { "ScriptSock @ROOT@/cgid.sock" })
        .conf("SessionDir @DIR@\n<Location /doors>\nSetHandler doors\n</Location>")
        .conf(more)
}

fn the_later_write_of_two_doors_counts_and_each_sees_the_other(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    for (doors, then, expected) in [
        ("sset=a:1&cset=a:2", "cget=a", "2"),
        ("cset=a:2&sset=a:1", "cget=a", "1"),
        ("sset=a:1&cget=a", "", "1"),
        ("cset=a:1&sget=a", "", "1"),
        ("sset=a:1&cunset=a", "cget=a", "-"),
        ("smaxage=100&ctimeout=60", "timeout", "60"),
        ("ctimeout=60&smaxage=100", "timeout", "100"),
        ("suser=ann&cuser=bob", "whois", "bob"),
        ("cuser=bob&suser=ann", "whois", "ann"),
        ("sset=a:1&cinvalidate&cset=z:1", "cget=a", "-"),
        ("sset=a:1&crevert", "cget=a", "-"),
        ("note=a:1&sset=a:2", "cget=a", "2"),
        ("sset=a:2&note=a:1", "cget=a", "1"),
    ] {
        let mut client = httpd.client();
        client.get("/doors?cset=z:0");
        let response = client.get(&format!("/doors?sload&{doors}"));
        assert!(response.set_cookies().len() < 2, "{doors}");
        let response = if then.is_empty() { response } else { client.get(&format!("/doors?{then}")) };
        let last = response.text().lines().last().and_then(|line| line.split_once(": ")).map(|(_, text)| text.to_owned());
        assert_eq!(last.as_deref(), Some(expected), "{doors}");
    }
    // Writing what was shown is no change, whoever changed it meanwhile; a new text of the same name is one.
    let mut client = httpd.client();
    client.get("/doors?cset=z:0&cuser=ann");
    client.get("/doors?sload&cuser=bob&suser=ann");
    assert_eq!(client.get("/doors?whois").line("whois"), "ann");
}

fn what_a_part_of_a_page_writes_on_the_record_outlives_it(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    for parts in
        ["lookup=/hello&garbage", "lookup=/hello&garbage&cset=b:2&sload&garbage", "sub=/hello&garbage&sload&garbage&lookup=/hello&garbage"]
    {
        let mut client = httpd.client();
        client.get("/doors?cset=a:1");
        client.get_with(&format!("/doors?sload&{parts}"), &[("X-Owner", "annabella")]);
        assert_eq!(client.get("/doors?whois").line("whois"), "annabella", "{parts}");
    }
}

fn a_backend_writes_after_the_notes_and_beside_an_invalidation(mpm: Mpm) {
    let httpd = site(mpm, "SessionHeader X-Session").start();
    let mut client = httpd.client();
    client.get("/doors?cset=old:1");
    client.get("/doors?note=n:1&do=invalidate&header=X-Session:h%3D1");
    assert_eq!(client.get("/doors?cget=old&cget=n&cget=h").lines("cget"), ["-", "1", "1"]);
    client.get("/doors?note=k:note&header=X-Session:k%3Dheader");
    assert_eq!(client.get("/doors?cget=k").line("cget"), "header");
}

fn a_backend_writes_nothing_that_decides_who_somebody_is(mpm: Mpm) {
    let httpd = site(mpm, "SessionHeader X-Session").expect_log("not for a backend to write").start();
    let mut client = httpd.client();
    client.get("/doors?cset=realm-user:ann");
    for header in ["realm-user=eve&realm-site=hash&realm-pw=secret&a=1", "a-pw=1", "a-site=1", "REALM-USER=eve"] {
        client.get(&format!("/doors?header=X-Session:{}", header.replace('=', "%3D").replace('&', "%26")));
    }
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK a=TEXT realm-user=TEXT");
    assert_eq!(client.get("/doors?cget=realm-user").line("cget"), "ann");
    assert_eq!(httpd.log_lines_with("SessionHeader:").len(), 4, "one line a response");
}

fn programs_of_other_sections_see_no_session_of_the_page(mpm: Mpm) {
    let includes = |section: &str| format!("<!--#include virtual=\"/{section}/env\" -->");
    let sections = "SessionEnv On\n<Location /other>\nSessionIdCookie other\n</Location>\n<Location /off>\nSession Off\n</Location>\n\
         ScriptAliasMatch ^/(own|other|off)/env @ROOT@/env\n\
         <Directory @ROOT@/htdocs>\nOptions +Includes\nAddOutputFilter INCLUDES .shtml\n</Directory>";
    let httpd = site(mpm, sections)
        .program("env", "#!/bin/sh\necho Content-Type: text/plain\necho\nenv | grep HTTP_SESSION\necho end\n")
        .file("htdocs/page.shtml", &["own", "other", "off"].map(includes).concat())
        .start();
    let mut client = httpd.client();
    client.get("/doors?cset=mine:secret");
    assert_eq!(client.get("/page.shtml").text(), "HTTP_SESSION=mine=secret\nend\nend\nend\n");
    assert_eq!(client.get("/doors?cset=z:1&internal=/off/env").text().lines().last(), Some("end"));
    let response = client.get("/doors?env=HTTP_SESSION&cinvalidate&sub=/doors?env=HTTP_SESSION");
    assert_eq!(response.lines("env"), ["mine=secret&z=1", "-"]);
}

fn one_cookie_on_an_error_behind_a_redirect(mpm: Mpm) {
    let httpd = site(mpm, "Redirect /moved /hello").file("htdocs/folder/page", "x").start();
    for (target, status) in [("/none", 404), ("/moved", 302), ("/folder", 301)] {
        let response = httpd.get(&format!("/doors?cset=a:1&internal={target}"));
        assert_eq!((response.status, response.set_cookies().len()), (status, 1), "{target}");
    }
}

fn a_store_may_leave_the_pool_of_the_record_alone(mpm: Mpm) {
    let httpd = site(mpm, "<Location /doors/no-pool>\nSessionStore stock\n</Location>").start();
    let response = httpd.get("/doors/no-pool?sload&sset=a:1");
    assert_eq!((response.status, response.header("X-Saved")), (200, Some("a=1")));
}

mpm_tests!(
    the_later_write_of_two_doors_counts_and_each_sees_the_other,
    what_a_part_of_a_page_writes_on_the_record_outlives_it,
    a_backend_writes_after_the_notes_and_beside_an_invalidation,
    a_backend_writes_nothing_that_decides_who_somebody_is,
    programs_of_other_sections_see_no_session_of_the_page,
    one_cookie_on_an_error_behind_a_redirect,
    a_store_may_leave_the_pool_of_the_record_alone,
);
