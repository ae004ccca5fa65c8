//! Files that are not what was written, or not all of it.

use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn damage_is_reported_and_put_aside_once() {
    let (_place, store) = store();
    let path = store.path(&KEY);
    for damage in [&[][..], b"x", &[0; 4096], &[0xff; 9000]] {
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        std::fs::write(&path, damage).unwrap();
        assert!(matches!(store.load(&KEY), Err(Error::Corrupt(_))));
        assert!(matches!(write(&store, b"y"), Err(Error::Corrupt(_))));
        store.quarantine(&KEY, &|_| false).unwrap();
        assert_eq!(store.load(&KEY).unwrap(), None);
        assert!(sweep::corrupt_name(&path).exists());
    }
}

#[test]
fn a_file_of_a_newer_version_counts_as_absent_and_stays() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] += 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    assert_eq!(write(&store, b"y").unwrap(), Outcome::Kept);
    store.quarantine(&KEY, &|_| true).unwrap();
    assert!(store.sweep(Timestamp::NEVER, Duration::from_secs(9), Cursor::default(), &mut |_, _| {}).is_ok());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn what_its_reader_calls_damaged_is_put_aside_too() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"nonsense"), Durability::Process).unwrap();
    store.quarantine(&KEY, &|blob| *blob.bytes == *b"nonsense").unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
}

#[test]
fn a_truncated_file_is_damage_wherever_it_is_cut() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
    write(&store, b"second").unwrap();
    let path = store.path(&KEY);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(store.load(&KEY), Err(Error::Corrupt(_))), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_writer_that_died_half_way_leaves_the_acknowledged_state() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
    write(&store, b"second").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(store.path(&KEY)).unwrap();
    file.write_all_at(&[0xee; 40], 32).unwrap(); // the slot of "first", half overwritten
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(b"second")));
    write(&store, b"third").unwrap();
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(b"third")));
}

#[test]
fn what_was_loaded_is_not_taken_for_the_newest_where_a_writer_died_within_its_number() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
    let loaded = store.load(&KEY).unwrap().unwrap();
    write(&store, b"second").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(store.path(&KEY)).unwrap();
    file.write_all_at(&3u64.to_le_bytes(), 32).unwrap(); // of the slot of "first", as the next update begins
    assert_eq!(shown(&store, &loaded), blob(b"second"));
}

#[test]
fn a_file_under_another_name_is_damage() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let other = Key([0x5b; 32]);
    store.create(&other, &blob(b"y"), Durability::Process).unwrap();
    std::fs::copy(store.path(&KEY), store.path(&other)).unwrap();
    assert!(matches!(store.load(&other), Err(Error::Corrupt(_))));
}

/// Two who meet the same damage: the second waits for the lock of the first.
#[test]
fn what_came_in_the_place_of_a_damaged_file_is_not_put_aside_with_it() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"damaged"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let first = RecordFile::open(&path, KEY, Access::Write).unwrap();
    first.lock().unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| store.quarantine(&KEY, &|_| true));
        std::thread::sleep(Duration::from_millis(200));
        first.put_aside(&sweep::corrupt_name(&path)).unwrap();
        store.create(&KEY, &blob(b"new"), Durability::Process).unwrap();
        drop(first);
        second.join().unwrap().unwrap();
    });
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(b"new")));
}
