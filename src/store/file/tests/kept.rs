//! Session files that stay open from a load to the change behind it.

use super::open_files::open_below;
use super::*;

#[test]
fn what_is_loaded_to_change_stays_open_for_that_and_no_longer() {
    let (place, store) = store();
    let dir = place.path().canonicalize().unwrap();
    let large = |byte| blob(&[byte; 7000]); // a small one stays open in any case
    store.create(&KEY, &large(b'x'), Durability::Process).unwrap();
    let (looked, loaded) = (store.load(&KEY).unwrap().unwrap(), store.load_to_change(&KEY).unwrap().unwrap());
    assert_eq!((looked.kept.is_some(), loaded.kept.is_some(), open_below(&dir)), (false, true, 1));
    // It is not opened again, for its directory is somewhere else.
    let (sub, away) = (parent(&store.path(&KEY)).to_owned(), place.path().join("away"));
    std::fs::rename(&sub, &away).unwrap();
    let update = |loaded: &Blob| store.update_from(&KEY, Some(loaded), Durability::Process, &mut |_| Change::Write(large(b'y')));
    assert_eq!(update(&looked).unwrap(), Outcome::Kept);
    assert_eq!(update(&loaded).unwrap(), Outcome::Written);
    std::fs::rename(&away, &sub).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), Some(large(b'y')));
    // Others have their turn meanwhile.
    assert_eq!(write(&store, &[b'z'; 7000]).unwrap(), Outcome::Written);
    drop(loaded);
    assert_eq!(open_below(&dir), 0);
    assert!(store.load_to_change(&Key([1; 32])).unwrap().is_none());
    assert_eq!(open_below(&dir), 0);
}

/// The renamed file is linked still.
#[test]
fn a_change_does_not_go_into_a_file_that_was_put_aside_since_it_was_loaded() {
    for bytes in [&b"y"[..], &[7; 9000]] {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let loaded = store.load_to_change(&KEY).unwrap().unwrap();
        store.quarantine(&KEY, &|_| true).unwrap();
        let mut shown = false;
        let done = store.update_from(&KEY, Some(&loaded), Durability::Process, &mut |newest| {
            shown |= newest.is_some();
            Change::Write(blob(bytes))
        });
        assert_eq!((done.unwrap(), shown), (Outcome::Kept, false));
        assert_eq!(store.load(&KEY).unwrap(), None);
    }
}

/// A process that was forked has the file open too.
#[test]
fn a_lock_ends_with_the_operation_also_where_the_file_stays_open_elsewhere() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    for lock in [RecordFile::lock, RecordFile::lock_shared, |file: &RecordFile<'_>| file.try_lock().map(|had| assert!(had))] {
        let file = RecordFile::open(&path, KEY, Access::Write).unwrap();
        lock(&file).unwrap();
        let _elsewhere = file.keep(blob(b"x"));
        drop(file);
        assert!(RecordFile::open(&path, KEY, Access::Write).unwrap().try_lock().unwrap());
    }
}

#[test]
fn who_may_only_read_a_session_loads_it_to_change_all_the_same() {
    let (place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let loaded = read_by_others(&place, &store, 0o444, || store.load_to_change(&KEY).unwrap().unwrap());
    assert_eq!((loaded.kept.is_some(), loaded), (false, blob(b"x")));
}
