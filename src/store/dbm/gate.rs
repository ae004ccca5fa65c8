//! Whose turn it is to write. LMDB lets one writer in at a time, and whoever waits there waits for ever: for a stopped process too. So writers
//! of ours queue here first, with a limit. What LMDB guards is guarded by LMDB all the same, also against who does not come this way.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, open};

use crate::store::{Error, Result, flock};

/// The file whose lock says which process may write.
pub const NAME: &str = "write.lock";

/// A turn takes microseconds. Whoever has it for this long is stopped.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long a turn is waited for while the gate is stuck.
const MOMENT: Duration = Duration::from_millis(100);

pub struct Gate {
    path: PathBuf,
    /// Kept open: a lock of it is this process's, whichever thread took it.
    file: File,
    /// Whether a thread of this process is behind the gate, or before it as the next.
    taken: Mutex<bool>,
    free: Condvar,
    /// Somebody has waited in vain, and nobody has come through since: one waits for a moment only, else all requests of a server would
    /// stand here for as long as somebody is stopped.
    is_stuck: AtomicBool,
}

/// The turn of a thread, given back when it is dropped.
pub struct Turn<'g>(&'g Gate);

impl Gate {
    pub fn open(dir: &Path) -> Result<Gate> {
        let path = dir.join(NAME);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| Error::Io(path.clone(), errno.into()))?;
        Ok(Gate { path, file: file.into(), taken: Mutex::new(false), free: Condvar::new(), is_stuck: AtomicBool::new(false) })
    }

    fn taken(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one's turn.
    ///
    /// # Errors
    /// [`Error::Locked`]: others had it for all of `patience`, which only a stopped process does.
    pub fn enter(&self, patience: Duration) -> Result<Turn<'_>> {
        let patience = if self.is_stuck.load(Ordering::Relaxed) { patience.min(MOMENT) } else { patience };
        let turn = self.wait(patience);
        match &turn {
            Ok(_) => self.is_stuck.store(false, Ordering::Relaxed),
            Err(Error::Locked(_, waited)) if *waited >= PATIENCE => self.is_stuck.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
        turn
    }

    fn wait(&self, patience: Duration) -> Result<Turn<'_>> {
        let end = Instant::now() + patience;
        let (mut taken, waited) =
            self.free.wait_timeout_while(self.taken(), patience, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(self.locked(patience));
        }
        *taken = true;
        drop(taken);
        let turn = Turn(self);
        // Processes.
        let left = end.saturating_duration_since(Instant::now());
        match flock::wait_for(&self.file, FlockOperation::NonBlockingLockExclusive, left) {
            Ok(true) => Ok(turn),
            Ok(false) => Err(self.locked(patience)),
            Err(errno) => Err(Error::Io(self.path.clone(), errno.into())),
        }
    }

    fn locked(&self, patience: Duration) -> Error {
        Error::Locked(self.path.clone(), patience)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A lock that was never taken is not there to be given back, which is no error.
        let _ = rustix::fs::flock(&self.0.file, FlockOperation::Unlock);
        *self.0.taken() = false;
        self.0.free.notify_one();
    }
}
