//! The index: which key is where. A bucket has seven entries and a link to further ones; an entry stays in its place as long as its
//! record lives, so whoever looks through a bucket without a lock misses nothing that is there all the time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::{BUCKET, CLASSES, Memory, Place};

/// Words of a further bucket: a block of the smallest class.
pub const FURTHER: usize = CLASSES[0];

const ADDRESS: u64 = (1 << 35) - 1;
const THERE: u64 = 1 << 35;
const PASSING: u64 = 1 << 36;
const VERSION: u64 = 1 << 37;
const VERSIONS: u64 = 0x7ff;
const TAG: u32 = 48;

/// A word of the index: where a record is, a part of the hash of its key, and a number that differs from that of the word before. Zero:
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    pub fn new(address: u64, tag: u64, is_passing: bool, before: Entry) -> Entry {
        let version = (before.0 / VERSION).wrapping_add(1) & VERSIONS;
        let passing = if is_passing { PASSING } else { 0 };
        Entry(address | THERE | passing | (version * VERSION) | (tag << TAG))
    }

    pub fn is_there(self) -> bool {
        self.0 & THERE != 0
    }

    pub fn address(self) -> u64 {
        self.0 & ADDRESS
    }

    pub fn tag(self) -> u64 {
        self.0 >> TAG
    }

    /// Whether the record goes first when there is no room.
    pub fn is_passing(self) -> bool {
        self.0 & PASSING != 0
    }

    /// The same record in another block.
    pub fn moved_to(self, address: u64) -> Entry {
        Entry::new(address, self.tag(), self.is_passing(), self)
    }
}

/// The buckets of a chain, each as its entries and its link.
pub fn chain<'m>(memory: Memory<'m>, partition: usize, bucket: usize) -> impl Iterator<Item = &'m [AtomicU64]> {
    let mut next = Some(memory.bucket(partition, bucket));
    let mut most = memory.geometry.pages * 128; // a circle is damage, and ends
    std::iter::from_fn(move || {
        let words = next.take()?;
        next = linked(memory, words).filter(|_| most > 0);
        most = most.saturating_sub(1);
        Some(words)
    })
}

fn linked<'m>(memory: Memory<'m>, words: &[AtomicU64]) -> Option<&'m [AtomicU64]> {
    match link(words).load(Ordering::Acquire) {
        0 => None,
        link => memory.block(link - 1, FURTHER),
    }
}

/// Zero, or one more than the address of the next bucket.
pub fn link(words: &[AtomicU64]) -> &AtomicU64 {
    &words[words.len() - 1]
}

pub fn entries(words: &[AtomicU64]) -> &[AtomicU64] {
    &words[..words.len() - 1]
}

/// The entries that may be of a key, and where they stand.
pub fn candidates<'m>(memory: Memory<'m>, place: Place) -> impl Iterator<Item = (&'m AtomicU64, Entry)> {
    let all = chain(memory, place.partition, place.bucket).flat_map(entries);
    let read = |slot: &'m AtomicU64| (slot, Entry(slot.load(Ordering::Acquire)));
    all.map(read).filter(move |(_, entry)| entry.is_there() && entry.tag() == place.tag)
}

/// A place for a new entry; the error is the last bucket, to which one is to be linked.
pub fn vacancy<'m>(memory: Memory<'m>, place: Place) -> Result<&'m AtomicU64, &'m [AtomicU64]> {
    let mut last = memory.bucket(place.partition, place.bucket);
    for words in chain(memory, place.partition, place.bucket) {
        if let Some(slot) = entries(words).iter().find(|slot| slot.load(Ordering::Relaxed) == 0) {
            return Ok(slot);
        }
        last = words;
    }
    Err(last)
}

const _: () = assert!(BUCKET > 1 && FURTHER > 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_all_it_is_told_and_differs_from_the_one_before() {
        let nothing = Entry(0);
        let first = Entry::new(ADDRESS, 0xffff, true, nothing);
        assert!(first.is_there() && first.is_passing() && !nothing.is_there());
        assert_eq!((first.address(), first.tag()), (ADDRESS, 0xffff));
        let mut entry = Entry::new(0, 0, false, nothing);
        for _ in 0..5000 {
            let next = entry.moved_to(0);
            assert!(next != entry && next.is_there() && !next.is_passing());
            assert_eq!((next.address(), next.tag()), (0, 0));
            entry = next;
        }
    }
}
