//! A mutex of several processes, in a file that all of them map. Who dies with it leaves it to the next, and nobody waits for it for ever.
//! As long as nobody has to wait it costs no system call.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libc::{c_int, pthread_mutex_t};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::room::reserve;

pub struct Mutex {
    map: MmapRaw,
    /// Locked shared. Whoever finds it unlocked makes the mutex anew: those who had it last may have been victims of a power failure.
    in_use: File,
}

/// What lies in the file.
#[repr(C)]
struct Shared {
    /// Written last.
    made: AtomicU64,
    mutex: pthread_mutex_t,
}

/// Programs with another layout have no mutex in common.
const MADE: u64 = 0x6d73_7273_0001_0000 | size_of::<Shared>() as u64;

const SLICE: Duration = Duration::from_millis(100);

/// The mutex is locked, by this thread, until this is dropped.
pub struct Held<'m> {
    mutex: &'m Mutex,
    _of_this_thread: PhantomData<*const ()>,
}

fn check(code: c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

impl Mutex {
    /// That in `file`, which is for nothing else and keeps its length. `None`: whoever makes it does not come to an end within `patience`, or
    /// programs with another layout use it.
    ///
    /// # Errors
    /// The file can be neither locked nor mapped, or the disk is full.
    pub fn in_file(file: File, patience: Duration) -> io::Result<Option<Mutex>> {
        let map = MmapOptions::new().len(size_of::<Shared>()).map_raw(&file)?;
        let mutex = Mutex { map, in_use: file };
        let since = Instant::now();
        loop {
            if flocked(&mutex.in_use, FlockOperation::NonBlockingLockExclusive)? {
                reserve(&mutex.in_use, size_of::<Shared>() as u64)?;
                mutex.make()?;
            }
            if flocked(&mutex.in_use, FlockOperation::NonBlockingLockShared)? {
                // Of whoever has it with another layout, it may be shorter than what is mapped.
                let is_whole = mutex.in_use.metadata()?.len() >= size_of::<Shared>() as u64;
                if is_whole && mutex.made().load(Ordering::Acquire) == MADE {
                    return Ok(Some(mutex));
                }
                flock(&mutex.in_use, FlockOperation::Unlock)?; // whoever was about to make it has died
            }
            if since.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn made(&self) -> &AtomicU64 {
        // SAFETY: within the map, which begins on a page and lives as long as `self`; all who share it use this atomic.
        unsafe { &(*self.map.as_mut_ptr().cast::<Shared>()).made }
    }

    fn raw(&self) -> *mut pthread_mutex_t {
        // SAFETY: within the map.
        unsafe { &raw mut (*self.map.as_mut_ptr().cast::<Shared>()).mutex }
    }

    /// The caller is the only one who has the file.
    fn make(&self) -> io::Result<()> {
        self.made().store(0, Ordering::Relaxed);
        let mut attributes = std::mem::MaybeUninit::uninit();
        // SAFETY: pthread_mutexattr_init fills the attributes before the others read them; the mutex is in the map, and nobody uses it.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes.as_mut_ptr()))?;
            let made = check(libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED))
                .and_then(|()| check(libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST)))
                .and_then(|()| {
                    self.raw().write_bytes(0, 1);
                    check(libc::pthread_mutex_init(self.raw(), attributes.as_ptr()))
                });
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
            made?;
        }
        self.made().store(MADE, Ordering::Release);
        Ok(())
    }

    /// Waits for it, and for no longer than `patience`; `None`: others had it for all of that.
    ///
    /// # Errors
    /// Something has written over it.
    pub fn lock(&self, patience: Duration) -> io::Result<Option<Held<'_>>> {
        // SAFETY: the mutex was made (`in_file`), and is not moved.
        let code = match unsafe { libc::pthread_mutex_trylock(self.raw()) } {
            libc::EBUSY => self.wait(patience),
            code => code,
        };
        match code {
            libc::ETIMEDOUT => return Ok(None),
            // What it guards is in order: see the users of this.
            // SAFETY: this thread has it.
            libc::EOWNERDEAD => check(unsafe { libc::pthread_mutex_consistent(self.raw()) })?,
            code => check(code)?,
        }
        Ok(Some(Held { mutex: self, _of_this_thread: PhantomData }))
    }

    /// In short slices, for their ends are times of a clock that may be set back.
    fn wait(&self, patience: Duration) -> c_int {
        let since = Instant::now();
        loop {
            let left = patience.saturating_sub(since.elapsed()).min(SLICE);
            let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + left;
            let end = libc::timespec { tv_sec: end.as_secs().try_into().unwrap_or(libc::time_t::MAX), tv_nsec: end.subsec_nanos().into() };
            // SAFETY: the mutex was made, and is not moved.
            match unsafe { libc::pthread_mutex_timedlock(self.raw(), &raw const end) } {
                libc::ETIMEDOUT if since.elapsed() < patience => {}
                code => return code,
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has it, for `Held` goes to no other.
        let code = unsafe { libc::pthread_mutex_unlock(self.mutex.raw()) };
        debug_assert_eq!(code, 0);
    }
}

/// Whether the lock could be had.
fn flocked(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
