//! Leases over all servers that share a store: of the requests here, the one that has the lease of this server competes for them.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::lease::NotGranted;
use super::locks::Locks;
use super::report::store_failed;
use super::stores::store;
use crate::config::StorePlace;
use crate::httpd::{Level, Request};
use crate::lock::{Refused, Wait};
use crate::session::Key;
use crate::store::lease::{self, Lease};

/// What a request wants.
pub struct Wanted<'w> {
    pub place: &'w StorePlace,
    pub key: &'w Key,
    /// Method and path, for the log of another server.
    pub label: &'w [u8],
    /// The record is loaded next, in this thread.
    pub then_loads: bool,
    /// The application named a time of its own, and expects that it may pass.
    pub by_call: bool,
}

/// Why there is none; with what also refuses leases of this server, and is told in the same words.
pub type Kept = (NotGranted, Option<Refused>);

/// Takes the lease of all servers, for what is left of the time since `started`; `None`: the store is of this one only.
///
/// # Errors
/// There is none, which was logged, unless something to be told is answered.
pub fn keep_others_off(
    request: Request<'_>,
    wanted: &Wanted<'_>,
    locks: &'static Locks,
    wait: &Wait<'_>,
    started: Instant,
) -> Result<Option<Box<dyn Lease>>, Kept> {
    let (waiting, crowded) = (RefCell::new(None), Cell::new(None));
    let is_pointless = || {
        // Who waits here keeps a worker busy as those do who wait for leases of this server, and counts with them.
        if waiting.borrow().is_none() {
            match locks.leases.wait_elsewhere(wait.crowd) {
                Ok(place) => drop(waiting.replace(Some(place))),
                Err(refused) => crowded.set(Some(refused)),
            }
        }
        waiting.borrow().is_none() || (wait.is_pointless)()
    };
    let patience = lease::Wait { until: started + wait.timeout, is_pointless: &is_pointless, then_loads: wanted.then_loads };
    let answer = store(wanted.place).lease(wanted.key, wanted.label, &patience);
    answer.transpose().map_err(|refused| match refused {
        lease::Refused::Pointless => (NotGranted::Busy, Some(crowded.take().unwrap_or(Refused::Pointless))),
        lease::Refused::Timeout(holder) => {
            if !wanted.by_call {
                let (session, timeout) = (wanted.key.reference(), wait.timeout);
                let holder = holder.map(|holder| format!(" by {holder}")).unwrap_or_default();
                let text =
                    format_args!("session {session}: not granted in {timeout:?} (SessionLockTimeout), held on another server{holder}");
                request.log(Level::Warning, text);
            }
            (NotGranted::Busy, None)
        }
        lease::Refused::Failed(error) => {
            store_failed(request, "lock", &error);
            (NotGranted::Store, None)
        }
    })
}
