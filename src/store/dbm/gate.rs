//! Whose turn it is to write. LMDB lets one writer in at a time, and whoever waits there waits for ever: for a stopped process too. So writers
//! of ours queue here first, with a limit. What LMDB guards is guarded by LMDB all the same, also against who does not come this way.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};

use crate::robust::{Held, Mutex};
use crate::store::{Error, Result};

/// The file with the mutex that says who may write.
pub const NAME: &str = "write.lock";

/// A turn takes microseconds. Whoever has it for this long is stopped.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long a turn is waited for while the gate is stuck.
const MOMENT: Duration = Duration::from_millis(100);

pub struct Gate {
    path: PathBuf,
    mutex: Mutex,
    /// Somebody has waited in vain, and nobody has come through since: one waits for a moment only, else all requests of a server would
    /// stand here for as long as somebody is stopped.
    is_stuck: AtomicBool,
}

/// The turn of a thread, given back when it is dropped. Whoever dies in it has left LMDB as it was before, or changed.
pub struct Turn<'g> {
    _held: Held<'g>,
}

impl Gate {
    pub fn open(dir: &Path) -> Result<Gate> {
        let path = dir.join(NAME);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| Error::Io(path.clone(), errno.into()))?;
        match Mutex::in_file(file.into(), PATIENCE) {
            Ok(Some(mutex)) => Ok(Gate { path, mutex, is_stuck: AtomicBool::new(false) }),
            Ok(None) => Err(Error::Locked(path, PATIENCE)),
            Err(error) => Err(Error::Io(path, error)),
        }
    }

    /// Waits for one's turn.
    ///
    /// # Errors
    /// [`Error::Locked`]: others had it for all of `patience`, which only a stopped process does.
    pub fn enter(&self, patience: Duration) -> Result<Turn<'_>> {
        let patience = if self.is_stuck.load(Ordering::Relaxed) { patience.min(MOMENT) } else { patience };
        match self.mutex.lock(patience) {
            Ok(Some(held)) => {
                self.is_stuck.store(false, Ordering::Relaxed);
                Ok(Turn { _held: held })
            }
            Ok(None) => {
                if patience >= PATIENCE {
                    self.is_stuck.store(true, Ordering::Relaxed);
                }
                Err(Error::Locked(self.path.clone(), patience))
            }
            Err(error) => Err(Error::Io(self.path.clone(), error)),
        }
    }
}
