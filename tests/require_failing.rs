//! `Require session` where the session cannot be read now.

#[path = "require/guarded.rs"]
mod guarded;
mod support;

use std::fs;

use guarded::{CONF, asks, with};
use support::members::visitor;
use support::{Mpm, mpm_tests};

fn a_lost_store_is_no_reason_to_deny(mpm: Mpm) {
    let conf = format!(
        "{CONF}\nErrorDocument 503 /notes?all\nLogFormat \"%U %>s error=%{{session:error}}n\" seen\nCustomLog @ROOT@/access.log seen\n\
         <Location /private>\nRequire session\n</Location>\n<Location /private/deep>\nSessionTimeout 60\n</Location>\n<Location /private/open>\nRequire all granted\n</Location>\n\
         <Location /guests>\n<RequireAll>\nRequire all granted\nRequire not session-value n\n</RequireAll>\n</Location>\n\
         <Location /either>\nSetHandler hello\nRequire method POST\nRequire session\n</Location>\n\
         <Location /any>\nSetHandler hello\nSatisfy Any\nDeny from all\nRequire session-user\n</Location>\n\
         <Location /anyone>\nSetHandler hello\nSatisfy Any\nAllow from all\nRequire session-user\n</Location>"
    );
    let setup = with(mpm, &conf)
        .module("access_compat")
        .file("htdocs/private/open/page.html", "open")
        .file("htdocs/private/deep/page.html", "deep inside");
    let setup = setup.file("htdocs/other/.htaccess", "Require session").file("htdocs/other/page.html", "inside too");
    let httpd = setup.expect_log("cannot load a session").expect_log("AH01797").start();
    let client = visitor(&httpd, "set_int=n:1");
    let status = |path: &str| client.clone().get(path).status;
    assert_eq!(
        (asks(&client), status("/guests/page.html"), status("/either"), status("/any"), status("/anyone")),
        (200, 403, 200, 403, 200)
    );
    let away = httpd.root().join("away");
    fs::rename(httpd.dir(), &away).unwrap();
    let response = client.clone().get("/private/page.html");
    assert_eq!((response.status, response.text().as_ref(), response.set_cookies().len()), (503, "all: 1\nsession:error=store\n", 0));
    assert_eq!(
        (status("/guests/page.html"), status("/either"), status("/any"), status("/other/page.html")),
        (503, 503, 503, 503),
        "nor to let in"
    );
    assert_eq!(status("/private/deep/page.html"), 503, "what a section around requires");
    assert_eq!((status("/private/open/page.html"), status("/anyone")), (200, 200), "who needs no session does not notice");
    assert_eq!(client.clone().request("POST", "/either", &[], b"").status, 200);
    assert_eq!(asks(&httpd.client()), 403, "a stranger presents nothing that could be looked for");
    let log = support::wait_for("the access log", || {
        let log = fs::read_to_string(httpd.root().join("access.log")).ok()?;
        log.contains("/either 200").then_some(log)
    });
    assert!(log.contains("503 error=store"), "{log}");
    fs::rename(&away, httpd.dir()).unwrap();
    assert_eq!((asks(&client), status("/guests/page.html")), (200, 403));
}

fn where_no_stock_store_answers_a_session_cannot_be_read_either(mpm: Mpm) {
    let setup = with(mpm, "<Location /private>\nSession On\nRequire session\n</Location>").expect_log("AH01815");
    assert_eq!(setup.start().get("/private/page.html").status, 503);
}

fn a_damaged_session_that_is_to_stay_is_answered_503_and_told_once(mpm: Mpm) {
    for (setting, status, again) in [("Off", 503, 503), ("On", 403, 403)] {
        let section = "<Location /private>\nRequire session\nRequire session-user ann\nRequire session-value n 2\n</Location>";
        let httpd = with(mpm, &format!("{CONF}\nSessionInvalidateCorrupt {setting}\n{section}")).expect_log("is damaged").start();
        let client = visitor(&httpd, "set_int=n:1");
        fs::write(&support::sessions::files(&httpd.dir())[0], "damage").unwrap();
        assert_eq!((asks(&client), httpd.log_lines_with("is damaged").len()), (status, 1), "{setting}");
        assert_eq!(asks(&client), again, "{setting}");
    }
}

#[cfg(feature = "faults")]
fn a_panic_lets_nobody_in(mpm: Mpm) {
    let lines = "<RequireAll>\nRequire all granted\nRequire not session\n</RequireAll>";
    let conf = format!("{CONF}\n<Location /private>\n{lines}\n</Location>\n<Location /hello>\nSession Off\n</Location>");
    let httpd = with(mpm, &conf).env("MSRS_FAULT_PANIC", "open").expect_log("a test asked for a panic").start();
    let before = httpd.children();
    assert_eq!(asks(&httpd.client()), 500);
    assert_eq!((httpd.get("/hello").status, httpd.children()), (200, before));
}

mpm_tests!(
    a_lost_store_is_no_reason_to_deny,
    where_no_stock_store_answers_a_session_cannot_be_read_either,
    a_damaged_session_that_is_to_stay_is_answered_503_and_told_once
);

#[cfg(feature = "faults")]
mod panics {
    use super::*;
    mpm_tests!(a_panic_lets_nobody_in);
}
