//! The dbm store in httpd: who opens it, what a restart leaves, what goes wrong in the world.
#![cfg(feature = "tool")]

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use mod_session_rs::session::{Id, Key, Scope};
use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::{Blob, Change, Durability, Store};
use rustix::process::Uid;
use rustix::thread::set_thread_uid;
use support::sessions::age;
use support::small_disk::SmallDisk;
use support::{Client, Httpd, Mpm, Response, Setup, mpm_tests};

const CONF: &str = "SessionDir @DIR@\nSessionStore dbm";

fn with(conf: &str) -> Setup {
    Httpd::with(Mpm::Event).conf(CONF).conf(conf)
}

fn stored(client: &mut Client) -> Response {
    let response = client.get("/capi?open=create&set_int=n:1&save&id");
    assert_eq!(response.line("save"), "OK");
    response
}

fn is_stored(client: &mut Client) {
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

/// The children open it when they need it, and the parent never does: what it had open, all would have inherited.
fn children_alone_open_the_environment_and_sessions_outlive_all_of_them(mpm: Mpm) {
    let mut httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    assert!(fs::read_dir(httpd.dir()).unwrap().next().is_none(), "the start put something there");
    stored(&mut client);
    httpd.graceful();
    is_stored(&mut client);
    let maps = fs::read_to_string(format!("/proc/{}/maps", httpd.pid())).unwrap();
    assert!(!maps.contains(".mdb"), "the parent has it open");
    assert!(httpd.children().iter().any(|child| fs::read_to_string(format!("/proc/{child}/maps")).is_ok_and(|maps| maps.contains(".mdb"))));
    let owner = fs::metadata(httpd.dir()).unwrap().uid();
    let files: Vec<_> = fs::read_dir(httpd.dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let found = fs::metadata(&file).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, owner), "{}", file.display());
    }
    httpd.stop();
    httpd.start_again();
    is_stored(&mut client);
    httpd.kill();
    httpd.start_again();
    is_stored(&mut client);
}

mpm_tests!(children_alone_open_the_environment_and_sessions_outlive_all_of_them);

#[test]
fn what_expired_before_the_grace_is_removed_and_nothing_else() {
    let httpd = with("SessionTimeout 100\nSessionTouchInterval 0\nSessionCleanupInterval 1").start();
    let [mut old, mut recent, mut living] = [httpd.client(), httpd.client(), httpd.client()];
    stored(&mut old);
    age(&httpd.dir(), 200);
    stored(&mut recent);
    age(&httpd.dir(), 300); // 400 s beyond its end the one, 200 s the other
    stored(&mut living);
    httpd.wait_for_log(&format!("cleaned {}: deleted 1 of 3 sessions in ", httpd.dir().display()));
    httpd.wait_for_log("deleted 0 of 2 sessions in ");
    is_stored(&mut living);
    assert_eq!(httpd.log_lines_with("session event=expired").len(), 1);
}

fn key(id: &str) -> Key {
    Key::derive(&Scope { name: "localhost".into(), cookie: "sid".into() }, &Id::parse(id.as_bytes()).expect("an id"))
}

/// Changes the check of a record where it lies, in all pages that have it.
fn damage(httpd: &Httpd, key: &Key) {
    let path = httpd.dir().join("data.mdb");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    // LMDB writes the length of a key before it; entries of the index are longer.
    let entry = [&32u16.to_le_bytes()[..], &key.0].concat();
    let found: Vec<_> = (0..bytes.len() - entry.len()).filter(|at| bytes[*at..].starts_with(&entry)).map(|at| at + entry.len()).collect();
    assert!(!found.is_empty());
    for at in found {
        file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
    }
}

#[test]
fn a_damaged_record_costs_its_one_session_and_one_line() {
    let httpd = with("<Location /keep>\nSetHandler capi\nSessionInvalidateCorrupt Off\n</Location>").expect_log("is damaged").start();
    let (mut client, mut other) = (httpd.client(), httpd.client());
    let id = stored(&mut client).line("id").to_owned();
    stored(&mut other);
    let children = httpd.children();
    damage(&httpd, &key(&id));
    assert_eq!(client.clone().get("/keep?open=create").line("open"), "CORRUPT");
    for _ in 0..3 {
        let response = client.clone().get("/capi?open=create&is_new&was_invalidated&get_int=n");
        assert_eq!(["is_new", "was_invalidated", "get_int"].map(|word| response.line(word)), ["1", "1", "NONE"]);
    }
    let told = httpd.log_lines_with("is damaged");
    assert!(told.iter().all(|line| line.contains(&format!("data.mdb:{}", key(&id).hex()))), "{told:?}");
    is_stored(&mut other);
    stored(&mut client);
    assert_eq!(httpd.children(), children, "a child died");
}

#[test]
fn a_writer_that_is_stopped_keeps_others_waiting_for_some_seconds_and_readers_not_at_all() {
    let httpd = with("").expect_log("stayed locked").start();
    let mut client = httpd.client();
    stored(&mut client);
    thread::scope(|scope| {
        let (is_held, held) = channel();
        let (release, released) = channel::<()>();
        let owner = fs::metadata(httpd.dir()).unwrap().uid();
        let store = DbmStore::new(httpd.dir());
        // What a stopped process of the server holds.
        scope.spawn(move || {
            set_thread_uid(Uid::from_raw(owner)).unwrap(); // of this thread alone
            let hold = &mut |_: Option<&Blob>| {
                is_held.send(()).unwrap();
                let _ = released.recv();
                Change::Keep
            };
            store.update_from(&Key([0; 32]), None, Durability::Process, hold).unwrap();
        });
        held.recv().unwrap();
        let started = Instant::now();
        is_stored(&mut client.clone());
        assert!(started.elapsed() < Duration::from_secs(2), "a reader waited {:?}", started.elapsed());
        assert_eq!(client.get("/capi?open=create&set_int=n:2&save").line("save"), "STORE");
        // At save, and at the end of the request again.
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
        let told = httpd.wait_for_log("cannot save a session");
        assert!(told.contains("write.lock stayed locked for 5s"), "{told}");
        let started = Instant::now();
        assert_eq!(client.get("/capi?open=create&set_int=n:2&save").line("save"), "STORE");
        assert!(started.elapsed() < Duration::from_secs(2) || httpd.log_lines_with("for 5s").len() > 1, "{:?}", started.elapsed());
        drop(release);
    });
    is_stored(&mut client);
    assert_eq!(client.get("/capi?open=create&set_int=n:1&save").line("save"), "OK");
}

#[test]
fn a_vanished_directory_is_a_failing_store_and_one_that_comes_back_is_used_again() {
    let httpd = with("").expect_log("cannot").start();
    let mut client = httpd.client();
    stored(&mut client);
    let away = httpd.root().join("away");
    fs::rename(httpd.dir(), &away).unwrap();
    thread::sleep(Duration::from_millis(20)); // who has written just now does not look again
    assert_eq!(httpd.client().get("/capi?open=create&set_int=n:1&save").line("save"), "STORE");
    let told = httpd.wait_for_log("cannot save a session");
    assert!(told.contains("SessionDir") && told.contains("missing"), "{told}");
    fs::rename(&away, httpd.dir()).unwrap();
    is_stored(&mut client);
    stored(&mut httpd.client());

    fs::rename(httpd.dir(), &away).unwrap();
    fs::create_dir(httpd.dir()).unwrap();
    fs::set_permissions(httpd.dir(), Permissions::from_mode(0o700)).unwrap();
    chown(httpd.dir(), Some(fs::metadata(&away).unwrap().uid()), None).unwrap();
    thread::sleep(Duration::from_millis(20));
    stored(&mut httpd.client()); // a writer sees that the files are others
    stored(&mut httpd.client());
    assert!(httpd.dir().join("data.mdb").exists());
}

/// On a file system of 1 MB. Where mounting is refused this is reported as skipped.
#[test]
fn a_full_disk_is_told_the_old_record_survives_and_room_heals() {
    let setup = with("SessionMaxSize 64M").expect_log("No space left").expect_log("cannot");
    let Some(_disk) = SmallDisk::mount(&setup, "1m") else { return };
    let httpd = setup.start();
    let mut client = httpd.client();
    stored(&mut client);
    let children = httpd.children();
    let filler = httpd.dir().join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
    let big = "x".repeat(5000);
    for _ in 0..20 {
        let response = client.get(&format!("/capi?open=create&set_text=big:{big}&save"));
        assert_eq!((response.line("save"), response.set_cookies().len()), ("STORE", 0));
        is_stored(&mut client);
    }
    httpd.wait_for_log("No space left");
    fs::remove_file(&filler).unwrap();
    assert_eq!(client.get(&format!("/capi?open=create&set_text=big:{big}&save")).line("save"), "OK");
    is_stored(&mut client);
    assert_eq!(httpd.children(), children, "a child died");
}

#[test]
fn an_error_in_the_configuration_names_directive_value_and_remedy() {
    for (conf, parts) in [
        ("SessionStore dbm", &["SessionStore dbm", "add SessionDir"][..]),
        ("SessionStore tape", &["SessionStore", "knows file, dbm, memory", "tape"]),
        (
            "SessionDir @DIR@\nSessionStore dbm\n<Location /files>\nSessionStore file\nSessionIdCookie other\n</Location>",
            &["SessionDir", "two kinds of SessionStore", "a directory of its own"],
        ),
    ] {
        let (passed, text) = Httpd::configtest(conf);
        assert!(!passed && parts.iter().all(|part| text.contains(part)), "{conf}: {text}");
    }
    assert!(Httpd::configtest(CONF).0);
}

#[test]
fn a_directory_of_files_is_refused_at_the_start_and_left_as_it_is() {
    let mut httpd = Httpd::with(Mpm::Event).conf("SessionDir @DIR@").start();
    stored(&mut httpd.client());
    let before = fs::read_dir(httpd.dir()).unwrap().count();
    httpd.reconfigure(CONF);
    httpd.expect_log("another store");
    httpd.expect_log("cannot");
    httpd.graceful();
    let told = httpd.wait_for_log("it holds another store ('file store 1')");
    assert!(told.contains("give this store a directory of its own"), "{told}");
    assert_eq!(httpd.client().get("/capi?open=create&set_int=n:1&save").line("save"), "STORE");
    assert_eq!(fs::read_dir(httpd.dir()).unwrap().count(), before);
}
