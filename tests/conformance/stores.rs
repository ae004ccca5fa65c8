//! The faults of the ancestors that had to do with stores: what is on the disk, and what happens when the disk does not do as it should.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::{sessions, wait_for};
use crate::watch::{ms, pause, soon, timed};

cases![
    N7 Files the_record_of_an_expired_session_goes,
    N8 Files a_save_that_fails_is_told_and_the_old_record_survives,
    N9 Files a_truncated_or_garbled_record_is_no_session_and_no_crash,
    N18 Files a_cleaner_removes_what_expired_or_is_damaged_and_nothing_else,
    N19 Files a_store_that_was_unwritable_is_used_again_without_a_restart,
    N23 Files sessions_can_be_read_by_the_server_only,
];

fn the_record_of_an_expired_session_goes(subject: &Subject) {
    let server = subject.server("SessionTimeout 100\nSessionCleanupInterval 1");
    let (mut old, mut living) = (server.member(), server.member());
    let (old_file, id) = (server.file(&old.id()), old.id());
    server.age(1000);
    living.ask("set=begun:anew");
    assert_eq!(old.says("new&all"), "");
    wait_for("the record to go", || (!old_file.exists()).then_some(()));
    old.ask("set=m:2");
    assert!(old.id() != id && old.says("look&all") == "m=2");
    assert_eq!(living.value("begun"), "anew");
}

fn a_save_that_fails_is_told_and_the_old_record_survives(subject: &Subject) {
    let server = subject.server_that_logs("", &["cannot"]);
    let mut member = server.member();
    let file = server.file(&member.id());
    let set_mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    // In place, where the file cannot be written, and by a new file, where the directory cannot.
    for (path, words, mode) in [(&*file, "set=m:2&save", 0o600), (file.parent().unwrap(), "fill=big:9000&save", 0o700)] {
        set_mode(path, mode & 0o500);
        let response = member.ask(words);
        assert_eq!((response.status, response.line("save"), response.set_cookies().len()), (200, "!store", 0), "{words}");
        assert_eq!(member.says("look&all"), "n=1", "{words}");
        let unasked = member.ask(words.trim_end_matches("&save"));
        assert_eq!((unasked.status, unasked.set_cookies().len()), (200, 0));
        assert!(server.wait_for_log("cannot save a session").contains("ermission denied"));
        set_mode(path, mode);
        assert_eq!(member.says("look&all"), "n=1");
    }
    assert_eq!((member.says("set=m:2&save"), member.says("look&all")), ("ok".into(), "m=2 n=1".into()));
}

fn garbled(file: &Path) -> [(&'static str, Vec<u8>); 6] {
    let bytes = fs::read(file).unwrap();
    let half = bytes.len() / 2;
    [
        ("emptied", vec![]),
        ("cut in the middle", bytes[..half].to_vec()),
        ("cut by a byte", bytes[..bytes.len() - 1].to_vec()),
        ("garbage", b"garbage\n".repeat(300)),
        ("zeroed", vec![0; bytes.len()]),
        ("all but its header", [&bytes[..32], &vec![0xff; bytes.len() - 32]].concat()),
    ]
}

fn a_truncated_or_garbled_record_is_no_session_and_no_crash(subject: &Subject) {
    let server =
        subject.server_that_logs("<Location /keep>\nSetHandler conform\nSessionInvalidateCorrupt Off\n</Location>", &["is damaged"]);
    let children = server.children();
    for n in 0..6 {
        let mut member = server.member();
        let file = server.file(&member.id());
        let (how, bytes) = garbled(&file).into_iter().nth(n).unwrap();
        fs::write(&file, &bytes).unwrap();
        let mut keeping = server.visitor_of("/keep");
        let response = keeping.ask_with("get=n&set=m:1", &[("Cookie", &server.pair(&member.id()))]);
        if response.status == 200 {
            assert_eq!((response.line("get"), response.line("set"), response.set_cookies().len()), ("!corrupt", "!corrupt", 0), "{how}");
        }
        assert!(fs::read(&file).unwrap() == bytes, "{how}: it was to stay");
        let response = member.ask("new&all&set=m:2");
        assert_eq!((response.line("new"), response.line("all"), response.set_cookies().len()), ("1", "", 1), "{how}");
        assert_eq!(member.says("look&all"), "m=2", "{how}");
        assert!(!file.exists(), "{how}: every request would meet it");
    }
    assert_eq!(server.children(), children);
}

const LONG_AGO: Option<Duration> = Some(Duration::from_secs(3600));

fn cleaned(server: &Server) -> Vec<String> {
    server.log_lines_with("cleaned ")
}

fn a_cleaner_removes_what_expired_or_is_damaged_and_nothing_else(subject: &Subject) {
    let setup = subject.setup("SessionCleanupInterval 1").expect_log("left alone").expect_log("were put aside");
    let dir = setup.dir();
    sessions::put(&dir, 0..2000, |n| LONG_AGO.filter(|_| n % 10 > 0));
    let damaged = sessions::files(&dir).remove(0);
    fs::write(&damaged, "damage").unwrap();
    let foreign = ["11/thesis.txt", "22/notes", "33/.lock"].map(|name| dir.join(name));
    foreign.iter().for_each(|path| fs::write(path, "years of work").unwrap());
    let server = Subject::start(setup);
    let mut member = server.member();
    // A restart amid a pass: the next generation goes on.
    wait_for("a pass to begin", || (sessions::files(&dir).len() < 1900).then_some(()));
    server.graceful();
    let left = || sessions::files(&dir).into_iter().filter(|path| !foreign.contains(path)).count();
    let expected = |left: usize| left == 201 || left == 202; // the damaged one was alive or not, and is put aside; and our member's
    assert!(soon(Duration::from_secs(60), || expected(left())), "{} are left: {:#?}", left(), cleaned(&server));
    wait_for("a pass without work", || cleaned(&server).iter().any(|line| line.contains("deleted 0 of ")).then_some(()));
    assert!(expected(left()), "{}", left());
    assert!(damaged.with_extension("corrupt").exists() && foreign.iter().all(|path| fs::read(path).unwrap() == b"years of work"));
    assert_eq!(member.value("n"), "1");
    // One at a time: of passes at once, two would have told of the same second.
    let before = cleaned(&server).len();
    let ((), took) = timed(|| pause(2500));
    let passes = u128::try_from(cleaned(&server).len() - before).unwrap();
    assert!(passes <= took.as_millis() / 1000 + 2, "{passes} passes in {took:?}, one a second");
}

fn a_store_that_was_unwritable_is_used_again_without_a_restart(subject: &Subject) {
    let server = subject.server_that_logs("", &["cannot"]);
    let mut member = server.member();
    let away = server.root().join("away");
    for round in 0..2 {
        fs::rename(server.dir(), &away).unwrap();
        for words in ["look", "get=n", "set=m:1&save"] {
            let response = member.ask(words);
            assert_eq!((response.status, response.set_cookies().len()), (200, 0), "{words}: the cookie is left alone");
            assert!(response.text().contains("!store"), "{words}: {}", response.text());
        }
        let response = server.visitor().ask("set=n:1&save");
        assert_eq!((response.line("save"), response.set_cookies().len()), ("!store", 0), "no cookie without a record");
        fs::rename(&away, server.dir()).unwrap();
        assert_eq!(member.says("add=n:1"), (2 + round).to_string());
        assert_eq!(server.member().value("n"), "1");
    }
    let readable = fs::metadata(server.dir()).unwrap().permissions();
    fs::set_permissions(server.dir(), PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(member.says("look"), "!store");
    fs::set_permissions(server.dir(), readable).unwrap();
    assert!(soon(ms(2000), || member.value("n") == "3"));
}

fn sessions_can_be_read_by_the_server_only(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    member.ask("fill=big:9000");
    member.ask("fill=big:20");
    server.member();
    let owner = fs::metadata(server.dir()).unwrap().uid();
    let mut seen = 0;
    let mut look = |path: &Path, mode: u32| {
        let meta = fs::symlink_metadata(path).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (mode, owner), "{}", path.display());
        seen += 1;
    };
    look(&server.dir(), 0o700);
    for entry in fs::read_dir(server.dir()).unwrap().map(|entry| entry.unwrap().path()) {
        look(&entry, if entry.is_dir() { 0o700 } else { 0o600 });
    }
    server.files().iter().for_each(|file| look(file, 0o600));
    assert!(seen >= 5, "the directory, its marker, sub-directories and files");
    let key = server.key(&member.id()).hex();
    assert!(!server.files().iter().any(|file| file.to_string_lossy().contains(&member.id())), "no file is called by an id");
    assert!(server.file(&member.id()).ends_with(key));
}
