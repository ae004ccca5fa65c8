//! Directories that vanish, files that are none, processes that are stopped or killed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Instant;

use super::super::files::{DATA, LOCK};
use super::super::gate::Gate;
use super::*;
use crate::store::directory::MARKER;
use crate::testing::{once_more, wait_until_it_says};

/// Who writes sees to it that the files are there, but not twice in some milliseconds.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn a_store_that_vanished_is_a_failure_and_one_made_again_is_used_again() {
    let (place, store) = store();
    let dir = place.path().join("sessions");
    store.create(&KEY, &blob(9, b"x"), NOW).unwrap();
    std::fs::rename(&dir, place.path().join("away")).unwrap();
    assert!(store.load(&key(1)).unwrap_err().to_string().contains("missing"));
    assert!(store.create(&key(1), &blob(9, b"y"), NOW).is_err());
    std::fs::write(&dir, "not a directory").unwrap();
    assert!(store.load(&KEY).is_err());
    std::fs::remove_file(&dir).unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    assert!(store.create(&KEY, &blob(9, b"y"), NOW).unwrap());
    // The old ones again.
    std::fs::rename(&dir, place.path().join("other")).unwrap();
    std::fs::rename(place.path().join("away"), &dir).unwrap();
    a_moment();
    write(&store, &KEY, &blob(9, b"z")).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(9, b"z")));
}

#[test]
fn who_only_reads_what_he_finds_learns_within_a_second_that_the_store_has_vanished() {
    let (place, store) = store();
    let dir = place.path().join("sessions");
    let soon = || std::thread::sleep(Duration::from_millis(1100));
    store.create(&KEY, &blob(9, b"x"), NOW).unwrap();
    std::fs::rename(&dir, place.path().join("away")).unwrap();
    soon();
    assert!(store.load(&KEY).unwrap_err().to_string().contains("missing"));
    crate::store::directory::make(&dir, None).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None, "what an administrator took away is ended");
    // A sweep and a list too.
    store.create(&key(1), &blob(9, b"y"), NOW).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    soon();
    assert!(store.sweep(Timestamp(0), Duration::ZERO, Cursor::default(), &mut |_, _| {}).is_err());
    std::fs::rename(place.path().join("away"), &dir).unwrap();
    let mut keys = vec![];
    store
        .each(&mut |key, _| {
            keys.push(*key);
            true
        })
        .unwrap();
    assert_eq!(keys, [KEY]);
}

/// What is opened waits here for its turn to make the tables; meanwhile somebody puts other files there.
#[test]
fn files_that_are_replaced_while_they_are_opened_are_not_taken_for_those_that_are_there() {
    let (place, store) = store();
    let dir = place.path().join("sessions");
    let other = DbmStore::new(place.path().join("other"));
    crate::store::directory::make(other.directory(), None).unwrap();
    other.create(&KEY, &blob(9, b"x"), NOW).unwrap();
    drop(other);
    crate::store::directory::claim(&dir, crate::store::directory::Kind::Dbm).unwrap();
    drop(crate::lmdb::open(&dir, &crate::lmdb::Options { readers: READERS, databases: 2, read_only: false }).unwrap());
    let gate = Gate::open(&dir).unwrap();
    let turn = gate.enter(PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| store.create(&key(1), &blob(9, b"y"), NOW).unwrap());
        std::thread::sleep(Duration::from_millis(500));
        for name in [DATA, LOCK] {
            std::fs::rename(place.path().join("other").join(name), dir.join(name)).unwrap();
        }
        drop(turn);
        assert!(writer.join().unwrap());
    });
    drop(store);
    let store = DbmStore::new(dir);
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(9, b"x")));
    assert_eq!(store.load(&key(1)).unwrap(), Some(blob(9, b"y")), "what was acknowledged is in a file without a name");
}

/// A tool may have made the file before the server needs more.
#[test]
fn the_file_of_locks_has_room_on_the_disk_for_more_readers_than_it_was_made_for() {
    use std::os::unix::fs::MetadataExt;
    let (_place, store) = store();
    store.create(&KEY, &blob(9, b"x"), NOW).unwrap();
    let dir = store.dir.clone();
    drop(store);
    let store = DbmStore::new(dir.clone()).readers(20_000);
    assert!(store.load(&KEY).unwrap().is_some());
    let found = std::fs::metadata(dir.join(LOCK)).unwrap();
    assert!(found.len() >= 20_000 * 64, "{} bytes", found.len());
    assert!(found.blocks() * 512 >= found.len(), "{} blocks of {} bytes", found.blocks(), found.len());
}

#[test]
fn files_of_another_version_of_lmdb_are_not_called_damaged() {
    use std::os::unix::fs::FileExt;
    let (_place, store) = store();
    store.create(&KEY, &blob(9, b"x"), NOW).unwrap();
    let data = std::fs::File::options().write(true).open(store.dir.join(DATA)).unwrap();
    let dir = store.dir.clone();
    drop(store);
    // Behind the head of a page and a magic number.
    data.write_all_at(&7u32.to_ne_bytes(), 16 + 4).unwrap();
    let told = DbmStore::new(dir).load(&KEY).unwrap_err().to_string();
    assert!(told.contains("another version of LMDB") && !told.contains("damaged") && told.contains("move the directory away"), "{told}");
}

#[test]
fn files_that_were_removed_while_they_were_in_use_are_made_anew() {
    for name in [DATA, LOCK, "write.lock"] {
        let (_place, store) = store();
        store.create(&KEY, &blob(9, b"x"), NOW).unwrap();
        std::fs::remove_file(store.dir.join(name)).unwrap();
        a_moment();
        assert!(store.create(&key(1), &blob(9, b"y"), NOW).unwrap(), "{name}");
        assert_eq!(store.load(&KEY).unwrap().is_some(), name != DATA);
    }
}

const WRITER_OF: &str = "MSRS_WRITER_OF";
const TURNS: u64 = 1000;

/// LMDB numbers what is committed in the file of locks: with two of them at once, one writer would go on from what another has replaced.
#[test]
fn nothing_is_lost_where_the_file_of_locks_is_removed_while_several_processes_write() {
    let count = |blob: &Blob| u64::from_le_bytes(blob.bytes[..].try_into().unwrap());
    if let Some(dir) = std::env::var_os(WRITER_OF) {
        let store = DbmStore::new(dir.into());
        for _ in 0..TURNS {
            let one_more = store.update(&KEY, NOW, &mut |newest| Change::Write(blob(9, &(count(newest.unwrap()) + 1).to_le_bytes())));
            assert_eq!(one_more.unwrap(), Outcome::Written);
            std::thread::sleep(Duration::from_micros(300));
        }
        return;
    }
    let (_place, store) = store();
    store.create(&KEY, &blob(9, &0u64.to_le_bytes()), NOW).unwrap();
    let mut writers: Vec<_> = (0..3).map(|_| once_more(WRITER_OF, &store.dir).stdout(Stdio::null()).spawn().unwrap()).collect();
    while writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none()) {
        std::thread::sleep(Duration::from_millis(50));
        let _ = std::fs::remove_file(store.dir.join(LOCK));
    }
    assert!(writers.iter_mut().all(|writer| writer.wait().unwrap().success()));
    assert_eq!(store.load(&KEY).unwrap().map(|blob| count(&blob)), Some(3 * TURNS));
}

#[test]
fn a_directory_of_another_store_and_files_that_are_not_ours_are_refused() {
    let (place, store) = store();
    std::fs::write(store.dir.join(MARKER), "file store 1\n").unwrap();
    assert!(store.load(&KEY).unwrap_err().to_string().contains("another store"));
    std::fs::remove_file(store.dir.join(MARKER)).unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    drop(store);
    let dir = place.path().join("sessions");
    let secret = place.path().join("secret");
    for name in [DATA, LOCK, "write.lock"] {
        std::fs::rename(dir.join(name), &secret).unwrap();
        symlink(&secret, dir.join(name)).unwrap();
        assert!(matches!(DbmStore::new(dir.clone()).load(&KEY), Err(Error::Unusable(why)) if why.contains(name)));
        std::fs::remove_file(dir.join(name)).unwrap();
        std::fs::rename(&secret, dir.join(name)).unwrap();
    }
    assert_eq!(DbmStore::new(dir).load(&KEY).unwrap(), None);
}

#[test]
fn a_file_that_is_no_database_any_more_is_a_failure_and_no_crash() {
    let (place, store) = store();
    for n in 0..200 {
        store.create(&key(n), &blob(9, &[7; 2000]), NOW).unwrap();
    }
    drop(store);
    let data = place.path().join("sessions").join(DATA);
    let whole = std::fs::read(&data).unwrap();
    for (how, bytes) in [
        ("garbage", b"garbage\n".repeat(10_000)),
        ("cut behind its heads", whole[..8192].to_vec()),
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("zeroes behind its heads", [&whole[..8192], &vec![0; whole.len() - 8192][..]].concat()),
    ] {
        std::fs::write(&data, &bytes).unwrap();
        let store = DbmStore::new(place.path().join("sessions"));
        let failures = (0..200).filter(|n| store.load(&key(*n)).is_err()).count();
        assert!(failures > 0, "{how}: {failures}");
        let told = (0..200).find_map(|n| store.load(&key(n)).err()).unwrap().to_string();
        assert!(told.contains("SessionDir") && told.contains("move the directory away"), "{how}: {told}");
    }
}

#[test]
fn whoever_is_stopped_in_a_transaction_is_waited_for_for_some_seconds_only() {
    let (_place, store) = store();
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    // What a stopped process of ours holds.
    let gate = Gate::open(&store.dir).unwrap();
    let holder = gate.enter(PATIENCE).unwrap();
    let started = Instant::now();
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(1, b"x")), "readers wait for nobody");
    assert!(store.sweep(Timestamp(9), Duration::ZERO, Cursor::default(), &mut |_, _| {}).is_err());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| write(&store, &KEY, &blob(2, b"y")))).collect();
        for waiter in waiters {
            assert!(matches!(waiter.join().unwrap(), Err(Error::Locked(..))));
        }
    });
    assert!(started.elapsed() < Duration::from_secs(12), "they waited one after another: {:?}", started.elapsed());
    let started = Instant::now();
    assert!(write(&store, &KEY, &blob(2, b"y")).is_err());
    assert!(started.elapsed() < Duration::from_secs(2), "it is known to be stuck: {:?}", started.elapsed());
    drop(holder);
    assert_eq!(write(&store, &KEY, &blob(3, b"z")).unwrap(), Outcome::Written);
}

const READER: &str = "MSRS_READER_OF";

/// A process that reads, and does not come to an end.
fn read_for_ever(dir: std::ffi::OsString) {
    let store = DbmStore::new(dir.into());
    let environment = store.environment().unwrap();
    environment.read(|_, _| read_once_more(environment, 1)).unwrap();
}

fn read_once_more(environment: &Environment, number: u32) -> heed::Result<()> {
    let deeper = environment.read(|_, _| read_once_more(environment, number + 1));
    assert!(number > 200 && matches!(deeper, Err(Error::Failed(_))), "{number}: {deeper:?}");
    println!("all places are taken");
    loop {
        std::thread::sleep(Duration::from_secs(1));
        assert!(rustix::process::getppid().is_some_and(|parent| !parent.is_init()), "forgotten");
    }
}

#[test]
fn the_places_of_killed_readers_are_free_again() {
    if let Some(dir) = std::env::var_os(READER) {
        return read_for_ever(dir);
    }
    let (_place, store) = store();
    store.create(&KEY, &blob(1, b"x"), NOW).unwrap();
    let mut reader = once_more(READER, &store.dir).spawn().unwrap();
    wait_until_it_says(&mut reader, "all places are taken");
    let full = store.load(&KEY).unwrap_err().to_string();
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(full.contains("places for readers") && full.contains("stop and start httpd"), "{full}");
    assert_eq!(store.load(&KEY).unwrap(), Some(blob(1, b"x")));
}
