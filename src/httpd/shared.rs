//! Memory that the parent shares with all its children, over restarts too.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, fallocate, fchown, memfd_create};
use rustix::process::{Gid, Uid};
use rustix::shm;

use super::retained::Plain;

/// A mapping that lasts as long as the process: children inherit it, and so does the module when httpd loads it again.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SharedMemory {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: a pointer and a number; the mapping is not code or data of the module.
unsafe impl Plain for SharedMemory {}
// SAFETY: the memory is only handed out as atomics.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Zeroed memory under a name that other programs of `owner` may open. What lies under the name is replaced. (Where containers share
    /// /dev/shm but not their process numbers, two servers may take the name from each other; both go on with memory of their own.)
    pub fn named(name: &str, bytes: usize, owner: Option<(Uid, Gid)>) -> io::Result<SharedMemory> {
        let _ = shm::unlink(name);
        let flags = shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR;
        let file = shm::open(name, flags, Mode::RUSR | Mode::WUSR)?;
        let prepared = || -> io::Result<SharedMemory> {
            if let Some((user, group)) = owner {
                fchown(&file, Some(user), Some(group))?;
            }
            SharedMemory::map(File::from(file.try_clone()?), bytes)
        };
        prepared().inspect_err(|_| {
            let _ = shm::unlink(name);
        })
    }

    /// Zeroed memory without a name.
    pub fn nameless(bytes: usize) -> io::Result<SharedMemory> {
        SharedMemory::map(File::from(memfd_create(c"mod_session_rs", MemfdFlags::CLOEXEC)?), bytes)
    }

    fn map(file: File, bytes: usize) -> io::Result<SharedMemory> {
        // Reserved at once: a page that cannot be had later would be SIGBUS.
        fallocate(&file, FallocateFlags::empty(), 0, bytes as u64)?;
        let map = MmapOptions::new().len(bytes).map_raw(&file)?;
        let base = map.as_mut_ptr();
        std::mem::forget(map); // for the life of the process
        Ok(SharedMemory { base, bytes })
    }

    /// The memory as 64-bit words and, behind them, 32-bit words.
    ///
    /// # Panics
    /// There is less memory than that.
    pub fn split(self, words: usize, halves: usize) -> (&'static [AtomicU64], &'static [AtomicU32]) {
        assert!(words * 8 + halves * 4 <= self.bytes);
        // SAFETY: the mapping is page-aligned, as long as `bytes`, and never unmapped; all who share it use these atomics.
        unsafe {
            (std::slice::from_raw_parts(self.base.cast(), words), std::slice::from_raw_parts(self.base.add(words * 8).cast(), halves))
        }
    }

    /// As many 64-bit words as fit.
    pub fn words(self) -> &'static [AtomicU64] {
        self.split(self.bytes / 8, 0).0
    }
}

/// A file that is mapped and open, and so is locked as long as it was.
pub struct MappedFile {
    map: MmapRaw,
    file: File,
}

/// One that is kept as long as the process lives: see [`SharedMemory`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct KeptFile {
    memory: SharedMemory,
    device: u64,
    inode: u64,
}

// SAFETY: as SharedMemory, and numbers.
unsafe impl Plain for KeptFile {}

impl MappedFile {
    /// The whole of a file, which has its full size and keeps it.
    pub fn new(file: File) -> io::Result<MappedFile> {
        let bytes = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(MappedFile { map: MmapOptions::new().len(bytes).map_raw(&file)?, file })
    }

    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned and lives as long as `self`; all who share it use these atomics.
        unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().cast(), self.map.len() / 8) }
    }

    pub fn keep(self) -> io::Result<KeptFile> {
        let found = self.file.metadata()?;
        let memory = SharedMemory { base: self.map.as_mut_ptr(), bytes: self.map.len() };
        std::mem::forget(self);
        Ok(KeptFile { memory, device: found.dev(), inode: found.ino() })
    }
}

impl KeptFile {
    pub fn words(self) -> &'static [AtomicU64] {
        self.memory.words()
    }

    pub fn bytes(self) -> u64 {
        self.memory.bytes as u64
    }

    /// Device and number of the file.
    pub fn identity(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}
