//! The table of pages: whose a page is, which of its blocks are in use, and what stands before and after it in a list.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::layout::Memory;

pub fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

pub fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

/// Fills with zeroes what the index names no more.
pub fn wipe(memory: Memory<'_>, address: u64, words: usize) {
    // A reader who sees a zero sees also that the index has changed: else it would take the record for one of another key.
    fence(Ordering::Release);
    memory.block(address, words).into_iter().flatten().for_each(|word| set(word, 0));
}

/// An entry of the table of pages.
#[derive(Clone, Copy)]
pub struct Page<'m> {
    pub number: u64,
    words: &'m [AtomicU64],
}

impl<'m> Page<'m> {
    pub fn new(memory: Memory<'m>, number: u64) -> Page<'m> {
        Page { number, words: memory.page(number as usize) }
    }

    /// 0: nobody's; else one more than the number of the partition, and the class.
    pub fn owner(&self) -> &'m AtomicU64 {
        &self.words[0]
    }

    pub fn bits(&self) -> u128 {
        u128::from(get(&self.words[1])) | u128::from(get(&self.words[2])) << 64
    }

    pub fn set_bits(&self, bits: u128) {
        set(&self.words[1], bits as u64);
        set(&self.words[2], (bits >> 64) as u64);
    }

    /// Blocks in use.
    pub fn used(&self) -> usize {
        self.bits().count_ones() as usize
    }

    pub fn mark(&self, block: usize, used: bool) {
        let bit = 1 << block;
        self.set_bits(if used { self.bits() | bit } else { self.bits() & !bit });
    }

    pub fn first_free(&self, blocks: usize) -> Option<usize> {
        Some(self.bits().trailing_ones() as usize).filter(|&block| block < blocks)
    }

    /// The pages before and after it in its list, one more than their numbers; 0: none.
    pub fn links(&self) -> (u64, u64) {
        let links = get(&self.words[3]);
        (links & 0xffff_ffff, links >> 32)
    }

    pub fn set_links(&self, before: u64, after: u64) {
        set(&self.words[3], before | after << 32);
    }

    pub fn hint(&self, memory: Memory<'_>, taken: bool) {
        let (word, bit) = (&memory.taken()[self.number as usize / 64], 1 << (self.number % 64));
        if taken {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
    }
}
