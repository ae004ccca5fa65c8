//! The pool of mutexes and the table of leases: made by the parent once, kept over restarts, attached by each child.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::config::ServerConfig;
use crate::faults::few_leases;
use crate::here::Here;
use crate::httpd::mutex::{self, Mutexes};
use crate::httpd::retained::{retain, retained};
use crate::httpd::shared::SharedMemory;
use crate::httpd::{Level, Pool, Server, Workers, mpm, workers};
use crate::lock::pool::Pool as MutexPool;
use crate::lock::{Geometry, Leases, Memory, Process, shm};

/// What the `Mutex` directive calls the pool.
const TYPE: &CStr = c"session-pool";
/// The number is that of the layout: another version of the module must not read this one's.
const MUTEXES: &CStr = c"mod_session_rs mutexes 1";
const TABLE: &CStr = c"mod_session_rs leases 1";

/// What a child needs to take leases.
pub struct Locks {
    pub leases: Leases<'static, &'static MutexPool>,
    /// The mutexes themselves, which guard the memory of sessions too.
    pub pool: &'static MutexPool,
    /// The child that attached. One that a handler forks has copies of its leases, and holds none of them.
    pub here: Here,
    /// Its number.
    pid: u32,
    pub server: Server<'static>,
    pub timeout: Duration,
    pub queue: usize,
    /// So many threads of the server wait at most: half of its workers.
    pub crowd: usize,
    /// `SessionCleanupFrequency`.
    cleanup_frequency: Option<u32>,
}

impl Locks {
    /// After a request that opened a session: on average every so many of them want a cleaning pass.
    pub fn maybe_clean(&self) {
        if self.cleanup_frequency.is_some_and(|opens| chance(self.pid).is_multiple_of(opens.into())) {
            self.leases.memory().flag().store(1, Ordering::Relaxed);
        }
    }

    /// Whether a pass was wanted since this was asked last, by whatever process.
    pub fn is_cleaning_wanted(&self) -> bool {
        self.leases.memory().flag().swap(0, Ordering::Relaxed) != 0
    }
}

/// Any number, another one each time; nothing is secret about it (splitmix64).
fn chance(pid: u32) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut x = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(u64::from(pid) << 32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Set when a child starts. There is one server in a process, and a child has one life.
static LOCKS: RwLock<Option<&'static Locks>> = RwLock::new(None);

pub fn locks() -> Option<&'static Locks> {
    *LOCKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// At every reading: makes the type of the pool known to the `Mutex` directive.
pub fn register(pool: Pool<'_>) -> Result<(), ()> {
    mutex::register_type(pool, TYPE).map_err(|_| ()) // httpd logged why
}

/// A mechanism that a killed holder blocks for ever is refused.
pub fn check(server: Server<'_>) -> Result<(), ()> {
    let mechanism = mutex::configured_mechanism(&TYPE.to_string_lossy());
    match mechanism.as_deref() {
        Some(found) if ["posixsem", "sem"].iter().any(|refused| found.eq_ignore_ascii_case(refused)) => refuse(server, found),
        _ => Ok(()),
    }
}

fn refuse(server: Server<'_>, mechanism: &str) -> Result<(), ()> {
    server.log(
        Level::Error,
        format_args!(
            "Mutex {mechanism} cannot serve the session-pool: a process that is killed while it holds one blocks it for ever; \
             add 'Mutex pthread session-pool'"
        ),
    );
    Err(())
}

/// Makes what is not there yet. What is there stays as it is, whatever the configuration says now.
///
/// # Errors
/// What is wrong was logged.
pub fn prepare(server: Server<'_>, config: &ServerConfig) -> Result<(), ()> {
    let failed = |what: &str, why: &dyn std::fmt::Display, remedy: &str| {
        server.log(Level::Error, format_args!("{what}: {why}; {remedy}"));
    };
    let wanted = config.mutexes() as usize;
    let pool = match retained::<Mutexes>(MUTEXES) {
        Some(pool) => pool,
        None => {
            let made = Mutexes::create(server, TYPE, wanted);
            let pool = made.map_err(|why| {
                failed(
                    &format!("cannot make {wanted} mutexes (SessionMutexes)"),
                    &why,
                    "lower SessionMutexes, or give the session-pool another mechanism by the Mutex directive",
                );
            })?;
            if pool.mechanism() == "posixsem" {
                return refuse(server, "posixsem");
            }
            retain(MUTEXES, pool);
            pool
        }
    };
    if pool.count() != wanted {
        server.log(
            Level::Notice,
            format_args!("SessionMutexes {wanted} takes effect at a full restart: the pool has {} mutexes", pool.count()),
        );
    }
    let waiters = config.lock_waiters() as usize;
    match table() {
        Some(table) if table.geometry.waiters < waiters => {
            server.log(
                Level::Notice,
                format_args!("SessionLockWaiters {waiters} takes effect at a full restart: until then it is {}", table.geometry.waiters),
            );
        }
        Some(_) => {}
        None => {
            // Streams of HTTP/2 are served by threads of their own: by default half as many again.
            let threads = mpm::most_threads() * 5 / 2;
            let geometry = Geometry::new(pool.count(), few_leases().unwrap_or(threads), waiters, mpm::most_processes() + 16);
            let memory = shared(server, geometry.bytes()).map_err(|why| {
                failed(
                    &format!("cannot make the table of leases, {} KiB of shared memory", geometry.bytes() / 1024),
                    &why,
                    "make room in /dev/shm, or lower ServerLimit, SessionLockWaiters or SessionMutexes",
                );
            })?;
            let (words, futexes) = memory.split(geometry.words(), geometry.futexes());
            let _ = Memory::format(words, futexes, geometry, Process::current());
            retain(TABLE, memory);
            server.log(
                Level::Info,
                format_args!(
                    "session-pool: {} mutexes ({}), leases for {threads} threads in {} KiB",
                    pool.count(),
                    pool.mechanism(),
                    geometry.bytes() / 1024
                ),
            );
        }
    }
    Ok(())
}

/// Under a name that htsession finds, if that can be.
fn shared(server: Server<'_>, bytes: usize) -> std::io::Result<SharedMemory> {
    shm::remove_stale();
    let owner = if let Workers::Become(user, group) = workers() { Some((user, group)) } else { None };
    SharedMemory::named(&shm::name(std::process::id()), bytes, owner).or_else(|why| {
        let memory = SharedMemory::nameless(bytes)?;
        server.log(Level::Warning, format_args!("htsession locks will not see this server: no shared memory in /dev/shm: {why}"));
        Ok(memory)
    })
}

fn table() -> Option<Memory<'static>> {
    let memory = retained::<SharedMemory>(TABLE)?;
    let geometry = Memory::geometry_of(memory.words())?;
    let (words, futexes) = memory.split(geometry.words(), geometry.futexes());
    Memory::attach(words, futexes)
}

/// In a child.
///
/// # Errors
/// Why a mutex cannot be attached: the child must not serve.
pub fn attach(pool: Pool<'_>, server: Server<'static>, config: &ServerConfig) -> Result<(), String> {
    let (Some(mutexes), Some(table)) = (retained::<Mutexes>(MUTEXES), table()) else { return Ok(()) };
    let pool: &MutexPool = Box::leak(Box::new(MutexPool(mutexes.attach(pool)?)));
    let locks = Locks {
        leases: Leases::attach(table, pool),
        pool,
        here: Here::mark(),
        pid: std::process::id(),
        server,
        timeout: config.lock_timeout(),
        queue: config.lock_waiters() as usize,
        crowd: (mpm::workers() / 2).max(1),
        cleanup_frequency: config.cleanup_frequency(),
    };
    *LOCKS.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::leak(Box::new(locks)));
    Ok(())
}

/// In the parent, when the configuration goes: takes the name away if the server ends with it.
pub struct Farewell(pub u32);

impl Drop for Farewell {
    fn drop(&mut self) {
        if std::process::id() == self.0 && crate::httpd::is_exiting() {
            shm::remove(self.0);
        }
    }
}
