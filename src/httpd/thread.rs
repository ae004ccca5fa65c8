//! Threads of our own, beside those of the MPM.

use std::io::{Error, Result};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use super::{ffi, guard};

/// Starts a thread that takes no signals: they are for those of httpd, whose handlers end a child from within (prefork).
pub fn spawn_without_signals(run: Box<dyn FnOnce() + Send>) -> Result<()> {
    let _blocked = Blocked::all()?; // a new thread has the mask of the one that made it
    let builder = std::thread::Builder::new().name("session-store".into());
    builder.spawn(move || guard((), run)).map(drop)
}

/// No signals come to this thread until it is dropped.
pub struct Blocked(ffi::sigset_t);

impl Blocked {
    /// # Errors
    /// What the system says.
    pub fn all() -> Result<Blocked> {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: both sets live through the calls; the first fills `all`, the second `before` if it succeeds.
        unsafe {
            ffi::sigfillset(all.as_mut_ptr());
            match ffi::pthread_sigmask(ffi::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) {
                0 => Ok(Blocked(before.assume_init())),
                errno => Err(Error::from_raw_os_error(errno)),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: a set that pthread_sigmask filled.
        unsafe { ffi::pthread_sigmask(ffi::SIG_SETMASK, &raw const self.0, null_mut()) };
    }
}

static STARTING: Mutex<Option<Blocked>> = Mutex::new(None);

/// Threads that are made from here on take no signals, whoever makes them, until [`signals_again`].
pub fn without_signals() {
    let blocked = Blocked::all().ok(); // else it is as without us
    *STARTING.lock().unwrap_or_else(PoisonError::into_inner) = blocked;
}

pub fn signals_again() {
    let blocked = STARTING.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(blocked); // a signal that has waited may end the process here
}
