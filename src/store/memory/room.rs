//! Making room: pages that are hardly used are emptied into others of their kind; then records that are passing go, the oldest first.

use std::sync::atomic::Ordering;

use super::block::Head;
use super::index::{self, Entry};
use super::layout::{CLASSES, Memory, PAGE, blocks_per_page};
use super::page::{Page, wipe};
use super::partition::Purpose;
use super::section::{Found, Section};
use crate::faults::may_die;

/// Of the time from the oldest record that is passing to now, what goes at once: so the next ones find room.
const SHARE: u64 = 16;

/// Whether so many pages can be had beside the reserve.
pub fn has_pages(memory: Memory<'_>, wanted: u64) -> bool {
    memory.pages_taken().load(Ordering::Relaxed) + memory.geometry.reserve() + wanted <= memory.geometry.pages as u64
}

/// Where the oldest record that is passing may be, and up to which birth records go now.
pub fn oldest(memory: Memory<'_>) -> Option<(usize, u64)> {
    let of = |number: usize| memory.partition(number)[super::partition::OLDEST].load(Ordering::Relaxed);
    // Zeroes are a partition that nobody has entered, or whose healer died.
    let known = (0..memory.geometry.partitions).map(|number| (number, of(number))).filter(|(_, born)| *born != 0);
    let (number, oldest) = known.min_by_key(|(_, born)| *born)?;
    let now = memory.births().load(Ordering::Relaxed);
    (oldest != u64::MAX).then(|| (number, oldest + now.saturating_sub(oldest) / SHARE))
}

impl Section<'_> {
    /// Removes the records that are passing and were born up to then; answers how many.
    pub fn drop_passing(&self, born: u64) -> u64 {
        let (mut dropped, mut oldest) = (0, u64::MAX);
        for bucket in 0..self.memory.geometry.buckets {
            for slot in index::chain(self.memory, self.partition.number, bucket).flat_map(index::entries) {
                let entry = Entry(slot.load(Ordering::Acquire));
                let head = if entry.is_passing() { Head::read(self.memory, entry.address()) } else { None };
                match head {
                    Some(head) if head.born() <= born => {
                        // What is damaged may name the blocks of others.
                        match head.blob(self.memory, entry.address()) {
                            Some(_) => self.remove(&Found { slot, entry, head }),
                            None => self.remove_damaged(slot),
                        }
                        dropped += 1;
                    }
                    Some(head) => oldest = oldest.min(head.born()),
                    None => {}
                }
            }
        }
        self.partition.oldest().store(oldest, Ordering::Relaxed);
        dropped
    }

    /// Empties pages that are hardly used, until so many can be had.
    pub fn compact(&self, wanted: u64) {
        for class in 0..CLASSES.len() {
            let blocks = blocks_per_page(class) as u64;
            // Of what is left, one block stays free.
            let has_too_many = || self.partition.free(class).load(Ordering::Relaxed) > blocks;
            if !has_too_many() {
                continue;
            }
            let mut pages: Vec<_> = self.partition.listed(class).collect();
            pages.sort_by_key(Page::used);
            for page in pages {
                if !has_too_many() {
                    break;
                }
                if has_pages(self.memory, wanted) {
                    return;
                }
                // What was moved before may have filled it, and then it is in no list.
                if page.used() < blocks_per_page(class) {
                    self.empty(class, page);
                }
            }
        }
    }

    /// Moves the blocks of a page into others. What is not the beginning of a record cannot be moved, and keeps its page.
    fn empty(&self, class: usize, page: Page<'_>) {
        let _change = self.partition.change();
        let mut bits = page.bits();
        self.partition.disown(class, page);
        for block in 0..blocks_per_page(class) {
            let address = page.number * PAGE as u64 + (block * CLASSES[class]) as u64;
            if bits & (1 << block) != 0 {
                if !self.relocate(class, address) {
                    break;
                }
                bits &= !(1 << block);
            }
        }
        if bits == 0 { self.partition.abandon(page) } else { self.partition.adopt(class, page, bits) }
    }

    fn relocate(&self, class: usize, address: u64) -> bool {
        let Some(head) = Head::read(self.memory, address) else { return false };
        let place = self.memory.place(&head.key());
        if place.partition != self.partition.number {
            return false;
        }
        let mut entries = index::candidates(self.memory, place);
        let Some((slot, entry)) = entries.find(|(_, entry)| entry.address() == address) else { return false };
        let Some(to) = self.partition.allocate(class, Purpose::Again) else { return false };
        let (Some(from), Some(new)) = (self.memory.block(address, CLASSES[class]), self.memory.block(to, CLASSES[class])) else {
            return false;
        };
        for (from, to) in from.iter().zip(new) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        slot.store(entry.moved_to(to).0, Ordering::Release);
        may_die();
        wipe(self.memory, address, CLASSES[class]);
        true
    }
}
