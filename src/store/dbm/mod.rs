//! All sessions in one B+tree: LMDB, a file that all processes map.
//!
//! * **load** takes no lock and no copy but the last: it reads a snapshot in the map.
//! * **update** is a transaction of the one writer there is at a time: it reads, changes and commits within microseconds. Who dies in it
//!   leaves what was committed before, and the next writer goes on.
//!   What threads of a process want meanwhile is written by the next of them, in one transaction (`group`).
//! * **expiry** has an index, changed in the same transaction: cleaning looks at what may have expired, and at nothing else.
//!
//! Nothing waits for the disk, except with [`Durability::Machine`]. What is promised: a killed process never damages or loses an acknowledged
//! change; with `Machine` for all changes, neither does a crash of the machine. Without it such a crash may damage the whole file, since its pages
//! reach the disk in any order.

mod environment;
mod files;
mod format;
mod gate;
mod group;
mod opened;
mod sweep;
mod tables;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heed::RwTxn;
use once_cell::sync::OnceCell;

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use environment::Environment;
pub use files::FILES;
use gate::PATIENCE;
use opened::{Terms, Verdict};
pub use sweep::Survey;
use tables::{Tables, Wanted};
use trouble::Trouble;

/// Enough for a tool beside a server.
const READERS: u32 = 256;

pub struct DbmStore {
    dir: PathBuf,
    terms: Terms,
    /// Whether each change waits for the disk, whoever makes it.
    synced: bool,
    environment: OnceCell<Arc<Environment>>,
}

impl DbmStore {
    /// A store in `dir`. Nothing is touched before the first use, which must not be before a fork.
    #[must_use]
    pub fn new(dir: PathBuf) -> DbmStore {
        DbmStore { dir, terms: Terms { readers: READERS, read_only: false }, synced: false, environment: OnceCell::new() }
    }

    /// For so many requests at once, in all processes together.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> DbmStore {
        self.terms.readers = readers.clamp(READERS, 1 << 16);
        self
    }

    /// Every change waits for the disk. Where some do and others do not, a crash of the machine may damage what waited, too.
    #[must_use]
    pub fn synced(mut self, synced: bool) -> DbmStore {
        self.synced = synced;
        self
    }

    /// For looking only: changes fail.
    #[must_use]
    pub fn read_only(mut self) -> DbmStore {
        self.terms.read_only = true;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    fn environment(&self) -> Result<&Environment> {
        self.environment.get_or_try_init(|| Environment::of(&self.dir, self.terms))?.of_this_process()
    }

    /// Whether a change waits for the disk.
    fn waits(&self, durability: Durability) -> bool {
        self.synced || durability == Durability::Machine
    }

    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnMut(Tables, &mut RwTxn<'_>) -> std::result::Result<Verdict<T>, Trouble>,
    ) -> Result<T> {
        self.environment()?.write(self.waits(durability), PATIENCE, work)
    }

    /// `None`: it is to be tried without the others.
    fn write_together(&self, durability: Durability, wanted: Wanted) -> Result<Option<Outcome>> {
        self.environment()?.write_together(self.waits(durability), wanted)
    }

    fn corrupt(&self, key: &Key) -> Error {
        Error::Corrupt(self.dir.join(format!("{}:{}", files::DATA, key.hex())))
    }
}

impl Store for DbmStore {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        let wanted = || Wanted::Create(*key, blob.clone());
        let done = match self.write_together(durability, wanted())? {
            Some(done) => done,
            None => self.write(durability, |tables, writer| Ok(Verdict::of(wanted().write(tables, writer)?.unwrap_or(Outcome::Kept))))?,
        };
        Ok(done == Outcome::Written)
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        let found = self.environment()?.find(|tables, snapshot| {
            let record = tables.records.get(snapshot, &key.0)?;
            Ok(record.map(|record| format::decode(key, record)))
        })?;
        found.map(|stored| stored.map(|stored| stored.blob).ok_or_else(|| self.corrupt(key))).transpose()
    }

    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        // Decided before the turn to write has come; it counts if that version is the newest still.
        if let Some((loaded, version)) = loaded.and_then(|loaded| Some((loaded, loaded.version?)))
            && let Some(done) = self.write_together(durability, Wanted::Change(*key, version, change(Some(loaded))))?
        {
            return Ok(done);
        }
        self.write(durability, |tables, writer| {
            let Some(record) = tables.records.get(writer, &key.0)? else {
                change(None);
                return Ok(Verdict::Abort(Outcome::Kept));
            };
            let old = format::decode(key, record).ok_or_else(|| self.corrupt(key))?;
            Ok(Verdict::of(tables.apply(writer, key, old.row, &change(Some(&old.blob)))?))
        })
    }

    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        self.write(Durability::Process, |tables, writer| {
            let Some(record) = tables.records.get(writer, &key.0)? else { return Ok(Verdict::Abort(())) };
            if format::decode(key, record).is_some_and(|stored| !is_damaged(&stored.blob)) {
                return Ok(Verdict::Abort(()));
            }
            tables.put_aside(writer, key)?;
            Ok(Verdict::Commit(()))
        })
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        sweep::sweep(self, before, slice, &from, deleted)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        sweep::each(self, visit)
    }
}

#[cfg(test)]
mod tests;
