//! Leases over all servers that share a store. The requests of one server take turns by a lease of their own (`crate::lock`); who has that
//! competes here for all of them.
//!
//! As every lease they are politeness: what is stored is merged, whoever holds what.

use std::time::Instant;

use super::Error;

/// How long to wait.
pub struct Wait<'w> {
    /// In the past: not at all.
    pub until: Instant,
    /// Asked before each pause: whether nobody wants the lease any more.
    pub is_pointless: &'w dyn Fn() -> bool,
    /// The caller loads the record next, in this thread: it may be fetched with the lease.
    pub then_loads: bool,
}

/// Why there is no lease.
#[derive(Debug)]
pub enum Refused {
    /// Who had it to the end, as far as is known.
    Timeout(Option<String>),
    Pointless,
    Failed(Error),
}

/// What a request holds. Dropped, it is no longer renewed, and ends by itself.
pub trait Lease: Send {
    /// `false`: it had been lost meanwhile, so that another server may have held it too.
    fn give_back(&mut self) -> bool;

    /// Nothing more is done under it than the next write to the record, which may give it back in the same step.
    fn ends_with_next_write(&mut self) {}
}

pub type Answer = Result<Box<dyn Lease>, Refused>;
