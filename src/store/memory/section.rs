//! What is done to the records of a partition under its mutex. Each change is published by one store into the index: before it the old
//! state counts, after it the new one, wherever a process dies.

use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{self, Head, parts};
use super::heal::heal;
use super::index::{self, Entry, FURTHER};
use super::layout::{CHUNK, Memory, Place, class_for};
use super::partition::{Partition, Purpose};
use crate::faults::may_die;
use crate::session::Key;
use crate::store::Blob;

/// The partition whose mutex is held.
pub struct Section<'m> {
    pub partition: Partition<'m>,
    pub memory: Memory<'m>,
}

/// A record that is there.
#[derive(Clone, Copy)]
pub struct Found<'m> {
    pub slot: &'m AtomicU64,
    pub entry: Entry,
    pub head: Head,
}

/// A record that is to be there.
pub struct New<'n> {
    pub key: &'n Key,
    pub blob: &'n Blob,
    pub is_passing: bool,
    pub born: u64,
}

impl<'m> Section<'m> {
    /// The caller holds the mutex.
    pub fn enter(memory: Memory<'m>, partition: usize) -> Section<'m> {
        let partition = Partition::new(memory, partition);
        if !partition.is_sound() {
            heal(partition);
        }
        Section { partition, memory }
    }

    pub fn find(&self, place: Place, key: &Key) -> Option<Found<'m>> {
        index::candidates(self.memory, place).find_map(|(slot, entry)| {
            let head = Head::read(self.memory, entry.address()).filter(|head| head.is_of(key))?;
            Some(Found { slot, entry, head })
        })
    }

    /// `None`: it is damaged.
    pub fn blob(&self, found: &Found<'_>) -> Option<Blob> {
        found.head.blob(self.memory, found.entry.address())
    }

    /// Stores a record that is not there. `false`: there is no room.
    #[must_use]
    pub fn insert(&self, place: Place, new: &New<'_>) -> bool {
        let _change = self.partition.change();
        let Some(blocks) = self.allocate(new.blob.bytes.len(), Purpose::New) else { return false };
        let slot = match index::vacancy(self.memory, place) {
            Ok(slot) => slot,
            Err(last) => match self.link_further(last) {
                Some(slot) => slot,
                None => {
                    self.give_back(&blocks, new.blob.bytes.len());
                    return false;
                }
            },
        };
        self.publish(slot, Entry(0), place.tag, &blocks, new);
        true
    }

    /// Stores a record in the place of one that is there. `false`: there is no room.
    #[must_use]
    pub fn replace(&self, found: &Found<'_>, new: &New<'_>) -> bool {
        let Some(old) = found.head.blocks(self.memory, found.entry.address()) else { return false };
        let _change = self.partition.change();
        let classes = parts(new.blob.bytes.len()).map(|part| class_for(part.words()));
        let purpose = if classes.eq(old.iter().map(|(_, class)| *class)) { Purpose::Again } else { Purpose::Growth };
        let Some(blocks) = self.allocate(new.blob.bytes.len(), purpose) else { return false };
        self.publish(found.slot, found.entry, found.entry.tag(), &blocks, new);
        for (address, class) in old {
            self.partition.give_back(address, class);
        }
        true
    }

    pub fn remove(&self, found: &Found<'_>) {
        let _change = self.partition.change();
        // Where the blocks cannot be told, a healer finds them.
        let blocks = found.head.blocks(self.memory, found.entry.address()).unwrap_or_default();
        found.slot.store(0, Ordering::Release);
        may_die();
        for (address, class) in blocks {
            self.partition.give_back(address, class);
        }
    }

    /// Removes what the index names and nobody can read, and all that belongs to it.
    pub fn remove_damaged(&self, slot: &AtomicU64) {
        let _change = self.partition.change();
        slot.store(0, Ordering::Release);
        heal(self.partition);
    }

    fn publish(&self, slot: &AtomicU64, before: Entry, tag: u64, blocks: &[u64], new: &New<'_>) {
        block::write(self.memory, blocks, new.key, new.blob, new.born);
        if new.is_passing {
            self.partition.oldest().fetch_min(new.born, Ordering::Relaxed);
        }
        may_die();
        slot.store(Entry::new(blocks[0], tag, new.is_passing, before).0, Ordering::Release);
        may_die();
    }

    /// Blocks for a record of so many bytes, all or none.
    fn allocate(&self, bytes: usize, purpose: Purpose) -> Option<Vec<u64>> {
        let mut blocks = Vec::with_capacity(1 + bytes / (CHUNK * 8 - 8));
        for part in parts(bytes) {
            match self.partition.allocate(class_for(part.words()), purpose) {
                Some(address) => blocks.push(address),
                None => {
                    self.give_back(&blocks, bytes);
                    return None;
                }
            }
        }
        Some(blocks)
    }

    /// Blocks that were given out and never published: the first ones of a record of so many bytes.
    fn give_back(&self, blocks: &[u64], bytes: usize) {
        for (part, &address) in parts(bytes).zip(blocks) {
            self.partition.give_back(address, class_for(part.words()));
        }
    }

    /// Links another bucket to the last one of a chain, and answers a place in it.
    fn link_further(&self, last: &[AtomicU64]) -> Option<&'m AtomicU64> {
        let address = self.partition.allocate(class_for(FURTHER), Purpose::New)?;
        let bucket = self.memory.block(address, FURTHER)?;
        index::link(last).store(address + 1, Ordering::Release);
        index::entries(bucket).first()
    }
}
