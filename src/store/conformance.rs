//! One suite that every store runs: what [`Store`](super::Store) promises.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Blob, Change, Cursor, Durability, Entry, Outcome, Store, Sweep};
use crate::session::{Key, Timestamp};

const NOW: Durability = Durability::Process;

/// A key that no other test uses.
fn key() -> Key {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_le_bytes());
    Key(bytes)
}

fn blob(expires: u64, bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(expires), bytes.to_vec())
}

fn write(store: &dyn Store, key: &Key, new: Blob, durability: Durability) -> Outcome {
    let mut new = Some(new);
    store.update(key, durability, &mut |_| Change::Write(new.take().unwrap())).unwrap()
}

/// Nobody comes between a load and the update behind it, or somebody does.
type Meanwhile<'m> = &'m dyn Fn(&dyn Store, &Key) -> Outcome;

/// Runs the suite on an empty store.
pub fn run(store: &dyn Store) {
    what_is_created_is_loaded(store);
    a_taken_key_is_not_created_again(store);
    an_update_never_creates(store);
    an_update_sees_and_replaces_the_newest(store);
    an_update_of_what_was_loaded_ends_with_the_newest(store);
    replacing_is_writing(store);
    keep_changes_nothing(store);
    a_deleted_key_is_free_again(store);
    every_size_survives(store);
    parallel_updates_are_all_kept(store);
    only_one_of_many_creators_wins(store);
    a_sweep_deletes_what_expired_and_nothing_else(store);
    a_pass_in_the_finest_slices_sees_each_record_once(store);
}

fn what_is_created_is_loaded(store: &dyn Store) {
    for durability in [Durability::Process, Durability::Machine] {
        let (key, value) = (key(), blob(7, b"value"));
        assert_eq!(store.load(&key).unwrap(), None);
        assert!(store.create(&key, &value, durability).unwrap());
        assert_eq!(store.load(&key).unwrap(), Some(value));
    }
}

fn a_taken_key_is_not_created_again(store: &dyn Store) {
    let key = key();
    assert!(store.create(&key, &blob(7, b"first"), NOW).unwrap());
    assert!(!store.create(&key, &blob(8, b"second"), NOW).unwrap());
    assert_eq!(store.load(&key).unwrap(), Some(blob(7, b"first")));
}

fn an_update_never_creates(store: &dyn Store) {
    let key = key();
    let mut shown = None;
    let outcome = store.update(&key, NOW, &mut |found| {
        shown = Some(found.cloned());
        Change::Write(blob(7, b"revived"))
    });
    assert_eq!((outcome.unwrap(), shown), (Outcome::Kept, Some(None)));
    assert_eq!(store.load(&key).unwrap(), None);
}

fn an_update_sees_and_replaces_the_newest(store: &dyn Store) {
    for durability in [Durability::Process, Durability::Machine] {
        let key = key();
        store.create(&key, &blob(0, b"0"), durability).unwrap();
        for n in 1..10u64 {
            let mut seen = Vec::new();
            let outcome = store.update(&key, durability, &mut |found| {
                seen = found.unwrap().bytes.to_vec();
                Change::Write(blob(n, n.to_string().as_bytes()))
            });
            assert_eq!((outcome.unwrap(), seen), (Outcome::Written, (n - 1).to_string().into_bytes()));
            assert_eq!(store.load(&key).unwrap(), Some(blob(n, n.to_string().as_bytes())));
        }
    }
}

fn an_update_of_what_was_loaded_ends_with_the_newest(store: &dyn Store) {
    for loaded in [&b"loaded"[..], &[7; 20_000]] {
        an_update_of_this_ends_with_the_newest(store, loaded);
    }
}

fn an_update_of_this_ends_with_the_newest(store: &dyn Store, first: &[u8]) {
    let anew = |store: &dyn Store, key: &Key| {
        store.update(key, NOW, &mut |_| Change::Delete).unwrap();
        assert!(store.create(key, &blob(7, b"anew"), NOW).unwrap());
        Outcome::Written
    };
    let longer = vec![b'x'; 9000];
    let meanwhile: [(Meanwhile<'_>, Option<&[u8]>); 5] = [
        (&|_, _| Outcome::Kept, Some(first)),
        (&|store, key| write(store, key, blob(7, b"newer"), NOW), Some(b"newer")),
        (&|store, key| write(store, key, blob(7, &longer), NOW), Some(&longer)),
        (&|store, key| store.update(key, NOW, &mut |_| Change::Delete).unwrap(), None),
        (&anew, Some(b"anew")),
    ];
    let written = blob(9, b"written");
    let changes = [
        (Change::Keep, Outcome::Kept),
        (Change::Write(written.clone()), Outcome::Written),
        (Change::Replace(written.clone()), Outcome::Written),
        (Change::Delete, Outcome::Deleted),
    ];
    let load = |key: &Key, to_change: bool| if to_change { store.load_to_change(key) } else { store.load(key) }.unwrap();
    let cases = [false, true].into_iter().flat_map(|to_change| meanwhile.iter().map(move |meanwhile| (to_change, *meanwhile)));
    for (to_change, (happens, newest)) in cases {
        for (change, outcome) in &changes {
            let key = key();
            assert_eq!(load(&key, to_change), None);
            store.create(&key, &blob(7, first), NOW).unwrap();
            let loaded = load(&key, to_change).unwrap();
            assert_eq!(loaded, blob(7, first));
            happens(store, &key);
            let (mut shown, mut asked) = (None, 0);
            let done = store.update_from(&key, Some(&loaded), NOW, &mut |found| {
                asked += 1;
                shown = found.map(|found| found.bytes.to_vec());
                change.clone()
            });
            assert_eq!(shown.as_deref(), newest);
            assert!(asked == 1 || newest != Some(first) || matches!(change, Change::Keep), "{asked}");
            assert_eq!(done.unwrap(), if newest.is_some() { *outcome } else { Outcome::Kept });
            let left = match (newest, outcome) {
                (Some(newest), Outcome::Kept) => Some(blob(7, newest)),
                (Some(_), Outcome::Written) => Some(written.clone()),
                (Some(_), Outcome::Deleted) | (None, _) => None,
            };
            assert_eq!(store.load(&key).unwrap(), left);
        }
    }
}

fn replacing_is_writing(store: &dyn Store) {
    let key = key();
    store.create(&key, &blob(1, b"first"), NOW).unwrap();
    for n in 2..6 {
        let mut shown = None;
        let outcome = store.update(&key, NOW, &mut |found| {
            shown = found.cloned();
            Change::Replace(blob(n, b"next"))
        });
        assert_eq!((outcome.unwrap(), shown.unwrap().expires), (Outcome::Written, Timestamp(n - 1)));
        assert_eq!(store.load(&key).unwrap(), Some(blob(n, b"next")));
    }
    assert_eq!(write(store, &key, blob(9, b"last"), NOW), Outcome::Written);
    assert_eq!(store.load(&key).unwrap(), Some(blob(9, b"last")));
}

fn keep_changes_nothing(store: &dyn Store) {
    let key = key();
    store.create(&key, &blob(7, b"v"), NOW).unwrap();
    assert_eq!(store.update(&key, NOW, &mut |_| Change::Keep).unwrap(), Outcome::Kept);
    assert_eq!(store.load(&key).unwrap(), Some(blob(7, b"v")));
}

fn a_deleted_key_is_free_again(store: &dyn Store) {
    let key = key();
    store.create(&key, &blob(7, b"v"), NOW).unwrap();
    assert_eq!(store.update(&key, NOW, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
    assert_eq!(store.load(&key).unwrap(), None);
    assert_eq!(store.update(&key, NOW, &mut |_| Change::Delete).unwrap(), Outcome::Kept);
    assert!(store.create(&key, &blob(8, b"again"), NOW).unwrap());
    assert_eq!(store.load(&key).unwrap(), Some(blob(8, b"again")));
}

fn every_size_survives(store: &dyn Store) {
    let key = key();
    store.create(&key, &blob(0, b""), NOW).unwrap();
    assert_eq!(store.load(&key).unwrap(), Some(blob(0, b"")));
    // Growing, shrinking, and around the edges of slots and reads.
    for (n, size) in
        [1, 959, 960, 961, 991, 992, 993, 3000, 4000, 8191, 8192, 8193, 100, 0, 70_000, 1 << 20, 5, 1 << 20].into_iter().enumerate()
    {
        let bytes: Vec<u8> = (0..size).map(|i: usize| (i * 31 + n) as u8).collect();
        let value = blob(n as u64, &bytes);
        assert_eq!(write(store, &key, value.clone(), NOW), Outcome::Written);
        assert_eq!(store.load(&key).unwrap(), Some(value), "{size} bytes");
    }
}

fn parallel_updates_are_all_kept(store: &dyn Store) {
    let key = key();
    store.create(&key, &blob(0, &0u64.to_le_bytes()), NOW).unwrap();
    let read = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..200usize {
                    let change = &mut |found: Option<&Blob>| {
                        let mut bytes = (read(&found.unwrap().bytes) + 1).to_le_bytes().to_vec();
                        bytes.resize(8 + n * 10, 0); // now and then it outgrows its place
                        Change::Write(blob(0, &bytes))
                    };
                    assert_eq!(store.update(&key, NOW, change).unwrap(), Outcome::Written);
                }
            });
        }
    });
    assert_eq!(read(&store.load(&key).unwrap().unwrap().bytes), 1600);
}

fn only_one_of_many_creators_wins(store: &dyn Store) {
    for _ in 0..20 {
        let key = key();
        let wins = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for n in 0..4u8 {
                let wins = &wins;
                scope.spawn(move || wins.fetch_add(store.create(&key, &blob(0, &[n]), NOW).unwrap().into(), Ordering::Relaxed));
            }
        });
        assert_eq!(wins.into_inner(), 1);
    }
}

fn a_sweep_deletes_what_expired_and_nothing_else(store: &dyn Store) {
    let (old, edge, live) = (key(), key(), key());
    for (key, expires) in [(old, 2_000_000), (edge, 3_000_000), (live, u64::MAX)] {
        store.create(&key, &blob(expires, b"v"), NOW).unwrap();
    }
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        cursor = store.sweep(Timestamp(3_000_000), Duration::from_millis(50), from, &mut |_, _| {}).unwrap().next;
    }
    assert_eq!(store.load(&old).unwrap(), None);
    assert!(store.load(&edge).unwrap().is_some());
    assert!(store.load(&live).unwrap().is_some());
    let mut seen = Vec::new();
    store
        .each(&mut |key, entry| {
            assert!(matches!(entry, Entry::Blob(_)));
            seen.push(*key);
            true
        })
        .unwrap();
    assert!(seen.contains(&edge) && seen.contains(&live) && !seen.contains(&old));
}

/// While others come and go between the slices.
fn a_pass_in_the_finest_slices_sees_each_record_once(store: &dyn Store) {
    // Next to each other too, as a crowd of sessions is.
    let near = |n: u8| Key([[0x77; 31].as_slice(), &[n]].concat().try_into().unwrap());
    let mut records = 0;
    store
        .each(&mut |_, _| {
            records += 1;
            true
        })
        .unwrap();
    for n in 0..20 {
        for key in [key(), near(2 * n)] {
            assert!(store.create(&key, &blob(u64::MAX, b"stays"), NOW).unwrap());
            records += 1;
        }
        store.create(&near(2 * n + 1), &blob(5, b"goes"), NOW).unwrap();
    }
    let (mut pass, mut slices) = (Sweep { next: Some(Cursor::default()), ..Sweep::default() }, 0);
    let mut passing: Option<Key> = None;
    while let Some(from) = pass.next.take() {
        pass.add(store.sweep(Timestamp(9), Duration::ZERO, from, &mut |_, _| {}).unwrap());
        if let Some(key) = passing.replace(key()) {
            store.update(&key, NOW, &mut |_| Change::Delete).unwrap();
        }
        store.create(passing.as_ref().unwrap(), &blob(u64::MAX, b"passes by"), NOW).unwrap();
        slices += 1;
        assert!(slices < 10_000, "the pass does not come further");
    }
    assert_eq!((pass.deleted, pass.failed), (20, 0));
    let passed_by = pass.seen - pass.deleted - records;
    assert!(slices > 3 && passed_by <= slices, "{pass:?} of {records} records in {slices} slices");
}
