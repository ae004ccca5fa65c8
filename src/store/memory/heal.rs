//! After a death amid a change: what the index names and is whole is kept, all else is free.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::Head;
use super::index::{self, Entry, FURTHER};
use super::layout::{CLASSES, Memory, PAGE, class_for};
use super::page::{Page, wipe};
use super::partition::Partition;
use crate::faults::may_die;

/// The pages of a partition, and which blocks are in use.
struct Ground<'m> {
    partition: Partition<'m>,
    pages: HashMap<u64, (usize, Page<'m>, u128)>,
}

/// Makes lists and counts of a partition anew, whose mutex is held. Should this die too, the next one does it once more.
pub fn heal(partition: Partition<'_>) {
    let _change = partition.change();
    partition.forget();
    may_die();
    let pages = partition.pages().map(|(class, page)| (page.number, (class, page, 0))).collect();
    let mut ground = Ground { partition, pages };
    for bucket in 0..partition.memory.geometry.buckets {
        ground.walk(bucket);
    }
    let mut empty = Vec::new();
    for (class, page, used) in ground.pages.into_values() {
        may_die();
        for block in (0..PAGE / CLASSES[class]).filter(|block| used & (1 << block) == 0) {
            wipe(partition.memory, page.number * PAGE as u64 + (block * CLASSES[class]) as u64, CLASSES[class]);
        }
        if used == 0 { empty.push((class, page)) } else { partition.adopt(class, page, used) }
    }
    for (class, page) in empty {
        if partition.has_no_spare(class) { partition.adopt(class, page, 0) } else { partition.abandon(page) }
    }
    recount(partition.memory);
}

impl<'m> Ground<'m> {
    fn walk(&mut self, bucket: usize) {
        let memory = self.partition.memory;
        let mut words = memory.bucket(self.partition.number, bucket);
        loop {
            for slot in index::entries(words) {
                let entry = Entry(slot.load(Ordering::Acquire));
                if entry.0 != 0 && !self.keep(bucket, entry) {
                    slot.store(0, Ordering::Release);
                    memory.damaged()[0].fetch_add(1, Ordering::Relaxed);
                }
            }
            words = match self.follow(index::link(words)) {
                Some(next) => next,
                None => return,
            };
        }
    }

    fn follow(&mut self, link: &AtomicU64) -> Option<&'m [AtomicU64]> {
        let address = link.load(Ordering::Acquire).checked_sub(1)?;
        if !self.mark(address, class_for(FURTHER)) {
            link.store(0, Ordering::Release);
            return None;
        }
        self.partition.memory.block(address, FURTHER)
    }

    /// Keeps the blocks of a record, if it is one.
    fn keep(&mut self, bucket: usize, entry: Entry) -> bool {
        let memory = self.partition.memory;
        let Some(head) = Head::read(memory, entry.address()).filter(|_| entry.is_there()) else { return false };
        let place = memory.place(&head.key());
        let is_here = (place.partition, place.bucket, place.tag) == (self.partition.number, bucket, entry.tag());
        if !is_here || head.blob(memory, entry.address()).is_none() {
            return false;
        }
        if entry.is_passing() {
            self.partition.oldest().fetch_min(head.born(), Ordering::Relaxed);
        }
        let blocks = head.blocks(memory, entry.address());
        blocks.is_some_and(|blocks| blocks.into_iter().all(|(address, class)| self.mark(address, class)))
    }

    /// `false`: it is no block of that class of ours, or in use already.
    fn mark(&mut self, address: u64, class: usize) -> bool {
        let (within, bit) = (address as usize % PAGE, 1 << (address as usize % PAGE / CLASSES[class]));
        match self.pages.get_mut(&(address / PAGE as u64)) {
            Some((of, _, used)) if *of == class && within.is_multiple_of(CLASSES[class]) && *used & bit == 0 => {
                *used |= bit;
                true
            }
            _ => false,
        }
    }
}

/// The count of pages, and the hints where free ones are, may have suffered too.
pub fn recount(memory: Memory<'_>) {
    // Who takes or gives back a page meanwhile may or may not be counted: then it is done again, and in the end left to the next one.
    for _ in 0..4 {
        let before = memory.pages_taken().load(Ordering::Relaxed);
        let taken = count(memory);
        if memory.pages_taken().compare_exchange(before, taken, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

fn count(memory: Memory<'_>) -> u64 {
    let mut taken = 0;
    for (at, hint) in memory.taken().iter().enumerate() {
        let pages = at * 64..memory.geometry.pages.min(at * 64 + 64);
        for number in pages {
            if memory.page(number)[0].load(Ordering::Relaxed) != 0 {
                taken += 1;
            } else {
                hint.fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
            }
        }
    }
    taken
}
