//! A record in its blocks: a head of eight words, then the bytes. What does not fit into the largest block is a chain of such blocks,
//! each with the address of the next in its last word.
//!
//! Whoever reads without a lock may read what is being written anew, so nothing read here is trusted: lengths and addresses are
//! checked, and the check holds for key, expiry, length and bytes together.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::layout::{CHUNK, Memory, class_for};
use crate::faults::{checksum_is_off, may_die};
use crate::session::{Key, Timestamp};
use crate::store::Blob;

/// Check, key, expiry, length, number of birth.
pub const HEAD: usize = 8;

#[derive(Debug, Clone, Copy)]
pub struct Head {
    words: [u64; HEAD],
}

impl Head {
    fn new(key: &Key, blob: &Blob, born: u64) -> Head {
        let [a, b, c, d] = words_of(key);
        let mut head = Head { words: [0, a, b, c, d, blob.expires.0, blob.bytes.len() as u64, born] };
        head.words[0] = head.check(&blob.bytes);
        head
    }

    pub fn read(memory: Memory<'_>, address: u64) -> Option<Head> {
        let block = memory.block(address, HEAD)?;
        let mut words = [0; HEAD];
        for (word, cell) in words.iter_mut().zip(block) {
            *word = cell.load(Ordering::Relaxed);
        }
        Some(Head { words })
    }

    pub fn is_of(&self, key: &Key) -> bool {
        self.words[1..5] == words_of(key)
    }

    pub fn key(&self) -> Key {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(&self.words[1..5]) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        Key(bytes)
    }

    pub fn expires(&self) -> Timestamp {
        Timestamp(self.words[5])
    }

    /// Records are numbered as they are created.
    pub fn born(&self) -> u64 {
        self.words[7]
    }

    /// Bytes of the record; `None`: no record has so many.
    fn length(&self, memory: Memory<'_>) -> Option<usize> {
        usize::try_from(self.words[6]).ok().filter(|&length| length <= memory.geometry.largest_record())
    }

    fn check(&self, bytes: &[u8]) -> u64 {
        let mut head = [0; 56];
        for (place, word) in head.chunks_exact_mut(8).zip(&self.words[1..]) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        xxh3_64_with_seed(bytes, xxh3_64(&head))
    }

    /// The bytes of the record; `None`: it is not whole.
    pub fn blob(&self, memory: Memory<'_>, address: u64) -> Option<Blob> {
        let length = self.length(memory)?;
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        for (part, block) in walk(memory, address, length) {
            let words = block?[part.skip..part.skip + part.data].iter();
            bytes.extend(words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()));
        }
        bytes.truncate(length);
        let is_whole = self.check(&bytes) == self.words[0] || checksum_is_off();
        is_whole.then(|| Blob::new(self.expires(), bytes).known_by(self.version()))
    }

    /// What is checked: key, expiry, length, birth and bytes.
    fn version(&self) -> u64 {
        self.words[0]
    }

    /// Whether it is that of a blob that was loaded, as far as the head can tell, and tells where its blocks are: a chain of them is worth a look
    /// at the whole.
    pub fn is_that_of(&self, loaded: &Blob) -> bool {
        let length = loaded.bytes.len();
        let is_alone = HEAD + length.div_ceil(8) <= CHUNK;
        is_alone && loaded.version == Some(self.version()) && loaded.expires == self.expires() && self.words[6] == length as u64
    }

    /// The blocks that the record is in, each with its class; `None`: they cannot be told.
    pub fn blocks(&self, memory: Memory<'_>, address: u64) -> Option<Vec<(u64, usize)>> {
        let mut found = Vec::new();
        let mut next = address;
        for (part, block) in walk(memory, address, self.length(memory)?) {
            found.push((next, class_for(part.words())));
            if part.is_linked {
                next = block?[CHUNK - 1].load(Ordering::Relaxed);
            }
        }
        Some(found)
    }
}

fn words_of(key: &Key) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(key.0.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    }
    words
}

/// What lies in one block of a record.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Words before the data: the head, in the first block.
    skip: usize,
    /// Words of data.
    data: usize,
    /// The last word of the block is the address of the next one.
    is_linked: bool,
}

impl Part {
    /// Of the block.
    pub fn words(&self) -> usize {
        self.skip + self.data + usize::from(self.is_linked)
    }
}

/// How a record of so many bytes is divided.
pub fn parts(bytes: usize) -> impl Iterator<Item = Part> {
    let mut next = Some((HEAD, bytes.div_ceil(8)));
    std::iter::from_fn(move || {
        let (skip, rest) = next?;
        let is_linked = skip + rest > CHUNK;
        let data = if is_linked { CHUNK - 1 - skip } else { rest };
        next = is_linked.then_some((0, rest - data));
        Some(Part { skip, data, is_linked })
    })
}

/// The parts of a record with their blocks; the last one is `None` if an address is impossible.
fn walk<'m>(memory: Memory<'m>, address: u64, bytes: usize) -> impl Iterator<Item = (Part, Option<&'m [AtomicU64]>)> {
    let mut next = Some(address);
    parts(bytes).map_while(move |part| {
        let block = memory.block(next?, part.words());
        next = block.filter(|_| part.is_linked).map(|block| block[CHUNK - 1].load(Ordering::Relaxed));
        Some((part, block))
    })
}

/// Writes a record into blocks of the classes that [`parts`] asks for.
pub fn write(memory: Memory<'_>, blocks: &[u64], key: &Key, blob: &Blob, born: u64) {
    let mut rest = &blob.bytes[..];
    for (number, (part, &address)) in parts(blob.bytes.len()).zip(blocks).enumerate() {
        let block = memory.block(address, part.words()).expect("a block that was just given out");
        let (data, behind) = rest.split_at(rest.len().min(part.data * 8));
        rest = behind;
        let (whole, tail) = data.as_chunks::<8>();
        let cells = &block[part.skip..];
        for (cell, bytes) in cells.iter().zip(whole) {
            cell.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        may_die();
        if !tail.is_empty() {
            let mut last = [0; 8];
            last[..tail.len()].copy_from_slice(tail);
            cells[whole.len()].store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        if part.is_linked {
            block[CHUNK - 1].store(blocks[number + 1], Ordering::Relaxed);
        }
    }
    let block = memory.block(blocks[0], HEAD).expect("a block that was just given out");
    for (number, word) in Head::new(key, blob, born).words.into_iter().enumerate() {
        block[number].store(word, Ordering::Relaxed);
        if number == 3 {
            may_die();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_length_is_divided_without_a_gap() {
        for bytes in (0..40_000).step_by(7).chain([8127, 8128, 8129, 16_303, 16_304, 16_305, 1 << 20]) {
            let parts: Vec<_> = parts(bytes).collect();
            let data: usize = parts.iter().map(|part| part.data).sum();
            assert_eq!(data, usize::div_ceil(bytes, 8));
            assert!(parts.iter().all(|part| part.words() <= CHUNK && part.is_linked == (part.words() == CHUNK) || !part.is_linked));
            assert_eq!(parts.iter().filter(|part| !part.is_linked).count(), 1);
        }
    }
}
