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

fn whoever_configured_mod_session_crypto_is_told_of_session_encrypt(mpm: Mpm) {
    let conf = |more: &str| Httpd::with(mpm).module("session_crypto").conf(&format!("{CONF}\nSessionCryptoPassphrase secret\n{more}"));
    let httpd = conf("").expect_log("SessionEncrypt").start();
    assert_eq!(httpd.log_lines_with("SessionEncrypt").len(), 1);
    for more in ["SessionEncrypt On", "SessionEncrypt Off", "SessionStore stock"] {
        assert_eq!(conf(more).start().log_lines_with("SessionEncrypt").len(), 0, "{more}");
    }
}

/// Not even a stock `SessionMaxAge` makes a session of every visitor.
fn who_stores_nothing_has_no_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionMaxAge 300\nSessionEnv On"));
    for page in ["/hello", "/stock?load&get=a", "/stock?load&set=a:1&unset=a", "/notes", "/capi?open="] {
        let response = httpd.get(page);
        assert_eq!((response.set_cookies().len(), response.header("Cache-Control"), response.header("Vary")), (0, None, None), "{page}");
        assert!(!response.text().contains("expiry="), "{page}");
    }
    assert_eq!(support::sessions::files(&httpd.dir()).len(), 0);
}

fn owner_and_timeout_may_be_written_on_the_record(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/stock?load&set=a:1");
    let mut before = client.clone();
    let response = client.get("/stock?load&user=ann&maxage=77&set=b:2");
    assert_eq!(response.set_cookies().len(), 1, "another owner means another id");
    let facts = client.get("/stock?load&facts").line("facts").to_owned();
    assert!(facts.contains("maxage=77") && facts.contains("remote_user=ann"), "{facts}");
    let response = client.get("/capi?open=&user&timeout&get_text=b");
    assert_eq!((response.line("user"), response.line("timeout"), response.line("get_text")), ("ann", "77", "OK 2"));
    assert_eq!(before.get("/capi?open=").line("open"), "NONE");
    client.get("/stock?load&user");
    assert_eq!(client.get("/capi?open=&user").line("user"), "-");
}

fn values_of_all_types_survive_the_stock_table(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:5&set_bool=yes:1&set_text=Text:x&set_bytes=raw:ff00&set_null=nothing");
    let response = client.get("/stock?load&set=n:6&set=text:y&set=new:z&entries");
    assert!(!response.line("entries").contains("raw") && !response.line("entries").contains("nothing"), "{}", response.text());
    let each = client.get("/capi?open=&each&get_int=n&get_text=Text").text().into_owned();
    for part in ["n=INT", "yes=BOOL", "Text=TEXT", "raw=BYTES", "nothing=NULL", "new=TEXT", "OK 6", "OK y"] {
        assert!(each.contains(part), "{part}: {each}");
    }
}

/// Who runs the hooks instead of calling the functions finds our store there too, and it declines where it is not configured.
fn our_store_answers_on_the_stock_hooks(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "<Location /stock/ours>\nSessionDir @DIR@\n</Location>\n<Location /capi>\nSessionDir @DIR@\n</Location>");
    let mut client = httpd.client();
    let response = client.get("/stock/ours?run_load&set=a:1&run_save&get=a");
    assert_eq!((last(response.line("run_load")), last(response.line("run_save"))), ("0", "0"), "{}", response.text());
    assert_eq!(client.get("/capi?open=&get_text=a").line("get_text"), "OK 1");
    let response = client.get("/stock/none?run_load&load&facts");
    assert_eq!((last(response.line("run_load")), response.line("facts")), ("-1", "none"));
}

mpm_tests!(
    values_are_set_read_and_removed,
    entries_may_be_written_directly,
    expiry_and_maxage_tell_the_timeout,
    stock_directives_mean_ours_with_a_store_of_ours,
    the_stock_cookie_store_works_beside_us_as_ever,
    the_encrypted_cookie_store_goes_through_our_hooks,
    whoever_configured_mod_session_crypto_is_told_of_session_encrypt,
    who_stores_nothing_has_no_session,
    owner_and_timeout_may_be_written_on_the_record,
    values_of_all_types_survive_the_stock_table,
    our_store_answers_on_the_stock_hooks,
);
