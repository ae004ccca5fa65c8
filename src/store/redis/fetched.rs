//! Records that came with a lease, for the load that follows in the same thread: they were read after that request began. Whoever loads in another
//! thread asks for himself; what nobody loaded goes with the lease, or with the first write.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use super::Stored;
use crate::session::Key;

#[derive(Default)]
pub struct Fetched(Mutex<Vec<(ThreadId, Key, Stored)>>);

impl Fetched {
    pub fn put(&self, key: Key, stored: Stored) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((thread::current().id(), key, stored));
    }

    pub fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, known, _)| known != key);
    }

    /// Once.
    pub fn take(&self, key: &Key) -> Option<Stored> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(_, known, _)| known == key)?;
        let (thread, ..) = all[at];
        (thread == thread::current().id()).then(|| all.swap_remove(at).2)
    }
}
