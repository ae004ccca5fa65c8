//! A store that lets other requests in between the steps of an operation.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mod_session_rs::session::{Key, Timestamp};
use mod_session_rs::store::{Blob, Change, Cursor, Durability, Entry, Outcome, Result, Store, Sweep};

pub struct Interrupted<'s> {
    pub store: &'s dyn Store,
    pub meanwhile: &'s (dyn Fn() + Send + Sync),
    /// Bit n: before step n.
    before: AtomicU32,
    /// The key that the operation itself made. Nobody else knows it, and to clear it away is no step that counts.
    own: OnceLock<Key>,
}

impl<'s> Interrupted<'s> {
    pub fn new(store: &'s dyn Store, meanwhile: &'s (dyn Fn() + Send + Sync), before: u32) -> Interrupted<'s> {
        Interrupted { store, meanwhile, before: AtomicU32::new(before), own: OnceLock::new() }
    }

    fn step(&self) {
        let before = self.before.load(Ordering::Relaxed);
        self.before.store(before >> 1, Ordering::Relaxed);
        if before & 1 == 1 {
            (self.meanwhile)();
        }
    }
}

impl Store for Interrupted<'_> {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        self.step();
        let _ = self.own.set(*key);
        self.store.create(key, blob, durability)
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        self.step();
        self.store.load(key)
    }

    fn load_to_change(&self, key: &Key) -> Result<Option<Blob>> {
        self.step();
        self.store.load_to_change(key)
    }

    /// Shows what was loaded first, as stores may that know it by its version, and then the newest.
    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        loaded.into_iter().for_each(|loaded| drop(change(Some(loaded))));
        if self.own.get() != Some(key) {
            self.step();
        }
        self.store.update_from(key, loaded, durability, change)
    }

    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        self.store.quarantine(key, is_damaged)
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        self.store.sweep(before, slice, from, deleted)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        self.store.each(visit)
    }
}
