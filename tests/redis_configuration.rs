//! `SessionStore redis://…`: what is refused, and how that is said.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::redis::Redis;
use support::{Httpd, Mpm, Setup};

const PAGE: &str = "<Location /conform>\nSessionNotes Off\n</Location>";

fn setup(conf: &str) -> Setup {
    Httpd::with(Mpm::Event).conf(conf).conf(PAGE)
}

/// A file that only root may read, or whoever runs the tests.
fn private(setup: Setup, path: &str, contents: &str) -> Setup {
    let setup = setup.file(path, contents);
    fs::set_permissions(setup.root().join(path), PermissionsExt::from_mode(0o600)).unwrap();
    setup
}

fn refused(setup: &Setup) -> String {
    let (accepted, said) = setup.configtest();
    assert!(!accepted, "{said}");
    said
}

#[test]
fn an_error_names_directive_value_and_remedy_and_no_password() {
    for (line, parts) in [
        ("SessionStore redis://", ["SessionStore", "redis://", "the host is missing"]),
        ("SessionStore redis://h:0", ["SessionStore", "redis://h:0", "a port is a number"]),
        ("SessionStore redis://u:hidden@h/x", ["SessionStore", "redis://h/x", "a database is a number"]),
        ("SessionStore redis+cluster://h", ["SessionStore", "redis+cluster://h", "the schemes are redis"]),
        ("SessionStore redis://h timeout=5", ["SessionStore", "timeout=", "knows ca="]),
        ("SessionStore redis://h ca=x", ["SessionStore", "redis://h", "rediss://"]),
        ("SessionStore rediss://h cert=x", ["SessionStore", "rediss://h", "key=file"]),
        ("SessionStore redis://:hidden@h passwordfile=x", ["SessionStore", "redis://h", "given twice"]),
        ("SessionStore file redis://h", ["SessionStore", "file redis://h", "dbd, redis://"]),
        ("SessionStore paper", ["SessionStore", "paper", "dbd, redis://"]),
        ("SessionStore radis://u:hidden@h", ["SessionStore", "radis:...@h", "dbd, redis://"]),
        ("SessionStore redis:/u:hidden@h", ["SessionStore", "redis:...@h", "dbd, redis://"]),
    ] {
        let said = refused(&setup(line));
        assert!(parts.iter().all(|part| said.contains(part)) && !said.contains("hidden"), "{line}: {said}");
        assert_eq!(said.lines().filter(|line| line.contains("SessionStore")).count(), 1, "one line: {said}");
    }
    let two = "SessionStore redis://:hidden@h\n<Location /x>\nSessionStore redis://h/1\n</Location>";
    let said = refused(&setup(two));
    let other = "SessionStore redis://h\n<Location /x>\nSessionStore redis://h prefix=x:\n</Location>";
    assert!(refused(&setup(other)).contains("SessionStore redis://h:6379 and SessionStore redis://h:6379 prefix=x: of one host"));
    assert!(
        said.contains("SessionStore redis://h:6379 and SessionStore redis://h:6379/1 of one host") && !said.contains("hidden"),
        "{said}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_refused_at_the_test_and_at_the_start() {
    for (line, name, contents, mode, remedy) in [
        ("redis://h passwordfile=missing", "other", "x", 0o600, "No such file"),
        ("redis://h passwordfile=pw", "pw", "x", 0o644, "chmod 600"),
        ("redis://h passwordfile=pw", "pw", "\n", 0o600, "one line"),
        ("rediss://h ca=ca.pem", "ca.pem", "x", 0o644, "BEGIN CERTIFICATE"),
        ("rediss://h cert=a.pem key=a.pem", "a.pem", "BEGIN CERTIFICATE PRIVATE KEY-----", 0o640, ""),
        ("rediss://h cert=a.pem key=a.pem", "a.pem", "BEGIN CERTIFICATE PRIVATE KEY-----", 0o660, "chmod 600"),
    ] {
        let setup = setup(&format!("SessionStore {line}")).file(name, contents);
        fs::set_permissions(setup.root().join(name), PermissionsExt::from_mode(mode)).unwrap();
        if remedy.is_empty() {
            assert!(setup.configtest().0, "{line} {mode:o}");
            continue;
        }
        let said = refused(&setup);
        assert!(
            said.contains("SessionStore redis") && said.contains(remedy) && said.contains(name.trim_start_matches("other")),
            "{line}: {said}"
        );
        let said = setup.try_start().err().expect("it does not start");
        assert!(said.contains(remedy), "{line}: {said}");
    }
}

#[test]
fn passwords_and_keys_are_read_before_the_server_gives_up_its_rights() {
    let redis = Redis::start(&["requirepass s3cret"]);
    let conf = format!("SessionStore redis://127.0.0.1:{} passwordfile=pw", redis.port());
    let setup = private(setup(&conf), "pw", "s3cret\n").expect_log("cannot load").expect_log("until that is mended");
    let root = setup.root().to_owned();
    let httpd = setup.start();
    let mut client = httpd.client();
    assert_eq!(client.get("/conform?incr=n&save").line("save"), "ok");
    // At a restart the server goes on, and sessions fail until the file is mended.
    fs::rename(root.join("pw"), root.join("away")).unwrap();
    httpd.graceful();
    let line = httpd.wait_for_log("until that is mended");
    assert!(line.contains("SessionStore redis://127.0.0.1:") && line.contains("pw: "), "{line}");
    support::wait_for("the new generation", || (client.get("/conform?look").line("look") == "!store").then_some(()));
    fs::rename(root.join("away"), root.join("pw")).unwrap();
    httpd.graceful();
    support::wait_for("the new generation", || (client.get("/conform?look&get=n").line("look") == "1").then_some(()));
    // A password that was changed is told with its remedy, and never shown.
    redis.cli(&["CONFIG", "SET", "requirepass", "changed"]);
    httpd.restart();
    assert_eq!(client.get("/conform?look").line("look"), "!store");
    assert!(httpd.wait_for_log("give user and password").contains("passwordfile="));
    assert!(!httpd.error_log().contains("s3cret"));
}

#[test]
fn sessions_go_over_tls_with_a_certificate_of_the_client() {
    let redis = Redis::with_tls("yes");
    let file = |name: &str| redis.file(name);
    fs::set_permissions(file("client.key"), PermissionsExt::from_mode(0o600)).unwrap();
    for mpm in Mpm::ALL {
        let words = format!("ca={} cert={} key={}", file("ca.pem"), file("client.pem"), file("client.key"));
        let httpd = Httpd::start(mpm, &format!("SessionStore rediss://localhost:{} {words}", redis.port()));
        let mut client = httpd.client();
        client.get("/notes?incr=session.n");
        httpd.graceful();
        assert_eq!(client.get("/notes?incr=session.n&get=session.n").line("get"), "2", "{mpm:?}");
    }
}

#[test]
fn where_each_request_has_a_user_of_its_own_redis_is_no_trouble() {
    let redis = Redis::start(&[]);
    // Valkey by its own name is the same.
    let httpd = setup(&format!("SessionStore {}", redis.url().replacen("redis", "valkey", 1))).of_ours("ruid2").start();
    assert_eq!(httpd.client().get("/conform?incr=n&save").line("save"), "ok");
}
