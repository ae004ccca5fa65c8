use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

mod damage;
mod kept;
mod open_files;

const KEY: Key = Key([0x5a; 32]);

fn store() -> (tempfile::TempDir, FileStore) {
    let place = tempfile::tempdir().unwrap();
    crate::store::directory::make(&place.path().join("sessions"), None).unwrap();
    let store = of_its_own(place.path().join("sessions"));
    (place, store)
}

/// A store with open files of its own, so that tests beside each other do not take the place of each other's.
fn of_its_own(dir: PathBuf) -> FileStore {
    FileStore { dir, open_files: Box::leak(Box::new(OpenFiles::new())) }
}

fn blob(bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(9), bytes.to_vec())
}

fn write(store: &FileStore, bytes: &[u8]) -> Result<Outcome> {
    store.update(&KEY, Durability::Process, &mut |_| Change::Write(blob(bytes)))
}

/// Runs `work` as somebody who may look at the session, whose file has this mode, as far as this process may be somebody else.
fn read_by_others<T: Send>(place: &tempfile::TempDir, store: &FileStore, mode: u32, work: impl FnOnce() -> T + Send) -> T {
    let path = store.path(&KEY);
    for (path, mode) in [(place.path(), 0o755), (store.directory(), 0o755), (parent(&path), 0o755), (&path, mode)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let work = || {
        if rustix::process::geteuid().is_root() {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap(); // of this thread alone
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[test]
fn it_keeps_the_promises_of_a_store() {
    let (_place, store) = store();
    crate::store::conformance::run(&store);
}

#[test]
fn files_are_private_and_leave_nothing_behind() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    write(&store, &[1; 5000]).unwrap();
    let path = store.path(&KEY);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(parent(&path)).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(std::fs::read_dir(parent(&path)).unwrap().count(), 1);
}

#[test]
fn to_look_at_a_session_writes_nothing_not_even_that_somebody_looked() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let file = std::fs::File::options().write(true).open(store.path(&KEY)).unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1);
    file.set_times(std::fs::FileTimes::new().set_accessed(long_ago)).unwrap();
    assert!(store.load(&KEY).unwrap().is_some());
    assert_eq!(file.metadata().unwrap().accessed().unwrap(), long_ago);
}

/// The kernel lets only the owner of a file leave out that he looked.
#[test]
fn a_file_of_somebody_else_is_read_all_the_same() {
    let (place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let read = read_by_others(&place, &store, 0o644, || {
        RecordFile::open(&path, KEY, Access::Read).map(|file| file.newest_unlocked().unwrap().is_some())
    });
    assert!(read.unwrap());
}

#[test]
fn an_update_behind_the_last_number_counts() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    std::fs::remove_file(&path).unwrap();
    RecordFile::create(&path, KEY, 7, u64::MAX, &blob(b"x"), Durability::Process).unwrap();
    for bytes in [b"y", b"z"] {
        assert_eq!(write(&store, bytes).unwrap(), Outcome::Written);
        assert_eq!(store.load(&KEY).unwrap(), Some(blob(bytes)));
    }
}

#[test]
fn an_update_is_shown_what_a_load_sees_even_of_two_slots_of_one_number() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"one"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let mut file = std::fs::read(&path).unwrap();
    let format::Found::Header(header) = format::Header::decode(&file, &KEY) else { panic!("a good header") };
    let other = header.encode_slot(&KEY, 1, &blob(b"other"), 0);
    let at = usize::try_from(header.slot_offset(1)).unwrap();
    file[at..at + other.len()].copy_from_slice(&other);
    std::fs::write(&path, &file).unwrap();
    let mut shown = None;
    store
        .update(&KEY, Durability::Process, &mut |newest| {
            shown = newest.cloned();
            Change::Keep
        })
        .unwrap();
    assert_eq!(shown, store.load(&KEY).unwrap());
}

/// What an update shows to a caller who has loaded `loaded`.
fn shown(store: &FileStore, loaded: &Blob) -> Blob {
    let mut shown = None;
    let mut look = |newest: Option<&Blob>| {
        shown = newest.cloned();
        Change::Keep
    };
    store.update_from(&KEY, Some(loaded), Durability::Process, &mut look).unwrap();
    shown.expect("it is there")
}

#[test]
fn what_was_loaded_is_not_read_again_as_long_as_it_is_the_newest() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
    let loaded = store.load(&KEY).unwrap().unwrap();
    assert_eq!(shown(&store, &loaded).bytes.as_ptr(), loaded.bytes.as_ptr());
    for bytes in [b"second", b"third!", b"first!"] {
        write(&store, bytes).unwrap();
        assert_eq!(shown(&store, &loaded), blob(bytes));
    }
    // The same bytes again, and in a file that took its place.
    write(&store, b"first").unwrap();
    assert_ne!(shown(&store, &loaded).bytes.as_ptr(), loaded.bytes.as_ptr());
    std::fs::remove_file(store.path(&KEY)).unwrap();
    store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
    assert_ne!(shown(&store, &loaded).bytes.as_ptr(), loaded.bytes.as_ptr());
}

#[test]
fn links_and_foreign_files_are_not_followed_read_or_deleted() {
    let (place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let sub = parent(&path).to_owned();
    let secret = place.path().join("secret");
    std::fs::rename(&path, &secret).unwrap();
    symlink(&secret, &path).unwrap();
    assert!(matches!(store.load(&KEY), Err(Error::Io(..))));
    std::fs::write(sub.join("thesis.txt"), "x").unwrap();
    let swept = store.sweep(Timestamp::NEVER, Duration::from_secs(9), Cursor::default(), &mut |_, _| {}).unwrap();
    assert_eq!((swept.deleted, swept.foreign.is_some()), (0, true));
    assert!(path.is_symlink() && secret.exists() && sub.join("thesis.txt").exists());
}

#[test]
fn what_cannot_be_read_does_not_end_a_sweep() {
    let (_place, store) = store();
    for byte in [0x11, 0x5a, 0xee] {
        store.create(&Key([byte; 32]), &blob(b"x"), Durability::Process).unwrap();
    }
    let sub = parent(&store.path(&KEY)).to_owned();
    std::fs::remove_dir_all(&sub).unwrap();
    std::fs::write(&sub, "not a directory").unwrap();
    let swept = store.sweep(Timestamp::NEVER, Duration::from_secs(60), Cursor::default(), &mut |_, _| {}).unwrap();
    assert_eq!((swept.deleted, swept.failed, swept.next), (2, 1, None));
    assert!(swept.failure.unwrap().contains("/5a: "));
}

#[test]
fn a_sweep_waits_for_nobody_and_leaves_what_is_in_use() {
    let (_place, store) = store();
    let torn = Key([0x11; 32]);
    for key in [KEY, torn] {
        store.create(&key, &blob(b"x"), Durability::Process).unwrap();
    }
    let path = store.path(&torn);
    std::fs::write(&path, [&std::fs::read(&path).unwrap()[..40], &[0xff; 2040]].concat()).unwrap();
    let paths = [KEY, torn].map(|key| (store.path(&key), key));
    let holders = paths.each_ref().map(|(path, key)| {
        let holder = RecordFile::open(path, *key, Access::Write).unwrap();
        holder.lock().unwrap();
        holder
    });
    let sweep = || store.sweep(Timestamp::NEVER, Duration::from_secs(60), Cursor::default(), &mut |_, _| {}).unwrap();
    let started = std::time::Instant::now();
    let swept = sweep();
    assert!(started.elapsed() < Duration::from_secs(2), "it waited {:?}", started.elapsed());
    assert_eq!((swept.seen, swept.deleted, swept.corrupt, swept.failed), (2, 0, 0, 0));
    drop(holders);
    let swept = sweep();
    assert_eq!((swept.seen, swept.deleted, swept.corrupt, swept.failed), (2, 1, 1, 0));
    assert!(swept.damage.unwrap().contains(&torn.hex()) && sweep::corrupt_name(&path).exists());
}

#[test]
fn a_slice_ends_when_its_time_is_over_also_within_a_sub_directory() {
    let (_place, store) = store();
    for n in 0..3000u16 {
        let mut key = KEY;
        key.0[1..3].copy_from_slice(&n.to_be_bytes());
        store.create(&key, &blob(b"x"), Durability::Process).unwrap();
    }
    let (mut pass, mut slices, mut longest) = (Sweep { next: Some(Cursor::default()), ..Sweep::default() }, 0, 0);
    while let Some(from) = pass.next.take() {
        let slice = store.sweep(Timestamp(1), Duration::from_millis(1), from, &mut |_, _| {}).unwrap();
        longest = slice.seen.max(longest);
        slices += 1;
        pass.add(slice);
    }
    assert_eq!((pass.seen, pass.deleted), (3000, 0));
    assert!(slices > 3 && longest < 2000, "{slices} slices, the longest of {longest} records");
}

#[test]
fn a_fifo_in_the_place_of_a_record_blocks_nobody() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
    assert!(store.load(&KEY).is_err());
    assert!(write(&store, b"y").is_err());
}

#[test]
fn a_store_that_vanished_is_a_failure_and_one_made_again_is_used_again() {
    let (place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    std::fs::rename(place.path().join("sessions"), place.path().join("away")).unwrap();
    assert!(store.load(&KEY).is_err());
    assert!(store.create(&KEY, &blob(b"y"), Durability::Process).is_err());
    std::fs::write(place.path().join("sessions"), "not a directory").unwrap();
    assert!(store.load(&KEY).is_err());
    assert!(store.create(&KEY, &blob(b"y"), Durability::Process).is_err());
    std::fs::remove_file(place.path().join("sessions")).unwrap();
    std::fs::create_dir(place.path().join("sessions")).unwrap();
    std::fs::set_permissions(place.path().join("sessions"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    assert!(store.create(&KEY, &blob(b"y"), Durability::Process).unwrap());
}

#[test]
fn whoever_waits_for_a_locked_file_gets_it_when_it_is_free() {
    let (_place, store) = store();
    store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
    let path = store.path(&KEY);
    let holder = RecordFile::open(&path, KEY, Access::Write).unwrap();
    holder.lock().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| write(&store, b"y"));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiter.is_finished());
        drop(holder);
        assert_eq!(waiter.join().unwrap().unwrap(), Outcome::Written);
    });
}

/// As a restart may find it: the error in the log does not end the server.
#[test]
fn a_directory_of_another_store_is_a_failure_and_not_a_store_without_sessions() {
    let (_place, store) = store();
    std::fs::write(store.dir.join(directory::MARKER), "dbm store 1\n").unwrap();
    assert!(store.load(&KEY).unwrap_err().to_string().contains("another store"));
    assert!(store.create(&KEY, &blob(b"x"), Durability::Process).is_err());
    assert!(store.sweep(Timestamp(9), Duration::ZERO, Cursor::default(), &mut |_, _| {}).is_err());
    assert_eq!(std::fs::read_dir(&store.dir).unwrap().count(), 1, "it was used all the same");
}
