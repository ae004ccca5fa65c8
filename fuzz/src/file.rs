//! The bytes of a session file, put together as `docs/formats.md` draws them, in the place of a record.
//!
//! No mutation makes a checksum, so an input is what the checks are made for: a byte of flags, a header without its check (24 bytes),
//! two heads of slots without theirs (24 each), then the payloads, as long as their heads say.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mod_session_rs::session::{Key, Timestamp};
use mod_session_rs::store::directory;
use mod_session_rs::store::file::{self, FileStore};
use mod_session_rs::store::{Blob, Change, Durability, Error, Outcome, Store};
use tempfile::TempDir;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const KEY: Key = Key([7; 32]);

/// The flags: what is wrong with the file, and which write comes upon it.
const HEADER_AS_GIVEN: u8 = 1;
const WRONG_HEADER_CHECK: u8 = 2;
const WRONG_SLOT_CHECK: [u8; 2] = [4, 8];
const SHORT: u8 = 16;
const GROWS: u8 = 32;
const DELETES: u8 = 64;
const REPLACES: u8 = 128;

pub fn file(data: &[u8]) {
    let Some((&flags, rest)) = data.split_first() else { return };
    let Some(file) = File::build(flags, rest) else { return };
    PLACE.with(|place| {
        fs::write(&place.path, &file.bytes).expect("a file");
        let loaded = place.load();
        let admissible = file.documented();
        assert!(admissible.contains(&loaded), "{loaded:?}, not {admissible:?}");
        place.change(&loaded, flags, &file);
        for path in [place.path.clone(), place.path.with_extension("corrupt")] {
            let _ = fs::remove_file(path);
        }
    });
}

/// What is read of a file.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// A newer version wrote it.
    Nothing,
    Damage,
    Newest(Blob),
}

struct File {
    header: [u8; 24],
    header_counts: bool,
    /// Sequence number and blob of what is whole.
    slots: [Option<(u64, Blob)>; 2],
    size: usize,
    bytes: Vec<u8>,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn bound(head: &[u8], incarnation: u64) -> u64 {
    xxh3_64(&[&KEY.0, head, &incarnation.to_le_bytes()].concat())
}

fn checked(head: &[u8], check: u64, is_wrong: bool) -> Vec<u8> {
    [head, &(check ^ u64::from(is_wrong)).to_le_bytes()].concat()
}

impl File {
    fn build(flags: u8, input: &[u8]) -> Option<File> {
        let has = |flag: u8| flags & flag != 0;
        let (header, rest) = input.split_first_chunk::<24>()?;
        let (heads, mut payloads) = rest.split_first_chunk::<48>()?;
        let mut header = *header;
        if !has(HEADER_AS_GIVEN) {
            header[..12].copy_from_slice(b"msrsfile\x01\0\0\0");
        }
        // Up to some kilobytes, so that both slots of some files are beyond the first read.
        header[14..16].fill(0);
        header[13] %= 48;
        let (capacity, incarnation) = (u32_at(&header, 12) as usize, u64_at(&header, 16));
        let mut bytes = vec![0; 32 + 2 * (32 + capacity)];
        bytes[..32].copy_from_slice(&checked(&header, bound(&header, 0), has(WRONG_HEADER_CHECK)));
        let mut slots = [None, None];
        for (slot, head) in heads.chunks(24).enumerate() {
            let (seq, expires, len) = (u64_at(head, 0), Timestamp(u64_at(head, 8)), u32_at(head, 16) as usize);
            if head.iter().all(|&byte| byte == 0) {
                continue;
            }
            let (payload, others) = payloads.split_at(len.min(payloads.len()));
            payloads = others;
            let is_possible = len <= capacity && len == payload.len() && u32_at(head, 20) == 0 && seq != 0;
            let check = xxh3_64_with_seed(payload, bound(head, incarnation));
            let written = [checked(head, check, has(WRONG_SLOT_CHECK[slot])), payload[..payload.len().min(capacity)].to_vec()].concat();
            bytes[32 + slot * (32 + capacity)..][..written.len()].copy_from_slice(&written);
            if is_possible && !has(WRONG_SLOT_CHECK[slot]) {
                slots[slot] = Some((seq, Blob::new(expires, payload.to_vec())));
            }
        }
        let size = bytes.len();
        if has(SHORT) {
            bytes.truncate(size - 1 - payloads.iter().map(|&byte| usize::from(byte)).sum::<usize>() % size);
        }
        Some(File { header, header_counts: !has(WRONG_HEADER_CHECK), slots, size, bytes })
    }

    /// Where a slot lies.
    fn slot(&self, slot: usize) -> Range<usize> {
        let length = 32 + u32_at(&self.header, 12) as usize;
        32 + slot * length..32 + (slot + 1) * length
    }

    /// What may be read of it: of two slots of one number either, and of a file that misses no more than the end of a long slot the
    /// other one.
    fn documented(&self) -> Vec<Said> {
        let version = u32_at(&self.header, 8);
        if self.bytes.len() < 32 || self.header[..8] != *b"msrsfile" {
            return vec![Said::Damage];
        }
        if version > 1 {
            return vec![Said::Nothing];
        }
        if version < 1 || !self.header_counts {
            return vec![Said::Damage];
        }
        let is_short = self.bytes.len() < self.size;
        let newest = self.slots.iter().flatten().map(|(seq, _)| *seq).max();
        let of_slots = self.slots.iter().flatten().filter(|(seq, _)| is_short || Some(*seq) == newest);
        let mut all: Vec<_> = of_slots.map(|(_, blob)| Said::Newest(blob.clone())).collect();
        if is_short && self.bytes.len() < 8192 {
            all.clear();
        }
        if is_short || all.is_empty() {
            all.push(Said::Damage);
        }
        all
    }
}

/// A store with room for one file, kept for all inputs of a thread.
struct Place {
    _dir: TempDir,
    store: FileStore,
    path: PathBuf,
}

thread_local! {
    static PLACE: Place = Place::make();
}

impl Place {
    fn make() -> Place {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory");
        directory::claim(dir.path(), directory::Kind::File).expect("an empty directory");
        let sub = file::sub(dir.path(), KEY.0[0]);
        fs::create_dir(&sub).expect("a sub-directory");
        Place { store: FileStore::new(dir.path().to_owned()), path: sub.join(KEY.hex()), _dir: dir }
    }

    fn load(&self) -> Said {
        match self.store.load(&KEY) {
            Ok(None) => Said::Nothing,
            Ok(Some(blob)) => Said::Newest(blob),
            Err(Error::Corrupt(_)) => Said::Damage,
            Err(error) => panic!("{error}"),
        }
    }

    /// An update is shown what a load sees, and what it writes is loaded; what cannot be read is not written upon.
    fn change(&self, before: &Said, flags: u8, file: &File) {
        let room = u32_at(&file.header, 12) as usize;
        let next = Blob::new(Timestamp(9), vec![b'n'; if flags & GROWS != 0 { room + 1 } else { room / 2 }]);
        let deletes = flags & DELETES != 0;
        let mut shown = Said::Nothing;
        let outcome = self.store.update(&KEY, Durability::Process, &mut |newest| {
            shown = newest.cloned().map_or(Said::Nothing, Said::Newest);
            if deletes {
                Change::Delete
            } else if flags & REPLACES != 0 {
                Change::Replace(next.clone())
            } else {
                Change::Write(next.clone())
            }
        });
        let (done, after) = match (before, deletes) {
            (Said::Damage, _) => {
                assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
                assert_eq!(fs::read(&self.path).expect("the file"), file.bytes);
                self.store.quarantine(&KEY, &|_| false).expect("it is put aside");
                assert_eq!(self.load(), Said::Nothing);
                return;
            }
            (Said::Nothing, _) => (Outcome::Kept, Said::Nothing),
            (Said::Newest(_), true) => (Outcome::Deleted, Said::Nothing),
            (Said::Newest(_), false) => (Outcome::Written, Said::Newest(next.clone())),
        };
        assert_eq!((&shown, outcome.expect("an update"), self.load()), (before, done, after));
        let mut seqs = file.slots.iter().flatten().map(|(seq, _)| *seq);
        if done == Outcome::Written && flags & (GROWS | SHORT) == 0 && seqs.all(|seq| seq < u64::MAX) {
            self.written_in_place(before, &next, flags, file);
        }
    }

    /// Of two slots one was the newest. It stays as it was, for whoever is killed while it writes, unless nothing may stay; and of what
    /// else was there nothing stays.
    fn written_in_place(&self, before: &Said, next: &Blob, flags: u8, file: &File) {
        let now = fs::read(&self.path).expect("the file");
        let was_newest = |slot: usize| file.slots[slot].as_ref().is_some_and(|(_, blob)| *before == Said::Newest(blob.clone()));
        let is_as_it_was = |slot| now[file.slot(slot)] == file.bytes[file.slot(slot)];
        let holds_the_next_alone = |slot| {
            let payload = &now[file.slot(slot)][32..];
            payload.strip_prefix(&next.bytes[..]).is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
        };
        let is_good = |slot: usize| {
            let kept = if flags & REPLACES != 0 { holds_the_next_alone(slot) } else { is_as_it_was(slot) };
            was_newest(slot) && kept && holds_the_next_alone(1 - slot)
        };
        assert!(is_good(0) || is_good(1), "the slots hold {:?} and {:?}", &now[file.slot(0)], &now[file.slot(1)]);
    }
}
