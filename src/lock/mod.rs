//! Leases: request-long exclusion between the requests of one session, in shared memory. Nothing here knows sessions or stores, only
//! hashes, labels and deadlines.
//!
//! A lease is politeness: exact, first come first served, and gone with the process that held it. It never guards the integrity of
//! what is stored; so taking it over from a dead holder is always safe.
//!
//! * [`layout`] says where what lies in the shared memory.
//! * [`entry`] is one lease with its queue: who may do what to it, in an order that a crash at any instruction leaves legal.
//! * [`leases`] takes, waits for and releases them.
//! * [`crowd`] counts who waits in the whole server.
//! * [`process`] tells the living from the dead.
//! * [`survey`] lists what is held; [`shm`] names the memory, so that `htsession` finds it.
//! * `pool` is the pool of global mutexes that guards the memory for moments.

pub mod crowd;
mod entry;
pub mod layout;
pub mod leases;
#[cfg(feature = "module")]
pub(crate) mod pool;
pub mod process;
pub mod shm;
pub mod survey;

pub use layout::{Geometry, Memory};
pub use leases::{Holder, Lease, Leases, Refused, Wait};
pub use process::Process;

/// Mutual exclusion for moments, by the number of a stripe, between all processes that share the memory.
pub trait Exclusion: Send + Sync {
    /// Runs `section` while nobody else is in the same stripe.
    ///
    /// # Errors
    /// The stripe could not be entered in time; `section` did not run.
    fn under(&self, stripe: usize, section: &mut dyn FnMut()) -> Result<(), Unavailable>;
}

/// A stripe that cannot be entered: why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Monotonic time in nanoseconds, the same for all processes of the machine.
#[must_use]
pub fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
