//! Where what lies in the memory: a head, the partitions with their index, the table of pages, and the pages, in which blocks are.
//! Everything is a 64-bit atomic; zeroes everywhere but in the first words are an empty store.
//!
//! ```text
//! head        version, bytes, and what is counted for the whole store
//! partitions  {state, lists of pages, counts} each
//! buckets     of each partition: 7 entries and a link each
//! taken       a bit for each page, as a hint
//! page table  {owner, used blocks, links} each
//! pages       16 KiB each, cut into blocks of one size
//! ```
//!
//! What counts is the index with the blocks that it names. All else follows from it, and is made anew when a process has died amid a
//! change ([`super::heal`]).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::Key;
use xxhash_rust::xxh3::xxh3_64;

/// "MSRSMEM" and the version of this layout.
const VERSION: u64 = u64::from_be_bytes(*b"MSRSMEM\x01");
const HEAD: usize = 512;
/// Words of a page.
pub const PAGE: usize = 2048;
/// Words of a bucket: a cache line, the last word of which is a link.
pub const BUCKET: usize = 8;
const PARTITION: usize = 128;
const PAGE_ENTRY: usize = 4;
/// Bytes of a partition: small enough to be healed or searched within a millisecond.
const PARTITION_BYTES: u64 = 4 << 20;
const MOST_PARTITIONS: u64 = 1024;
/// There is a place in the buckets for each so many bytes; records that are smaller on average cost links.
const BYTES_PER_ENTRY: u64 = 256;
/// An address has 35 bits.
pub const LARGEST: u64 = 256 << 30;
pub const SMALLEST: u64 = 1 << 20;

/// Words of the blocks that a page can be cut into, by class. From one to the next it is about an eighth more.
pub const CLASSES: [usize; 31] = {
    let blocks = [128, 114, 102, 91, 81, 72, 64, 57, 51, 45, 40, 36, 32, 28, 25, 22, 20, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut words = [0; 31];
    let mut class = 0;
    while class < words.len() {
        words[class] = PAGE / blocks[class];
        class += 1;
    }
    words
};

/// Words of the largest block: what is longer is a chain of these.
pub const CHUNK: usize = CLASSES[CLASSES.len() - 1];

/// The class of the smallest blocks that hold so many words, which are not more than [`CHUNK`].
pub fn class_for(words: usize) -> usize {
    CLASSES.partition_point(|&size| size < words)
}

pub fn blocks_per_page(class: usize) -> usize {
    PAGE / CLASSES[class]
}

/// How much there is of what; it follows from the size of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub bytes: u64,
    pub partitions: usize,
    /// In each partition.
    pub buckets: usize,
    pub pages: usize,
}

impl Geometry {
    /// `None`: too small or too large to be a store.
    pub fn of(bytes: u64) -> Option<Geometry> {
        if !(SMALLEST..=LARGEST).contains(&bytes) {
            return None;
        }
        let number = |n: u64| usize::try_from(n).ok();
        let most = (bytes / PARTITION_BYTES).clamp(1, MOST_PARTITIONS);
        let partitions = number(1 << most.ilog2())?;
        let buckets = number(bytes / BYTES_PER_ENTRY)?.div_ceil((BUCKET - 1) * partitions);
        let mut geometry = Geometry { bytes, partitions, buckets, pages: 0 };
        let words = number(bytes / 8)?;
        geometry.pages = words.checked_sub(geometry.page_table())? / (PAGE + PAGE_ENTRY);
        while geometry.heap() + geometry.pages * PAGE > words {
            geometry.pages -= 1;
        }
        Some(geometry)
    }

    fn buckets_at(&self) -> usize {
        HEAD + self.partitions * PARTITION
    }

    fn taken(&self) -> usize {
        self.buckets_at() + self.partitions * self.buckets * BUCKET
    }

    fn page_table(&self) -> usize {
        self.taken() + self.pages.div_ceil(64).next_multiple_of(8)
    }

    /// Where the pages begin: at a page of the machine.
    fn heap(&self) -> usize {
        (self.page_table() + self.pages * PAGE_ENTRY).next_multiple_of(512)
    }

    /// The first words of an empty store: all others are zero.
    pub fn first_words(&self) -> [u64; 2] {
        [VERSION, self.bytes]
    }

    /// What the first words of a file say; the error is a part of a sentence.
    pub fn read(first: [u64; 2], length: u64) -> Result<Geometry, String> {
        match first {
            [VERSION, bytes] if bytes == length => Geometry::of(bytes).ok_or_else(|| format!("has a size of {bytes} bytes")),
            [VERSION, bytes] => Err(format!("is {length} bytes long, and was made with {bytes}")),
            [other, _] if other & !0xff == VERSION & !0xff => Err(format!("has the layout of another version ({})", other & 0xff)),
            _ => Err("does not begin as such a file does".to_owned()),
        }
    }

    /// So many pages are kept for what sessions that are there grow by.
    pub fn reserve(&self) -> u64 {
        (self.pages as u64 / 16).max(2)
    }

    /// Bytes of the largest record: what is beyond would drive out all others.
    pub fn largest_record(&self) -> usize {
        self.pages / 8 * PAGE * 8
    }
}

/// What is known of a key before any memory is read.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub partition: usize,
    pub bucket: usize,
    pub tag: u64,
}

/// The memory, in its layout.
#[derive(Clone, Copy)]
pub struct Memory<'m> {
    words: &'m [AtomicU64],
    pub geometry: Geometry,
    heap: usize,
}

impl<'m> Memory<'m> {
    /// Takes zeroed memory into use.
    ///
    /// # Panics
    /// It is smaller than its geometry says.
    pub fn format(words: &'m [AtomicU64], geometry: Geometry) -> Memory<'m> {
        for (word, value) in words.iter().zip(geometry.first_words()).rev() {
            word.store(value, Ordering::Release);
        }
        Memory::attach(words).expect("as it was just written")
    }

    /// Memory that is in use.
    ///
    /// # Errors
    /// It is no such memory, or of another version; the text is a part of a sentence.
    pub fn attach(words: &'m [AtomicU64]) -> Result<Memory<'m>, String> {
        let [version, bytes, ..] = words else { return Err("is too short".to_owned()) };
        let first = [version, bytes].map(|word| word.load(Ordering::Acquire));
        let geometry = Geometry::read(first, words.len() as u64 * 8)?;
        Ok(Memory { words, geometry, heap: geometry.heap() })
    }

    pub fn place(&self, key: &Key) -> Place {
        let hash = xxh3_64(&key.0);
        let partition = hash as usize & (self.geometry.partitions - 1);
        let bucket = (((hash >> 16 & 0xffff_ffff) * self.geometry.buckets as u64) >> 32) as usize;
        Place { partition, bucket, tag: hash >> 48 }
    }

    /// Counts the records that were ever created.
    pub fn births(&self) -> &'m AtomicU64 {
        &self.words[8]
    }

    /// So many pages are taken, exact but for processes that died.
    pub fn pages_taken(&self) -> &'m AtomicU64 {
        &self.words[16]
    }

    /// How many records had to make room, how many of them were told of, and when, in microseconds since 1970.
    pub fn dropped(&self) -> [&'m AtomicU64; 3] {
        [&self.words[24], &self.words[25], &self.words[26]]
    }

    /// When room was last looked for in vain, in microseconds since 1970.
    pub fn exhausted(&self) -> &'m AtomicU64 {
        &self.words[27]
    }

    /// Records that were found damaged by a healer, and how many of them were told of.
    pub fn damaged(&self) -> [&'m AtomicU64; 2] {
        [&self.words[28], &self.words[29]]
    }

    /// The words of a partition: see [`super::partition`].
    pub fn partition(&self, number: usize) -> &'m [AtomicU64] {
        let at = HEAD + number * PARTITION;
        &self.words[at..at + PARTITION]
    }

    pub fn bucket(&self, partition: usize, bucket: usize) -> &'m [AtomicU64] {
        let at = self.geometry.buckets_at() + (partition * self.geometry.buckets + bucket) * BUCKET;
        &self.words[at..at + BUCKET]
    }

    /// A bit for each page that is taken. Only a hint: the owner of a page counts.
    pub fn taken(&self) -> &'m [AtomicU64] {
        let at = self.geometry.taken();
        &self.words[at..at + self.geometry.pages.div_ceil(64)]
    }

    /// Owner, two words of bits for the blocks in use, links.
    pub fn page(&self, number: usize) -> &'m [AtomicU64] {
        let at = self.geometry.page_table() + number * PAGE_ENTRY;
        &self.words[at..at + PAGE_ENTRY]
    }

    /// Words of the pages; `None`: there are none, which who reads without a lock may be told by a word that is being written.
    pub fn block(&self, address: u64, words: usize) -> Option<&'m [AtomicU64]> {
        let at = self.heap.checked_add(usize::try_from(address).ok()?)?;
        self.words.get(at..at.checked_add(words)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_into_any_size_and_little_is_not_pages() {
        for bytes in [SMALLEST, (1 << 20) + 4096, 3 << 20, 64 << 20, (100 << 20) + 12_288, 1 << 30, 5 << 30, LARGEST] {
            let geometry = Geometry::of(bytes).unwrap();
            let end = (geometry.heap() + geometry.pages * PAGE) as u64 * 8;
            assert!(end <= bytes && end + 2 * 8 * PAGE as u64 > bytes, "{geometry:?}");
            assert!(geometry.pages as u64 * 16384 * 100 > bytes * 94, "{geometry:?}");
            assert_eq!(Geometry::read(geometry.first_words(), bytes), Ok(geometry));
        }
        assert!(Geometry::of(SMALLEST - 1).is_none() && Geometry::of(LARGEST + 4096).is_none());
    }

    #[test]
    fn classes_grow_by_steps_and_hold_what_they_are_chosen_for() {
        assert!(CLASSES.is_sorted() && CLASSES[0] == 16 && CHUNK == 1024);
        for words in 1..=CHUNK {
            let class = class_for(words);
            assert!(CLASSES[class] >= words && (class == 0 || CLASSES[class - 1] < words));
        }
        assert!(CLASSES.iter().all(|size| PAGE / size <= 128), "a page has 128 bits");
    }

    #[test]
    fn another_version_and_another_length_are_not_attached() {
        let words: Vec<_> = (0..SMALLEST / 8).map(|_| AtomicU64::new(0)).collect();
        assert!(Memory::attach(&words).is_err(), "not formatted");
        Memory::format(&words, Geometry::of(SMALLEST).unwrap());
        assert!(Memory::attach(&words).is_ok());
        assert!(Memory::attach(&words[1..]).is_err());
        assert!(Memory::attach(&words[..words.len() - 1]).is_err_and(|why| why.contains("long")));
        words[0].store(VERSION + 1, Ordering::Relaxed);
        assert!(Memory::attach(&words).is_err_and(|why| why.contains("another version (2)")));
    }
}
