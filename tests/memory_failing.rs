//! `SessionStore memory` that cannot be: what is configured wrong, and files that are damaged, cut, taken away or of another store.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::members::{CONF, all_are_there, members, number};
use support::{Httpd, Mpm, Setup};

fn setup() -> Setup {
    Httpd::with(Mpm::Event).conf(CONF)
}

#[test]
fn a_size_of_any_number_of_bytes_is_rounded_to_whole_pages() {
    for size in ["1500001", "1025k"] {
        let httpd = Httpd::with(Mpm::Event).conf(&CONF.replace("16M", size)).start();
        all_are_there(&mut members(&httpd, 3));
        assert!(fs::metadata(httpd.dir().join("sessions.mem")).unwrap().len().is_multiple_of(4096));
    }
}

#[test]
fn a_file_that_was_cut_is_told_of_and_does_not_end_the_parent() {
    let httpd = setup().expect_log("was cut").start();
    let file = fs::OpenOptions::new().write(true).open(httpd.dir().join("sessions.mem")).unwrap();
    file.set_len(0).unwrap();
    httpd.graceful();
    assert!(httpd.wait_for_log("was cut").contains("full restart"));
    // Nobody has touched the memory, and it is whole again.
    file.set_len(16 << 20).unwrap();
}

#[test]
fn what_memory_cannot_keep_is_refused_at_once() {
    let two = "SessionDir @DIR@\nSessionStore memory:2M\n<Location /x>\nSessionStore memory:4M\n</Location>";
    let hosts = two
        .replace("<Location /x>\nSessionStore memory:4M", "<VirtualHost *:@PORT@>\nSessionStore file")
        .replace("</Location>", "</VirtualHost>")
        .replace("memory:2M", "memory:4M");
    for (conf, parts) in [
        ("SessionStore memory", ["SessionStore memory", "needs a directory", "SessionDir"]),
        ("SessionStore memory:1023K", ["SessionStore", "'1023K'", "1M to 256G"]),
        ("SessionStore memory:much", ["SessionStore", "'much'", "1M to 256G"]),
        ("SessionDir @DIR@\nSessionStore memory\nSessionSync On", ["SessionSync On", "SessionStore memory", "say SessionSync Off"]),
        (two, ["memory:2M", "memory:4M", "one size"]),
        (&hosts, ["memory:4M", "another store", "directory of its own"]),
    ] {
        let (accepted, said) = Httpd::configtest(conf);
        assert!(!accepted && parts.iter().all(|part| said.contains(part)), "{conf}: {said}");
    }
    let off = "SessionSync On\nSessionDir files\n<Location /x>\nSessionDir @DIR@\nSessionStore memory\nSessionIdCookie x\nSessionSync Off\n</Location>";
    for conf in ["SessionDir @DIR@\nSessionStore memory:1G", "SessionStore MEMORY\nSessionDir @DIR@", off] {
        let (accepted, said) = Httpd::configtest(conf);
        assert!(accepted, "{conf}: {said}");
    }
}

#[test]
fn a_configuration_test_makes_nothing_and_a_directory_of_files_is_refused() {
    let setup = setup();
    assert!(setup.configtest().0 && !setup.dir().exists());
    fs::create_dir(setup.dir()).unwrap();
    fs::write(setup.dir().join(".mod_session_rs"), "file store 1\n").unwrap();
    fs::set_permissions(setup.dir(), PermissionsExt::from_mode(0o700)).unwrap();
    own(&setup.dir());
    let said = setup.try_start().err().expect("refused");
    assert!(said.contains("holds another store ('file store 1')"), "{said}");
}

#[test]
fn a_restart_with_another_store_in_the_directory_neither_takes_its_sessions_for_absent_nor_mixes_them() {
    let mut httpd = setup().expect_log("holds another store").start();
    let mut members = members(&httpd, 3);
    for other in ["file", "dbm"] {
        httpd.reconfigure(&CONF.replace("memory:16M", other));
        httpd.graceful();
        assert_eq!(members[0].get("/capi?open=").line("open"), "STORE", "{other}");
        assert_eq!(httpd.get("/capi?open=create&set_int=n:1&save").line("save"), "STORE", "{other}");
        assert_eq!(fs::read_dir(httpd.dir()).unwrap().count(), 2, "the marker and the file");
    }
    httpd.reconfigure(CONF);
    httpd.graceful();
    all_are_there(&mut members);
}

/// Gives a path to the user of the server.
fn own(path: &Path) {
    if rustix::process::geteuid().is_root() {
        let status = std::process::Command::new("chown").args(["-R", "www-data:www-data"]).arg(path).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_file_that_cannot_be_used_is_put_aside_and_told_of() {
    let mut httpd = setup().expect_log("begins without sessions").start();
    let mut member = members(&httpd, 1).remove(0);
    httpd.stop();
    let file = httpd.dir().join("sessions.mem");
    fs::write(&file, "nonsense").unwrap();
    httpd.start_again();
    let line = httpd.wait_for_log("begins without sessions");
    assert!(line.contains("sessions.mem is too short") || line.contains("does not begin"), "{line}");
    assert_eq!(number(&mut member), "NONE");
    assert_eq!(fs::read(httpd.dir().join("sessions.mem.damaged")).unwrap(), b"nonsense");
}

#[test]
fn a_file_that_was_taken_away_is_told_of_and_the_server_goes_on() {
    let httpd = setup().expect_log("was taken away").start();
    let mut members = members(&httpd, 5);
    fs::remove_file(httpd.dir().join("sessions.mem")).unwrap();
    httpd.graceful();
    assert!(httpd.wait_for_log("was taken away").contains("until a full restart"));
    all_are_there(&mut members);
    assert_eq!(members[0].get("/capi?open=create&add=n:7&save").line("save"), "OK");
    httpd.graceful();
    assert_eq!(number(&mut members[0]), "OK 7");
}

#[test]
fn where_there_is_no_room_the_server_does_not_start() {
    let said = Httpd::with(Mpm::Event).conf("SessionDir @DIR@\nSessionStore memory:256G").try_start().err().expect("refused");
    assert!(said.contains("no room for SessionStore memory, 262144 MiB") && said.contains("smaller size"), "{said}");
}
