//! mod_watchdog: what runs beside the requests, in a thread of one child at a time.

use std::ffi::{CStr, c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::optional::{Untyped, retrieve};
use super::{Pool, Server, ffi, guard};

/// The resolution of mod_watchdog: it sleeps for so long between two calls.
const TICK: Duration = Duration::from_millis(100);

/// Held by the job while it works.
static AT_WORK: Mutex<()> = Mutex::new(());
/// The child ends: the job begins nothing more.
static ENDS: AtomicBool = AtomicBool::new(false);
/// It has ended, or was left to its fate: from here on pools go away.
static ENDED: AtomicBool = AtomicBool::new(false);
/// A job that works for longer is left to its fate: httpd kills a child that does not end.
const PATIENCE: Duration = Duration::from_secs(5);

pub trait Job: Send + Sync + 'static {
    /// Called again and again, in a thread of its own. The end of the child waits for it, so it comes back soon.
    fn tick(&self, server: Server<'_>);
}

/// Why a job will not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    NotLoaded,
    /// The status that mod_watchdog answered.
    Status(c_int),
}

/// What mod_watchdog keeps for us.
struct Instance<J> {
    server: Server<'static>,
    job: J,
}

/// Has a job run in one child at a time, as the `User` of the server; when that child ends, another one takes it over. Called when the
/// configuration has been read; `pool` is that of the configuration, and the job ends with it.
pub fn run_in_one_child<J: Job>(pool: Pool<'_>, server: Server<'_>, name: &'static CStr, job: J) -> Result<(), Refused> {
    // SAFETY: these are the types that mod_watchdog.h declares for the two names; all function pointers have one size.
    let (get, register) = unsafe {
        (
            transmute::<Untyped, ffi::apr_OFN_ap_watchdog_get_instance_t>(retrieve(c"ap_watchdog_get_instance")),
            transmute::<Untyped, ffi::apr_OFN_ap_watchdog_register_callback_t>(retrieve(c"ap_watchdog_register_callback")),
        )
    };
    let (Some(get), Some(register)) = (get, register) else { return Err(Refused::NotLoaded) };
    // SAFETY: the server is of the configuration that the pool holds, and mod_watchdog joins its threads before that pool ends.
    let server = unsafe { Server::from_raw(server.raw()) };
    let instance = pool.adopt_raw(Instance { server, job });
    let (in_parent, singleton) = (0, 1);
    let interval = i64::try_from(TICK.as_micros()).expect("a short time");
    let mut watchdog = null_mut();
    // SAFETY: the name is static; the instance lives in the pool, and the callback is the one for its type.
    unsafe {
        answered(get(&raw mut watchdog, name.as_ptr(), in_parent, singleton, pool.raw()))?;
        answered(register(watchdog, interval, instance.cast_const().cast(), Some(tick::<J>)))
    }
}

fn answered(status: ffi::apr_status_t) -> Result<(), Refused> {
    if status == ffi::APR_SUCCESS as ffi::apr_status_t { Ok(()) } else { Err(Refused::Status(status)) }
}

/// The end of this child waits for the job before it takes the pools of other modules away. mod_watchdog joins its thread too, but when its own
/// pool ends, and those that were made later, as mod_dbd's with all its connections, end before.
pub fn stop_before(child: Pool<'_>) {
    unsafe extern "C" fn stop(_: *mut c_void) -> ffi::apr_status_t {
        guard((), || {
            ENDS.store(true, Ordering::SeqCst);
            let deadline = Instant::now() + PATIENCE;
            // Never waits in the lock itself: this may be the handler of a signal (prefork).
            while matches!(AT_WORK.try_lock(), Err(TryLockError::WouldBlock)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            ENDED.store(true, Ordering::SeqCst);
        });
        ffi::APR_SUCCESS as ffi::apr_status_t
    }
    // SAFETY: the pool of the child, and a function that needs no data and lives as long as the process: no child unloads the module.
    unsafe { ffi::apr_pool_pre_cleanup_register(child.raw(), null_mut(), Some(stop)) };
}

/// Whether the pools of other modules may be gone. A request that is cut off by the end of its child saves what it has changed after that.
pub fn child_ends() -> bool {
    ENDED.load(Ordering::SeqCst)
}

/// Always succeeds: mod_watchdog never calls again what failed once.
unsafe extern "C" fn tick<J: Job>(state: c_int, data: *mut c_void, _pool: *mut ffi::apr_pool_t) -> ffi::apr_status_t {
    if state == ffi::AP_WATCHDOG_STATE_RUNNING as c_int {
        guard((), || {
            // A job that panicked has left nothing half-done here.
            let _at_work = AT_WORK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if ENDS.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: `data` is what was registered with this callback; no other thread of the process runs it.
            let instance = unsafe { &*data.cast_const().cast::<Instance<J>>() };
            instance.job.tick(instance.server);
        });
    }
    ffi::APR_SUCCESS as ffi::apr_status_t
}
