//! Signed cookies, their keys, and ids that no cookie carries.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Client, Httpd, Mpm, mpm_tests, wait_for};

fn key(letter: &str) -> String {
    letter.repeat(40)
}

fn conf(more: &str) -> String {
    format!("SessionDir @DIR@\nSessionNotes Off\n{more}")
}

fn begin(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    client
}

fn value(client: &mut Client) -> String {
    client.get("/capi?open=&get_int=n").line("get_int").to_owned()
}

fn a_cookie_is_an_id_and_its_signature(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &conf(&format!("SessionSecret {}", key("k"))));
    let mut client = begin(&httpd);
    let cookie = client.cookie("sid").unwrap().to_owned();
    let (id, tag) = cookie.split_once('.').expect("a dot");
    assert_eq!((id.len(), tag.len()), (32, 22));
    assert_eq!(value(&mut client), "OK 1");
    let response = client.get("/capi?open=create&id&set_int=n:2");
    assert_eq!(response.line("id"), id);
    assert_eq!(response.set_cookies(), Vec::<String>::new());
    let response = client.get("/capi?open=create&regenerate=1");
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(value(&mut client), "OK 2");
}

/// The store is broken: whoever is asked for a session of it is told so. A forged id is nobody's session without a look.
fn a_forged_id_never_reaches_the_store(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf(&conf(&format!("SessionSecret {}", key("k")))).start();
    let client = begin(&httpd);
    let good = client.cookie("sid").unwrap().to_owned();
    httpd.expect_log("cannot load a session");
    let (dir, away) = (httpd.dir(), httpd.root().join("away"));
    fs::rename(&dir, &away).unwrap();
    let with = |cookie: &str| {
        let mut client = httpd.client();
        client.set_cookie("sid", cookie);
        client.get("/capi?open=create&is_new&was_invalidated").text().into_owned()
    };
    assert!(with(&good).starts_with("open: STORE"), "{}", with(&good));
    let unsigned = &good[..32];
    let other = format!("{}{}", if good.starts_with('A') { 'B' } else { 'A' }, &good[1..]);
    for forged in [unsigned, &other, &format!("{unsigned}.{}", "A".repeat(22)), &format!("{good}A"), &good[..good.len() - 1]] {
        assert!(with(forged).starts_with("open: OK\nis_new: 1\nwas_invalidated: 0"), "{forged}: {}", with(forged));
    }
    fs::rename(&away, &dir).unwrap();
}

fn keys_rotate_without_an_end_of_sessions(mpm: Mpm) {
    let secrets = |keys: &[&str]| conf(&format!("SessionSecret {}", keys.iter().map(|letter| key(letter)).collect::<Vec<_>>().join(" ")));
    let mut httpd = Httpd::start(mpm, &secrets(&["a"]));
    let mut client = begin(&httpd);
    let old = client.cookie("sid").unwrap().to_owned();
    httpd.reconfigure(&secrets(&["b", "a"]));
    httpd.restart();
    let response = client.get("/capi?open=&get_int=n");
    assert_eq!((response.line("get_int"), response.set_cookies().len()), ("OK 1", 1), "sent again under the new key");
    let new = client.cookie("sid").unwrap().to_owned();
    assert_eq!(old[..32], new[..32]);
    assert_ne!(old, new);
    assert_eq!(client.get("/capi?open=&get_int=n").set_cookies(), Vec::<String>::new());
    httpd.reconfigure(&secrets(&["b"]));
    httpd.restart();
    assert_eq!(value(&mut client), "OK 1");
    client.set_cookie("sid", &old);
    assert_eq!(client.get("/capi?open=").line("open"), "NONE", "the key is not in use any more");
}

fn a_file_of_keys_is_the_same_and_without_it_nothing_is_trusted(mpm: Mpm) {
    let text = format!("# of today\n{}\n{}\n", key("f"), key("o"));
    let setup = Httpd::with(mpm).conf(&conf("SessionSecretFile keys")).file("keys", &text);
    let keys = setup.root().join("keys");
    mode(&keys, 0o600);
    let mut httpd = setup.start();
    let mut client = begin(&httpd);
    assert_eq!(client.cookie("sid").unwrap().len(), 55);
    fs::remove_file(&keys).unwrap();
    httpd.expect_log("SessionSecretFile");
    httpd.graceful();
    wait_for("children that know of no keys", || (client.get("/capi?open=create").line("open") == "STORE").then_some(()));
    assert_eq!(client.get("/hello").status, 200, "the server runs");
    fs::write(&keys, text).unwrap();
    mode(&keys, 0o600);
    httpd.graceful();
    wait_for("children with keys", || (client.get("/capi?open=&get_int=n").line("get_int") == "OK 1").then_some(()));
}

fn without_cookies_the_query_carries_the_id(mpm: Mpm) {
    let conf = "SessionDir @DIR@\nSessionUseCookies Off\nSessionIdParam s";
    let httpd = Httpd::with(mpm).conf(conf).expect_log("knows no operation 's'").file("htdocs/page.html", "<a>").start();
    let response = httpd.get("/capi?open=create&set_int=n:1&id&cookie_name");
    let id = response.line("id").to_owned();
    assert_eq!((response.set_cookies(), response.line("cookie_name")), (vec![], "-"));
    assert_eq!((response.header("Referrer-Policy"), response.header("Cache-Control")), (Some("no-referrer"), Some("no-store")));
    let note = httpd.get(&format!("/notes?s={id}&get=session:id&get=session.n"));
    assert_eq!(note.lines("get"), [&*id, "1"]);
    let moved = httpd.get(&format!("/capi?s={id}&open=create&flush&regenerate=1&id"));
    assert_eq!((moved.line("regenerate"), moved.lines("id")[0] == id), ("OK", false), "also behind the headers");
    assert_eq!(httpd.get(&format!("/capi?s={id}&open=")).line("open"), "NONE");
    let mut client = httpd.client();
    client.set_cookie("sid", moved.line("id"));
    client.set_cookie("s", moved.line("id"));
    assert_eq!(client.get("/capi?open=").line("open"), "NONE", "no cookie is looked at");
    assert_eq!(httpd.get(&format!("/page.html?s={id}")).header("Referrer-Policy"), Some("no-referrer"), "a file's links tell as much");
}

fn with_cookies_no_id_in_a_url_counts(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionIdParam s").expect_log("knows no operation 's").start();
    let client = begin(&httpd);
    let id = client.cookie("sid").unwrap();
    assert_eq!(httpd.get(&format!("/capi?sid={id}&s={id}&open=")).line("open"), "NONE");
    assert_eq!(client.clone().get("/notes?get=session:id").line("get"), "-");
}

fn several_applications_of_one_host_keep_to_themselves(mpm: Mpm) {
    let conf = "SessionDir @DIR@\n<Location /capi/shop>\nSessionIdCookie shop Path=/capi/shop\nSessionSecret KEY1\n</Location>\n\
                <Location /capi/forum>\nSessionIdCookie forum Path=/capi/forum\nSessionDir @ROOT@/forum\n</Location>\n"
        .replace("KEY1", &key("s"));
    let httpd = Httpd::start(mpm, &conf);
    let mut client = httpd.client();
    for (at, app) in ["", "/shop", "/forum"].iter().enumerate() {
        client.get(&format!("/capi{app}?open=create&set_int=n:{at}"));
    }
    for (at, app) in ["", "/shop", "/forum"].iter().enumerate() {
        assert_eq!(client.get(&format!("/capi{app}?open=&get_int=n")).line("get_int"), format!("OK {at}"), "{app}");
    }
    let (sid, forum) = (client.cookie("sid").unwrap().to_owned(), client.cookie("forum").unwrap().to_owned());
    client.set_cookie("sid", &forum);
    client.set_cookie("forum", &sid);
    for app in ["", "/forum"] {
        assert_eq!(client.get(&format!("/capi{app}?open=")).line("open"), "NONE", "an id of another application");
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

mpm_tests!(
    a_cookie_is_an_id_and_its_signature,
    a_forged_id_never_reaches_the_store,
    keys_rotate_without_an_end_of_sessions,
    a_file_of_keys_is_the_same_and_without_it_nothing_is_trusted,
    without_cookies_the_query_carries_the_id,
    with_cookies_no_id_in_a_url_counts,
    several_applications_of_one_host_keep_to_themselves,
);

#[test]
fn what_is_wrong_with_keys_is_said_at_configtest_and_no_key_is_shown() {
    let short = "SHORT-KEY-SHORT-KEY";
    let refused = |text: Option<&str>, bits: u32, conf: &str| {
        let setup = Httpd::with(Mpm::Event).conf(&format!("SessionDir @DIR@\n{conf}"));
        let path = setup.root().join("keys");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
            mode(&path, bits);
        }
        let (accepted, said) = setup.configtest();
        assert!(!accepted, "{conf}");
        assert!(!said.contains(short), "{said}");
        said
    };
    for (said, expected) in [
        (refused(None, 0, &format!("SessionSecret {short}")), "the key number 1 is shorter than 32 bytes"),
        (refused(None, 0, &format!("SessionSecret {} {}", key("a"), key("a"))), "the keys number 1 and 2 are the same"),
        (refused(None, 0, "SessionSecretFile keys"), "keys: No such file"),
        (refused(Some(short), 0o600, "SessionSecretFile keys"), "the key number 1 is shorter than 32 bytes"),
        (refused(Some(""), 0o600, "SessionSecretFile keys"), "no key: write one a line"),
        (refused(Some(&key("a")), 0o644, "SessionSecretFile keys"), "others may read or change it (mode 644): chmod 600"),
        (refused(Some(&key("a")), 0o600, &format!("SessionSecretFile keys\nSessionSecret {}", key("b"))), "are given already"),
        (refused(None, 0, "SessionUseCookies Off"), "add SessionIdParam"),
        (refused(None, 0, "SessionIdParam a=b"), "takes the name of a parameter"),
        (refused(None, 0, "SessionIdGrace soon"), "0 to 10 years"),
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
}
