mod together;
mod world;

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const KEY: Key = Key([0x5a; 32]);
const NOW: Durability = Durability::Process;

fn store() -> (tempfile::TempDir, DbmStore) {
    let place = tempfile::tempdir().unwrap();
    crate::store::directory::make(&place.path().join("sessions"), None).unwrap();
    let store = DbmStore::new(place.path().join("sessions"));
    (place, store)
}

fn key(n: u32) -> Key {
    let mut key = KEY;
    key.0[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
    key
}

fn blob(expires: u64, bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(expires), bytes.to_vec())
}

fn write(store: &DbmStore, key: &Key, new: &Blob) -> Result<Outcome> {
    store.update(key, NOW, &mut |_| Change::Write(new.clone()))
}

fn sweep(store: &DbmStore, before: u64) -> Sweep {
    let mut pass = Sweep { next: Some(Cursor::default()), ..Sweep::default() };
    while let Some(from) = pass.next.take() {
        pass.add(store.sweep(Timestamp(before), Duration::from_millis(50), from, &mut |_, _| {}).unwrap());
    }
    pass
}

/// Changes a byte of a record behind the store's back.
fn damage(store: &DbmStore, key: &Key, at: usize) {
    let change = |tables: Tables, writer: &mut RwTxn<'_>| {
        let mut record = tables.records.get(writer, &key.0)?.expect("a record").to_vec();
        record[at] ^= 1;
        tables.records.put(writer, &key.0, &record)?;
        Ok(Verdict::Commit(()))
    };
    store.write(NOW, change).unwrap();
}

#[test]
fn it_keeps_the_promises_of_a_store() {
    let (_place, store) = store();
    crate::store::conformance::run(&store);
    assert_eq!(store.survey().unwrap(), Survey::default());
}

#[test]
fn files_are_private_and_no_others_than_named() {
    let (_place, store) = store();
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&store.dir).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    let mut known = FILES.map(String::from);
    known.sort();
    assert_eq!(names.iter().map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>(), known);
    for entry in names {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{entry:?}");
    }
}

#[test]
fn a_large_map_takes_no_room_on_the_disk() {
    use std::os::unix::fs::MetadataExt;
    let (_place, store) = store();
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    let blocks: u64 = FILES.iter().map(|name| std::fs::metadata(store.dir.join(name)).unwrap().blocks()).sum();
    assert!(blocks * 512 < 200_000, "{blocks} blocks");
}

#[test]
fn two_stores_of_one_directory_share_its_environment_also_by_another_name() {
    let (place, store) = store();
    symlink(place.path(), place.path().join("link")).unwrap();
    let other = DbmStore::new(place.path().join("link/sessions"));
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    assert_eq!(other.load(&KEY).unwrap(), Some(blob(1, b"x")));
    drop(store);
    assert_eq!(write(&other, &KEY, &blob(2, b"y")).unwrap(), Outcome::Written);
}

#[test]
fn a_record_has_one_row_which_never_comes_too_late() {
    let (_place, store) = store();
    let row = || {
        assert_eq!(store.survey().unwrap(), Survey::default());
        let rows = |tables: Tables, snapshot: &heed::RoTxn<'_>| {
            assert_eq!(tables.expiry.len(snapshot)?, 1);
            Ok(format::read_row(tables.expiry.first(snapshot)?.unwrap().0).unwrap().0.0)
        };
        store.environment().unwrap().read(rows).unwrap()
    };
    store.create(&KEY, &blob(5, b"x"), NOW).unwrap();
    for (expires, at) in [(5, 5), (9, 5), (7, 5), (3, 3), (4, 3)] {
        write(&store, &KEY, &blob(expires, b"y")).unwrap();
        assert_eq!(row(), at, "an expiry at {expires}");
    }
    // The row comes first, and is moved by who comes to it.
    assert_eq!((sweep(&store, 4).deleted, row()), (0, 4));
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(4, b"y")));
    let swept = sweep(&store, 5);
    assert_eq!((swept.deleted, swept.seen), (1, 1));
    assert_eq!(store.survey().unwrap(), Survey::default());
}

#[test]
fn damage_is_reported_record_by_record_and_put_aside_once() {
    let (_place, store) = store();
    for at in [0, 8, 15, 16, 23, 24, 28] {
        for n in 0..3 {
            store.create(&key(n), &blob(9, b"value"), NOW).unwrap();
        }
        damage(&store, &key(1), at);
        assert!(matches!(store.load(&key(1)), Err(Error::Corrupt(path)) if path.to_string_lossy().contains(&key(1).hex())));
        assert!(matches!(write(&store, &key(1), &blob(9, b"y")), Err(Error::Corrupt(_))));
        let mut corrupt = 0;
        store
            .each(&mut |_, entry| {
                corrupt += u32::from(matches!(entry, Entry::Corrupt));
                true
            })
            .unwrap();
        assert_eq!(corrupt, 1);
        store.quarantine(&key(1), &|_| false).unwrap();
        assert_eq!(store.load(&key(1)).unwrap(), None);
        let aside = store.survey().unwrap().put_aside;
        assert!(aside.len() == 1 && aside[0].0 == key(1), "{aside:?}");
        for n in [0, 2] {
            assert_eq!(store.load(&key(n)).unwrap(), Some(blob(9, b"value")));
            store.update(&key(n), NOW, &mut |_| Change::Delete).unwrap();
        }
        assert_eq!(sweep(&store, 10).corrupt, 0, "it was put aside already");
        let left = store.survey().unwrap();
        assert_eq!((left.adrift, left.unindexed), (0, vec![]));
    }
}

#[test]
fn what_its_reader_calls_damaged_is_put_aside_and_what_is_whole_stays() {
    let (_place, store) = store();
    store.create(&KEY, &blob(9, b"nonsense"), NOW).unwrap();
    store.quarantine(&KEY, &|_| false).unwrap();
    assert!(store.load(&KEY).unwrap().is_some());
    store.quarantine(&KEY, &|blob| *blob.bytes == *b"nonsense").unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    assert_eq!(store.survey().unwrap().adrift, 0);
}

#[test]
fn what_was_put_aside_is_kept_for_a_week() {
    let (_place, store) = store();
    for n in 0..2 {
        store.create(&key(n), &blob(9, b"x"), NOW).unwrap();
        store.quarantine(&key(n), &|_| true).unwrap();
    }
    let week = 7 * 24 * 3600 * 1_000_000;
    let age = |tables: Tables, writer: &mut RwTxn<'_>| {
        let kept = tables.aside.get(writer, &key(1).0)?.unwrap().to_vec();
        let then = u64::from_be_bytes(kept[..8].try_into().unwrap()) - week - 1;
        tables.aside.put(writer, &key(1).0, &[&then.to_be_bytes(), &kept[8..]].concat())?;
        Ok(Verdict::Commit(()))
    };
    store.write(NOW, age).unwrap();
    sweep(&store, 0);
    assert_eq!(store.survey().unwrap().put_aside.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key(0)]);
}

#[test]
fn a_sweep_mends_an_index_that_disagrees() {
    let (_place, store) = store();
    store.create(&KEY, &blob(50, b"x"), NOW).unwrap();
    let disturb = |tables: Tables, writer: &mut RwTxn<'_>| {
        tables.expiry.put(writer, &format::row(Timestamp(3), &KEY), &[])?;
        tables.expiry.put(writer, &format::row(Timestamp(4), &key(1)), &[])?;
        tables.expiry.put(writer, b"no row", &[])?;
        tables.expiry.delete(writer, &format::row(Timestamp(50), &KEY))?;
        Ok(Verdict::Commit(()))
    };
    store.write(NOW, disturb).unwrap();
    let found = store.survey().unwrap();
    assert_eq!((found.adrift, found.unindexed), (3, vec![KEY]));
    assert_eq!((sweep(&store, 9).deleted, store.load(&KEY).unwrap()), (0, Some(blob(50, b"x"))));
    let found = store.survey().unwrap();
    assert_eq!((found.adrift, found.unindexed), (1, vec![]), "what sorts behind all times stays");
    assert_eq!(sweep(&store, 51).deleted, 1);
}

#[test]
fn a_sweep_obeys_its_time_and_tells_each_deleted_after_it_is_gone() {
    let (_place, store) = store();
    for n in 0..3000 {
        store.create(&key(n), &blob(u64::from(n), &n.to_le_bytes()), NOW).unwrap();
    }
    std::fs::write(store.dir.join("thesis.txt"), "x").unwrap();
    let (mut pass, mut told, mut slices) = (Sweep { next: Some(Cursor::default()), ..Sweep::default() }, Vec::new(), 0);
    while let Some(from) = pass.next.take() {
        let slice = Duration::from_micros(100);
        // What is told may look into the store, and change it.
        let mut deleted = |key: &Key, blob: &Blob| {
            assert!(!store.create(&KEY, &Blob::new(Timestamp(u64::MAX), vec![]), NOW).unwrap() || told.is_empty());
            assert_eq!(store.load(key).unwrap(), None);
            told.push(blob.expires.0);
        };
        pass.add(store.sweep(Timestamp(2900), slice, from, &mut deleted).unwrap());
        slices += 1;
    }
    assert_eq!(told, (0..2900).collect::<Vec<_>>(), "the oldest first");
    assert_eq!((pass.deleted, pass.seen, pass.failed), (2900, 3001, 0));
    assert!(slices > 5, "{slices} slices");
    assert!(pass.foreign.unwrap().ends_with("thesis.txt"));
}

#[test]
fn a_panic_while_it_changes_a_record_changes_nothing_and_blocks_nobody() {
    let (_place, store) = store();
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    let panics = std::panic::AssertUnwindSafe(|| store.update(&KEY, NOW, &mut |_| panic!("on purpose")));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(1, b"x")));
    assert_eq!(write(&store, &KEY, &blob(2, b"y")).unwrap(), Outcome::Written);
}

#[test]
fn who_only_looks_changes_nothing() {
    let (place, store) = store();
    let reader = || DbmStore::new(place.path().join("sessions")).read_only();
    // Also where who was to make it died before.
    crate::store::directory::claim(&store.dir, crate::store::directory::Kind::Dbm).unwrap();
    assert_eq!(reader().load(&KEY).unwrap(), None);
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    drop(store);
    assert_eq!(reader().load(&KEY).unwrap(), Some(blob(1, b"x")));
    assert!(write(&reader(), &KEY, &blob(2, b"y")).is_err());
    assert_eq!(reader().load(&KEY).unwrap(), Some(blob(1, b"x")));
}

#[test]
fn a_change_waits_for_the_disk_if_it_or_all_are_to() {
    for synced in [false, true] {
        let (_place, store) = store();
        let store = store.synced(synced);
        let waits = || !store.environment().unwrap().flags().unwrap().contains(heed::EnvFlags::NO_SYNC);
        store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
        assert_eq!(waits(), synced);
        store.update(&KEY, Durability::Machine, &mut |_| Change::Write(blob(2, b"y"))).unwrap();
        assert!(waits());
        store.quarantine(&KEY, &|_| false).unwrap();
        assert_eq!(waits(), synced);
        store.update(&KEY, Durability::Machine, &mut |_| Change::Keep).unwrap();
        sweep(&store, 9);
        assert_eq!(waits(), synced, "a sweep waits as all do");
    }
}
