//! A copy of the memory of a server, to look at. The mutexes are the server's alone, so nothing can be changed here.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::layout::Memory;
use super::{Exclusion, MemoryStore, Surroundings, file};
use crate::session::{Key, Timestamp};
use crate::store::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};

pub struct Snapshot(MemoryStore);

/// Nobody else has the copy.
struct Alone;

impl Exclusion for Alone {
    fn under(&self, _: usize, section: &mut dyn FnMut()) -> std::result::Result<(), String> {
        section();
        Ok(())
    }
}

impl Snapshot {
    /// Copies what the file of a directory holds now. The copy is kept until the process ends.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub fn take(dir: &Path) -> Result<Snapshot> {
        let path = dir.join(file::NAME);
        let bytes = std::fs::read(&path).map_err(|error| Error::Io(path.clone(), error))?;
        let words: Vec<_> = bytes.as_chunks::<8>().0.iter().map(|&word| AtomicU64::new(u64::from_ne_bytes(word))).collect();
        let memory = Memory::attach(words.leak()).map_err(|why| Error::Failed(format!("{} {why}", path.display())))?;
        let name = format!("SessionStore memory in {}", dir.display());
        let around = Surroundings { name, exclusion: Box::new(Alone), is_passing: |_| false, dropped: Box::new(|_| {}) };
        Ok(Snapshot(MemoryStore::new(memory, around)))
    }

    fn unchangeable<T>(&self) -> Result<T> {
        let why = "only the server can change its sessions: end them through the application, or all of them by removing sessions.mem \
                   while the server is stopped";
        Err(self.0.failed(&why))
    }
}

impl Store for Snapshot {
    fn create(&self, _: &Key, _: &Blob, _: Durability) -> Result<bool> {
        self.unchangeable()
    }

    /// What was being written while it was copied is not there.
    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        match self.0.load(key) {
            Err(Error::Corrupt(_)) => Ok(None),
            other => other,
        }
    }

    fn update_from(&self, _: &Key, _: Option<&Blob>, _: Durability, _: &mut dyn FnMut(Option<&Blob>) -> Change) -> Result<Outcome> {
        self.unchangeable()
    }

    fn quarantine(&self, _: &Key, _: &dyn Fn(&Blob) -> bool) -> Result<()> {
        self.unchangeable()
    }

    fn sweep(&self, _: Timestamp, _: Duration, _: Cursor, _: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        self.unchangeable()
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        self.0.each(&mut |key, entry| match entry {
            Entry::Corrupt => true,
            entry => visit(key, entry),
        })
    }
}
