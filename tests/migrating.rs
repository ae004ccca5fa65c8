//! docs/migrating.md: each configuration in it is started and used, the old ones with the stock module and with ours.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Client, Httpd, Mpm, Response, Setup};

/// The module of httpd's own that a directive needs.
const MODULES: [(&str, &[&str]); 5] = [
    ("SessionCookieName", &["session_cookie"]),
    ("SessionCryptoPassphrase", &["session_crypto"]),
    ("SessionDBDCookieName", &["dbd", "session_dbd"]),
    ("AuthType", &["request", "authn_core", "authn_file", "authz_user", "auth_form"]),
    ("DBDriver", &[]),
];

/// A configuration of the text.
struct Example {
    section: String,
    /// The line above it: `Before`, `After`, `Before and after`.
    label: String,
    conf: String,
}

fn examples() -> Vec<Example> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md")).expect("docs/migrating.md");
    let mut found = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let mut rest = section;
        while let Some((above, fence)) = rest.split_once("```apache\n") {
            let (conf, behind) = fence.split_once("```").expect("the end of a configuration");
            let label = above.trim_end().lines().last().unwrap_or_default().trim_end_matches(':').to_owned();
            found.push(Example { section: section.lines().next().unwrap_or_default().to_owned(), label, conf: conf.to_owned() });
            rest = behind;
        }
    }
    found
}

/// The first configuration under a heading with that label.
fn example(section: &str, label: &str) -> Example {
    examples()
        .into_iter()
        .find(|example| example.section == section && example.label == label)
        .unwrap_or_else(|| panic!("{section}: {label}"))
}

/// A server with that configuration, the paths of an administrator being those of the test, and pages that count: `count` below each part.
fn setup(example: &Example) -> Setup {
    let conf = example
        .conf
        .replace("/var/lib/apache2/sessions", "@DIR@")
        .replace("/var/lib/apache2/database/", "@ROOT@/database/")
        .replace("/etc/apache2/members", "@ROOT@/members");
    let mut setup = Httpd::with(Mpm::Event)
        .file("members", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n") // "password"
        .file("database/empty", "")
        .file("htdocs/private/index.html", "for members")
        .file("htdocs/login.html", "log in")
        .conf(&conf)
        .conf("<LocationMatch \"/count$\">\nSetHandler count-stock\n</LocationMatch>");
    open_to_all(&setup.root().join("database"));
    if conf.contains("DBDriver") {
        make_table(&setup.root().join("database/session.db"));
        setup = setup.workers(1); // SQLite turns away who prepares a statement while another one writes
    }
    let modules = MODULES.iter().filter(|(directive, _)| conf.contains(directive)).flat_map(|(_, modules)| *modules);
    for module in modules {
        setup = setup.module(module);
    }
    setup
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("a place for the database");
}

/// The table that mod_session_dbd wants, made by mod_dbd itself: it prepares statements before it runs `DBDInitSQL`, so by a server that
/// has none.
fn make_table(database: &Path) {
    let setup = Httpd::with(Mpm::Prefork)
        .workers(1)
        .module("dbd")
        .file("database/empty", "")
        .conf("DBDriver sqlite3\nDBDParams @ROOT@/database/session.db")
        .conf("DBDInitSQL \"create table session (key char(36) primary key, value text, expiry bigint)\"");
    let made = setup.root().join("database/session.db");
    open_to_all(&setup.root().join("database"));
    let mut server = setup.start();
    assert_eq!(server.get("/hello").status, 200); // so its one child has begun, and run the statement
    server.stop();
    fs::copy(&made, database).expect("the database");
    open_to_all(database);
}

fn counts(client: &mut Client, page: &str, expected: impl IntoIterator<Item = u32>) {
    for n in expected {
        assert_eq!(client.get(page).text(), format!("hello {n}\n"), "{page}");
    }
}

/// A session is kept by httpd's own store: the cookie has its name, and we have no directory.
fn kept_by_stock(httpd: &Httpd, page: &str) -> Client {
    let mut client = httpd.client();
    counts(&mut client, page, 1..=3);
    counts(&mut httpd.client(), page, [1]);
    assert_eq!(names(&client), ["session"]);
    assert!(!httpd.dir().join(".mod_session_rs").exists(), "we kept a session");
    client
}

/// A session is kept by us; one cookie, and it is ours.
fn kept_by_us(httpd: &Httpd, page: &str, cookie: &str) -> Client {
    let mut client = httpd.client();
    counts(&mut client, page, 1..=3);
    counts(&mut httpd.client(), page, [1]);
    assert_eq!(names(&client), [cookie]);
    assert!(httpd.dir().join(".mod_session_rs").exists(), "we kept no session");
    client
}

fn names(client: &Client) -> Vec<&str> {
    client.cookies().iter().map(|(name, _)| name.as_str()).collect()
}

/// The old configuration works with both modules; a cookie of the one goes on with the other, if the values are in it. Then the new
/// configuration works, and does not read that cookie.
fn moves(section: &str) {
    let before = setup(&example(section, "Before")).stock().start();
    let old = kept_by_stock(&before, "/app/count");
    let loaded = setup(&example(section, "Before")).start();
    kept_by_stock(&loaded, "/app/count");
    if section != "From mod_session_dbd" {
        let mut who_stays = loaded.client();
        who_stays.set_cookie("session", old.cookie("session").expect("the cookie"));
        counts(&mut who_stays, "/app/count", [4, 5]);
    }
    let after = setup(&example(section, "After")).start();
    kept_by_us(&after, "/app/count", "session_id");
    let mut who_comes_back = after.client();
    who_comes_back.set_cookie("session", old.cookie("session").expect("the old cookie"));
    counts(&mut who_comes_back, "/app/count", [1, 2]);
}

#[test]
fn every_configuration_says_whether_it_is_before_or_after_and_is_one_that_is_used_here() {
    let all: Vec<_> = examples().into_iter().map(|example| format!("{}: {}", example.section, example.label)).collect();
    let used = [
        "In two steps: Before and after",
        "From mod_session_cookie: Before",
        "From mod_session_cookie: After",
        "From mod_session_dbd: Before",
        "From mod_session_dbd: After",
        "With mod_session_crypto: Before",
        "With mod_session_crypto: After",
        "Sites with mod_auth_form: Before",
        "Sites with mod_auth_form: After",
        "One part after the other: After",
    ];
    assert_eq!(all, used);
}

#[test]
fn one_line_moves_a_section_and_its_absence_moves_it_back() {
    let both = example("In two steps", "Before and after");
    kept_by_stock(&setup(&both).stock().start(), "/app/count");
    let client = kept_by_us(&setup(&both).start(), "/app/count", "sid");
    drop(client);
    let back = Example { conf: both.conf.replace("SessionDir /", "#SessionDir /"), ..both };
    kept_by_stock(&setup(&back).start(), "/app/count");
}

#[test]
fn sessions_in_cookies_move() {
    moves("From mod_session_cookie");
}

#[test]
fn sessions_in_a_database_move() {
    moves("From mod_session_dbd");
}

#[test]
fn encrypted_sessions_move() {
    moves("With mod_session_crypto");
}

#[test]
fn two_stores_work_beside_each_other() {
    let httpd = setup(&example("One part after the other", "After")).start();
    let mut client = kept_by_us(&httpd, "/app/count", "sid");
    counts(&mut client, "/old/count", 1..=3);
    counts(&mut client, "/app/count", [4]);
    counts(&mut client, "/old/count", [4]);
    assert_eq!(names(&client).len(), 2);
}

fn log_in(client: &mut Client, password: &str) -> Response {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    client.request("POST", "/dologin", &form, format!("httpd_username=ann&httpd_password={password}").as_bytes())
}

/// A visitor is sent to the form, logs in, counts, logs out, and is sent to the form again.
fn a_member_comes_and_goes(httpd: &Httpd, cookie: &str) {
    let mut client = httpd.client();
    let to_the_form = |response: &Response| {
        [302, 307].contains(&response.status) && response.header("Location").is_some_and(|to| to.ends_with("/login.html"))
    };
    assert!(to_the_form(&client.get("/private/")));
    assert!(to_the_form(&log_in(&mut client, "wrong")));
    assert!(to_the_form(&client.get("/private/")));
    let response = log_in(&mut client, "password");
    assert!(response.status == 302 && response.header("Location").is_some_and(|to| to.ends_with("/private/")), "{}", response.status);
    assert_eq!(client.get("/private/index.html").text(), "for members");
    counts(&mut client, "/private/count", 1..=3);
    assert_eq!(names(&client), [cookie]);
    assert!(!client.cookies()[0].1.contains("password"));
    let mut copy = client.clone();
    assert!(to_the_form(&client.get("/logout")));
    assert!(to_the_form(&client.get("/private/")));
    let after_the_logout = copy.get("/private/index.html").status;
    assert_eq!(after_the_logout, if cookie == "session" { 200 } else { 302 }, "a copied cookie, after the logout");
}

#[test]
fn logins_move() {
    let section = "Sites with mod_auth_form";
    let denied = "AH01807"; // the wrong password
    a_member_comes_and_goes(&setup(&example(section, "Before")).stock().expect_log(denied).start(), "session");
    a_member_comes_and_goes(&setup(&example(section, "Before")).expect_log(denied).start(), "session");
    a_member_comes_and_goes(&setup(&example(section, "After")).expect_log(denied).start(), "sid");
}

#[test]
fn a_login_section_without_require_is_answered_500() {
    let mut login = example("Sites with mod_auth_form", "After");
    login.conf = login.conf.replace("    Require all granted\n", "");
    let httpd = setup(&login).expect_log("AH01627").start();
    assert_eq!(log_in(&mut httpd.client(), "password").status, 500);
    assert!(!httpd.log_lines_with("AH01627").is_empty());
}
