//! The blocks of a partition: who is in its section gives them out and takes them back. A page belongs to one partition, and holds
//! blocks of one class.
//!
//! Nothing here need survive a death: whoever dies in a section leaves the partition unsound, and the next one makes all of it anew from
//! the index.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::layout::{CLASSES, Memory, PAGE, blocks_per_page};
use super::page::{Page, get, set, wipe};
use crate::faults::may_die;

const STATE: usize = 0;
/// The state of a partition whose lists and counts can be relied on. Zero is that of one that was never entered, too.
const SOUND: u64 = 1;
pub const OLDEST: usize = 1;
const HINT: usize = 2;
const LISTS: usize = 8;
const FREE: usize = 40;
const USED: usize = 72;

/// What blocks are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A record that is not there yet. It leaves the reserve alone.
    New,
    /// A record that is there needs another class.
    Growth,
    /// A record that is there is written anew, and gives back as much: this never fails for want of room but for chains.
    Again,
}

#[derive(Clone, Copy)]
pub struct Partition<'m> {
    pub memory: Memory<'m>,
    pub number: usize,
    words: &'m [AtomicU64],
}

/// Ends a change.
pub struct Changing<'m>(Partition<'m>);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.words[STATE].store(SOUND, Ordering::Release);
        }
    }
}

impl<'m> Partition<'m> {
    pub fn new(memory: Memory<'m>, number: usize) -> Partition<'m> {
        Partition { memory, number, words: memory.partition(number) }
    }

    pub fn is_sound(&self) -> bool {
        get(&self.words[STATE]) == SOUND
    }

    /// To be healed by the next one.
    pub fn distrust(&self) {
        set(&self.words[STATE], 0);
    }

    /// From here to the drop of what is returned, a death leaves the partition to be healed.
    pub fn change(self) -> Changing<'m> {
        self.distrust();
        fence(Ordering::Release);
        Changing(self)
    }

    /// No record that is passing is older than this; the maximum: there is none.
    pub fn oldest(&self) -> &'m AtomicU64 {
        &self.words[OLDEST]
    }

    fn list(&self, class: usize) -> &'m AtomicU64 {
        &self.words[LISTS + class]
    }

    /// Free blocks of a class, in the pages of this partition.
    pub fn free(&self, class: usize) -> &'m AtomicU64 {
        &self.words[FREE + class]
    }

    pub fn used(&self, class: usize) -> &'m AtomicU64 {
        &self.words[USED + class]
    }

    fn page(&self, number: u64) -> Page<'m> {
        Page::new(self.memory, number)
    }

    fn owner(&self, class: usize) -> u64 {
        (self.number as u64 + 1) | (class as u64) << 32
    }

    /// The address of a free block of a class.
    pub fn allocate(&self, class: usize, purpose: Purpose) -> Option<u64> {
        // The last free block is for those who give one back.
        let spare = u64::from(purpose != Purpose::Again);
        if get(self.free(class)) <= spare && !self.claim(class, purpose) {
            return None;
        }
        let page = self.page(get(self.list(class)).checked_sub(1)?);
        let block = page.first_free(blocks_per_page(class))?;
        page.mark(block, true);
        self.count(class, -1);
        if page.used() == blocks_per_page(class) {
            self.unlist(class, page);
        }
        may_die();
        // Readers who see what is written into the block from now on see also that the index names it no more.
        fence(Ordering::Release);
        Some(page.number * PAGE as u64 + (block * CLASSES[class]) as u64)
    }

    /// Takes a block back. Nothing of what was in it stays.
    pub fn give_back(&self, address: u64, class: usize) {
        wipe(self.memory, address, CLASSES[class]);
        may_die();
        let page = self.page(address / PAGE as u64);
        let was_full = page.used() == blocks_per_page(class);
        page.mark(address as usize % PAGE / CLASSES[class], false);
        self.count(class, 1);
        if was_full {
            self.enlist(class, page);
        }
        if page.used() == 0 {
            self.release_empty(class, page);
        }
    }

    /// Gives a page back that has become empty, unless its blocks are the last free ones of those that others need.
    fn release_empty(&self, class: usize, page: Page<'m>) {
        if get(self.used(class)) == 0 {
            while let Some(page) = get(self.list(class)).checked_sub(1) {
                self.release(class, self.page(page));
            }
        } else if get(self.free(class)) > blocks_per_page(class) as u64 {
            self.release(class, page);
        }
    }

    /// Whether records of a class could not be written anew.
    pub fn has_no_spare(&self, class: usize) -> bool {
        get(self.used(class)) > 0 && get(self.free(class)) == 0
    }

    /// One block more or less is free.
    fn count(&self, class: usize, free: i64) {
        set(self.free(class), get(self.free(class)).wrapping_add_signed(free));
        set(self.used(class), get(self.used(class)).wrapping_add_signed(-free));
    }

    fn enlist(&self, class: usize, page: Page<'_>) {
        let first = get(self.list(class));
        page.set_links(0, first);
        if let Some(next) = first.checked_sub(1) {
            let next = self.page(next);
            next.set_links(page.number + 1, next.links().1);
        }
        set(self.list(class), page.number + 1);
    }

    fn unlist(&self, class: usize, page: Page<'_>) {
        let (before, after) = page.links();
        match before.checked_sub(1) {
            Some(before) => {
                let before = self.page(before);
                before.set_links(before.links().0, after);
            }
            None => set(self.list(class), after),
        }
        if let Some(next) = after.checked_sub(1) {
            let next = self.page(next);
            next.set_links(before, next.links().1);
        }
    }

    /// The pages of a class with free blocks.
    pub fn listed(&self, class: usize) -> impl Iterator<Item = Page<'m>> {
        let partition = *self;
        let first = get(self.list(class)).checked_sub(1).map(|page| partition.page(page));
        std::iter::successors(first, move |page| page.links().1.checked_sub(1).map(|page| partition.page(page)))
    }

    /// Takes a page that is nobody's. `false`: there is none for this purpose.
    fn claim(&self, class: usize, purpose: Purpose) -> bool {
        let (pages, reserve) = (self.memory.geometry.pages as u64, self.memory.geometry.reserve());
        let kept = if purpose == Purpose::New { reserve } else { 0 };
        if get(self.memory.pages_taken()) + kept >= pages {
            return false;
        }
        let taken = self.memory.taken();
        let start = get(&self.words[HINT]) as usize;
        for offset in 0..taken.len() {
            let at = (start + offset) % taken.len();
            let mut bits = get(&taken[at]);
            while bits != u64::MAX {
                let bit = bits.trailing_ones();
                bits |= 1 << bit;
                let number = at as u64 * 64 + u64::from(bit);
                if number < pages && self.take(class, number) {
                    set(&self.words[HINT], at as u64);
                    return true;
                }
            }
        }
        false
    }

    fn take(&self, class: usize, number: u64) -> bool {
        let page = self.page(number);
        let taken = page.owner().compare_exchange(0, self.owner(class), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        page.hint(self.memory, true);
        if !taken && get(page.owner()) == 0 {
            page.hint(self.memory, false); // it was given back meanwhile
        }
        if taken {
            self.memory.pages_taken().fetch_add(1, Ordering::Relaxed);
            may_die();
            self.adopt(class, page, 0);
        }
        taken
    }

    /// Enters a page with these blocks in use into lists and counts.
    pub fn adopt(&self, class: usize, page: Page<'_>, used: u128) {
        page.set_bits(used);
        let blocks = blocks_per_page(class) as u64;
        let free = blocks - u64::from(used.count_ones());
        set(self.free(class), get(self.free(class)) + free);
        set(self.used(class), get(self.used(class)) + blocks - free);
        if free > 0 {
            self.enlist(class, page);
        }
    }

    /// Takes a page out of lists and counts; what is in it stays.
    pub fn disown(&self, class: usize, page: Page<'_>) {
        let used = page.used() as u64;
        self.unlist(class, page);
        set(self.free(class), get(self.free(class)) - (blocks_per_page(class) as u64 - used));
        set(self.used(class), get(self.used(class)) - used);
    }

    fn release(&self, class: usize, page: Page<'_>) {
        self.disown(class, page);
        self.abandon(page);
    }

    /// Gives back a page that is in no list.
    pub fn abandon(&self, page: Page<'_>) {
        page.owner().store(0, Ordering::Release);
        may_die();
        page.hint(self.memory, false);
        // The count is not exact after deaths, and below zero it would say that there is no page left.
        let _ = self.memory.pages_taken().fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| taken.checked_sub(1));
    }

    /// All pages of this partition, with their class.
    pub fn pages(&self) -> impl Iterator<Item = (usize, Page<'m>)> {
        let partition = *self;
        let all = (0..self.memory.geometry.pages as u64).map(move |number| partition.page(number));
        all.filter_map(move |page| {
            let owner = get(page.owner());
            let class = (owner >> 32) as usize;
            (owner & 0xffff_ffff == partition.number as u64 + 1 && class < CLASSES.len()).then_some((class, page))
        })
    }

    /// Forgets lists and counts, for a healer to make them anew.
    pub fn forget(&self) {
        self.words[OLDEST..].iter().for_each(|word| set(word, 0));
        set(self.oldest(), u64::MAX);
    }
}
