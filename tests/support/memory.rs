//! The memory of a server that is at rest, from outside.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::MmapRaw;
use mod_session_rs::store::memory::layout::Memory;
use mod_session_rs::store::memory::{Exclusion, MemoryStore, Surroundings, file};

/// Nobody has the mutexes of the server but the server. So this is for moments in which it has nothing to do.
struct AtRest;

impl Exclusion for AtRest {
    fn under(&self, _: usize, section: &mut dyn FnMut()) -> Result<(), String> {
        section();
        Ok(())
    }
}

pub fn is_in(dir: &Path) -> bool {
    dir.join(file::NAME).exists()
}

/// The store in a directory, mapped until this process ends.
pub fn store(dir: &Path) -> MemoryStore {
    let opened = OpenOptions::new().read(true).write(true).open(dir.join(file::NAME)).expect("the file of the memory");
    let map = Box::leak(Box::new(MmapRaw::map_raw(&opened).expect("a mapping")));
    // SAFETY: a mapping of whole pages that is never unmapped; whoever shares it uses such atomics.
    let words: &[AtomicU64] = unsafe { std::slice::from_raw_parts(map.as_mut_ptr().cast(), map.len() / 8) };
    let memory = Memory::attach(words).expect("memory of ours");
    let around = Surroundings {
        name: "the memory of a server".into(),
        exclusion: Box::new(AtRest),
        is_passing: |_| false,
        dropped: Box::new(|_| {}),
    };
    MemoryStore::new(memory, around)
}
