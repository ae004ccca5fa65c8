//! Whether code runs in the process that began it, and whether that forked meanwhile, told without a system call. Knows nothing of sessions.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// One page that a fork leaves as zeroes (`MADV_WIPEONFORK`, Linux 4.14).
const PAGE: usize = 4096;

/// A mark of a process. A child that is forked from it has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here(u32);

impl Here {
    /// That of this process.
    pub fn mark() -> Here {
        static NUMBER: OnceLock<Option<&AtomicU32>> = OnceLock::new();
        static LAST: AtomicU32 = AtomicU32::new(0);
        let Some(number) = NUMBER.get_or_init(page) else {
            return Here(std::process::id()); // an older kernel
        };
        match number.load(Ordering::Relaxed) {
            0 => {
                // What was forked goes on from the number of its parent.
                let next = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
                Here(number.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|known| known, |_| next))
            }
            known => Here(known),
        }
    }

    /// Whether this is the process that was marked.
    pub fn is_here(self) -> bool {
        self == Here::mark()
    }
}

/// How often this process forked, more or less: another number than before means that it did. `None`: that cannot be told, or not yet.
///
/// A child that was made past the C library (`vfork`, `clone`) does not count; it has but one purpose, another program.
pub fn forks() -> Option<u32> {
    const NEW: u32 = 0;
    const ASKED: u32 = 1;
    const TOLD: u32 = 2;
    static STATE: AtomicU32 = AtomicU32::new(NEW);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count() {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    // Nobody waits for whoever asks: the C library has it wait for the end of a fork, and in the child it is not there.
    if STATE.load(Ordering::Relaxed) == NEW && STATE.swap(ASKED, Ordering::Relaxed) == NEW {
        // Before and behind it: what another thread opens between these two is in the child too.
        // SAFETY: it adds to a number, which is allowed anywhere. The C library forgets it when the module is unloaded.
        if unsafe { libc::pthread_atfork(Some(count), Some(count), None) } == 0 {
            STATE.store(TOLD, Ordering::Release);
        }
    }
    (STATE.load(Ordering::Acquire) == TOLD).then(|| COUNT.load(Ordering::Relaxed))
}

fn page() -> Option<&'static AtomicU32> {
    // SAFETY: new memory, which is never unmapped; nothing else has its address.
    unsafe {
        let page = mmap_anonymous(std::ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).ok()?;
        madvise(page, PAGE, Advice::LinuxWipeOnFork).ok()?;
        Some(&*page.cast::<AtomicU32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::once_more;

    const IS_TO_FORK: &str = "MSRS_IS_TO_FORK";

    /// In a process of its own, for no other test expects to be forked.
    #[test]
    fn a_process_that_is_forked_is_another_and_so_is_one_that_it_forks() {
        if std::env::var_os(IS_TO_FORK).is_none() {
            assert!(once_more(IS_TO_FORK, "").status().unwrap().success());
            return;
        }
        let (parent, before) = (Here::mark(), forks().unwrap());
        assert!(parent.is_here() && forks() == Some(before));
        // SAFETY: the child calls nothing that takes a lock, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mine = Here::mark();
            // SAFETY: as above.
            let grandchild = unsafe { libc::fork() };
            if grandchild == 0 {
                let is_new = !parent.is_here() && !mine.is_here() && Here::mark().is_here() && forks() != Some(before);
                // SAFETY: nothing of this process is to run.
                unsafe { libc::_exit(i32::from(!is_new)) };
            }
            let is_new = !parent.is_here() && mine.is_here() && ended_well(grandchild);
            // SAFETY: nothing of this process is to run.
            unsafe { libc::_exit(i32::from(!is_new)) };
        }
        assert!(ended_well(child));
        assert!(parent.is_here() && forks() != Some(before));
    }

    fn ended_well(child: libc::pid_t) -> bool {
        let mut status = -1;
        // SAFETY: a child of this process, and a place for what became of it.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        waited == child && status == 0
    }
}
