//! Session files that stay open for the next request of their session.

use super::*;

/// The files that this process has open below a directory.
pub fn open_below(dir: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    open.filter(|path| path.starts_with(dir)).count()
}

/// Another process as far as files are concerned.
fn other(store: &FileStore) -> FileStore {
    of_its_own(store.directory().to_owned())
}

/// Whether the next request does not have to open it.
fn serves_the_next(store: &FileStore) -> bool {
    load_both(store);
    store.open_files.take(&store.path(&KEY), &KEY, Access::Write).is_some()
}

fn load_both(store: &FileStore) -> [Option<Blob>; 2] {
    [store.load(&KEY).unwrap(), store.load_to_change(&KEY).unwrap()]
}

#[test]
fn a_session_is_not_opened_again_for_its_next_request() {
    let (place, store) = store();
    let dir = place.path().canonicalize().unwrap();
    store.create(&KEY, &blob(b"0"), Durability::Process).unwrap();
    // What was open to be read only does not do for a change.
    for n in [1u8, 2, 3] {
        assert!(store.load(&KEY).unwrap().is_some());
        assert_eq!(open_below(&dir), 1);
        let loaded = store.load_to_change(&KEY).unwrap().unwrap();
        let mut change = |_: Option<&Blob>| Change::Write(blob(&[n]));
        assert_eq!(store.update_from(&KEY, Some(&loaded), Durability::Process, &mut change).unwrap(), Outcome::Written);
        drop(loaded);
        assert_eq!((open_below(&dir), serves_the_next(&store), store.load(&KEY).unwrap()), (1, true, Some(blob(&[n]))));
    }
}

#[test]
fn a_file_serves_one_request_at_a_time() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let loaded = [store.load_to_change(&KEY).unwrap().unwrap(), store.load_to_change(&KEY).unwrap().unwrap()];
    let files = loaded.each_ref().map(|loaded| RecordFile::kept(&path, KEY, loaded).unwrap());
    assert_eq!((files[0].try_lock().unwrap(), files[1].try_lock().unwrap()), (true, false));
    assert!(store.open_files.take(&path, &KEY, Access::Read).is_none());
    drop((files, loaded));
    assert!(serves_the_next(&store));
}

#[test]
fn few_files_stay_open_and_no_large_one() {
    let (place, store) = store();
    let dir = place.path().canonicalize().unwrap();
    for n in 0..=u8::MAX {
        let key = Key([n; 32]);
        store.create(&key, &blob(&[n]), Durability::Process).unwrap();
        assert!(store.load_to_change(&key).unwrap().is_some());
        assert_eq!(open_below(&dir), usize::from(n).min(63) + 1);
    }
    for (bytes, open) in [(6000, 1), (8000, 0), (1, 0)] {
        let store = of_its_own(dir.join("sessions"));
        write(&store, &vec![0; bytes]).unwrap(); // a file keeps the size that it once had
        let before = open_below(&dir);
        assert!(load_both(&store).into_iter().all(|blob| blob.is_some()));
        assert_eq!(open_below(&dir) - before, open, "{bytes}");
    }
}

#[test]
fn threads_that_change_one_session_lose_nothing() {
    let (_place, store) = store();
    let count = |blob: &Blob| u64::from_le_bytes(blob.bytes[..].try_into().unwrap());
    let counter = |count: u64| blob(&count.to_le_bytes());
    store.create(&KEY, &counter(0), Durability::Process).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let loaded = store.load_to_change(&KEY).unwrap().unwrap();
                    let mut add = |newest: Option<&Blob>| Change::Write(counter(count(newest.unwrap()) + 1));
                    store.update_from(&KEY, Some(&loaded), Durability::Process, &mut add).unwrap();
                }
            });
        }
    });
    assert_eq!(store.load(&KEY).unwrap().map(|blob| count(&blob)), Some(8 * 300));
}

/// Whatever becomes of a file: the next request sees what it would see if it opened the file.
#[test]
fn a_file_that_is_no_longer_the_one_of_its_session_is_not_used() {
    let (place, store) = store();
    let other = other(&store);
    let path = store.path(&KEY);
    let aside = place.path().join("aside");
    let begin = |bytes: &[u8]| {
        let _ = std::fs::remove_file(&path);
        other.create(&KEY, &blob(bytes), Durability::Process).unwrap();
        assert_eq!(load_both(&store), [Some(blob(bytes)), Some(blob(bytes))]);
    };

    begin(b"deleted");
    other.update(&KEY, Durability::Process, &mut |_| Change::Delete).unwrap();
    assert_eq!(load_both(&store), [None, None]);
    assert_eq!(write(&store, b"too late").unwrap(), Outcome::Kept);
    assert_eq!(load_both(&other), [None, None]);

    begin(b"replaced");
    write(&other, &[1; 3000]).unwrap();
    assert_eq!(load_both(&store), [Some(blob(&[1; 3000])), Some(blob(&[1; 3000]))]);

    begin(b"put aside");
    other.quarantine(&KEY, &|_| true).unwrap();
    assert_eq!(load_both(&store), [None, None]);

    begin(b"moved");
    std::fs::rename(&path, &aside).unwrap();
    assert_eq!(load_both(&store), [None, None]);
    assert_eq!(write(&store, b"too late").unwrap(), Outcome::Kept);
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(load_both(&store), [Some(blob(b"moved")), Some(blob(b"moved"))]);

    begin(b"a link");
    std::fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert!(store.load(&KEY).is_err() && store.load_to_change(&KEY).is_err());

    begin(b"all moved");
    std::fs::rename(store.directory(), place.path().join("sessions.old")).unwrap();
    assert!(store.load(&KEY).is_err() && store.load_to_change(&KEY).is_err(), "SessionDir is not there");
    crate::store::directory::make(store.directory(), None).unwrap();
    assert_eq!(load_both(&store), [None, None]);
}
