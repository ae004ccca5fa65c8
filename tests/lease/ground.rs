//! What the processes share: the table of leases, its mutexes, and a board of our own, on which they note what the table does not know.

use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mod_session_rs::lock::{Geometry, Leases, Memory, Process, Wait};

use crate::apr::Mutexes;
use crate::figures::Histogram;
use crate::judge::Cells;
use crate::metronome::Spans;

/// Processes over the time of a test.
pub const LIVES: usize = 4096;
pub const PROCESSES: usize = 64;

/// All zeroes at first.
#[repr(C)]
pub struct Board {
    pub begun: AtomicU64,
    pub ended: AtomicU64,
    /// By life: it is about to be killed.
    pub doomed: [AtomicU32; LIVES],
    pub sessions: [Cells; 8],
    pub waits: Histogram,
    pub long_waits: Spans,
    pub standstills: Spans,
    pub hand_offs: Histogram,
    /// By process: completed critical sections.
    pub served: [AtomicU64; PROCESSES],
    /// When the last holder began to give its lease back; 0: noted already.
    pub given_back: AtomicU64,
    pub complaints: AtomicU64,
    pub complaint: Text,
    pub actors: [Actor; PROCESSES],
}

/// What an actor did, and may do.
#[repr(C)]
pub struct Actor {
    pub answer: Text,
    pub answered: AtomicU64,
    pub may_go: AtomicU64,
    pub gone: AtomicU64,
}

#[repr(C)]
pub struct Text {
    length: AtomicU64,
    bytes: [AtomicU8; 248],
}

impl Text {
    pub fn set(&self, text: &str) {
        let bytes = text.bytes().take(self.bytes.len());
        let length = bytes.zip(&self.bytes).map(|(byte, cell)| cell.store(byte, Ordering::Relaxed)).count();
        self.length.store(length as u64, Ordering::Release);
    }

    pub fn get(&self) -> String {
        let length = usize::try_from(self.length.load(Ordering::Acquire)).expect("a length");
        let bytes: Vec<u8> = self.bytes[..length].iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Board {
    /// Something that must not happen. The first one is told.
    pub fn complain(&self, what: &str) {
        if self.complaints.fetch_add(1, Ordering::AcqRel) == 0 {
            self.complaint.set(what);
        }
    }

    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire) != 0
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire) != 0
    }

    pub fn assert_no_violation(&self) {
        let complaints = self.complaints.load(Ordering::Acquire);
        assert_eq!(complaints, 0, "violations; the first: {}", self.complaint.get());
    }
}

pub struct Ground {
    map: memmap2::MmapRaw,
    geometry: Geometry,
    pub mutexes: Mutexes,
}

impl Ground {
    pub fn new(geometry: Geometry) -> Ground {
        let memfd = rustix::fs::memfd_create("leases", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
        rustix::fs::ftruncate(&memfd, (geometry.bytes().next_multiple_of(64) + size_of::<Board>()) as u64).expect("room");
        let ground =
            Ground { map: memmap2::MmapRaw::map_raw(&memfd).expect("a map"), geometry, mutexes: Mutexes::create(geometry.stripes) };
        let (words, futexes) = ground.words();
        let _ = Memory::format(words, futexes, geometry, Process::current());
        ground
    }

    fn words(&self) -> (&[AtomicU64], &[AtomicU32]) {
        let start = self.map.as_mut_ptr();
        // SAFETY: the map is page-aligned, has room for both, and is only ever used by way of atomics.
        unsafe {
            let words = std::slice::from_raw_parts(start.cast(), self.geometry.words());
            (words, std::slice::from_raw_parts(start.add(self.geometry.words() * 8).cast(), self.geometry.futexes()))
        }
    }

    pub fn memory(&self) -> Memory<'_> {
        let (words, futexes) = self.words();
        Memory::attach(words, futexes).expect("formatted above")
    }

    pub fn board(&self) -> &Board {
        // SAFETY: behind the table, 64-byte-aligned; zeroes are a board, and it has nothing but atomics.
        unsafe { &*self.map.as_mut_ptr().add(self.geometry.bytes().next_multiple_of(64)).cast() }
    }

    /// For this process, as the module attaches a child.
    pub fn attach(&self) -> Leases<'_, &Mutexes> {
        self.mutexes.child_init();
        Leases::attach(self.memory(), &self.mutexes)
    }
}

/// Tests that measure time, one after the other.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds that end only what would never end: a machine that is busy with others may stand still for seconds.
pub const PATIENT: u64 = 90_000;

pub fn wait(milliseconds: u64) -> Wait<'static> {
    Wait { timeout: Duration::from_millis(milliseconds), queue: 32, crowd: 1000, is_pointless: &|| false }
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_millis(PATIENT), "waited in vain until {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Writes a line that shows also where the test passes.
pub fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
