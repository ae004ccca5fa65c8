//! Compares what the store shows with what the ledger says was acknowledged before.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Error, Store};

use crate::ledger::{Ledger, Mark, Page};
use crate::memory;
use crate::payload::State;

/// The kinds of complaint.
pub const TORN: &str = "torn";
const STALE: &str = "stale";
const LOST: &str = "lost";
const REVIVED: &str = "revived";
const VANISHED: &str = "vanished";
const INVENTED: &str = "invented";
const FAILED: &str = "failed";

pub struct Judge {
    pub store: Box<dyn Store>,
    pub ledger: Ledger,
    complaints: File,
    name: String,
}

pub fn ledger_path(place: &Path) -> PathBuf {
    place.join("ledger")
}

pub fn complaints_path(place: &Path) -> PathBuf {
    place.join("complaints")
}

pub fn store_path(place: &Path) -> PathBuf {
    place.join("sessions")
}

/// The store that a storm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    File,
    Dbm,
    Memory,
}

/// Names it to the processes.
pub const SUBJECT: &str = "MSRS_CRASH_STORE";

impl Subject {
    const ALL: [Subject; 3] = [Subject::File, Subject::Dbm, Subject::Memory];

    pub fn told() -> Subject {
        let word = std::env::var(SUBJECT).expect("a store");
        Self::ALL.into_iter().find(|subject| subject.word() == word).expect("a store that is known")
    }

    pub fn word(self) -> &'static str {
        match self {
            Subject::File => "file",
            Subject::Dbm => "dbm",
            Subject::Memory => "memory",
        }
    }

    fn store(self, dir: PathBuf) -> Box<dyn Store> {
        match self {
            Subject::File => Box::new(FileStore::new(dir)),
            Subject::Dbm => Box::new(DbmStore::new(dir)),
            Subject::Memory => Box::new(memory::open(&dir)),
        }
    }
}

impl Judge {
    /// `name` says in complaints who saw it.
    pub fn new(place: &Path, subject: Subject, name: &str) -> Judge {
        let complaints = OpenOptions::new().append(true).create(true).open(complaints_path(place)).expect("a place for complaints");
        Judge { store: subject.store(store_path(place)), ledger: Ledger::open(&ledger_path(place)), complaints, name: name.to_owned() }
    }

    /// One line, written at once: the process may not live to write it later.
    fn complain(&self, what: &str, record: usize, why: &str) {
        self.write(&format!("{what}: record {record}, seen by {}: {why}\n", self.name));
    }

    fn write(&self, line: &str) {
        (&self.complaints).write_all(line.as_bytes()).expect("a complaint");
    }

    pub fn failed(&self, record: usize, doing: &str, error: &Error) {
        self.complain(FAILED, record, &format!("{doing}: {error}"));
    }

    /// What the cleaner found beside sessions.
    pub fn unclean(&self, why: &str) {
        self.write(&format!("{FAILED}: {} met {why}\n", self.name));
    }

    /// Judges what was found of a record. `before` was read before the store was asked, or under the record's lock.
    pub fn judge(&self, record: usize, found: Option<&Blob>, before: &Page) -> Option<State> {
        let Some(blob) = found else {
            self.judge_absence(record, before);
            return None;
        };
        match State::read(record, blob) {
            Ok(state) => {
                self.judge_state(&state, before);
                Some(state)
            }
            Err(why) => {
                self.complain(TORN, record, &why);
                None
            }
        }
    }

    fn judge_state(&self, state: &State, before: &Page) {
        let shown = Mark { epoch: state.epoch, n: state.total };
        if shown < before.newest_reached() {
            self.complain(STALE, state.record, &format!("{state:?} though {:?} was acknowledged", before.newest_reached()));
        }
        for (writer, counted) in before.counted.iter().enumerate() {
            if counted.epoch == state.epoch && state.counts[writer] < counted.n {
                self.complain(LOST, state.record, &format!("{state:?} though writer {writer} had {counted:?} acknowledged"));
            }
        }
        if state.epoch <= before.newest_deleted().epoch {
            self.complain(REVIVED, state.record, &format!("{state:?} though {:?} was deleted", before.newest_deleted()));
        }
        if state.epoch > before.tried.epoch && state.epoch > self.ledger.page(state.record).tried.epoch {
            self.complain(INVENTED, state.record, &format!("{state:?}, which nobody created"));
        }
    }

    /// A record is away only if somebody was about to delete the state that was reached, or a later one. Also right for a creation
    /// that found its place free.
    pub fn judge_absence(&self, record: usize, before: &Page) {
        let (reached, after) = (before.newest_reached(), self.ledger.page(record));
        if reached > after.newest_may_vanish() {
            self.complain(VANISHED, record, &format!("{reached:?} was acknowledged, and only {:?} given up", after.newest_may_vanish()));
        }
    }
}
