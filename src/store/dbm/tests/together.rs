//! Several threads that write at once.

use std::process::Command;
use std::time::Instant;

use super::super::gate::Gate;
use super::*;
use crate::testing::once_more;

fn count(blob: &Blob) -> u64 {
    u64::from_le_bytes(blob.bytes[..8].try_into().unwrap())
}

fn counter(count: u64) -> Blob {
    blob(9, &count.to_le_bytes())
}

/// The number of the last transaction.
fn transactions(store: &DbmStore) -> usize {
    store.environment().unwrap().read(|_, snapshot| Ok(snapshot.id())).unwrap()
}

/// Has `threads` run `work` while nobody gets a turn; all of them wait before one does.
fn at_once<T: Send>(store: &DbmStore, threads: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let gate = Gate::open(&store.dir).unwrap();
    let turn = gate.enter(PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads).map(|n| scope.spawn(move || work(n))).collect();
        // One of them waits for the turn, the others for him.
        let (since, environment) = (Instant::now(), store.environment().unwrap());
        while environment.waiting() + 1 < threads.len() {
            assert!(since.elapsed() < PATIENCE / 2);
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(turn);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn what_threads_want_that_wait_for_a_turn_is_written_in_one_transaction() {
    for durability in [Durability::Process, Durability::Machine] {
        let (_place, store) = store();
        store.create(&KEY, &blob(9, b"x"), durability).unwrap();
        let before = transactions(&store);
        let created = at_once(&store, 20, |n| store.create(&key(n), &counter(u64::from(n)), durability).unwrap());
        assert!(created.into_iter().all(|created| created));
        assert_eq!(transactions(&store) - before, 1);
        for n in 0..20 {
            assert_eq!(store.load(&key(n)).unwrap(), Some(counter(u64::from(n))));
        }
        assert_eq!(store.survey().unwrap(), Survey::default());
    }
}

#[test]
fn of_changes_that_began_with_the_same_record_none_is_lost_and_each_learns_its_own() {
    let (_place, store) = store();
    store.create(&KEY, &counter(0), NOW).unwrap();
    store.create(&key(1), &counter(0), NOW).unwrap();
    let loaded = [KEY, key(1)].map(|key| store.load(&key).unwrap().unwrap());
    // One half adds one, one ends the other session, and the rest come too late for that.
    let outcomes = at_once(&store, 24, |n| match n % 2 {
        0 => {
            let mut add = |newest: Option<&Blob>| Change::Write(counter(count(newest.unwrap()) + 1));
            store.update_from(&KEY, Some(&loaded[0]), NOW, &mut add).unwrap()
        }
        _ => store.update_from(&key(1), Some(&loaded[1]), NOW, &mut |_| Change::Delete).unwrap(),
    });
    assert_eq!(store.load(&KEY).unwrap(), Some(counter(12)));
    assert_eq!(store.load(&key(1)).unwrap(), None);
    assert!(outcomes.iter().step_by(2).all(|outcome| *outcome == Outcome::Written));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Deleted).count(), 1, "{outcomes:?}");
    // Of two who create the same, one does.
    let created = at_once(&store, 8, |n| store.create(&key(2), &counter(u64::from(n)), NOW).unwrap());
    let winners: Vec<_> = created.iter().enumerate().filter(|(_, created)| **created).map(|(n, _)| n as u64).collect();
    assert_eq!(winners.len(), 1, "{created:?}");
    assert_eq!(store.load(&key(2)).unwrap(), Some(counter(winners[0])));
    assert_eq!(store.survey().unwrap(), Survey::default());
}

const CRAMPED: &str = "MSRS_CRAMPED";

/// LMDB gives the whole transaction up.
#[test]
fn what_the_disk_has_no_room_for_is_the_failure_of_who_wants_it_and_of_nobody_else() {
    if std::env::var_os(CRAMPED).is_none() {
        let test = once_more(CRAMPED, "1");
        // A limit for the size of files, in blocks of 512 bytes; who goes beyond it gets an error and no signal.
        let mut sh = Command::new("sh");
        sh.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""]).arg(test.get_program()).args(test.get_args()).env(CRAMPED, "1");
        let done = sh.output().unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let (_place, store) = store();
    store.create(&KEY, &counter(0), NOW).unwrap();
    let small = counter(7);
    let large = Blob::new(Timestamp(9), vec![7; 900 << 10]);
    let created = at_once(&store, 12, |n| store.create(&key(n), if n == 5 { &large } else { &small }, NOW));
    for (n, created) in created.into_iter().enumerate() {
        assert_eq!(created.is_ok(), n != 5, "{n}: {created:?}");
    }
    assert_eq!(store.load(&key(5)).unwrap(), None);
    assert!((0..12).filter(|n| *n != 5).all(|n| store.load(&key(n)).unwrap() == Some(counter(7))));
}

#[test]
fn a_transaction_takes_in_a_bounded_number_of_changes_and_bytes_and_passes_nobody_over() {
    let transactions_of = |threads, size| {
        let (_place, store) = store();
        store.create(&KEY, &counter(0), NOW).unwrap();
        let before = transactions(&store);
        let new = Blob::new(Timestamp(9), vec![7; size]);
        assert!(at_once(&store, threads, |n| store.create(&key(n), &new, NOW).unwrap()).into_iter().all(|created| created));
        assert!((0..threads).all(|n| store.load(&key(n)).unwrap().as_ref() == Some(&new)));
        transactions(&store) - before
    };
    assert_eq!(transactions_of(64, 8), 1);
    assert_eq!(transactions_of(65, 8), 2);
    // Who leads has one of them, and takes two in.
    assert_eq!(transactions_of(3, 600 << 10), 1);
    assert_eq!(transactions_of(6, 600 << 10), 2);
    assert_eq!(transactions_of(6, 2 << 20), 3);
}

#[test]
fn who_waits_for_a_turn_that_does_not_come_learns_it_with_all_others() {
    let (_place, store) = store();
    store.create(&KEY, &counter(0), NOW).unwrap();
    let gate = Gate::open(&store.dir).unwrap();
    let turn = gate.enter(PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let write = |n| {
            let since = Instant::now();
            assert!(matches!(store.create(&key(n), &counter(0), NOW), Err(Error::Locked(..))));
            since.elapsed()
        };
        let first = scope.spawn(move || write(0));
        std::thread::sleep(PATIENCE / 2);
        let late = scope.spawn(move || write(1));
        assert!(first.join().unwrap() >= PATIENCE);
        let waited = late.join().unwrap();
        assert!(waited < PATIENCE * 3 / 4, "{waited:?}");
    });
    drop(turn);
    assert!(store.create(&key(0), &counter(0), NOW).unwrap());
}
