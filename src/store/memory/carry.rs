//! Carrying sessions over to memory of another size.

use std::sync::atomic::Ordering;

use super::layout::Memory;
use super::section::{New, Section};
use super::{index, walk};
use crate::session::Key;
use crate::store::Blob;

/// What became of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    pub kept: u64,
    /// For want of room.
    pub left: u64,
}

/// Copies all records into an empty store, if they fit; else those that are passing stay behind, the oldest first. For those who have both
/// alone.
pub fn carry(from: Memory<'_>, to: Memory<'_>) -> Carried {
    to.births().store(from.births().load(Ordering::Relaxed), Ordering::Relaxed);
    for number in 0..from.geometry.partitions {
        let _ = Section::enter(from, number);
    }
    for (from, to) in from.damaged().into_iter().zip(to.damaged()) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    let mut carried = Carried { kept: 0, left: 0 };
    let mut passing = Vec::new();
    walk::records(from, &mut |entry, born| {
        if entry.is_passing() { passing.push((born, entry)) } else { copy(from, to, entry, &mut carried) }
    });
    passing.sort_unstable_by_key(|(born, _)| std::cmp::Reverse(*born));
    for (_, entry) in passing {
        copy(from, to, entry, &mut carried);
    }
    carried
}

fn copy(from: Memory<'_>, to: Memory<'_>, entry: index::Entry, carried: &mut Carried) {
    let read = super::Head::read(from, entry.address());
    let whole = read.and_then(|head| Some((head.key(), head.blob(from, entry.address())?, head.born())));
    let kept = whole.is_some_and(|(key, blob, born): (Key, Blob, u64)| {
        let place = to.place(&key);
        let new = New { key: &key, blob: &blob, is_passing: entry.is_passing(), born };
        blob.bytes.len() <= to.geometry.largest_record() && Section::enter(to, place.partition).insert(place, &new)
    });
    *(if kept { &mut carried.kept } else { &mut carried.left }) += 1;
}
