//! Records that are not what was written.

use std::fs;

use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Change, Durability, Outcome, Store};

use crate::runner::cases;
use crate::subject::{Server, Subject};

cases![
    D4 Files a_damaged_record_costs_its_one_session_and_one_line,
    D5 Files what_a_newer_version_wrote_counts_as_absent_and_stays,
    D6 Files a_record_that_holds_another_session_is_damage,
];

/// The session is none any more, its client gets another, and the record was put aside and told of once.
fn is_put_aside(server: &Server, id: &str, told_before: usize, how: &str) {
    for _ in 0..2 {
        let response = server.with_id(id, "new&invalidated&all");
        let facts = ["new", "invalidated", "all"].map(|word| response.line(word));
        assert_eq!((response.status, facts), (200, ["1", "1", ""]), "{how}");
    }
    assert!(!server.file(id).exists() && server.file(id).with_extension("corrupt").exists(), "{how}: it was not put aside");
    assert_eq!(server.log_lines_with("is damaged").len(), told_before + 1, "{how}: one line");
}

fn a_damaged_record_costs_its_one_session_and_one_line(subject: &Subject) {
    let server = subject.server_that_logs("", &["is damaged"]);
    let children = server.children();
    let mut other = server.member();
    // Of the header, of the heads and of what the slots hold; a client has come back, so that both slots are written.
    for (n, at) in [0, 13, 20, 30, 33, 40, 50, 56, 64, 70].into_iter().enumerate() {
        let mut member = server.member();
        member.ask("set=secret:s");
        let (id, file) = (member.id(), server.file(&member.id()));
        let mut bytes = fs::read(&file).unwrap();
        let slot = (bytes.len() - 32) / 2;
        bytes[at] ^= 4;
        if at >= 32 {
            bytes[at + slot] ^= 4;
        }
        fs::write(&file, bytes).unwrap();
        is_put_aside(&server, &id, n, &format!("a bit of byte {at}"));
        assert_eq!(member.says("set=m:2&all"), "m=2");
    }
    assert_eq!(other.value("n"), "1");
    assert_eq!(server.children(), children, "a child died");
}

type Rewrite = fn(&FileStore, &Server, &str);

fn what_a_newer_version_wrote_counts_as_absent_and_stays(subject: &Subject) {
    let server = subject.server("");
    let store = FileStore::new(server.dir());
    let newer: [(&str, Rewrite); 2] = [
        ("record", |store, server, id| {
            let mut write = |found: Option<&Blob>| Change::Write(Blob::new(found.unwrap().expires, vec![99, 0xc0]));
            assert_eq!(store.update(&server.key(id), Durability::Process, &mut write).unwrap(), Outcome::Written);
        }),
        ("file", |_, server, id| {
            let mut bytes = fs::read(server.file(id)).unwrap();
            bytes[8] = 99;
            fs::write(server.file(id), bytes).unwrap();
        }),
    ];
    for (what, make_newer) in newer {
        let mut member = server.member();
        let id = member.id();
        make_newer(&store, &server, &id);
        let before = fs::read(server.file(&id)).unwrap();
        let response = member.ask("new&invalidated&all&set=m:2");
        assert_eq!(["new", "invalidated", "all"].map(|word| response.line(word)), ["1", "1", ""], "{what}");
        assert_ne!(member.id(), id);
        assert!(!server.knows(&id));
        assert!(fs::read(server.file(&id)).unwrap() == before, "{what}: it was touched");
    }
}

fn a_record_that_holds_another_session_is_damage(subject: &Subject) {
    let server = subject.server_that_logs("", &["is damaged"]);
    let (mut one, mut other) = (server.member(), server.member());
    one.ask("set=secret:s");
    fs::write(server.file(&other.id()), fs::read(server.file(&one.id())).unwrap()).unwrap();
    assert_eq!(other.value("secret"), "-", "a session shows what belongs to another");
    is_put_aside(&server, &other.id(), 0, "a copy");
    assert_eq!(one.value("secret"), "s");
}
