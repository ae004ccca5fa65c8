//! An LMDB environment that is open, and the turns to write to it.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use heed::RwTxn;

use super::files::{self, DATA, Identity, LOCK, is_made, mend_length, missing_length, refuse_foreign, set_room_aside};
use super::gate::{self, Gate, PATIENCE};
use super::tables::{self, Tables};
use super::trouble::{Trouble, failed};
use super::{Error, Outcome, Result};
use crate::lmdb;
use crate::store::directory::{self, Kind};

/// What becomes of what a transaction wrote.
pub enum Verdict<T> {
    Commit(T),
    Abort(T),
}

impl Verdict<Outcome> {
    /// Of one change.
    pub fn of(done: Outcome) -> Verdict<Outcome> {
        if done == Outcome::Kept { Verdict::Abort(done) } else { Verdict::Commit(done) }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Transactions that read at once, in all processes together.
    pub readers: u32,
    pub read_only: bool,
}

pub struct Opened {
    pub environment: lmdb::Environment,
    pub tables: Tables,
    gate: Gate,
    files: [Identity; 2],
    /// Tells it from those before and after it.
    pub number: u64,
    since: Instant,
    /// When somebody last saw to it that the files are there, in milliseconds since then.
    seen: AtomicU64,
}

/// Who finds what he looks for in files that were taken away learns of it after this long, in milliseconds: to look each time would take longer
/// than to read.
const UNSEEN_BY_READERS: u64 = 500;
/// Who writes learns of it sooner: what is acknowledged meanwhile goes with the old files.
const UNSEEN_BY_WRITERS: u64 = 5;
/// Whoever makes files in the place of some that were taken away waits for this long: by then no writer takes the old ones for those that are there.
const OUT_OF_DATE: Duration = Duration::from_millis(2 * UNSEEN_BY_WRITERS);

impl Opened {
    pub fn open(dir: &Path, terms: Terms) -> Result<Opened> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        directory::claim(dir, Kind::Dbm)?;
        for name in [DATA, LOCK, gate::NAME] {
            refuse_foreign(&dir.join(name))?;
        }
        let gate = Gate::open(dir)?;
        let is_incomplete = || !is_made(&dir.join(DATA)) || !is_made(&dir.join(LOCK));
        let is_new = is_incomplete();
        let turn = if is_new { Some(gate.enter(PATIENCE)?) } else { None };
        if turn.is_some() && is_incomplete() {
            // With another file of locks there would be two writers.
            std::thread::sleep(OUT_OF_DATE);
        }
        if turn.is_some() && !is_made(&dir.join(DATA)) {
            // Whoever still has what was there before shares no locks with what is made now.
            let _ = std::fs::remove_file(dir.join(LOCK));
        }
        let room = set_room_aside(&dir.join(LOCK), terms.readers)?;
        let read_only = terms.read_only && !is_new;
        let failed = |error| failed(dir, error);
        let options = lmdb::Options { readers: room.readers, databases: 2, read_only };
        let environment = lmdb::open(dir, &options).map_err(failed)?;
        let is_short = missing_length(&environment, dir)?.is_some();
        let tables = if is_short { None } else { tables::known(&environment).map_err(failed)? };
        let tables = match (tables, turn) {
            (Some(tables), _) => tables,
            (None, _) if read_only => {
                drop(environment);
                return Opened::open(dir, Terms { read_only: false, ..terms });
            }
            (None, turn) => {
                let _turn = if let Some(turn) = turn { turn } else { gate.enter(PATIENCE)? };
                mend_length(&environment, dir)?;
                let made = tables::make(&environment).map_err(failed)?;
                // What waits for the disk later would not be found there without its names.
                File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::Io(dir.to_owned(), error))?;
                made
            }
        };
        // Not what is there by now, which may have taken the place of what was opened.
        let files = [files::opened(&environment, dir)?, room.file];
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Opened { environment, tables, gate, files, number, since: Instant::now(), seen: AtomicU64::new(0) })
    }

    /// Whether the files are still those in the directory. A store that vanished is a failure, and one that somebody made anew is used: what is
    /// written into files that have no name any more would be lost, and with other locks than the others there would be two writers.
    pub fn is_there(&self, dir: &Path) -> bool {
        files::there(dir).is_ok_and(|files| files == self.files)
    }

    /// The same, as a reader may believe it.
    pub fn was_there_lately(&self, dir: &Path) -> bool {
        self.was_there(dir, UNSEEN_BY_READERS)
    }

    /// The same, as it was so many milliseconds ago, or later.
    fn was_there(&self, dir: &Path, ago: u64) -> bool {
        // The first look is due at once: files may be replaced while they are opened.
        let now = UNSEEN_BY_READERS.saturating_add(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX));
        if now < self.seen.load(Ordering::Relaxed).saturating_add(ago) {
            return true;
        }
        let is_there = self.is_there(dir);
        if is_there {
            self.seen.store(now, Ordering::Relaxed);
        }
        is_there
    }

    /// Runs `work` as the one who writes, and commits what it did if it says so.
    pub fn turn<T>(
        &self,
        dir: &Path,
        synced: bool,
        patience: Duration,
        work: &mut impl FnMut(Tables, &mut RwTxn<'_>) -> std::result::Result<Verdict<T>, Trouble>,
    ) -> std::result::Result<T, Trouble> {
        let _turn = self.gate.enter(patience)?;
        if !self.was_there(dir, UNSEEN_BY_WRITERS) {
            return Err(Trouble::Replaced);
        }
        let mut writer = self.environment.write_txn()?;
        lmdb::wait_for_disk(&self.environment, &writer, synced)?;
        match work(self.tables, &mut writer)? {
            Verdict::Commit(done) => {
                writer.commit()?;
                Ok(done)
            }
            Verdict::Abort(done) => Ok(done),
        }
    }
}
