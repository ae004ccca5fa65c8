//! Directives: what they accept, where they may stand, what they say when something is wrong.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use support::{Httpd, Mpm};

fn refused(conf: &str) -> String {
    let (accepted, said) = Httpd::configtest(conf);
    assert!(!accepted, "accepted: {conf}");
    said
}

fn accepted(conf: &str) {
    let (accepted, said) = Httpd::configtest(conf);
    assert!(accepted, "{conf}: {said}");
}

#[test]
fn an_error_names_directive_value_and_remedy() {
    let long_scope = format!("SessionScope {}", "x".repeat(256));
    for (conf, parts) in [
        (&*long_scope, ["SessionScope", "'xxx", "1 to 255 bytes"]),
        ("SessionTimeout soon", ["SessionTimeout", "'soon'", "1 s to 10 years"]),
        ("SessionTimeout 0", ["SessionTimeout", "'0'", "1 s to 10 years"]),
        ("SessionTimeout 4000000h", ["SessionTimeout", "'4000000h'", "10 years"]),
        ("SessionTimeout 1500ms", ["SessionTimeout", "'1500ms'", "whole seconds"]),
        ("SessionTouchInterval -1", ["SessionTouchInterval", "'-1'", "0 to 10 years"]),
        ("SessionLifetime never", ["SessionLifetime", "'never'", "0 to 10 years"]),
        ("SessionStore cupboard", ["SessionStore", "'cupboard'", "file, dbd and stock"]),
        ("SessionMaxSize 1", ["SessionMaxSize", "'1'", "1K to 64M"]),
        ("SessionMaxSize 65M", ["SessionMaxSize", "'65M'", "1K to 64M"]),
        ("SessionNewTimeout soon", ["SessionNewTimeout", "'soon'", "0 to 10 years"]),
        ("SessionLockTimeout -1", ["SessionLockTimeout", "'-1'", "0 to 10 years"]),
        ("SessionLockWaiters 1025", ["SessionLockWaiters", "'1025'", "0 to 1024"]),
        ("SessionMutexes 0", ["SessionMutexes", "'0'", "1 to 4096"]),
        ("SessionMutexes 4097", ["SessionMutexes", "'4097'", "1 to 4096"]),
        ("SessionCleanupInterval x", ["SessionCleanupInterval", "'x'", "0 to 10 years"]),
        ("SessionCleanupFrequency 1.5", ["SessionCleanupFrequency", "'1.5'", "takes a number"]),
        ("SessionLock always", ["SessionLock", "'always'", "request, access or none"]),
        ("SessionIdCookie a=b", ["SessionIdCookie", "'a=b'", "letters"]),
        ("SessionIdCookie sid SameSite=Loose", ["SessionIdCookie", "'Loose'", "Lax, Strict or None"]),
        ("SessionIdCookie __Host-sid Path=/app", ["SessionIdCookie", "__Host-", "Path=/"]),
        ("SessionIdCookie sid Secure=off SameSite=None", ["SessionIdCookie", "SameSite=None", "Secure=on"]),
        ("SessionNotes maybe", ["SessionNotes", "must be", "On or Off"]),
        ("SessionExpiryUpdateInterval -1", ["SessionExpiryUpdateInterval", "'-1'", "must be zero (disable) or a positive value"]),
        ("SessionMaxAge x", ["SessionMaxAge", "'x'", "seconds"]),
        ("<Files x>\nSessionDir sessions\n</Files>", ["SessionDir", "<Files>", "<Directory>"]),
        ("<Files x>\nSessionScope s\n</Files>", ["SessionScope", "<Files>", "<Directory>"]),
        ("SessionStore file", ["SessionStore file", "needs a directory", "SessionDir"]),
    ] {
        let said = refused(conf);
        for part in parts {
            assert!(said.contains(part), "{conf}: no {part} in: {said}");
        }
    }
}

#[test]
fn times_and_sizes_have_the_units_of_httpd() {
    for value in ["1", "30s", "5min", "2h", "2000ms"] {
        accepted(&format!("SessionTimeout {value}"));
    }
    accepted(
        "SessionTouchInterval 0\nSessionTouchInterval 500ms\nSessionLifetime 0\nSessionLifetime 8h\nSessionMaxSize 64K\nSessionMaxSize 1m",
    );
}

#[test]
fn contexts_are_as_documented() {
    let everywhere = [
        "Session On",
        "SessionTimeout 60",
        "SessionNotes Off",
        "SessionLock access",
        "SessionMaxAge 60",
        "SessionEnv Off",
        "SessionHeader X-S",
        "SessionInclude /a",
        "SessionExclude /b",
        "SessionExpiryUpdateInterval 1",
    ];
    let sections = [
        "SessionDir sessions",
        "SessionStore stock",
        "SessionScope s",
        "SessionIdCookie s",
        "SessionLifetime 60",
        "SessionNewTimeout 120",
        "SessionTouchInterval 1",
        "SessionMaxSize 1M",
        "SessionInvalidateCorrupt Off",
        "SessionSync On",
    ];
    let server =
        ["SessionLockTimeout 5", "SessionLockWaiters 4", "SessionMutexes 8", "SessionCleanupInterval 30", "SessionCleanupFrequency 100"];
    for line in server {
        accepted(line);
        for container in ["VirtualHost *:@PORT@", "Location /x", "Directory /x", "Files x"] {
            let (open, close) = (format!("<{container}>"), container.split(' ').next().unwrap());
            let said = refused(&format!("{open}\n{line}\n</{close}>"));
            assert!(said.contains(line.split(' ').next().unwrap()), "{line} in {open}: {said}");
        }
    }
    for line in everywhere.iter().chain(&sections) {
        accepted(line);
        accepted(&format!("<VirtualHost *:@PORT@>\n{line}\n</VirtualHost>"));
        accepted(&format!("<Location /x>\n{line}\n</Location>"));
    }
    for (lines, status) in [(&everywhere[..], 200), (&sections[..], 500)] {
        for line in lines {
            let httpd = Httpd::with(Mpm::Prefork)
                .conf("<Directory @ROOT@/htdocs>\nAllowOverride AuthConfig\n</Directory>")
                .file("htdocs/.htaccess", line)
                .file("htdocs/page.html", "page")
                .expect_log("not allowed here")
                .expect_log("no session modules have been configured")
                .start();
            assert_eq!(httpd.get("/page.html").status, status, "{line} in .htaccess");
        }
    }
}

#[test]
fn a_mechanism_that_a_killed_holder_blocks_is_refused() {
    for line in ["Mutex posixsem session-pool", "Mutex sem session-pool", "Mutex posixsem default", "Mutex posixsem"] {
        let said = refused(&format!("SessionDir @DIR@\n{line}"));
        assert!(said.contains("session-pool") && said.contains("killed") && said.contains("Mutex pthread session-pool"), "{line}: {said}");
    }
    accepted("SessionDir @DIR@\nMutex posixsem default\nMutex pthread session-pool");
    accepted("SessionDir @DIR@\nMutex posixsem rewrite-map");
    accepted("Mutex posixsem default"); // no store of ours, no pool
    let started = Httpd::with(Mpm::Prefork).conf("SessionDir @DIR@\nMutex posixsem session-pool").try_start();
    assert!(started.is_err_and(|said| said.contains("session-pool")));
}

#[test]
fn two_stores_of_one_host_under_one_cookie_are_refused() {
    let two = |second: &str| format!("SessionDir @ROOT@/a\n<Location /b>\nSessionDir @ROOT@/b\n{second}\n</Location>");
    let said = refused(&two(""));
    assert!(said.contains("SessionDir") && said.contains("cookie sid") && said.contains("SessionIdCookie"), "{said}");
    accepted(&two("SessionIdCookie b"));
    accepted(&two("SessionIdCookie sid Path=/b"));
    accepted(
        "<VirtualHost *:@PORT@>\nServerName a\nSessionDir @ROOT@/a\n</VirtualHost>\n<VirtualHost *:@PORT@>\nServerName b\nSessionDir @ROOT@/b\n</VirtualHost>",
    );
}

#[test]
fn an_unsafe_directory_is_refused_at_configtest_which_creates_nothing() {
    let setup = || Httpd::with(Mpm::Prefork).conf("SessionDir @DIR@");
    let missing = setup();
    assert!(missing.configtest().0);
    assert!(!missing.dir().exists(), "configtest made the directory");

    let foreign = setup().file("sessions/thesis.txt", "years of work");
    fs::set_permissions(foreign.dir(), PermissionsExt::from_mode(0o700)).unwrap();
    let (well, said) = foreign.configtest();
    assert!(!well && said.contains("SessionDir"), "{said}");

    let open = setup();
    fs::create_dir(open.dir()).unwrap();
    if rustix::process::geteuid().is_root() {
        let (well, said) = open.configtest();
        assert!(!well && said.contains("chown"), "root's directory is not the User's: {said}");
        chown(open.dir(), Some(33), None).unwrap();
    }
    fs::set_permissions(open.dir(), PermissionsExt::from_mode(0o777)).unwrap();
    let (well, said) = open.configtest();
    assert!(!well && said.contains("chmod 0700"), "{said}");

    let link = setup();
    fs::create_dir(link.root().join("target")).unwrap();
    symlink(link.root().join("target"), link.dir()).unwrap();
    let (well, said) = link.conf("SessionDir @DIR@/").configtest();
    assert!(!well && said.contains("real path"), "{said}");

    let (well, said) = Httpd::configtest("SessionDir /no/such/place/sessions");
    assert!(!well && said.contains("parent directory"), "{said}");
}

#[test]
fn root_without_a_user_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let said = refused("SessionDir @DIR@\nUser #-1");
    assert!(said.contains("add User and Group"), "{said}");
}

#[test]
fn a_directory_below_a_temporary_one_is_warned_about() {
    let place = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let httpd = Httpd::with(Mpm::Prefork)
        .conf(&format!("SessionDir {}/sessions", place.path().display()))
        .expect_log("temporary directory")
        .start();
    assert!(httpd.wait_for_log("temporary directory").contains("/var/lib"));
    assert_eq!(httpd.get("/capi?open=create&set_int=n:1&save").line("save"), "OK");
}

#[test]
fn several_directories_hosts_and_sections_work_side_by_side() {
    let httpd = Httpd::start(
        Mpm::Prefork,
        "SessionDir @ROOT@/one\n<Location /stock>\nSessionDir @ROOT@/two\nSessionIdCookie two\n</Location>\n<Location /notes>\nSessionStore stock\nSession Off\n</Location>",
    );
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    client.get("/stock?load&set=n:2");
    assert!(client.cookie("sid").is_some() && client.cookie("two").is_some());
    assert_eq!(client.get("/notes?all").text(), "all: 0\n");
    for dir in ["one", "two"] {
        assert_eq!(fs::metadata(httpd.root().join(dir)).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(httpd.root().join(dir).join(".mod_session_rs").exists());
    }
}

#[test]
fn sync_and_every_lock_mode_serve() {
    for lines in ["SessionSync On", "SessionLock request", "SessionLock access", "SessionLock none"] {
        let httpd = Httpd::start(Mpm::Prefork, &format!("SessionDir @DIR@\n{lines}"));
        let mut client = httpd.client();
        for n in 1..4 {
            assert_eq!(client.get("/capi?open=create&add=n:1&save&get_int=n").line("get_int"), format!("OK {n}"));
        }
    }
}

#[test]
fn modules_that_change_the_user_of_each_request_are_refused_where_sessions_are_files() {
    let (accepted, said) = Httpd::with(Mpm::Prefork).conf("SessionDir @DIR@").of_ours("ruid2").configtest();
    assert!(!accepted && said.contains("mod_ruid2.c") && said.contains("SessionStore stock"), "{said}");
    let (accepted, said) = Httpd::with(Mpm::Prefork).conf("Session On").of_ours("ruid2").configtest();
    assert!(accepted, "{said}");
}
