//! The stock API on our store, and the stock modules beside us.

mod support;

use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn last(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or("")
}

fn values_are_set_read_and_removed(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/stock?load&set=a:1&set=b:2&get=a&save&set=c:3&unset=b");
    assert_eq!(last(response.line("load")), "0");
    assert_eq!((last(response.line("get")), last(response.line("save"))), ("1", "0"));
    assert_eq!(response.set_cookies().len(), 1);
    let response = client.get("/stock?load&entries&getnull=a&setnull=d:4");
    assert!(
        response.line("entries").contains("a=1") && response.line("entries").contains("c=3") && !response.line("entries").contains("b=")
    );
    assert_eq!(last(response.line("getnull")), "1");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK a=TEXT c=TEXT d=TEXT");
}

fn entries_may_be_written_directly(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/stock?load&raw=a:1");
    assert_eq!(client.get("/capi?open=&get_text=a").line("get_text"), "OK 1");
}

fn expiry_and_maxage_tell_the_timeout(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionTimeout 10min"));
    let facts = httpd.get("/stock?load&facts").line("facts").to_owned();
    assert!(facts.contains("maxage=600"), "{facts}");
    let off = Httpd::start(mpm, &format!("{CONF}\nSession Off"));
    assert!(off.get("/stock?load&set=a:1").set_cookies().is_empty());
}

fn stock_directives_mean_ours_with_a_store_of_ours(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionMaxAge 300\nSessionExpiryUpdateInterval 10"));
    let response = httpd.get("/capi?open=create&set_int=n:1&timeout");
    assert_eq!(response.line("timeout"), "300");
    assert!(response.set_cookies()[0].contains("; Max-Age=300;"));
}

fn the_stock_cookie_store_works_beside_us_as_ever(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .module("session_cookie")
        .conf("<Location /stock>\nSession On\nSessionCookieName kept path=/\nSessionMaxAge 60\n</Location>")
        .conf("<Location /ours>\nSessionDir @DIR@\nSetHandler stockapi\n</Location>")
        .start();
    let mut client = httpd.client();
    client.get("/stock?load&set=a:1%262&set=b:x+y");
    assert!(client.cookie("kept").unwrap().contains("a=1%262&b=x+y"), "{:?}", client.cookie("kept"));
    let response = client.get("/stock?load&get=a&set=b:2");
    assert_eq!(last(response.line("get")), "1&2");
    assert_eq!(last(client.get("/stock?load&get=b").line("get")), "2");
    client.get("/ours?load&set=a:ours");
    assert!(client.cookie("sid").is_some());
    assert_eq!(last(client.get("/stock?load&get=a").line("get")), "1&2");
}

fn the_encrypted_cookie_store_goes_through_our_hooks(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .module("session_cookie")
        .module("session_crypto")
        .conf("<Location /stock>\nSession On\nSessionCookieName kept path=/\nSessionCryptoPassphrase secret\n</Location>")
        .start();
    let mut client = httpd.client();
    client.get("/stock?load&set=a:plain");
    assert!(!client.cookie("kept").unwrap().contains("plain"));
    assert_eq!(last(client.get("/stock?load&get=a").line("get")), "plain");
}

fn form_logins_keep_their_user_in_our_store(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .module("request")
        .module("authn_core")
        .module("authn_file")
        .module("authz_user")
        .module("auth_form")
        .file("users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n") // "password"
        .file("htdocs/private/page.html", "for ann")
        .file("htdocs/login.html", "log in")
        .conf(CONF)
        .conf(
            "<Location /private>\nAuthFormProvider file\nAuthUserFile @ROOT@/users\nAuthType form\nAuthName realm\n\
             AuthFormLoginRequiredLocation /login.html\nRequire valid-user\n</Location>\n\
             <Location /dologin>\nSetHandler form-login-handler\nAuthFormProvider file\nAuthUserFile @ROOT@/users\nAuthType form\nAuthName realm\n\
             AuthFormLoginSuccessLocation /private/page.html\nRequire all granted\n</Location>\n\
             <Location /logout>\nSetHandler form-logout-handler\nAuthName realm\n</Location>",
        )
        .expect_log("AH01617")
        .start();
    let mut client = httpd.client();
    assert_ne!(client.get("/private/page.html").status, 200);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let response = client.request("POST", "/dologin", &form, b"httpd_username=ann&httpd_password=password");
    assert_eq!((response.status, response.set_cookies().len()), (302, 1));
    assert_eq!(client.get("/private/page.html").text(), "for ann");
    assert_eq!(client.get("/capi?open=&get_text=realm-user").line("get_text"), "OK ann");
    assert!(!client.get("/notes?all").text().contains("realm-pw"), "passwords are no notes");
    client.get("/logout");
    assert_ne!(client.get("/private/page.html").status, 200);
}

mpm_tests!(
    values_are_set_read_and_removed,
    entries_may_be_written_directly,
    expiry_and_maxage_tell_the_timeout,
    stock_directives_mean_ours_with_a_store_of_ours,
    the_stock_cookie_store_works_beside_us_as_ever,
    the_encrypted_cookie_store_goes_through_our_hooks,
    form_logins_keep_their_user_in_our_store,
);
