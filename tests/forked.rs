//! A handler may fork without another program in the child, which then has all that its parent had open.

mod support;

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mod_session_rs::session::{Key, Timestamp};
use mod_session_rs::store::directory::{self, Kind};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Change, Durability, Error, Outcome, Store};
use support::{Httpd, Mpm, mpm_tests};

fn who_was_forked_while_a_session_was_open_holds_nobody_up(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    // What was forked has the connection too: its end would not be seen.
    let mut client = httpd.client().keep_alive();
    client.get("/capi?open=create&set_int=n:1");
    assert_eq!(client.get("/capi?open=&fork=6000&add=n:1&save").line("save"), "OK");
    let since = Instant::now();
    assert_eq!(client.get("/capi?open=&add=n:1&save&get_int=n").line("get_int"), "OK 3");
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

mpm_tests!(who_was_forked_while_a_session_was_open_holds_nobody_up);

/// Runs `work` in a process that is forked, and answers whether it did it.
fn forked(work: impl FnOnce() -> bool) -> impl FnOnce() -> bool {
    // SAFETY: only this thread goes on in the child, and ends it; glibc's allocator is usable there, and no lock of other threads is needed.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: ends what nobody waits for any more.
        unsafe { libc::alarm(60) };
        let is_done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: ends the process, without what the test's own process does at its end.
        unsafe { libc::_exit(i32::from(!is_done)) }
    }
    move || {
        let mut status = -1;
        // SAFETY: a child of this process, and a place for what became of it.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        waited == child && status == 0
    }
}

fn place(kind: Kind) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("sessions");
    directory::make(&dir, None).unwrap();
    directory::claim(&dir, kind).unwrap();
    (place, dir)
}

fn key(n: u32) -> Key {
    let mut key = Key([7; 32]);
    key.0[..4].copy_from_slice(&n.to_be_bytes());
    key
}

/// Large enough that several are at work at once.
fn counter(count: u64) -> Blob {
    Blob::new(Timestamp(9), [&count.to_le_bytes()[..], &[0; 500_000]].concat())
}

fn count(blob: &Blob) -> u64 {
    u64::from_le_bytes(blob.bytes[..8].try_into().unwrap())
}

/// Parent and child may both come to the end of the request.
#[test]
fn a_session_that_was_open_at_a_fork_loses_no_change_of_either_process() {
    const ROUNDS: u64 = 300;
    let (_place, dir) = place(Kind::File);
    let store = FileStore::new(dir);
    store.create(&key(0), &counter(0), Durability::Process).unwrap();
    for _ in 0..ROUNDS {
        let loaded = store.load_to_change(&key(0)).unwrap().unwrap();
        let add = || {
            let mut one_more = |newest: Option<&Blob>| Change::Write(counter(count(newest.unwrap()) + 1));
            store.update_from(&key(0), Some(&loaded), Durability::Process, &mut one_more)
        };
        let (mut start, started) = std::io::pipe().unwrap();
        let child = forked(|| start.read_exact(&mut [0]).is_ok() && matches!(add(), Ok(Outcome::Written)));
        (&started).write_all(&[1]).unwrap();
        assert_eq!(add().unwrap(), Outcome::Written);
        assert!(child());
    }
    assert_eq!(store.load(&key(0)).unwrap().map(|blob| count(&blob)), Some(2 * ROUNDS));
}

/// A lock goes with the last process that has the file open.
#[test]
fn who_is_killed_with_a_lock_leaves_it_to_no_process_that_it_forked_before() {
    let (_place, dir) = place(Kind::File);
    let store = FileStore::new(dir);
    let small = Blob::new(Timestamp(9), &b"small"[..]);
    store.create(&key(0), &small, Durability::Process).unwrap();
    let (mut start, started) = std::io::pipe().unwrap();
    let child = forked(|| {
        store.load_to_change(&key(0)).unwrap().unwrap(); // and it stays open for the next request
        let _lives_on = forked(|| start.read_exact(&mut [0]).is_ok());
        store
            .update(&key(0), Durability::Process, &mut |_| {
                // SAFETY: ends this process.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                Change::Keep
            })
            .is_ok()
    });
    assert!(!child());
    let since = Instant::now();
    let done = store.update(&key(0), Durability::Process, &mut |_| Change::Write(small.clone()));
    assert!(matches!(done, Ok(Outcome::Written)) && since.elapsed() < Duration::from_secs(2), "{done:?} after {:?}", since.elapsed());
    (&started).write_all(&[1]).unwrap();
}

/// LMDB is for one process: what another has of it stands still in the middle of what threads were doing that are not there.
#[cfg(feature = "dbm")]
#[test]
fn who_was_forked_is_refused_by_the_dbm_store_and_disturbs_nobody() {
    let (_place, dir) = place(Kind::Dbm);
    let store = mod_session_rs::store::dbm::DbmStore::new(dir.clone());
    store.create(&key(0), &counter(0), Durability::Process).unwrap();
    let is_refused = |error| matches!(error, Error::Unusable(why) if why.contains("SessionDir") && why.contains("forks"));
    let child = forked(|| {
        let loads = store.load(&key(0)).map(drop);
        let creates = store.create(&key(1), &counter(0), Durability::Process).map(drop);
        // Another one of the same directory shares what the process has.
        let other = mod_session_rs::store::dbm::DbmStore::new(dir.clone()).load(&key(0)).map(drop);
        [loads, creates, other].into_iter().all(|done| done.is_err_and(is_refused))
    });
    assert!(child());
    assert!(store.create(&key(1), &counter(0), Durability::Process).unwrap());
    assert!(store.load(&key(0)).unwrap().is_some());
}
