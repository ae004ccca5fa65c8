//! The store on a table in memory, whose answers get lost and whose statements fail when a test asks for it.

mod memory;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use memory::{Fault, Memory};

const KEY: Key = Key([0x5a; 32]);

fn store() -> (Arc<Memory>, DbdStore<Arc<Memory>>) {
    let memory = Arc::new(Memory::default());
    (Arc::clone(&memory), DbdStore::new(memory, Table::default()))
}

fn blob(bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(9), bytes.to_vec())
}

fn create(store: &dyn Store, bytes: &[u8]) -> Result<bool> {
    store.create(&KEY, &blob(bytes), Durability::Process)
}

/// Adds one to the only byte; how often it was asked to.
fn add(store: &dyn Store) -> (Result<Outcome>, usize) {
    add_to(store, None)
}

fn add_to(store: &dyn Store, loaded: Option<&Blob>) -> (Result<Outcome>, usize) {
    let mut asked = 0;
    let add = &mut |found: Option<&Blob>| {
        asked += 1;
        found.map_or(Change::Keep, |found| Change::Write(blob(&[found.bytes[0] + 1])))
    };
    let outcome = store.update_from(&KEY, loaded, Durability::Process, add);
    (outcome, asked)
}

fn bytes(store: &dyn Store) -> Option<Vec<u8>> {
    store.load(&KEY).unwrap().map(|blob| blob.bytes.to_vec())
}

#[test]
fn it_keeps_the_promises_of_a_store_on_a_table_in_memory() {
    let (memory, store) = store();
    crate::store::conformance::run(&store);
    assert!(memory.late.lock().unwrap().is_none());
}

#[test]
fn a_change_whose_answer_is_lost_is_done_once() {
    for fault in [Fault::Lost, Fault::Refused, Fault::Late] {
        let (memory, store) = store();
        memory.will(&[fault]);
        assert!(create(&store, &[0]).unwrap(), "{fault:?}");
        assert_eq!(bytes(&store), Some(vec![0]));
        for n in 1..4u8 {
            memory.rows.lock().unwrap().values_mut().for_each(|row| assert!(row.0 > 0));
            memory.will(&[]);
            let before = memory.asked.load(Ordering::Relaxed);
            // The first statement of an update reads.
            let (outcome, asked) = {
                let memory = Arc::clone(&memory);
                let mut first = true;
                let mut asked = 0;
                let outcome = store.update(&KEY, Durability::Process, &mut |found| {
                    asked += 1;
                    if std::mem::take(&mut first) {
                        memory.will(&[fault]);
                    }
                    Change::Write(blob(&[found.unwrap().bytes[0] + 1]))
                });
                (outcome, asked)
            };
            assert_eq!((outcome.unwrap(), asked, bytes(&store)), (Outcome::Written, 1, Some(vec![n])), "{fault:?}");
            assert!(memory.asked.load(Ordering::Relaxed) - before > 2, "{fault:?}: nothing failed");
        }
        let delete = &mut |_: Option<&Blob>| {
            memory.will(&[fault]);
            Change::Delete
        };
        assert_eq!(store.update(&KEY, Durability::Process, delete).unwrap(), Outcome::Deleted, "{fault:?}");
        assert_eq!(bytes(&store), None);
    }
}

#[test]
fn a_change_of_which_nobody_can_tell_is_an_error_and_not_done_twice() {
    let (memory, store) = store();
    create(&store, &[1]).unwrap();
    let outcome = store.update(&KEY, Durability::Process, &mut |found| {
        memory.will(&[Fault::Overwritten]);
        Change::Write(blob(&[found.unwrap().bytes[0] + 1]))
    });
    assert!(outcome.unwrap_err().to_string().contains("answer to a change was lost"));
    assert_eq!(bytes(&store), Some(vec![2]));
}

#[test]
fn a_row_made_anew_is_not_taken_for_the_old_one() {
    let (_memory, store) = store();
    create(&store, b"old").unwrap();
    let mut shown = Vec::new();
    let outcome = store.update(&KEY, Durability::Process, &mut |found| {
        shown.push(found.unwrap().bytes.clone());
        if shown.len() == 1 {
            assert_eq!(store.update(&KEY, Durability::Process, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
            assert!(create(&store, b"new").unwrap());
            return Change::Write(blob(b"old and more"));
        }
        Change::Keep
    });
    assert_eq!((outcome.unwrap(), shown), (Outcome::Kept, vec![b"old".to_vec().into(), b"new".to_vec().into()]));
    assert_eq!(bytes(&store), Some(b"new".to_vec()));
}

#[test]
fn a_database_that_fails_is_an_error_and_never_absence() {
    let (memory, store) = store();
    create(&store, &[1]).unwrap();
    for (faults, says) in [
        (vec![Fault::Away], "no connection to the database: nobody listens"),
        (vec![Fault::Refused; 5], "the connection broke"),
        (vec![Fault::Unprepared; 5], "htsession init-sql"),
    ] {
        memory.will(&faults);
        let why = store.load(&KEY).unwrap_err().to_string();
        assert!(why.contains("SessionStore dbd") && why.contains(says), "{why}");
        memory.will(&faults);
        assert!(add(&store).0.is_err());
        memory.will(&faults);
        assert!(create(&store, &[2]).is_err());
        memory.will(&[]);
        assert_eq!(bytes(&store), Some(vec![1]));
    }
    memory.will(&[Fault::Refused; 4]);
    assert_eq!(bytes(&store), Some(vec![1]), "a failure that passes is not told");
}

#[test]
fn a_damaged_record_is_put_aside_and_forgotten_in_the_end() {
    let (memory, store) = store();
    for _ in 0..2 {
        create(&store, b"damage").unwrap();
        store.quarantine(&KEY, &|_| false).unwrap();
        assert!(bytes(&store).is_some());
        store.quarantine(&KEY, &|blob| *blob.bytes == *b"damage").unwrap();
        assert_eq!(bytes(&store), None);
    }
    let aside = format!("{}.corrupt", KEY.hex());
    let expires = memory.rows.lock().unwrap()[&aside].1;
    let mut seen = 0;
    store
        .each(&mut |_, _| {
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, 0, "it is no session");
    let sweep = |before: i64| {
        let done = store.sweep(from_column(before), Duration::from_secs(1), Cursor::default(), &mut |_, _| panic!("no session")).unwrap();
        (done.seen, done.deleted, done.next)
    };
    assert_eq!((sweep(expires), memory.rows.lock().unwrap().len()), ((0, 0, None), 1));
    let week = SystemTime::UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(7 * 24 * 3600);
    assert!((week.as_micros() as i64 - expires).abs() < 60_000_000);
    assert_eq!((sweep(expires + 1), memory.rows.lock().unwrap().len()), ((0, 0, None), 0));
}

#[test]
fn a_sweep_tells_of_what_it_deleted_itself() {
    let (memory, store) = store();
    let keys: Vec<_> = (0..40u8).map(|n| Key([n; 32])).collect();
    keys.iter().for_each(|key| assert!(store.create(key, &blob(b"x"), Durability::Process).unwrap()));
    memory.rows.lock().unwrap().insert("somebody else".into(), (1, 1, Vec::new()));
    // The answers to all deletions are lost: queries come between.
    let mut told = Vec::new();
    let mut cursor = Some(Cursor::default());
    let mut total = Sweep::default();
    while let Some(from) = cursor {
        let slice = store.sweep(Timestamp(10), Duration::ZERO, from, &mut |key, _| told.push(*key)).unwrap();
        cursor = slice.next.clone();
        total.add(slice);
    }
    assert_eq!(told, keys);
    assert_eq!((total.seen, total.deleted), (40, 40));
    assert!(total.foreign.unwrap().to_string_lossy().contains("somebody"), "named, and left alone");
    assert_eq!(memory.rows.lock().unwrap().len(), 1);
}

/// Another process changes or ends it after this one has loaded it.
#[test]
fn what_was_loaded_is_changed_without_another_look_unless_it_has_changed() {
    let (memory, ours) = store();
    let theirs = DbdStore::new(Arc::clone(&memory), Table::default());
    create(&ours, &[1]).unwrap();
    let asked = || memory.asked.swap(0, Ordering::Relaxed);
    let load = || ours.load(&KEY).unwrap();
    let loaded = load();
    asked();
    assert_eq!((add_to(&ours, loaded.as_ref()).0.unwrap(), asked()), (Outcome::Written, 1));
    let loaded = load();
    assert_eq!(bytes(&ours), Some(vec![2]));
    add(&theirs).0.unwrap();
    let (outcome, times) = add_to(&ours, loaded.as_ref());
    assert_eq!((outcome.unwrap(), times, bytes(&ours)), (Outcome::Written, 2, Some(vec![4])));
    // To keep it is the answer to the newest only.
    let loaded = load().unwrap();
    add(&theirs).0.unwrap();
    let mut seen = Vec::new();
    let keep = &mut |found: Option<&Blob>| {
        seen.push(found.unwrap().bytes[0]);
        Change::Keep
    };
    assert_eq!(ours.update_from(&KEY, Some(&loaded), Durability::Process, keep).unwrap(), Outcome::Kept);
    assert_eq!(seen, [4, 5]);
    let loaded = load();
    assert_eq!(bytes(&ours), Some(vec![5]));
    assert_eq!(theirs.update(&KEY, Durability::Process, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
    assert_eq!(add_to(&ours, loaded.as_ref()).0.unwrap(), Outcome::Kept, "nothing is revived");
    assert_eq!(bytes(&ours), None);
}

/// Servers that share a database each clean it; of each session one of them tells.
#[test]
fn a_sweep_does_not_tell_of_what_another_deleted() {
    let (memory, store) = store();
    let keys: Vec<_> = (0..10u8).map(|n| Key([n; 32])).collect();
    let sweep = |faults: &[Fault]| {
        keys.iter().for_each(|key| assert!(store.create(key, &blob(b"x"), Durability::Process).unwrap()));
        memory.will(faults);
        let mut told = 0;
        let slice = store.sweep(Timestamp(10), Duration::from_secs(9), Cursor::default(), &mut |_, _| told += 1).unwrap();
        assert!(memory.rows.lock().unwrap().is_empty());
        (slice.deleted, told)
    };
    assert_eq!(sweep(&[]), (10, 10));
    assert_eq!(sweep(&[Fault::Forestalled]), (0, 0));
}

#[test]
fn what_is_damaged_is_kept_when_another_process_has_just_put_it_aside_and_takes_the_place_of_an_older_one() {
    let (memory, store) = store();
    let aside = format!("{}{CORRUPT_SUFFIX}", KEY.hex());
    let kept = || memory.rows.lock().unwrap().get(&aside).map(|row| row.2.clone());
    assert!(create(&store, b"first").unwrap());
    let by_another_process = |_: &Blob| {
        let mut rows = memory.rows.lock().unwrap();
        if let Some(row) = rows.remove(&KEY.hex()) {
            rows.insert(aside.clone(), row);
        }
        true
    };
    store.quarantine(&KEY, &by_another_process).unwrap();
    assert_eq!(kept().as_deref(), Some(b"first".as_slice()));
    assert!(create(&store, b"second").unwrap());
    store.quarantine(&KEY, &|_| true).unwrap();
    assert_eq!((kept().as_deref(), bytes(&store)), (Some(b"second".as_slice()), None));
}
