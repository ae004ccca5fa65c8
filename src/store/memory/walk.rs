//! Walking over all records: cleaning, listing. Entries stay where they are, so a walk by places shows each record once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::block::Head;
use super::heal::recount;
use super::layout::{Geometry, Memory};
use super::section::Found;
use super::{MemoryStore, index, is_as_it_was};
use crate::session::{Key, Timestamp};
use crate::store::{Blob, Cursor, Entry, Error, Result, Store, Sweep};

/// Buckets between two looks at the clock.
const STEP: usize = 8;
/// The same where there is nothing in them, which must not take long either.
const EMPTY_STEP: usize = 2048;

/// How far a sweep has come.
struct Position {
    partition: usize,
    bucket: usize,
}

impl Position {
    fn decode(cursor: &Cursor) -> Position {
        let number = |at: usize| {
            let bytes = cursor.0.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            usize::try_from(bytes.map_or(0, u64::from_le_bytes)).unwrap_or(usize::MAX)
        };
        Position { partition: number(0), bucket: number(8) }
    }

    fn encode(&self) -> Cursor {
        Cursor([self.partition as u64, self.bucket as u64].into_iter().flat_map(u64::to_le_bytes).collect())
    }
}

pub fn sweep(
    store: &MemoryStore,
    before: Timestamp,
    slice: Duration,
    from: &Cursor,
    deleted: &mut dyn FnMut(&Key, &Blob),
) -> Result<Sweep> {
    let mut done = sweep_slice(store, before, slice, from, deleted)?;
    let [found, told] = store.memory.damaged();
    let all = found.load(Ordering::Relaxed);
    let since = all.wrapping_sub(told.swap(all, Ordering::Relaxed));
    if since > 0 {
        done.corrupt += since;
        done.damage.get_or_insert_with(|| format!("{}: what a crash of the machine left in pieces, and is lost", store.around.name));
    }
    Ok(done)
}

fn sweep_slice(
    store: &MemoryStore,
    before: Timestamp,
    slice: Duration,
    from: &Cursor,
    deleted: &mut dyn FnMut(&Key, &Blob),
) -> Result<Sweep> {
    let (end, geometry) = (Instant::now() + slice, store.memory.geometry);
    let (mut done, mut passed) = (Sweep::default(), 0);
    let Position { partition: first, mut bucket } = Position::decode(from);
    if (first, bucket) == (0, 0) {
        recount(store.memory);
    }
    for partition in first..geometry.partitions {
        if bucket == 0 {
            // Whatever a death left is found here at the latest.
            store.in_section(partition, |_| ())?;
        }
        while bucket < geometry.buckets {
            let seen = done.seen;
            let stop = geometry.buckets.min(bucket + STEP);
            for bucket in bucket..stop {
                sweep_bucket(store, (partition, bucket), before, deleted, &mut done)?;
            }
            passed += stop - bucket;
            bucket = stop;
            if (done.seen > seen || passed >= EMPTY_STEP) && Instant::now() > end {
                done.next = Some(Position { partition, bucket }.encode());
                return Ok(done);
            }
        }
        bucket = 0;
    }
    Ok(done)
}

/// What an entry names, whether or not anybody can read it.
struct Named {
    entry: index::Entry,
    head: Head,
    /// Its key belongs there.
    is_here: bool,
}

/// `None`: the place is free, or somebody changes it so often that it is surely alive.
fn named(store: &MemoryStore, (partition, bucket): (usize, usize), slot: &AtomicU64) -> Option<Named> {
    for _ in 0..100 {
        let entry = index::Entry(slot.load(Ordering::Acquire));
        let head = Head::read(store.memory, entry.address()).filter(|_| entry.is_there())?;
        if is_as_it_was(slot, entry) {
            let place = store.memory.place(&head.key());
            let is_here = (place.partition, place.bucket, place.tag) == (partition, bucket, entry.tag());
            return Some(Named { entry, head, is_here });
        }
    }
    None
}

fn sweep_bucket(
    store: &MemoryStore,
    at: (usize, usize),
    before: Timestamp,
    deleted: &mut dyn FnMut(&Key, &Blob),
    done: &mut Sweep,
) -> Result<()> {
    for slot in index::chain(store.memory, at.0, at.1).flat_map(index::entries) {
        if slot.load(Ordering::Relaxed) == 0 {
            continue;
        }
        done.seen += 1;
        if named(store, at, slot).is_none_or(|named| named.is_here && named.head.expires() >= before) {
            continue;
        }
        let removed = store.in_section(at.0, |section| {
            let Named { entry, head, is_here } = named(store, at, slot)?;
            match head.blob(store.memory, entry.address()).filter(|_| is_here) {
                Some(blob) if blob.expires < before => {
                    section.remove(&Found { slot, entry, head });
                    Some((head.key(), Some(blob)))
                }
                Some(_) => None,
                None => {
                    section.remove_damaged(slot);
                    Some((head.key(), None))
                }
            }
        })?;
        match removed {
            Some((key, Some(blob))) => {
                deleted(&key, &blob);
                done.deleted += 1;
            }
            Some((key, None)) => {
                done.corrupt += 1;
                done.damage.get_or_insert_with(|| store.corrupt(&key).to_string());
            }
            None => {}
        }
    }
    Ok(())
}

/// Shows what every entry names and when it was born. For those who have the memory alone.
pub fn records(memory: Memory<'_>, visit: &mut dyn FnMut(index::Entry, u64)) {
    for (partition, bucket) in places(memory.geometry) {
        for slot in index::chain(memory, partition, bucket).flat_map(index::entries) {
            let entry = index::Entry(slot.load(Ordering::Acquire));
            if let Some(head) = Head::read(memory, entry.address()).filter(|_| entry.is_there()) {
                visit(entry, head.born());
            }
        }
    }
}

fn places(geometry: Geometry) -> impl Iterator<Item = (usize, usize)> {
    (0..geometry.partitions).flat_map(move |partition| (0..geometry.buckets).map(move |bucket| (partition, bucket)))
}

pub fn each(store: &MemoryStore, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    for at in places(store.memory.geometry) {
        for slot in index::chain(store.memory, at.0, at.1).flat_map(index::entries) {
            let Some(named) = named(store, at, slot) else { continue };
            let key = named.head.key();
            let shown = match store.load(&key) {
                Ok(Some(blob)) => Entry::Blob(blob),
                Ok(None) => continue, // gone meanwhile
                Err(Error::Corrupt(_)) => Entry::Corrupt,
                Err(error) => return Err(error),
            };
            if !visit(&key, shown) {
                return Ok(());
            }
        }
    }
    Ok(())
}
