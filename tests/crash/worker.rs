//! What the killed processes do: the test's own binary, told by its environment to be one of them.
//!
//! A kill from outside hardly ever meets a process just inside a write, which takes microseconds. So writers also arrange to die
//! half-way through one: they lower their limit of file size into the record that they are about to write. The kernel then writes
//! what fits, and the rest of the write ends the process by SIGXFSZ, as abruptly as SIGKILL would. In the memory store it is the module
//! itself that kills, at one of so many points between two writes (`MSRS_FAULT_DEATHS`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mod_session_rs::session::Timestamp;
use mod_session_rs::store::{Blob, Change, Cursor, Durability, Error, Outcome};

use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

use crate::judge::{Judge, Subject, store_path};
use crate::ledger::{Mark, Tally};
use crate::payload::{KINDS, LIVING, Random, SWEEP_BEFORE, State, WRITERS, any_key, any_long_record, any_record, key};

pub const ROLE: &str = "MSRS_CRASH_ROLE";
pub const PLACE: &str = "MSRS_CRASH_PLACE";
pub const READERS: usize = 3;
/// Writers, then readers, then the cleaner.
pub const PROCESSES: usize = WRITERS + READERS + 1;

/// The first writer and the first reader are never killed: they see how long the death of others keeps anybody waiting.
pub const SURVIVORS: [usize; 2] = [0, WRITERS];
/// The lowest limit of file size: the ledger stays writable.
const LEAST_LIMIT: u64 = 8192;

/// How often the counts are noted: a killed process takes those since then with it.
const TALLY_EVERY: u64 = 16;

/// Runs as a worker if the environment says so, until it is killed or its parent is gone.
pub fn ran_here() -> bool {
    let Some(role) = std::env::var_os(ROLE) else { return false };
    let number: usize = role.to_str().and_then(|role| role.parse().ok()).expect("the number of a process");
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    Worker::new(number, &place).run();
    true
}

/// What a writer does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Write,
    /// Writes it as expired, for the cleaner.
    Doom,
    Delete,
    /// Dies while it has the record.
    Die,
    /// Writes where there is no room: dies of it, or is told that nothing was stored.
    Cramped,
}

struct Worker {
    number: usize,
    judge: Judge,
    random: Random,
    tally: Tally,
    /// Of the dbm store: all records are in it.
    data: PathBuf,
}

impl Worker {
    fn new(number: usize, place: &Path) -> Worker {
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).expect("a limit may be lowered");
        let name = match number {
            0..WRITERS => format!("writer {number}"),
            n if n < WRITERS + READERS => format!("reader {}", n - WRITERS),
            _ => "the cleaner".to_owned(),
        };
        let judge = Judge::new(place, Subject::told(), &name);
        let tally = judge.ledger.tally(number);
        let random = Random(u64::from(std::process::id()) << 32 | tally.operations());
        Worker { number, judge, random, tally, data: store_path(place).join("data.mdb") }
    }

    fn run(&mut self) {
        let parent = rustix::process::getppid();
        for round in 1.. {
            let started = Instant::now();
            match self.number {
                0..WRITERS => self.write_something(),
                n if n < WRITERS + READERS => {
                    let record = any_record(&mut self.random);
                    self.load(record);
                }
                _ => self.clean(),
            }
            self.tally.stalled(started.elapsed());
            if round % TALLY_EVERY == 0 || self.number == PROCESSES - 1 {
                self.judge.ledger.set_tally(self.number, &self.tally);
                if rustix::process::getppid() != parent {
                    return;
                }
            }
        }
    }

    /// Records that nobody else knows come, get another expiry and go, so that much of what is written is the index. Whatever a death leaves of
    /// one stays as it is.
    fn busy_the_index(&mut self) {
        let Worker { judge, random, .. } = self;
        let key = any_key(random);
        let life = |random: &mut Random| Timestamp(LIVING + random.below(1 << 30));
        let mut blob = Blob::new(life(random), vec![7; 300]);
        let mut done = judge.store.create(&key, &blob, Durability::Process).map(drop);
        for _ in 0..2 {
            blob.expires = life(random);
            done = done.and_then(|()| judge.store.update(&key, Durability::Process, &mut |_| Change::Write(blob.clone())).map(drop));
        }
        if random.below(4) > 0 {
            done = done.and_then(|()| judge.store.update(&key, Durability::Process, &mut |_| Change::Delete).map(drop));
        }
        if let Err(error) = done {
            judge.unclean(&error.to_string());
        }
    }

    fn write_something(&mut self) {
        if Subject::told() == Subject::Dbm && self.random.below(4) == 0 {
            return self.busy_the_index();
        }
        let record = any_record(&mut self.random);
        let mortal = KINDS[record].mortal;
        let there = match self.random.below(1000) {
            0..5 if mortal => self.change(record, Act::Delete),
            5..10 if mortal => self.change(record, Act::Doom),
            10..15 => false,
            15..400 => self.load(record),
            400..403 if self.is_to_die() => return self.die_within_a_write(),
            403..405 if self.is_to_die() => self.change(record, Act::Die),
            _ => self.change(record, Act::Write),
        };
        if !there && record % WRITERS == self.number {
            self.create(record);
        }
    }

    /// In the memory store the module sees to that.
    fn is_to_die(&self) -> bool {
        !SURVIVORS.contains(&self.number) && Subject::told() != Subject::Memory
    }

    /// `false`: nothing is there.
    fn load(&mut self, record: usize) -> bool {
        let before = self.judge.ledger.page(record);
        match self.judge.store.load(&key(record)) {
            Ok(found) => {
                self.tally.loads += 1;
                self.judge.judge(record, found.as_ref(), &before);
                found.is_some()
            }
            Err(error) => {
                self.judge.failed(record, "load", &error);
                true
            }
        }
    }

    /// Changes a record and dies while it is written, if it has grown enough for that.
    fn die_within_a_write(&mut self) {
        let record = any_long_record(&mut self.random);
        let size = match std::fs::metadata(&self.data) {
            Ok(found) => found.len(),
            Err(_) => 2 * self.judge.store.load(&key(record)).ok().flatten().map_or(0, |blob| blob.bytes.len() as u64),
        };
        let usual = getrlimit(Resource::Fsize);
        let current = Some(LEAST_LIMIT + self.random.below(size + 1));
        setrlimit(Resource::Fsize, Rlimit { current, ..usual }).expect("a limit may be lowered");
        self.change(record, Act::Cramped);
        setrlimit(Resource::Fsize, usual).expect("and raised up to its maximum");
    }

    /// `false`: nothing is there.
    fn change(&mut self, record: usize, act: Act) -> bool {
        let Worker { number: me, judge, random, tally, .. } = self;
        let before = judge.ledger.page(record);
        let mut next = None;
        let mut there = false;
        // The stores that show what was loaded before they show the newest would be judged by that.
        let loads = Subject::told() == Subject::File && random.below(2) == 0;
        let loaded = if loads { judge.store.load_to_change(&key(record)).ok().flatten() } else { None };
        let outcome = judge.store.update_from(&key(record), loaded.as_ref(), Durability::Process, &mut |found| {
            // Whoever acknowledged something did it before this lock was taken: what is noted now must be in what was found.
            let page = if found.is_some() { &judge.ledger.page(record) } else { &before };
            there = found.is_some();
            let Some(state) = judge.judge(record, found, page) else { return Change::Keep };
            if act == Act::Die {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            let mark = |state: &State| Mark { epoch: state.epoch, n: state.total };
            if act == Act::Delete {
                judge.ledger.may_vanish(record, *me, mark(&state));
                next = Some(state);
                return Change::Delete;
            }
            let state = state.next(*me, act == Act::Doom);
            if act == Act::Doom {
                judge.ledger.may_vanish(record, *me, mark(&state));
            }
            next = Some(state);
            Change::Write(state.blob(random))
        });
        match (outcome, next) {
            (Ok(Outcome::Written), Some(state)) => {
                tally.updates += 1;
                let of = |n| Mark { epoch: state.epoch, n };
                judge.ledger.acknowledge(record, *me, of(state.counts[*me]), of(state.total));
            }
            (Ok(Outcome::Deleted), Some(state)) => {
                tally.deletes += 1;
                judge.ledger.deleted(record, *me, Mark { epoch: state.epoch, n: state.total });
            }
            (Ok(_), _) => tally.loads += 1,
            (Err(Error::Io(..)), _) if act == Act::Cramped => there = true,
            (Err(error), _) => {
                judge.failed(record, &format!("{act:?}"), &error);
                there = true;
            }
        }
        there
    }

    fn create(&mut self, record: usize) {
        let before = self.judge.ledger.page(record);
        let epoch = before.tried.epoch + 1;
        self.judge.ledger.trying(record, epoch);
        let state = State::first(record, epoch, self.number);
        match self.judge.store.create(&key(record), &state.blob(&mut self.random), Durability::Process) {
            Ok(true) => {
                self.tally.creates += 1;
                self.judge.judge_absence(record, &before);
                let first = Mark { epoch, n: 1 };
                self.judge.ledger.acknowledge(record, self.number, first, first);
            }
            Ok(false) => self.tally.loads += 1,
            Err(error) => self.judge.failed(record, "create", &error),
        }
    }

    fn clean(&mut self) {
        let mut next = Some(Cursor::default());
        while let Some(from) = next {
            match self.judge.store.sweep(SWEEP_BEFORE, Duration::from_millis(50), from, &mut |_, _| {}) {
                Ok(slice) => {
                    if slice.corrupt > 0 || slice.foreign.is_some() {
                        self.judge.unclean(&format!("{slice:?}"));
                    }
                    self.tally.swept += slice.deleted;
                    next = slice.next;
                }
                // It does not wait for long: whoever died with the lock may wait for the processor before it ends.
                Err(Error::Locked(..)) => break,
                Err(error) => return self.judge.unclean(&error.to_string()),
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
