//! Whether code runs in the process that began it, told without a system call.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// One page that a fork leaves as zeroes (`MADV_WIPEONFORK`, Linux 4.14).
const PAGE: usize = 4096;

/// A mark of this process. A child that is forked from it has it not.
pub enum Here {
    Page(&'static AtomicU32),
    /// An older kernel: the number of the process.
    Pid(u32),
}

impl Here {
    /// Marks this process, until it ends.
    pub fn mark() -> Here {
        let page = || -> rustix::io::Result<&'static AtomicU32> {
            // SAFETY: new memory, which is never unmapped; nothing else has its address.
            let page = unsafe {
                let page = mmap_anonymous(std::ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
                madvise(page, PAGE, Advice::LinuxWipeOnFork)?;
                &*page.cast::<AtomicU32>()
            };
            page.store(1, Ordering::Relaxed);
            Ok(page)
        };
        page().map_or_else(|_| Here::Pid(std::process::id()), Here::Page)
    }

    /// Whether this is the process that was marked.
    pub fn is_here(&self) -> bool {
        match self {
            Here::Page(page) => page.load(Ordering::Relaxed) != 0,
            Here::Pid(pid) => *pid == std::process::id(),
        }
    }
}
