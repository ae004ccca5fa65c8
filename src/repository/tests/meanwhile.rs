//! What other requests do between the steps of a move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::store::{Blob, Change, Cursor, Outcome, Result as StoreResult, Sweep};

/// Lets another request in once: just before an update.
struct Interrupted<'s> {
    store: &'s FileStore,
    meanwhile: Box<dyn Fn() + Send + Sync + 's>,
    done: AtomicBool,
}

impl Store for Interrupted<'_> {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> StoreResult<bool> {
        self.store.create(key, blob, durability)
    }
    fn load(&self, key: &Key) -> StoreResult<Option<Blob>> {
        self.store.load(key)
    }
    fn update(&self, key: &Key, durability: Durability, change: &mut dyn FnMut(Option<&Blob>) -> Change) -> StoreResult<Outcome> {
        if !self.done.swap(true, Ordering::Relaxed) {
            (self.meanwhile)();
        }
        self.store.update(key, durability, change)
    }
    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> StoreResult<()> {
        self.store.quarantine(key, is_damaged)
    }
    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, removed: &mut dyn FnMut(&Key, &Blob)) -> StoreResult<Sweep> {
        self.store.sweep(before, slice, from, removed)
    }
    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> StoreResult<()> {
        self.store.each(visit)
    }
}

/// Moves a session while `meanwhile` is done to it by another request, between the two steps of the move.
fn move_while(ground: &Ground, session: &mut Session, kind: Move, meanwhile: impl Fn() + Send + Sync) -> Result<bool, Error> {
    let store = Interrupted { store: &ground.store, meanwhile: Box::new(meanwhile), done: AtomicBool::new(false) };
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
    assert!(moved.unwrap());
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
fn a_session_that_is_not_emptied_after_all_moves_with_what_another_request_has_just_stored() {
    let ground = ground();
    let mut session = ground.begin();
    let id = session.id().cloned().unwrap();
    session.unset("n").unwrap();
    let moved = move_while(&ground, &mut session, Move::Superseded, || {
        let mut other = ground.sessions().open(&id, NOW).unwrap().unwrap();
        other.set("theirs", Value::Int(7)).unwrap();
        ground.sessions().save(&mut other, NOW).unwrap();
    });
    assert!(moved.unwrap());
    assert!(ground.sessions().open(&id, NOW).unwrap().is_none(), "an id from before the change of privilege");
    assert_eq!(value(&ground.open(&session, NOW), "theirs"), 7);
}
