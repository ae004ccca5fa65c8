//! What other requests, and failures, do between the steps of a move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::store::{Cursor, Outcome, Result as StoreResult, Sweep};

/// Lets another request in just before the first update, and may say that this failed although it did not.
struct Meddled<'s> {
    store: &'s FileStore,
    meanwhile: Box<dyn Fn() + Send + Sync + 's>,
    is_mute: bool,
    done: AtomicBool,
}

impl Store for Meddled<'_> {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> StoreResult<bool> {
        self.store.create(key, blob, durability)
    }
    fn load(&self, key: &Key) -> StoreResult<Option<Blob>> {
        self.store.load(key)
    }
    fn load_to_change(&self, key: &Key) -> StoreResult<Option<Blob>> {
        self.store.load_to_change(key)
    }
    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> StoreResult<Outcome> {
        // As stores may that know it by its version.
        loaded.into_iter().for_each(|loaded| drop(change(Some(loaded))));
        if self.done.swap(true, Ordering::Relaxed) {
            return self.store.update_from(key, loaded, durability, change);
        }
        (self.meanwhile)();
        let outcome = self.store.update_from(key, loaded, durability, change);
        if self.is_mute { Err(crate::store::Error::Unusable("no answer".into())) } else { outcome }
    }
    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> StoreResult<()> {
        self.store.quarantine(key, is_damaged)
    }
    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> StoreResult<Sweep> {
        self.store.sweep(before, slice, from, deleted)
    }
    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> StoreResult<()> {
        self.store.each(visit)
    }
}

/// Moves a session while `meanwhile` is done to it by another request, between the two steps of the move.
fn move_while(ground: &Ground, session: &mut Session, kind: Move, meanwhile: impl Fn() + Send + Sync) -> Result<Regenerated, Error> {
    let store = Meddled { store: &ground.store, meanwhile: Box::new(meanwhile), is_mute: false, done: AtomicBool::new(false) };
    Repository { store: &store, terms: &ground.terms }.regenerate(session, kind, NOW)
}

#[test]
fn what_is_stored_while_a_session_moves_moves_with_it() {
    let ground = ground();
    let mut session = ground.begin();
    let id = session.id().cloned().unwrap();
    session.add("n", 1).unwrap();
    let moved = move_while(&ground, &mut session, Move::Superseded, || {
        let mut other = ground.sessions().open(&id, NOW).unwrap().unwrap();
        other.add("n", 100).unwrap();
        other.set("theirs", Value::Int(7)).unwrap();
        ground.sessions().save(&mut other, NOW).unwrap();
    });
    assert_eq!(moved.unwrap(), Regenerated::Moved);
    let found = ground.open(&session, NOW);
    assert_eq!((value(&found, "n"), value(&found, "theirs")), (102, 7));
    assert_eq!(ground.live(), 1);
}

#[test]
fn what_ends_while_it_moves_has_ended_and_no_copy_is_left() {
    let ground = ground();
    let mut session = ground.begin();
    let id = session.id().cloned().unwrap();
    let moved = move_while(&ground, &mut session, Move::Moved, || {
        let mut other = ground.sessions().open(&id, NOW).unwrap().unwrap();
        ground.sessions().invalidate(&mut other, NOW).unwrap();
    });
    assert!(matches!(moved, Err(Error::Gone)));
    assert!(ground.records().is_empty());
}

#[test]
fn a_change_that_comes_while_a_session_is_emptied_and_moved_keeps_it() {
    let ground = ground();
    let mut session = ground.begin();
    let id = session.id().cloned().unwrap();
    session.unset("n").unwrap();
    let moved = move_while(&ground, &mut session, Move::Superseded, || {
        let mut other = ground.sessions().open(&id, NOW).unwrap().unwrap();
        other.set("theirs", Value::Int(7)).unwrap();
        ground.sessions().save(&mut other, NOW).unwrap();
    });
    assert_eq!(moved.unwrap(), Regenerated::Moved);
    assert!(ground.sessions().open(&id, NOW).unwrap().is_none(), "the old id");
    assert_eq!(value(&ground.open(&session, NOW), "theirs"), 7);
}

#[test]
fn a_store_that_does_not_say_that_it_moved_a_session_loses_none() {
    for kind in [Move::Moved, Move::Superseded] {
        let ground = ground();
        let mut session = ground.begin();
        let store = Meddled { store: &ground.store, meanwhile: Box::new(|| {}), is_mute: true, done: AtomicBool::new(false) };
        let moved = Repository { store: &store, terms: &ground.terms }.regenerate(&mut session, kind, NOW);
        assert_eq!(moved.unwrap(), Regenerated::Moved);
        assert_eq!(value(&ground.open(&session, NOW), "n"), 1);
    }
}
