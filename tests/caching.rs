//! What a response with a session tells caches.

mod support;

use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";
/// As if the application said so: early headers are there before the handler.
const PUBLIC: &str = "SessionDir @DIR@\nHeader set Cache-Control \"public, max-age=60\" early";

fn a_response_that_sets_the_cookie_is_not_stored(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let response = httpd.get("/capi?open=create&set_int=n:1");
    assert_eq!((response.header("Cache-Control"), response.header("Vary")), (Some("no-store"), None));
    let response = Httpd::start(mpm, PUBLIC).get("/capi?open=create&set_int=n:1");
    assert_eq!(response.header("Cache-Control"), Some("max-age=60, private, no-cache=\"Set-Cookie\""));
}

fn a_response_that_used_a_session_is_private_and_varies(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    for path in ["/capi?open=&get_int=n", "/stock?load&get=n", "/notes?get=session.n"] {
        let response = client.get(path);
        assert_eq!((response.header("Cache-Control"), response.header("Vary")), (Some("private"), Some("Cookie")), "{path}");
    }
    let httpd = Httpd::start(mpm, PUBLIC);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let response = client.get("/capi?open=&get_int=n");
    assert_eq!((response.header("Cache-Control"), response.header("Vary")), (Some("public, max-age=60"), Some("Cookie")));
}

fn what_the_application_said_in_several_fields_is_kept(mpm: Mpm) {
    let said = "Header add Vary A early\nHeader add Vary B early\nHeader add Cache-Control max-age=5 early\nHeader add Cache-Control no-store early";
    let httpd = Httpd::start(mpm, &format!("{CONF}\n{said}"));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1");
    let fields: Vec<_> = response.headers.iter().filter(|(name, _)| name == "Cache-Control").map(|(_, value)| value.as_str()).collect();
    assert!(fields.join(", ").contains("no-store"), "{fields:?}");
    assert_eq!(client.get("/capi?open=&get_int=n").header("Vary").map(|value| value.replace(" ", "")).as_deref(), Some("A,B,Cookie"));
}

fn a_response_without_a_session_is_left_alone(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).file("htdocs/page.html", "<p>hello").start();
    let mut client = httpd.client();
    let plain = |response: support::Response| response.header("Cache-Control").is_none() && response.header("Vary").is_none();
    assert!(plain(client.get("/notes?get=session:new")));
    client.get("/capi?open=create&set_int=n:1");
    assert!(plain(client.get("/page.html")));
}

mpm_tests!(
    a_response_that_sets_the_cookie_is_not_stored,
    a_response_that_used_a_session_is_private_and_varies,
    what_the_application_said_in_several_fields_is_kept,
    a_response_without_a_session_is_left_alone,
);
