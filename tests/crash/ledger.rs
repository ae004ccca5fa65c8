//! What was promised, in a file that survives whoever wrote it.
//!
//! Nothing here is buffered: a note is one `pwrite`, and what a killed process had written is in the page cache. A change is noted
//! after the store acknowledged it; what may take a record away is noted before it is asked for.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::payload::{KINDS, WRITERS};

/// A state of a record: which creation of it, which change since. Later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    pub epoch: u32,
    pub n: u32,
}

/// A place for one mark. It is stored twice, once inverted, so that whoever reads it while it is written notices.
const CELL: usize = 16;
const KEY_CELLS: usize = 4 * WRITERS + 1;
const KEY_BYTES: usize = KEY_CELLS * CELL;
const TRIED: usize = 4 * WRITERS;

/// What is noted of one record, for each writer.
#[derive(Debug)]
pub struct Page {
    /// The writer's own last acknowledged change, counted by the writer.
    pub counted: [Mark; WRITERS],
    /// The state that this change led to.
    pub reached: [Mark; WRITERS],
    /// The last state in which this writer was about to delete the record, or left it for the sweep.
    pub may_vanish: [Mark; WRITERS],
    /// The last acknowledged deletion.
    pub deleted: [Mark; WRITERS],
    /// The last creation that was tried.
    pub tried: Mark,
}

impl Page {
    pub fn newest_reached(&self) -> Mark {
        self.reached.into_iter().max().expect("there are writers")
    }

    pub fn newest_may_vanish(&self) -> Mark {
        self.may_vanish.into_iter().max().expect("there are writers")
    }

    pub fn newest_deleted(&self) -> Mark {
        self.deleted.into_iter().max().expect("there are writers")
    }
}

/// What one process did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub loads: u64,
    pub updates: u64,
    pub creates: u64,
    pub deletes: u64,
    pub swept: u64,
    /// Microseconds.
    pub longest_stall: u64,
}

impl Tally {
    pub fn operations(&self) -> u64 {
        self.loads + self.updates + self.creates + self.deletes
    }

    pub fn with(self, other: Tally) -> Tally {
        Tally {
            loads: self.loads + other.loads,
            updates: self.updates + other.updates,
            creates: self.creates + other.creates,
            deletes: self.deletes + other.deletes,
            swept: self.swept + other.swept,
            longest_stall: self.longest_stall.max(other.longest_stall),
        }
    }

    pub fn stalled(&mut self, time: Duration) {
        self.longest_stall = self.longest_stall.max(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn words(&self) -> [u64; TALLY_WORDS] {
        [self.loads, self.updates, self.creates, self.deletes, self.swept, self.longest_stall]
    }
}

const TALLY_WORDS: usize = 6;

pub struct Ledger {
    file: File,
}

impl Ledger {
    /// An empty ledger for `processes`.
    pub fn create(path: &Path, processes: usize) -> Ledger {
        let ledger = Ledger { file: OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a new ledger") };
        for record in 0..KINDS.len() {
            for number in 0..KEY_CELLS {
                ledger.note(record, number, &[Mark::default()]);
            }
        }
        for process in 0..processes {
            ledger.set_tally(process, &Tally::default());
        }
        ledger
    }

    pub fn open(path: &Path) -> Ledger {
        Ledger { file: OpenOptions::new().read(true).write(true).open(path).expect("the ledger") }
    }

    fn note(&self, record: usize, cell: usize, marks: &[Mark]) {
        let mut bytes = Vec::with_capacity(marks.len() * CELL);
        for mark in marks {
            let word = u64::from(mark.epoch) << 32 | u64::from(mark.n);
            bytes.extend_from_slice(&word.to_le_bytes());
            bytes.extend_from_slice(&(!word).to_le_bytes());
        }
        self.file.write_all_at(&bytes, (record * KEY_BYTES + cell * CELL) as u64).expect("the ledger takes a note");
    }

    pub fn acknowledge(&self, record: usize, writer: usize, counted: Mark, reached: Mark) {
        self.note(record, writer * 4, &[counted, reached]);
    }

    pub fn may_vanish(&self, record: usize, writer: usize, at: Mark) {
        self.note(record, writer * 4 + 2, &[at]);
    }

    pub fn deleted(&self, record: usize, writer: usize, at: Mark) {
        self.note(record, writer * 4 + 3, &[at]);
    }

    /// Only one writer creates a record, so that the epochs are in order.
    pub fn trying(&self, record: usize, epoch: u32) {
        self.note(record, TRIED, &[Mark { epoch, n: 0 }]);
    }

    pub fn page(&self, record: usize) -> Page {
        let mut bytes = [0; KEY_BYTES];
        loop {
            self.file.read_exact_at(&mut bytes, (record * KEY_BYTES) as u64).expect("a whole ledger");
            if let Some(cells) = decode(&bytes) {
                let of = |which: usize| std::array::from_fn(|writer| cells[writer * 4 + which]);
                return Page { counted: of(0), reached: of(1), may_vanish: of(2), deleted: of(3), tried: cells[TRIED] };
            }
        }
    }

    fn tally_at(process: usize) -> u64 {
        (KINDS.len() * KEY_BYTES + process * TALLY_WORDS * 8) as u64
    }

    pub fn set_tally(&self, process: usize, tally: &Tally) {
        let bytes: Vec<u8> = tally.words().into_iter().flat_map(u64::to_le_bytes).collect();
        self.file.write_all_at(&bytes, Self::tally_at(process)).expect("the ledger takes a tally");
    }

    pub fn tally(&self, process: usize) -> Tally {
        let mut bytes = [0; TALLY_WORDS * 8];
        self.file.read_exact_at(&mut bytes, Self::tally_at(process)).expect("a whole ledger");
        let word = |n: usize| word_at(&bytes, n * 8);
        Tally { loads: word(0), updates: word(1), creates: word(2), deletes: word(3), swept: word(4), longest_stall: word(5) }
    }
}

fn word_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// `None`: a cell was just being written.
fn decode(bytes: &[u8; KEY_BYTES]) -> Option<[Mark; KEY_CELLS]> {
    let mut cells = [Mark::default(); KEY_CELLS];
    for (n, cell) in cells.iter_mut().enumerate() {
        let (word, inverted) = (word_at(bytes, n * CELL), word_at(bytes, n * CELL + 8));
        if word != !inverted {
            return None;
        }
        *cell = Mark { epoch: u32::try_from(word >> 32).ok()?, n: u32::try_from(word & 0xffff_ffff).ok()? };
    }
    Some(cells)
}
