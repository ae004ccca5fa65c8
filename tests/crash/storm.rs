//! Starts the processes, kills them at any moment, starts them again.

use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mod_session_rs::store::Entry;
use mod_session_rs::store::dbm::{DbmStore, Survey};
use mod_session_rs::store::directory;

use crate::judge::{Judge, SUBJECT, Subject, complaints_path, ledger_path, store_path};
use crate::ledger::{Ledger, Tally};
use crate::memory;
use crate::payload::{KINDS, Random, WRITERS, key};
use crate::worker::{PLACE, PROCESSES, READERS, ROLE, SURVIVORS};

const SIGKILL: i32 = 9;
/// What makes the module kill its process within a write.
pub const DEATHS: &str = "MSRS_FAULT_DEATHS";
/// How a process ends that arranged to die within a write.
const SIGXFSZ: i32 = 25;
/// Milliseconds from one kill to the next, at most.
const PAUSE: u64 = 6;

pub struct Storm {
    place: tempfile::TempDir,
    subject: Subject,
    environment: Vec<(String, String)>,
    children: Vec<Child>,
    random: Random,
    started: Instant,
    kills: u64,
    halves: u64,
    /// Bytes of the complaints that were read.
    read: u64,
}

/// How far it has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub seen: Tally,
    pub kills: u64,
    /// Processes that died half-way through a write.
    pub halves: u64,
}

/// What came of it.
pub struct Summary {
    pub progress: Progress,
    survivors: Tally,
    time: Duration,
    temporaries: usize,
}

/// Writes a line that shows also where the test passes.
pub fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Storm {
    /// Starts all processes with this in their environment. The calling test is what runs in them again.
    pub fn start(subject: Subject, environment: &[(&str, &str)]) -> Storm {
        // Beside the build rather than in /tmp: that may be in memory, and the store is for disks.
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
        directory::make(&store_path(place.path()), None).expect("the directory of the store");
        if subject == Subject::Memory {
            memory::make(&store_path(place.path()));
        }
        Ledger::create(&ledger_path(place.path()), PROCESSES);
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos().into());
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut storm = Storm {
            place,
            subject,
            environment,
            children: Vec::new(),
            random: Random(seed),
            started: Instant::now(),
            kills: 0,
            halves: 0,
            read: 0,
        };
        for number in 0..PROCESSES {
            storm.children.push(storm.spawn(number));
        }
        storm
    }

    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    fn spawn(&self, number: usize) -> Child {
        let may = |name: &str| name != DEATHS || !SURVIVORS.contains(&number);
        let test = std::thread::current().name().expect("a test runs in a thread of its name").to_owned();
        Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", &test, "--nocapture", "--test-threads=1"])
            .envs(self.environment.iter().filter(|(name, _)| may(name)).map(|(name, value)| (name, value)))
            .env(SUBJECT, self.subject.word())
            .env(ROLE, number.to_string())
            .env(PLACE, self.place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process of this test")
    }

    /// Kills and restarts until `enough`, the deadline or a complaint, which it returns.
    pub fn rage(&mut self, patience: Duration, enough: impl Fn(&Progress) -> bool) -> Option<String> {
        let deadline = Instant::now() + patience;
        let ledger = Ledger::open(&ledger_path(self.place.path()));
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(self.random.below(PAUSE * 1000)));
            let victim = usize::try_from(self.random.below(PROCESSES as u64)).expect("64-bit");
            // First those who ended by themselves, so that they are not taken for killed.
            self.replace_the_dead();
            if !SURVIVORS.contains(&victim) {
                self.children[victim].kill().expect("a process to kill");
                self.children[victim].wait().expect("a killed process");
                self.kills += 1;
                self.children[victim] = self.spawn(victim);
            }
            let complaint = self.complaint();
            if complaint.is_some() || enough(&self.progress(&ledger)) {
                return complaint;
            }
        }
        None
    }

    fn progress(&self, ledger: &Ledger) -> Progress {
        Progress { seen: tally(ledger, 0..PROCESSES), kills: self.kills, halves: self.halves }
    }

    /// Starts the dead again. One that ended in another way than arranged has found a bug, in the store or in the test.
    fn replace_the_dead(&mut self) {
        for number in 0..PROCESSES {
            let Some(status) = self.children[number].try_wait().expect("a process of ours") else { continue };
            match status.signal() {
                Some(SIGKILL) if self.subject == Subject::Memory => self.halves += 1,
                Some(SIGKILL) => self.kills += 1,
                Some(SIGXFSZ) => self.halves += 1,
                _ => panic!("process {number} ended by itself: {status}; {:?}", self.complaint()),
            }
            self.children[number] = self.spawn(number);
        }
    }

    /// The next complaint that has not been read.
    fn complaint(&mut self) -> Option<String> {
        let path = complaints_path(self.place.path());
        if std::fs::metadata(&path).map_or(0, |found| found.len()) <= self.read {
            return None;
        }
        let text = std::fs::read(&path).expect("the complaints");
        let rest = &text[usize::try_from(self.read).expect("64-bit")..];
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        self.read += end as u64 + 1;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// Kills everybody, for good.
    pub fn end(&mut self) -> Summary {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let ledger = Ledger::open(&ledger_path(self.place.path()));
        Summary {
            progress: self.progress(&ledger),
            survivors: tally(&ledger, SURVIVORS),
            time: self.age(),
            temporaries: temporaries(&store_path(self.place.path())),
        }
    }

    /// Whether index and records of a dbm store agree.
    pub fn survey(&self) -> Survey {
        DbmStore::new(store_path(self.place.path())).survey().expect("a store that can be read")
    }

    /// How many records of a memory store healers found damaged.
    pub fn damaged(&self) -> u64 {
        memory::map(&store_path(self.place.path())).damaged()[0].load(Ordering::Relaxed)
    }

    /// Looks at what is left when all have ended.
    pub fn inspect(&mut self) {
        let judge = Judge::new(self.place.path(), self.subject, "the survivor");
        for record in 0..KINDS.len() {
            let before = judge.ledger.page(record);
            match judge.store.load(&key(record)) {
                Ok(found) => drop(judge.judge(record, found.as_ref(), &before)),
                Err(error) => judge.failed(record, "load", &error),
            }
        }
        let listed = judge.store.each(&mut |key, entry| {
            assert!(matches!(entry, Entry::Blob(_)), "{key:?} is damaged");
            true
        });
        listed.expect("a store that can be listed");
        assert_eq!(self.complaint(), None);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn tally(ledger: &Ledger, processes: impl IntoIterator<Item = usize>) -> Tally {
    processes.into_iter().fold(Tally::default(), |sum, process| sum.with(ledger.tally(process)))
}

/// What killed writers left: the sweep removes it after a minute.
fn temporaries(dir: &Path) -> usize {
    let subs = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = subs.flat_map(|sub| std::fs::read_dir(sub.path()).into_iter().flatten().flatten());
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "tmp")).count()
}

impl Summary {
    pub fn longest_stall(&self) -> Duration {
        Duration::from_micros(self.survivors.longest_stall)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { seen, kills, halves } = self.progress;
        let Tally { loads, updates, creates, deletes, swept, .. } = seen;
        write!(
            f,
            "{} operations ({loads} loads, {updates} updates, {creates} creates, {deletes} deletes; {swept} swept) by {WRITERS} \
             writers, {READERS} readers and a cleaner in {:.1} s, {kills} kills, {halves} deaths within a write, {} temporaries left, longest stall {:.1} ms",
            seen.operations(),
            self.time.as_secs_f64(),
            self.temporaries,
            self.longest_stall().as_secs_f64() * 1000.0,
        )
    }
}
