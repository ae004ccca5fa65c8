//! What goes wrong in the world: damaged files, strangers' files, full, read-only and vanished directories, defects of our own.

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use support::small_disk::SmallDisk;
use support::{Client, Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn start(mpm: Mpm, conf: &str, expected: &str) -> Httpd {
    Httpd::with(mpm).conf(conf).expect_log(expected).start()
}

fn stored(client: &mut Client) {
    assert_eq!(client.get("/capi?open=create&set_int=n:1&save").line("save"), "OK");
}

/// The files below the sub-directories.
fn records(dir: &Path) -> Vec<PathBuf> {
    let subs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    subs.flat_map(|sub| fs::read_dir(sub).unwrap().map(|entry| entry.unwrap().path())).collect()
}

type Damage = fn(&Path);

fn a_damaged_record_means_a_clean_session_and_one_log_line(mpm: Mpm) {
    let httpd = start(mpm, CONF, "is damaged");
    let ways: [(&str, Damage); 5] = [
        ("emptied", |path| fs::write(path, "").unwrap()),
        ("truncated", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap()),
        ("cut by a byte", |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(fs::metadata(path).unwrap().len() - 1).unwrap()
        }),
        ("overwritten", |path| fs::write(path, "x".repeat(5000)).unwrap()),
        ("zeroed", |path| OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0; 600], 0).unwrap()),
    ];
    for (i, (how, damage)) in ways.iter().enumerate() {
        let mut client = httpd.client();
        stored(&mut client);
        let path = records(&httpd.dir()).into_iter().find(|path| path.extension().is_none()).unwrap();
        damage(&path);
        for _ in 0..3 {
            let response = client.clone().get("/capi?open=create&is_new&was_invalidated&get_int=n");
            let facts = (response.status, response.line("is_new"), response.line("was_invalidated"), response.line("get_int"));
            assert_eq!(facts, (200, "1", "1", "NONE"), "{how}");
        }
        assert_eq!(httpd.log_lines_with("is damaged").len(), i + 1, "{how}: one line");
        stored(&mut client);
        assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1", "{how}");
        client.get("/capi?open=create&invalidate");
    }
}

fn with_invalidate_corrupt_off_a_damaged_record_is_an_error_and_stays(mpm: Mpm) {
    let httpd = start(mpm, &format!("{CONF}\nSessionInvalidateCorrupt Off"), "is damaged");
    let mut client = httpd.client();
    stored(&mut client);
    let path = records(&httpd.dir()).remove(0);
    fs::write(&path, "damage").unwrap();
    let response = client.get("/capi?open=create");
    assert_eq!((response.line("open"), response.set_cookies().len()), ("CORRUPT", 0));
    assert_eq!(client.get("/notes?all").text(), "all: 1\nsession:error=corrupt\n");
    assert_eq!(fs::read(&path).unwrap(), b"damage");
}

fn foreign_files_are_never_touched(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    stored(&mut client);
    let record = records(&httpd.dir()).remove(0);
    let thesis = record.with_file_name("thesis.txt");
    fs::write(&thesis, "years of work").unwrap();
    stored(&mut client);
    client.get("/capi?open=create&invalidate");
    assert_eq!(fs::read(&thesis).unwrap(), b"years of work");
}

/// As by an administrator, or a job that deletes old files.
fn a_session_file_that_somebody_deleted_is_no_session_and_no_error(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionLock access"));
    let mut client = httpd.client();
    stored(&mut client);
    let slow = client.clone().begin("/capi?open=create&set_int=late:1&sleep=500&save");
    std::thread::sleep(std::time::Duration::from_millis(150));
    fs::remove_file(records(&httpd.dir()).remove(0)).unwrap();
    let response = client.clone().get("/capi?open=create&is_new&was_invalidated&get_int=n");
    assert_eq!((response.line("is_new"), response.line("was_invalidated"), response.line("get_int")), ("1", "1", "NONE"));
    assert_eq!(slow.finish().line("save"), "GONE", "a request that began before does not bring it back");
    assert!(records(&httpd.dir()).is_empty());
    stored(&mut client);
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

/// The caller is told, the log has a line, the client keeps its cookie, and what was stored is as it was.
fn store_fails(client: &mut Client) {
    let mut probe = client.clone();
    let response = probe.get("/capi?open=create&get_int=n&set_int=n:9&save");
    let told = response.line("open") == "STORE" || response.line("save") == "STORE";
    assert!(response.status == 200 && told && response.set_cookies().is_empty(), "{}", response.text());
}

fn a_read_only_directory_is_told_and_recovered_from_without_restart(mpm: Mpm) {
    let httpd = start(mpm, CONF, "cannot");
    let mut client = httpd.client();
    stored(&mut client);
    let record = records(&httpd.dir()).remove(0);
    let locked: [(&Path, u32); 3] = [(&record, 0o400), (record.parent().unwrap(), 0o500), (&httpd.dir(), 0o500)];
    for (path, mode) in locked {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    store_fails(&mut client);
    let new = httpd.client().get("/capi?open=create&set_int=n:1&save");
    assert!(new.set_cookies().is_empty() == (new.line("save") == "STORE"));
    httpd.wait_for_log("cannot save a session");
    for (path, mode) in [(record.as_path(), 0o600), (record.parent().unwrap(), 0o700), (&httpd.dir(), 0o700)] {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
    stored(&mut client);
}

fn a_log_out_that_fails_is_told_and_the_session_lives(mpm: Mpm) {
    let httpd = start(mpm, CONF, "cannot");
    let mut client = httpd.client();
    stored(&mut client);
    let record = records(&httpd.dir()).remove(0);
    fs::set_permissions(&record, PermissionsExt::from_mode(0o400)).unwrap();
    fs::set_permissions(record.parent().unwrap(), PermissionsExt::from_mode(0o500)).unwrap();
    for how in ["invalidate", "remove"] {
        let response = client.clone().get(&format!("/capi?open=create,no_touch&{how}"));
        assert_eq!((response.line(how), response.set_cookies().len()), ("STORE", 0));
    }
    fs::set_permissions(record.parent().unwrap(), PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(&record, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(client.get("/capi?open=create&get_int=n&invalidate").line("get_int"), "OK 1");
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn a_vanished_directory_is_told_and_recovered_from_without_restart(mpm: Mpm) {
    let httpd = start(mpm, CONF, "cannot");
    let mut client = httpd.client();
    stored(&mut client);
    let away = httpd.root().join("away");
    fs::rename(httpd.dir(), &away).unwrap();
    store_fails(&mut client);
    assert_eq!(client.get("/notes?all").text(), "all: 1\nsession:error=store\n");
    let stock = client.get("/stock?load");
    assert_ne!(stock.line("load"), "0");
    httpd.wait_for_log("cannot load a session");
    fs::rename(&away, httpd.dir()).unwrap();
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");

    fs::rename(httpd.dir(), &away).unwrap();
    fs::create_dir(httpd.dir()).unwrap();
    let owner = fs::metadata(&away).unwrap();
    fs::set_permissions(httpd.dir(), PermissionsExt::from_mode(0o700)).unwrap();
    chown(httpd.dir(), Some(std::os::unix::fs::MetadataExt::uid(&owner)), None).unwrap();
    assert_eq!(client.get("/capi?open=&get_int=n").line("open"), "NONE", "an empty directory is an empty store");
    stored(&mut client);
}

/// On a file system of 64 kB. Where mounting is refused this is reported as skipped.
fn a_full_disk_is_told_the_old_record_survives_and_room_heals(mpm: Mpm) {
    let setup = Httpd::with(mpm).conf(&format!("{CONF}\nSessionMaxSize 64M")).expect_log("No space left").expect_log("cannot");
    let Some(_disk) = SmallDisk::mount(&setup, "64k") else { return };
    let httpd = setup.start();
    let mut client = httpd.client();
    stored(&mut client);
    let filler = httpd.dir().join("filler");
    let fill = |path: &Path| fs::write(path, vec![0; 1 << 20]).unwrap_err();
    fill(&filler);
    let big = "x".repeat(5000);
    let response = client.get(&format!("/capi?open=create&set_text=big:{big}&save"));
    assert_eq!((response.line("save"), response.set_cookies().len()), ("STORE", 0));
    let new = httpd.client().get("/capi?open=create&set_int=n:1&save");
    assert_eq!((new.line("save"), new.set_cookies().len()), ("STORE", 0));
    httpd.wait_for_log("No space left");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK n=INT", "the old record is intact");
    fs::remove_file(&filler).unwrap();
    assert_eq!(client.get(&format!("/capi?open=create&set_text=big:{big}&save")).line("save"), "OK");
    let left_behind = records(&httpd.dir()).into_iter().filter(|path| path.extension().is_some()).count();
    assert_eq!(left_behind, 0, "temporary files");
}

fn a_graceful_restart_with_a_broken_directory_does_not_end_the_server(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).expect_log("SessionDir").expect_log("cannot load a session").start();
    let mut client = httpd.client();
    stored(&mut client);
    let away = httpd.root().join("away");
    fs::rename(httpd.dir(), &away).unwrap();
    fs::write(httpd.dir(), "in the way").unwrap();
    httpd.graceful();
    httpd.wait_for_log("not a directory");
    assert_eq!(httpd.get("/hello").status, 200);
    assert_eq!(client.get("/capi?open=create").line("open"), "STORE");
    fs::remove_file(httpd.dir()).unwrap();
    fs::rename(&away, httpd.dir()).unwrap();
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

#[cfg(feature = "faults")]
fn a_panic_answers_500_and_the_child_lives(mpm: Mpm) {
    for (point, conf, path) in [
        ("open", CONF.to_owned(), "/capi?open=create"),
        ("commit", CONF.to_owned(), "/capi?open=create&set_int=n:1"),
        ("commit", format!("{CONF}\nSessionNotes Off"), "/capi?open=create&set_int=n:1"),
    ] {
        let conf = format!("{conf}\n<Location /hello>\nSession Off\n</Location>");
        let httpd = Httpd::with(mpm).conf(&conf).env("MSRS_FAULT_PANIC", point).expect_log("a test asked for a panic").start();
        let before = httpd.children();
        let response = httpd.get(path);
        assert_eq!((response.status, response.set_cookies().len()), (500, 0), "{point}");
        assert!(
            httpd.log_lines_with("a test asked for a panic").iter().all(|line| line.contains("[session:error]") && line.contains(".rs:"))
        );
        assert_eq!(httpd.get("/hello").status, 200);
        assert_eq!(httpd.children(), before, "a child died");
    }
    let httpd = Httpd::with(mpm)
        .conf(&format!("{CONF}\nSessionNotes Off"))
        .env("MSRS_FAULT_PANIC", "open")
        .expect_log("a test asked for a panic")
        .start();
    assert_eq!(httpd.get("/capi?open=create").line("open"), "PANIC", "a C caller is answered");
}

mpm_tests!(
    a_damaged_record_means_a_clean_session_and_one_log_line,
    with_invalidate_corrupt_off_a_damaged_record_is_an_error_and_stays,
    foreign_files_are_never_touched,
    a_session_file_that_somebody_deleted_is_no_session_and_no_error,
    a_read_only_directory_is_told_and_recovered_from_without_restart,
    a_log_out_that_fails_is_told_and_the_session_lives,
    a_vanished_directory_is_told_and_recovered_from_without_restart,
    a_full_disk_is_told_the_old_record_survives_and_room_heals,
    a_graceful_restart_with_a_broken_directory_does_not_end_the_server,
);

#[cfg(feature = "faults")]
mod panics {
    use super::*;
    mpm_tests!(a_panic_answers_500_and_the_child_lives);
}
