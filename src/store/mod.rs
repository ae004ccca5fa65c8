//! Stores keep blobs under keys and make an update atomic. They know nothing of sessions: merging, encoding, incarnations and
//! expiry rules live above them, once.
#![forbid(unsafe_code)]

pub mod dbd;
#[cfg(feature = "dbm")]
pub mod dbm;
pub mod directory;
pub mod file;
mod flock;
pub mod lease;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

#[cfg(test)]
pub mod conformance;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::session::session::Kept;
use crate::session::{Key, Timestamp};

/// What a store keeps: bytes, and the time after which nobody wants them.
#[derive(Debug, Clone)]
pub struct Blob {
    pub expires: Timestamp,
    pub bytes: Bytes,
    /// Tells one that was loaded from all under its key that differ from it, before and after. `None`: the store cannot tell.
    pub version: Option<u64>,
    /// What the store keeps of a load for the change that follows.
    pub kept: Option<Kept>,
}

impl Blob {
    #[must_use]
    pub fn new(expires: Timestamp, bytes: impl Into<Bytes>) -> Blob {
        Blob { expires, bytes: bytes.into(), version: None, kept: None }
    }

    #[must_use]
    pub fn known_by(self, version: u64) -> Blob {
        Blob { version: Some(version), ..self }
    }
}

/// They hold the same.
impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        (self.expires, &self.bytes) == (other.expires, &other.bytes)
    }
}

impl Eq for Blob {}

/// What an update does with the newest blob.
#[derive(Debug, Clone)]
pub enum Change {
    Keep,
    Write(Blob),
    /// As `Write`, and nothing of what was there before can be read from the store any more, or come back. It costs more.
    Replace(Blob),
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Kept,
    Written,
    Deleted,
}

/// When a write counts as done (`SessionSync`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives the death of any process; a crash of the machine may lose the last seconds.
    #[default]
    Process,
    /// It survives a crash of the machine.
    Machine,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text names the place.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    /// The place is not one that we may use; the text says why and what to do.
    #[error("{0}")]
    Unusable(String),
    /// The stored bytes are damaged.
    #[error("{0} is damaged")]
    Corrupt(PathBuf),
    /// A newer version of ours wrote it: it counts as absent, and stays.
    #[error("{0} was written by a newer version")]
    Newer(PathBuf),
    /// Another process kept the record locked for longer than any of ours would.
    #[error("{0} stayed locked for {1:?}")]
    Locked(PathBuf, Duration),
    /// The store answered with an error; the text names the store and the reason.
    #[error("{0}")]
    Failed(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// Where a sweep goes on. The default is the beginning; the rest means something to the store that made it only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(Vec<u8>);

/// What a slice of a sweep did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    pub seen: u64,
    pub deleted: u64,
    /// Damaged records that were put aside, and which was the first.
    pub corrupt: u64,
    pub damage: Option<String>,
    /// What could not be looked at, and why the first could not; the sweep went on behind it.
    pub failed: u64,
    pub failure: Option<String>,
    /// The first thing that is not ours, left alone.
    pub foreign: Option<PathBuf>,
    /// Where to go on; `None`: the pass is complete.
    pub next: Option<Cursor>,
}

impl Sweep {
    /// Adds the slice that followed.
    pub fn add(&mut self, slice: Sweep) {
        self.seen += slice.seen;
        self.deleted += slice.deleted;
        self.corrupt += slice.corrupt;
        self.damage = self.damage.take().or(slice.damage);
        self.failed += slice.failed;
        self.failure = self.failure.take().or(slice.failure);
        self.foreign = self.foreign.take().or(slice.foreign);
        self.next = slice.next;
    }
}

/// One entry of [`Store::each`].
#[derive(Debug)]
pub enum Entry {
    Blob(Blob),
    Corrupt,
}

pub trait Store: Send + Sync {
    /// Stores a blob under a key that nothing is stored under. `false`: taken, draw a new id.
    ///
    /// # Errors
    /// The store failed; nothing is stored.
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool>;

    /// # Errors
    /// The store failed, which is not "nothing there".
    fn load(&self, key: &Key) -> Result<Option<Blob>>;

    /// The same for a caller who will probably change it, soon. The store may keep open what it was read from, in the blob.
    ///
    /// # Errors
    /// As [`Store::load`].
    fn load_to_change(&self, key: &Key) -> Result<Option<Blob>> {
        self.load(key)
    }

    /// Shows the newest blob to `change` and does what it answers, as one step. An update never creates: `change` is shown
    /// `None` if nothing is stored, and a `Write` is then kept from happening. Stores that compare and set may call it again.
    ///
    /// # Errors
    /// The store failed; what was stored is as it was.
    fn update(&self, key: &Key, durability: Durability, change: &mut dyn FnMut(Option<&Blob>) -> Change) -> Result<Outcome> {
        self.update_from(key, None, durability, change)
    }

    /// The same for a caller who may have loaded a blob before. That one may be shown first, although it is not the newest; then the newest is
    /// shown behind it, and the last answer counts. Stores that know a blob by its version read less, or hold others up for less.
    ///
    /// # Errors
    /// As [`Store::update`].
    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome>;

    /// Takes a record out of the way that is damaged as the store sees it, or as `is_damaged` says of its blob, so that it is met
    /// once only. It is kept for inspection.
    ///
    /// # Errors
    /// The store failed.
    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()>;

    /// Deletes what expired before `before`, for `slice` and some milliseconds at most, going on at `from`. It waits for nobody: a
    /// record that is being written is left for the next pass. However short the slice, it comes further; a pass shows each record
    /// that was there all the time once. `deleted` is told of each record that was removed.
    ///
    /// # Errors
    /// The store failed.
    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep>;

    /// Shows every record to `visit` until it answers `false`.
    ///
    /// # Errors
    /// The store failed.
    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()>;

    /// Keeps the other servers that share the store off a session, for those requests that took the lease of this server before. `None`: the
    /// store is of one server, whose own leases are enough.
    fn lease(&self, _key: &Key, _label: &[u8], _wait: &lease::Wait<'_>) -> Option<lease::Answer> {
        None
    }
}
