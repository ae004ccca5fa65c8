//! All sessions in memory that the children of a server share: a file in `SessionDir`, mapped by all.
//!
//! * **load** takes no lock: it reads the index and copies the record, whose check says whether it was read whole.
//! * **update** works under the mutex of its part of the store. It writes the record into free blocks, publishes it by one store into
//!   the index, and takes the old blocks back. Nothing that counts is ever overwritten, so whoever is killed leaves the old state or
//!   the new one.
//! * What else there is - which blocks are free - follows from the index. A process that dies amid a change leaves its partition
//!   unsound, and the next one that enters makes that anew ([`heal`]).
//! * **No room**: pages are tidied up; then records that are passing go, the oldest first; then new ones are refused. What is there can
//!   be written again in any case.
//!
//! What is promised: a killed process never damages or loses an acknowledged change, and the file outlives all processes. A crash of
//! the machine may lose all of it.

mod block;
mod carry;
pub mod file;
mod heal;
mod index;
pub mod layout;
mod missing;
mod page;
mod partition;
mod room;
mod section;
mod snapshot;
mod walk;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use block::Head;
pub use carry::{Carried, carry};
use layout::{CHUNK, Memory, PAGE, Place};
pub use missing::Missing;
use partition::Partition;
use section::{New, Section};
pub use snapshot::Snapshot;

/// Mutual exclusion for moments, by the number of a partition, between all processes that share the memory.
pub trait Exclusion: Send + Sync {
    /// Runs `section` while nobody else is in the same partition.
    ///
    /// # Errors
    /// It could not be entered in time, and the text says why; `section` did not run.
    fn under(&self, partition: usize, section: &mut dyn FnMut()) -> std::result::Result<(), String>;
}

/// What the store is told by those who know more than it does.
pub struct Surroundings {
    /// Directive and directory, for errors.
    pub name: String,
    pub exclusion: Box<dyn Exclusion>,
    /// Whether a record goes first when there is no room.
    pub is_passing: fn(&Blob) -> bool,
    /// Told now and then how many records had to go since.
    pub dropped: Box<dyn Fn(u64) + Send + Sync>,
}

pub struct MemoryStore {
    memory: Memory<'static>,
    around: Surroundings,
}

/// At most so often it is told that records had to go. Microseconds.
const TOLD_EVERY: u64 = 60_000_000;
/// For so long nobody looks for room where there was none. Microseconds.
const IN_VAIN: u64 = 100_000;
/// What was made free may be taken by others, but not for ever.
const ATTEMPTS: usize = 8;

impl MemoryStore {
    #[must_use]
    pub fn new(memory: Memory<'static>, around: Surroundings) -> MemoryStore {
        MemoryStore { memory, around }
    }

    /// After all processes have ended, or the machine has, nothing but index and records is trusted, and those only if they are whole.
    /// For those who are alone.
    pub fn distrust(memory: Memory<'_>) {
        for number in 0..memory.geometry.partitions {
            Partition::new(memory, number).distrust();
        }
    }

    fn in_section<T>(&self, partition: usize, mut run: impl FnMut(&Section<'static>) -> T) -> Result<T> {
        let mut done = None;
        let entered = self.around.exclusion.under(partition, &mut || done = Some(run(&Section::enter(self.memory, partition))));
        match (entered, done) {
            (Ok(()), Some(done)) => Ok(done),
            (Err(why), _) => Err(self.failed(&why)),
            (Ok(()), None) => Err(self.failed(&"the section did not run")),
        }
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::Failed(format!("{}: {why}", self.around.name))
    }

    /// What a damaged record goes by.
    fn corrupt(&self, key: &Key) -> Error {
        Error::Corrupt(PathBuf::from(format!("{}: the record of {}", self.around.name, key.reference())))
    }

    fn check_size(&self, bytes: usize) -> Result<()> {
        let largest = self.memory.geometry.largest_record();
        if bytes <= largest {
            return Ok(());
        }
        Err(self.failed(&format_args!("a record of {bytes} bytes is more than an eighth of it; give SessionStore memory a larger size")))
    }

    /// Runs a change that answers `None` if there is no room, makes room, and runs it again. `bytes` is the size of what it wants to
    /// store, known when it answers.
    fn with_room<T>(&self, place: Place, bytes: &Cell<usize>, mut run: impl FnMut(&Section<'static>) -> Option<T>) -> Result<T> {
        for _ in 0..ATTEMPTS {
            if let Some(done) = self.in_section(place.partition, &mut run)? {
                return Ok(done);
            }
            self.check_size(bytes.get())?;
            if !self.make_room(bytes.get())? {
                break;
            }
        }
        Err(self.failed(&format_args!(
            "it is full of sessions in use, and has no room for {} bytes; give SessionStore memory a larger size, or let sessions end sooner (SessionTimeout)",
            bytes.get()
        )))
    }

    /// `false`: there is none to be made.
    fn make_room(&self, bytes: usize) -> Result<bool> {
        let memory = self.memory;
        let wanted = (bytes / 8).div_ceil(PAGE / CHUNK * (CHUNK - 1)) as u64 + 1;
        let (now, exhausted) = (micros(), memory.exhausted());
        if now.wrapping_sub(exhausted.load(Ordering::Relaxed)) < IN_VAIN {
            return Ok(false);
        }
        for partition in 0..memory.geometry.partitions {
            self.in_section(partition, |section| section.compact(wanted))?;
            if room::has_pages(memory, wanted) {
                return Ok(true);
            }
        }
        while let Some((partition, born)) = room::oldest(memory) {
            let dropped = self.in_section(partition, |section| {
                let dropped = section.drop_passing(born);
                section.compact(wanted);
                dropped
            })?;
            memory.dropped()[0].fetch_add(dropped, Ordering::Relaxed);
            if room::has_pages(memory, wanted) {
                self.tell();
                return Ok(true);
            }
        }
        exhausted.store(now, Ordering::Relaxed);
        self.tell();
        Ok(false)
    }

    /// Says how many records had to go, if that is due and any had to.
    fn tell(&self) {
        let [dropped, told, last] = self.memory.dropped();
        let (all, now, before) = (dropped.load(Ordering::Relaxed), micros(), last.load(Ordering::Relaxed));
        // A clock that was set back is no reason to wait.
        let is_due = now.wrapping_sub(before) >= TOLD_EVERY && all != told.load(Ordering::Relaxed);
        if is_due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            (self.around.dropped)(all - told.swap(all, Ordering::Relaxed));
        }
    }

    fn new_record<'n>(&self, key: &'n Key, blob: &'n Blob, born: u64) -> New<'n> {
        New { key, blob, is_passing: (self.around.is_passing)(blob), born }
    }

    /// What can be read without the mutex; the error: it has to be looked at under it.
    fn read(&self, place: Place, key: &Key) -> std::result::Result<Option<Blob>, ()> {
        'again: for _ in 0..1000 {
            for (slot, entry) in index::candidates(self.memory, place) {
                let Some(head) = Head::read(self.memory, entry.address()) else { return Err(()) };
                if !head.is_of(key) {
                    if is_as_it_was(slot, entry) {
                        continue; // another key with the same tag
                    }
                    continue 'again;
                }
                return match head.blob(self.memory, entry.address()) {
                    Some(blob) => Ok(Some(blob)),
                    None if is_as_it_was(slot, entry) => Err(()),
                    None => continue 'again,
                };
            }
            return Ok(None);
        }
        Err(())
    }
}

/// Whether what was read since then belonged to the entry.
fn is_as_it_was(slot: &AtomicU64, entry: index::Entry) -> bool {
    fence(Ordering::Acquire);
    slot.load(Ordering::Relaxed) == entry.0
}

fn micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

impl Store for MemoryStore {
    fn create(&self, key: &Key, blob: &Blob, _: Durability) -> Result<bool> {
        self.check_size(blob.bytes.len())?;
        let place = self.memory.place(key);
        let mut born = None;
        self.with_room(place, &Cell::new(blob.bytes.len()), |section| {
            if section.find(place, key).is_some() {
                return Some(false);
            }
            let born = *born.get_or_insert_with(|| self.memory.births().fetch_add(1, Ordering::Relaxed) + 1);
            section.insert(place, &self.new_record(key, blob, born)).then_some(true)
        })
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        let place = self.memory.place(key);
        match self.read(place, key) {
            Ok(found) => Ok(found),
            Err(()) => self.in_section(place.partition, |section| match section.find(place, key) {
                None => Ok(None),
                Some(found) => section.blob(&found).map(Some).ok_or_else(|| self.corrupt(key)),
            })?,
        }
    }

    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        _: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        let place = self.memory.place(key);
        let bytes = Cell::new(0);
        self.with_room(place, &bytes, |section| {
            let Some(found) = section.find(place, key) else {
                change(None);
                return Some(Ok(Outcome::Kept));
            };
            // It need not be copied and checked once more if it is still there.
            let change = match loaded.filter(|loaded| found.head.is_that_of(loaded)) {
                Some(loaded) => change(Some(loaded)),
                None => match section.blob(&found) {
                    Some(blob) => change(Some(&blob)),
                    None => return Some(Err(self.corrupt(key))),
                },
            };
            match change {
                Change::Keep => Some(Ok(Outcome::Kept)),
                Change::Delete => {
                    section.remove(&found);
                    Some(Ok(Outcome::Deleted))
                }
                // What a block held is wiped when it is taken back, so nothing of it stays in any case.
                Change::Write(blob) | Change::Replace(blob) => {
                    bytes.set(blob.bytes.len());
                    let fits = blob.bytes.len() <= self.memory.geometry.largest_record();
                    let written = fits && section.replace(&found, &self.new_record(key, &blob, found.head.born()));
                    written.then_some(Ok(Outcome::Written))
                }
            }
        })?
    }

    /// It is not kept: what is in memory is not worth an inspection.
    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        let place = self.memory.place(key);
        self.in_section(place.partition, |section| {
            if let Some(found) = section.find(place, key) {
                match section.blob(&found) {
                    Some(blob) if is_damaged(&blob) => section.remove(&found),
                    Some(_) => {}
                    None => section.remove_damaged(found.slot),
                }
            }
        })
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        self.tell();
        walk::sweep(self, before, slice, &from, deleted)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        walk::each(self, visit)
    }
}

#[cfg(test)]
mod tests;
