use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

use super::*;
use crate::testing::{once_more, wait_until_it_says};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

fn open(path: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

fn mutex(path: &Path) -> Mutex {
    Mutex::in_file(open(path), LONG).unwrap().expect("a mutex")
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mutex");
    (dir, path)
}

#[test]
fn one_has_it_at_a_time_whichever_map_of_the_file_he_came_by() {
    let (_dir, path) = place();
    let (inside, count) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mutex = mutex(&path);
                for _ in 0..5000 {
                    let held = mutex.lock(LONG).unwrap().expect("no other keeps it");
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two at once");
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    drop(held);
                }
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 20_000);
}

#[test]
fn nobody_waits_for_longer_than_he_has_patience() {
    let (_dir, path) = place();
    let (one, other) = (mutex(&path), mutex(&path));
    let held = one.lock(LONG).unwrap().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let since = Instant::now();
            assert!(other.lock(SHORT).unwrap().is_none());
            since.elapsed()
        });
        let waited = waiter.join().unwrap();
        assert!((SHORT..LONG).contains(&waited), "{waited:?}");
    });
    drop(held);
    assert!(other.lock(SHORT).unwrap().is_some());
}

const HOLDER_OF: &str = "MSRS_HOLDER_OF";

#[test]
fn who_dies_with_it_leaves_it_to_the_next() {
    if let Some(path) = std::env::var_os(HOLDER_OF) {
        let mutex = mutex(Path::new(&path));
        let _held = mutex.lock(LONG).unwrap().unwrap();
        println!("it is held");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let (_dir, path) = place();
    let mutex = mutex(&path);
    for _ in 0..3 {
        let mut holder = once_more(HOLDER_OF, &path).spawn().unwrap();
        wait_until_it_says(&mut holder, "it is held");
        assert!(mutex.lock(SHORT).unwrap().is_none());
        holder.kill().unwrap();
        holder.wait().unwrap();
        let since = Instant::now();
        assert!(mutex.lock(LONG).unwrap().is_some());
        assert!(since.elapsed() < LONG / 2);
    }
}

/// A crash of the machine may leave it locked by somebody who is no more, and half a file.
#[test]
fn what_nobody_uses_is_made_anew_whatever_lies_there() {
    let (_dir, path) = place();
    let one = mutex(&path);
    let held = one.lock(LONG).unwrap().unwrap();
    let locked = std::fs::read(&path).unwrap();
    drop(held);
    for left in [&locked[..], &locked[..9], &[0xff; 4096]] {
        let (_dir, path) = place();
        std::fs::write(&path, left).unwrap();
        assert!(mutex(&path).lock(SHORT).unwrap().is_some(), "{} bytes", left.len());
    }
}

#[test]
fn programs_with_another_layout_have_none_in_common() {
    let (_dir, path) = place();
    let theirs = open(&path);
    theirs.write_all_at(&[7; 64], 0).unwrap();
    assert!(flocked(&theirs, FlockOperation::NonBlockingLockShared).unwrap());
    assert!(Mutex::in_file(open(&path), SHORT).unwrap().is_none());
    drop(theirs);
    assert!(mutex(&path).lock(SHORT).unwrap().is_some());
}
