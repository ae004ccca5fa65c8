//! The pool of APR's global mutexes as httpd makes it: before the fork, with the default mechanism, anonymous.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use mod_session_rs::lock::{Exclusion, Unavailable};

#[link(name = "apr-1")]
unsafe extern "C" {
    fn apr_initialize() -> c_int;
    fn apr_pool_create_ex(pool: *mut *mut c_void, parent: *mut c_void, abort: *const c_void, allocator: *mut c_void) -> c_int;
    fn apr_global_mutex_create(mutex: *mut *mut c_void, file: *const c_char, mechanism: c_int, pool: *mut c_void) -> c_int;
    fn apr_global_mutex_child_init(mutex: *mut *mut c_void, file: *const c_char, pool: *mut c_void) -> c_int;
    fn apr_global_mutex_trylock(mutex: *mut c_void) -> c_int;
    fn apr_global_mutex_timedlock(mutex: *mut c_void, microseconds: i64) -> c_int;
    fn apr_global_mutex_unlock(mutex: *mut c_void) -> c_int;
    fn apr_global_mutex_name(mutex: *mut c_void) -> *const c_char;
}

/// `APR_LOCK_DEFAULT`, the sixth of `apr_lockmech_e`.
const DEFAULT: c_int = 5;
/// As the module waits: longer than any section may take, short enough for a request.
const PATIENCE: i64 = 5_000_000;

/// `APR_EBUSY`.
const BUSY: c_int = 70_025;

/// One for each stripe. They live as long as the process: a pool that is never destroyed.
pub struct Mutexes {
    pool: *mut c_void,
    mutexes: Vec<*mut c_void>,
}

// SAFETY: global mutexes are made for several threads and processes; the pool is used by `child_init` only, which takes all of it.
unsafe impl Sync for Mutexes {}
// SAFETY: none of it belongs to a thread.
unsafe impl Send for Mutexes {}

impl Mutexes {
    pub fn create(number: usize) -> Mutexes {
        let mut pool = null_mut();
        // SAFETY: may be called more than once; the pool has neither parent nor allocator.
        let made = unsafe { apr_initialize() == 0 && apr_pool_create_ex(&raw mut pool, null_mut(), null(), null_mut()) == 0 };
        assert!(made, "a pool");
        let create = |_| {
            let mut mutex = null_mut();
            // SAFETY: the pool is never destroyed.
            assert_eq!(unsafe { apr_global_mutex_create(&raw mut mutex, null(), DEFAULT, pool) }, 0, "a mutex");
            mutex
        };
        Mutexes { pool, mutexes: (0..number).map(create).collect() }
    }

    /// What httpd's children do when they start.
    pub fn child_init(&self) {
        for &mutex in &self.mutexes {
            let mut mutex = mutex;
            // SAFETY: made by `create`, and inherited by the fork.
            assert_eq!(unsafe { apr_global_mutex_child_init(&raw mut mutex, null(), self.pool) }, 0);
        }
    }

    /// The mechanism that APR chose.
    #[allow(dead_code, reason = "the benchmark prints it")]
    pub fn mechanism(&self) -> String {
        // SAFETY: a static text of APR's.
        unsafe { CStr::from_ptr(apr_global_mutex_name(self.mutexes[0])) }.to_string_lossy().into_owned()
    }
}

impl Exclusion for &Mutexes {
    fn under(&self, stripe: usize, section: &mut dyn FnMut()) -> Result<(), Unavailable> {
        let mutex = self.mutexes[stripe];
        // SAFETY: made by `create`.
        let status = unsafe {
            match apr_global_mutex_trylock(mutex) {
                BUSY => apr_global_mutex_timedlock(mutex, PATIENCE),
                status => status,
            }
        };
        if status != 0 {
            return Err(Unavailable(format!("apr status {status}")));
        }
        section();
        // SAFETY: locked above.
        let status = unsafe { apr_global_mutex_unlock(mutex) };
        assert_eq!(status, 0, "unlocking what is locked");
        Ok(())
    }
}
