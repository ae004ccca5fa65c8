//! The table looked at from outside: by `htsession`, in a copy of the memory.

use std::sync::atomic::Ordering;

use super::layout::Memory;
use super::leases::{Holder, holder};

/// A lease in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    pub hash: u64,
    pub holder: Holder,
    pub waiting: usize,
}

/// What is held, and how many wait for it.
#[must_use]
pub fn in_use(memory: Memory<'_>) -> Vec<InUse> {
    let stripes = (0..memory.geometry.stripes).map(|number| memory.stripe(number));
    let entries = stripes.flat_map(|stripe| {
        let used = usize::try_from(stripe.used().load(Ordering::Relaxed)).unwrap_or(0).min(memory.geometry.leases);
        (0..used).map(move |number| (stripe.hashes()[number].load(Ordering::Relaxed), stripe.entry(number)))
    });
    let held = entries.filter_map(|(hash, entry)| {
        let alive = entry.holder()?.is_alive() && !entry.is_abandoned();
        let waiting = entry.waiters().iter().filter(|waiter| waiter.is_alive()).count();
        Some(InUse { hash, holder: holder(entry)?, waiting }).filter(|_| alive)
    });
    held.collect()
}
