//! Sealed values, and what can be read of those that were not.

use super::*;

#[test]
fn sealed_values_move_and_merge_and_no_file_shows_them() {
    let mut ground = ground();
    ground.terms.sealed = true;
    let mut session = ground.sessions().blank(NOW);
    session.set("secret", Value::Text("the plain text".into())).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    let mut slow = ground.open(&session, NOW);
    ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
    slow.set("more", Value::Int(2)).unwrap();
    ground.sessions().save(&mut slow, NOW).unwrap();
    let found = ground.open(&session, NOW);
    assert_eq!((found.values().get("secret"), value(&found, "more")), (Some(&Value::Text("the plain text".into())), 2));
    for stored in ground.records() {
        assert!(!String::from_utf8_lossy(&stored.encode()).contains("plain"), "{stored:?}");
    }
}

#[test]
fn sealing_may_be_switched_on_and_off_while_sessions_live() {
    let mut ground = ground();
    let mut session = ground.begin();
    for sealed in [true, false, true] {
        ground.terms.sealed = sealed;
        session = ground.open(&session, NOW);
        session.add("n", 1).unwrap();
        ground.sessions().save(&mut session, NOW).unwrap();
        assert!(ground.records().iter().all(|stored| matches!(stored, Stored::Session(r) if r.clone().plain().is_none() == sealed)));
    }
    assert_eq!(value(&session, "n"), 4);
}

#[test]
fn a_broken_seal_is_put_aside_once() {
    let mut ground = ground();
    ground.terms.sealed = true;
    let session = ground.begin();
    let (id, key) = (session.id().unwrap(), session.key().unwrap());
    let Ok(Lookup::Live(_)) = ground.sessions().find(id, NOW) else { panic!("whole") };
    ground.sessions().quarantine(id, key).unwrap();
    assert_eq!(ground.live(), 1, "what is whole stays");
    let mut change = |found: Option<&Blob>| {
        let Ok(Stored::Session(mut record)) = Stored::decode(&found.unwrap().bytes) else { panic!("a session") };
        record.incarnation ^= 1;
        Change::Write(Blob::new(found.unwrap().expires, Stored::Session(record).encode()))
    };
    ground.store.update(key, Durability::Process, &mut change).unwrap();
    let Ok(Lookup::Damaged(damage)) = ground.sessions().find(id, NOW) else { panic!("damaged") };
    ground.sessions().quarantine(&damage.id, &damage.key).unwrap();
    assert!(matches!(ground.sessions().find(id, NOW), Ok(Lookup::Nothing)));
}

#[test]
fn what_was_stored_before_a_move_or_before_sealing_cannot_be_read_from_the_file() {
    let mut ground = ground();
    let mut session = ground.sessions().blank(NOW);
    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    session.set("n", Value::Int(1)).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    let shows = |ground: &Ground| {
        let subs = std::fs::read_dir(ground.store.directory()).unwrap().flatten().filter(|sub| sub.path().is_dir());
        let files = subs.flat_map(|sub| std::fs::read_dir(sub.path()).unwrap().flatten());
        files.map(|file| std::fs::read(file.path()).unwrap()).any(|bytes| bytes.windows(10).any(|part| part == b"plainplain"))
    };
    assert!(shows(&ground));
    ground.terms.sealed = true;
    session.add("n", 1).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    assert!(!shows(&ground), "sealed");

    ground.terms.sealed = false;
    let mut session = ground.sessions().blank(NOW);
    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    session.set("n", Value::Int(1)).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    session.unset("k").unwrap();
    ground.sessions().regenerate(&mut session, Move::Superseded, NOW).unwrap();
    assert!(!shows(&ground), "moved");

    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    for _ in 0..2 {
        session.unset("k").unwrap();
        session.add("n", 1).unwrap();
        ground.sessions().save(&mut session, NOW).unwrap();
    }
    assert!(!shows(&ground), "removed, and written twice");
}
