//! The memory store among processes without httpd: its mutexes are locks on files, which the kernel takes from the dead.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::MmapRaw;
use mod_session_rs::store::memory::file::{Maker, NAME};
use mod_session_rs::store::memory::layout::Memory;
use mod_session_rs::store::memory::{Exclusion, MemoryStore, Surroundings};
use rustix::fs::{FlockOperation, flock};

const BYTES: u64 = 16 << 20;

struct Locks(Vec<File>);

impl Exclusion for Locks {
    fn under(&self, partition: usize, section: &mut dyn FnMut()) -> Result<(), String> {
        let file = self.0[partition].as_fd();
        flock(file, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
        section();
        flock(file, FlockOperation::Unlock).map_err(|error| error.to_string())
    }
}

/// Makes an empty store. Its lock is for servers, and goes at once.
pub fn make(dir: &Path) {
    drop(Maker::new(dir, BYTES, None).and_then(|maker| maker.open()).expect("a file for the memory"));
}

/// The memory of a directory, mapped until this process ends.
pub fn map(dir: &Path) -> Memory<'static> {
    let file = OpenOptions::new().read(true).write(true).open(dir.join(NAME)).expect("the file of the memory");
    let map = Box::leak(Box::new(MmapRaw::map_raw(&file).expect("a mapping")));
    // SAFETY: a mapping of whole pages that is never unmapped; whoever shares it uses such atomics.
    let words: &[AtomicU64] = unsafe { std::slice::from_raw_parts(map.as_mut_ptr().cast(), map.len() / 8) };
    Memory::attach(words).expect("memory of ours")
}

pub fn open(dir: &Path) -> MemoryStore {
    let memory = map(dir);
    let lock = |number: usize| OpenOptions::new().create(true).append(true).open(dir.join(format!("lock {number}"))).expect("a lock");
    let around = Surroundings {
        name: "the memory of the storm".into(),
        exclusion: Box::new(Locks((0..memory.geometry.partitions).map(lock).collect())),
        is_passing: |_| false,
        dropped: Box::new(|_| panic!("there was room")),
    };
    MemoryStore::new(memory, around)
}
