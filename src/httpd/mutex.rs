//! Mutexes between processes, which the `Mutex` directive governs.

use std::ffi::{CStr, CString};
use std::io;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use super::retained::Plain;
use super::{Pool, Server, ffi};

/// Makes a type known to the `Mutex` directive. At every reading of the configuration, before directives are read.
pub fn register_type(pool: Pool<'_>, name: &'static CStr) -> Result<(), String> {
    // SAFETY: pool and name live long enough; the default directory and mechanism are httpd's.
    checked(unsafe { ffi::ap_mutex_register(pool.raw(), name.as_ptr(), null(), ffi::apr_lockmech_e_APR_LOCK_DEFAULT, 0) })
}

/// An array of mutexes that outlives restarts.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Mutexes {
    first: *mut *mut ffi::apr_global_mutex_t,
    count: usize,
}

// SAFETY: pointers into the process pool.
unsafe impl Plain for Mutexes {}

/// One mutex, as a process uses it.
pub struct GlobalMutex {
    raw: *mut ffi::apr_global_mutex_t,
    /// The mechanism knows how to wait for a limited time.
    is_timed: bool,
}

// SAFETY: APR's global mutexes are for all threads of all processes.
unsafe impl Send for GlobalMutex {}
// SAFETY: as above.
unsafe impl Sync for GlobalMutex {}

/// Holds a mutex until it is dropped.
pub struct Guard<'m>(&'m GlobalMutex);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread holds it.
        unsafe { ffi::apr_global_mutex_unlock(self.0.raw) };
    }
}

impl Mutexes {
    /// Makes `count` mutexes of a registered type, in the process pool.
    pub fn create(server: Server<'_>, name: &'static CStr, count: usize) -> Result<Mutexes, String> {
        // SAFETY: the process pool lives as long as the server; each slot of the array is written before it is used.
        unsafe {
            let raw = server.raw();
            let pool = (*(*raw).process).pool;
            let first = ffi::apr_palloc(pool, (count * size_of::<*mut ffi::apr_global_mutex_t>()) as ffi::apr_size_t)
                .cast::<*mut ffi::apr_global_mutex_t>();
            for number in 0..count {
                let slot = first.add(number);
                slot.write(null_mut());
                let instance = CString::new(number.to_string()).unwrap_or_default(); // files of several need several names
                checked(ffi::ap_global_mutex_create(slot, null_mut(), name.as_ptr(), instance.as_ptr(), raw, pool, 0))?;
                if (*slot).is_null() {
                    return Err("the Mutex directive says that there is to be none".into());
                }
            }
            Ok(Mutexes { first, count })
        }
    }

    pub fn count(self) -> usize {
        self.count
    }

    /// `pthread`, `fcntl`, `posixsem`.
    pub fn mechanism(self) -> String {
        if self.count == 0 {
            return String::new();
        }
        // SAFETY: mutexes of the process pool; the name is static.
        unsafe { CStr::from_ptr(ffi::apr_global_mutex_name(*self.first)) }.to_string_lossy().into_owned()
    }

    /// Attaches a child to all of them.
    pub fn attach(self, pool: Pool<'_>) -> Result<Vec<GlobalMutex>, String> {
        let attach = |number| {
            // SAFETY: a copy of the retained pointer, for attaching may replace it; the pool is that of the child.
            unsafe {
                let mut raw = *self.first.add(number);
                checked(ffi::apr_global_mutex_child_init(&raw mut raw, ffi::apr_global_mutex_lockfile(raw), pool.raw()))?;
                let mechanism = ffi::apr_global_mutex_mech(raw);
                let is_timed = ![ffi::apr_lockmech_e_APR_LOCK_FCNTL, ffi::apr_lockmech_e_APR_LOCK_FLOCK].contains(&mechanism);
                Ok(GlobalMutex { raw, is_timed })
            }
        };
        (0..self.count).map(attach).collect()
    }
}

impl GlobalMutex {
    /// `None`: somebody else has it.
    fn try_lock(&self) -> Result<Option<Guard<'_>>, String> {
        // SAFETY: a live mutex, attached.
        match unsafe { ffi::apr_global_mutex_trylock(self.raw) } {
            status if status == ffi::APR_EBUSY as ffi::apr_status_t => Ok(None),
            status => checked(status).map(|()| Some(Guard(self))),
        }
    }

    /// Waits for the mutex at most so long. A holder that was killed is passed over by the system.
    pub fn lock(&self, patience: Duration) -> Result<Guard<'_>, String> {
        // Mostly it is free, and no clock need be read.
        if let Some(guard) = self.try_lock()? {
            return Ok(guard);
        }
        if self.is_timed {
            let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
            // SAFETY: a live mutex, attached.
            return checked(unsafe { ffi::apr_global_mutex_timedlock(self.raw, micros) }).map(|()| Guard(self));
        }
        // APR waits for files in steps of 10 ms; sections here take microseconds.
        let started = Instant::now();
        for attempt in 0_u32.. {
            match self.try_lock()? {
                Some(guard) => return Ok(guard),
                None if attempt < 50 => std::thread::yield_now(),
                None if started.elapsed() > patience => break,
                None => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        Err(format!("not granted in {patience:?}"))
    }
}

fn checked(status: ffi::apr_status_t) -> Result<(), String> {
    match status {
        0 => Ok(()),
        status if status == ffi::APR_TIMEUP as ffi::apr_status_t => Err("not granted in time".into()),
        status if status < ffi::APR_OS_START_ERROR as ffi::apr_status_t => Err(io::Error::from_raw_os_error(status).to_string()),
        status => Err(format!("APR status {status}")),
    }
}

/// The mechanism that the `Mutex` directives of the configuration name for a type, if they do: `posixsem`, `file:/path`.
pub fn configured_mechanism(name: &str) -> Option<String> {
    let (mut of_default, mut of_type) = (None, None);
    for arguments in super::conftree::in_configuration("Mutex") {
        let mut words = arguments.split_ascii_whitespace();
        let Some(mechanism) = words.next().map(|word| word.trim_matches('"').to_owned()) else { continue };
        let names: Vec<_> = words.filter(|word| !word.eq_ignore_ascii_case("OmitPID")).collect();
        if names.is_empty() || names.iter().any(|word| word.eq_ignore_ascii_case("default")) {
            of_default = Some(mechanism.clone());
        }
        if names.iter().any(|word| word.eq_ignore_ascii_case(name)) {
            of_type = Some(mechanism);
        }
    }
    of_type.or(of_default)
}
