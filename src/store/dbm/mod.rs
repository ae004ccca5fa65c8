//! All sessions in one B+tree: LMDB, a file that all processes map.
//!
//! * **load** takes no lock and no copy but the last: it reads a snapshot in the map.
//! * **update** is a transaction of the one writer there is at a time: it reads, changes and commits within microseconds. Who dies in it
//!   leaves what was committed before, and the next writer goes on.
//! * **expiry** has an index, changed in the same transaction: cleaning looks at what may have expired, and at nothing else.
//!
//! Nothing waits for the disk, except with [`Durability::Machine`]. What is promised: a killed process never damages or loses an acknowledged
//! change; with `Machine` for all changes, neither does a crash of the machine. Without it such a crash may damage the whole file, since its pages
//! reach the disk in any order.

mod environment;
mod files;
mod format;
mod gate;
mod sweep;
mod tables;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heed::{PutFlags, RwTxn};
use once_cell::sync::OnceCell;

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use environment::{Environment, Terms, Verdict};
pub use files::FILES;
use gate::PATIENCE;
pub use sweep::Survey;
use tables::Tables;
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
        self.environment.get_or_try_init(|| Environment::of(&self.dir, self.terms)).map(Arc::as_ref)
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

    fn corrupt(&self, key: &Key) -> Error {
        Error::Corrupt(self.dir.join(format!("{}:{}", files::DATA, key.hex())))
    }
}

impl Store for DbmStore {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        let record = format::encode(key, blob, blob.expires);
        self.write(durability, |tables, writer| {
            match tables.records.put_with_flags(writer, PutFlags::NO_OVERWRITE, &key.0, &record) {
                Err(heed::Error::Mdb(heed::MdbError::KeyExist)) => return Ok(Verdict::Abort(false)),
                other => other?,
            }
            tables.expiry.put(writer, &format::row(blob.expires, key), &[])?;
            Ok(Verdict::Commit(true))
        })
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
        // Decided before the turn to write has come, which all others wait for; it counts if that version is the newest still.
        let known = loaded.and_then(|loaded| Some((loaded.version?, loaded)));
        let mut decided = known.map(|(version, loaded)| (version, change(Some(loaded))));
        self.write(durability, |tables, writer| {
            let Some(record) = tables.records.get(writer, &key.0)? else {
                change(None);
                return Ok(Verdict::Abort(Outcome::Kept));
            };
            let decided = decided.take().filter(|(version, _)| format::claimed_version(record) == Some(*version));
            let (row, change) = match (decided, format::claimed_row(record)) {
                (Some((_, change)), Some(row)) => (row, change),
                _ => {
                    let old = format::decode(key, record).ok_or_else(|| self.corrupt(key))?;
                    (old.row, change(Some(&old.blob)))
                }
            };
            match change {
                Change::Keep => Ok(Verdict::Abort(Outcome::Kept)),
                Change::Delete => {
                    tables.records.delete(writer, &key.0)?;
                    tables.expiry.delete(writer, &format::row(row, key))?;
                    Ok(Verdict::Commit(Outcome::Deleted))
                }
                // What was there before lies in a page that is free now, and that nothing of ours reads.
                Change::Write(blob) | Change::Replace(blob) => {
                    tables.put(writer, key, &blob, row)?;
                    Ok(Verdict::Commit(Outcome::Written))
                }
            }
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
