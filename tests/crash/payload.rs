//! Records that prove themselves: a head that says who wrote them as which change of what, and a pseudo-random stream that follows
//! from the head. A record that mixes two writes, or a write and what was there before, differs from its stream.

use mod_session_rs::session::{Key, Timestamp};
use mod_session_rs::store::Blob;

/// Processes that write, each with a count of its own in every record.
pub const WRITERS: usize = 4;

const WORDS: usize = 6 + WRITERS;
pub const HEAD: usize = WORDS * 8;
/// A time that no sweep of the storm reaches.
pub const LIVING: u64 = 1 << 60;
/// A time that every sweep of the storm has passed.
const DOOMED: u64 = 1;
pub const SWEEP_BEFORE: Timestamp = Timestamp(1000);

/// One kind of record.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// How often it is used, among 1000.
    weight: u64,
    /// It is deleted and made again now and then.
    pub mortal: bool,
    /// Bytes at the beginning, bytes more with each change, and where that ends.
    size: (usize, usize, usize),
}

const fn kind(weight: u64, mortal: bool, size: (usize, usize, usize)) -> Kind {
    Kind { weight, mortal, size }
}

const SMALL: (usize, usize, usize) = (100, 3, 800);
const GROWING: (usize, usize, usize) = (300, 60, 20_000);
const LARGE: (usize, usize, usize) = (10_000, 4_000, 200_000);

/// The records of the storm: one that everybody fights for, small ones, growing ones and large ones.
pub const KINDS: [Kind; 14] = [
    kind(206, false, (0, 0, 200)),
    kind(110, false, SMALL),
    kind(110, false, SMALL),
    kind(110, true, SMALL),
    kind(110, true, SMALL),
    kind(110, true, SMALL),
    kind(90, true, SMALL),
    kind(80, false, GROWING),
    kind(15, true, GROWING),
    kind(15, true, GROWING),
    kind(15, true, GROWING),
    kind(25, true, GROWING),
    kind(2, false, LARGE),
    kind(2, true, LARGE),
];

pub fn key(number: usize) -> Key {
    let mut bytes = [0; 32];
    Random(number as u64).fill(&mut bytes);
    Key(bytes)
}

pub fn any_key(random: &mut Random) -> Key {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    Key(bytes)
}

pub fn any_record(random: &mut Random) -> usize {
    let mut dice = random.below(1000);
    KINDS
        .iter()
        .position(|kind| {
            let hit = dice < kind.weight;
            dice = dice.saturating_sub(kind.weight);
            hit
        })
        .expect("the weights are 1000 together")
}

/// One that does not fit into a page or two once it has grown.
pub fn any_long_record(random: &mut Random) -> usize {
    loop {
        let record = any_record(random);
        if KINDS[record].size.2 >= GROWING.2 {
            return record;
        }
    }
}

/// What a record is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub record: usize,
    /// Counts the creations of this record.
    pub epoch: u32,
    /// Counts the changes since then.
    pub total: u32,
    /// The changes of each writer among them: two writers that both started from the same state are found out.
    pub counts: [u32; WRITERS],
    pub writer: usize,
    /// Written to be swept away.
    pub doomed: bool,
}

impl State {
    pub fn first(record: usize, epoch: u32, writer: usize) -> State {
        State { record, epoch, total: 0, counts: [0; WRITERS], writer, doomed: false }.next(writer, false)
    }

    pub fn next(mut self, writer: usize, doomed: bool) -> State {
        self.total += 1;
        self.counts[writer] += 1;
        State { writer, doomed, ..self }
    }

    /// The record of this state, of a length between nothing and what its kind has grown to. Short ones are more frequent: the
    /// time that a checksum takes is not what is tested.
    pub fn blob(&self, random: &mut Random) -> Blob {
        let (start, step, max) = KINDS[self.record].size;
        let grown = max.min(start + step * self.total as usize);
        let most = random.below(grown as u64 + 1);
        let tail = usize::try_from(random.below(most + 1)).expect("64-bit");
        Blob::new(self.expires(), self.bytes(HEAD + tail))
    }

    /// Tied to the change, so that an expiry beside another payload is noticed.
    fn expires(&self) -> Timestamp {
        Timestamp(if self.doomed { DOOMED } else { LIVING + u64::from(self.total) })
    }

    fn bytes(&self, len: usize) -> Vec<u8> {
        let mut words = [0; WORDS];
        words[0] = self.record as u64;
        words[1] = u64::from(self.epoch);
        words[2] = u64::from(self.total);
        words[3] = self.writer as u64;
        words[4] = u64::from(self.doomed);
        words[5] = len as u64;
        for (word, count) in words[6..].iter_mut().zip(self.counts) {
            *word = u64::from(count);
        }
        let mut bytes = vec![0; len];
        let mut seed = 0;
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
            seed = Random(seed ^ word).next();
        }
        Random(seed).fill(&mut bytes[HEAD..]);
        bytes
    }

    /// Reads a record back; the error says where it is not what any writer wrote.
    pub fn read(record: usize, blob: &Blob) -> Result<State, String> {
        if blob.bytes.len() < HEAD {
            return Err(format!("{} bytes are too few", blob.bytes.len()));
        }
        let word = |n: usize| u64::from_le_bytes(blob.bytes[n * 8..n * 8 + 8].try_into().expect("eight bytes"));
        let small = |n: usize| u32::try_from(word(n)).map_err(|_| format!("word {n} is {:#x}", word(n)));
        let mut counts = [0; WRITERS];
        for (n, count) in counts.iter_mut().enumerate() {
            *count = small(6 + n)?;
        }
        let state = State { record, epoch: small(1)?, total: small(2)?, counts, writer: small(3)? as usize, doomed: word(4) == 1 };
        let expected = state.bytes(blob.bytes.len());
        if expected != blob.bytes {
            let at = expected.iter().zip(&blob.bytes).position(|(a, b)| a != b);
            return Err(format!("{} bytes, wrong from byte {at:?} on", blob.bytes.len()));
        }
        if blob.expires != state.expires() || counts.iter().sum::<u32>() != state.total {
            return Err(format!("expires {:?} beside {state:?}", blob.expires));
        }
        Ok(state)
    }
}

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for place in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            place.copy_from_slice(&word[..place.len()]);
        }
    }
}
