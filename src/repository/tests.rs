use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::session::session::Phase;
use crate::session::{Move, Stored, Value};
use crate::store::file::{FileStore, directory};
use crate::store::{Blob, Change, Cursor, Entry, Outcome, Result as StoreResult, Sweep};

const NOW: Timestamp = Timestamp(1_000_000_000_000);

struct Ground {
    _place: TempDir,
    store: FileStore,
    terms: Terms,
}

fn ground() -> Ground {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    directory::make(&path, None).unwrap();
    directory::claim(&path).unwrap();
    let terms = Terms::new(Scope { name: "h".into(), cookie: "sid".into() });
    Ground { _place: place, store: FileStore::new(path), terms }
}

impl Ground {
    fn sessions(&self) -> Repository<'_> {
        Repository { store: &self.store, terms: &self.terms }
    }

    /// A stored session with `n` = 1.
    fn begin(&self) -> Session {
        let mut session = self.sessions().blank(NOW);
        session.set("n", Value::Int(1)).unwrap();
        assert_eq!(self.sessions().save(&mut session, NOW).unwrap(), Saved::Created);
        session
    }

    fn open(&self, session: &Session, now: Timestamp) -> Session {
        self.sessions().open(session.id().unwrap(), now).unwrap().expect("a session")
    }

    fn records(&self) -> Vec<Stored> {
        let mut found = Vec::new();
        let mut visit = |_: &Key, entry: Entry| {
            if let Entry::Blob(blob) = entry {
                found.push(Stored::decode(&blob.bytes).unwrap());
            }
            true
        };
        self.store.each(&mut visit).unwrap();
        found
    }

    fn live(&self) -> usize {
        self.records().iter().filter(|stored| matches!(stored, Stored::Session(_))).count()
    }
}

fn value(session: &Session, key: &str) -> i64 {
    match session.values().get(key) {
        Some(Value::Int(number)) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

#[test]
fn a_moved_session_is_found_by_its_old_id_within_the_grace_and_by_its_new_one_for_ever() {
    let ground = ground();
    let old = ground.begin();
    let mut session = ground.open(&old, NOW);
    session.set("n", Value::Int(2)).unwrap();
    assert_eq!(ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap(), Regenerated::Moved);
    assert_ne!(session.id(), old.id());
    assert_eq!(session.incarnation(), old.incarnation());

    let within = NOW.plus(ground.terms.grace - 1);
    let found = ground.open(&old, within);
    assert_eq!((found.id(), value(&found, "n")), (session.id(), 2));
    let after = NOW.plus(ground.terms.grace);
    assert!(matches!(ground.sessions().find(old.id().unwrap(), after), Ok(Lookup::Superseded(r)) if r == old.key().unwrap().reference()));
    assert_eq!(value(&ground.open(&session, after), "n"), 2);
    assert_eq!(ground.live(), 1);
}

#[test]
fn without_a_grace_and_after_a_change_of_privilege_the_old_id_is_worth_nothing_at_once() {
    let mut ground = ground();
    for (grace, kind) in [(0, Move::Moved), (DEFAULT_GRACE, Move::Superseded)] {
        ground.terms.grace = grace;
        let old = ground.begin();
        let mut session = ground.open(&old, NOW);
        ground.sessions().regenerate(&mut session, kind, NOW).unwrap();
        assert!(matches!(ground.sessions().find(old.id().unwrap(), NOW), Ok(Lookup::Superseded(_))), "{kind:?}");
    }
}

#[test]
fn an_old_id_leads_over_several_new_ones_and_no_further_than_that() {
    let ground = ground();
    let old = ground.begin();
    let mut session = ground.open(&old, NOW);
    for _ in 0..MOST_MOVES {
        ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
        assert_eq!(ground.open(&old, NOW).id(), session.id());
    }
    ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
    assert!(ground.sessions().open(old.id().unwrap(), NOW).unwrap().is_none());
}

#[test]
fn what_a_request_began_before_the_move_arrives_also_after_the_grace_but_then_it_learns_nothing() {
    for grace in [0, 100 * MICROS] {
        let mut ground = ground();
        ground.terms.grace = grace;
        let mut slow = ground.begin();
        slow.add("n", 10).unwrap();
        let mut session = ground.open(&slow, NOW);
        session.set("secret", Value::Int(1)).unwrap();
        ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
        let (old, later) = (slow.id().cloned(), NOW.plus(60 * MICROS));
        assert_eq!(ground.sessions().save(&mut slow, later).unwrap(), Saved::Changed { renewed: false });
        assert_eq!(value(&ground.open(&session, later), "n"), 11);
        let knows = (slow.id() == session.id(), slow.values().get("secret").is_some(), slow.phase() == Phase::Gone);
        assert_eq!(knows, if grace == 0 { (false, false, true) } else { (true, true, false) });
        assert_eq!(slow.id() == old.as_ref(), grace == 0);
        assert_eq!(ground.sessions().reload(&mut slow, later).is_ok(), grace > 0);
    }
}

#[test]
fn what_a_request_began_before_a_change_of_privilege_does_not_reach_the_session() {
    let ground = ground();
    let mut slow = ground.begin();
    slow.add("n", 10).unwrap();
    let mut session = ground.open(&slow, NOW);
    ground.sessions().regenerate(&mut session, Move::Superseded, NOW).unwrap();
    assert!(matches!(ground.sessions().save(&mut slow, NOW), Err(Error::Gone)));
    assert_eq!(slow.phase(), Phase::Gone);
    assert_eq!(value(&ground.open(&session, NOW), "n"), 1);
}

#[test]
fn a_log_out_that_began_under_the_old_id_ends_the_session_wherever_it_is() {
    for kind in [Move::Moved, Move::Superseded] {
        let ground = ground();
        let mut slow = ground.begin();
        let mut session = ground.open(&slow, NOW);
        ground.sessions().regenerate(&mut session, kind, NOW).unwrap();
        assert_eq!(ground.sessions().invalidate(&mut slow, NOW).unwrap().as_ref(), session.key(), "{kind:?}");
        assert!(ground.sessions().open(session.id().unwrap(), NOW).unwrap().is_none());
        session.set("n", Value::Int(5)).unwrap();
        assert!(matches!(ground.sessions().save(&mut session, NOW), Err(Error::Gone)), "nobody revives it");
        assert_eq!(ground.live(), 0);
    }
}

#[test]
fn of_two_requests_that_move_a_session_one_wins_and_both_go_on_with_it() {
    let ground = ground();
    let mut one = ground.begin();
    let mut other = ground.open(&one, NOW);
    one.add("n", 1).unwrap();
    other.add("n", 1).unwrap();
    ground.sessions().regenerate(&mut one, Move::Moved, NOW).unwrap();
    assert_eq!(ground.sessions().regenerate(&mut other, Move::Moved, NOW).unwrap(), Regenerated::Joined);
    assert_eq!(one.id(), other.id());
    assert_eq!(value(&ground.open(&one, NOW), "n"), 3);
    assert_eq!(ground.live(), 1, "no copy is left behind");
}

#[test]
fn a_change_of_privilege_moves_what_another_request_has_just_moved() {
    let ground = ground();
    let mut login = ground.begin();
    let (old, mut other) = (login.id().cloned().unwrap(), ground.open(&login, NOW));
    ground.sessions().regenerate(&mut other, Move::Moved, NOW).unwrap();
    login.set_user(Some("ann".into()));
    ground.sessions().regenerate(&mut login, Move::Superseded, NOW).unwrap();
    for id in [&old, other.id().unwrap()] {
        assert!(ground.sessions().open(id, NOW).unwrap().is_none(), "an id from before the login");
    }
    assert_eq!(ground.open(&login, NOW).user(), Some("ann"));
    assert_eq!(ground.live(), 1);
}

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
    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> StoreResult<Sweep> {
        self.store.sweep(before, slice, from, deleted)
    }
    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> StoreResult<()> {
        self.store.each(visit)
    }
}

/// Moves a session while `meanwhile` is done to it by another request, between the two steps of the move.
fn move_while(ground: &Ground, session: &mut Session, kind: Move, meanwhile: impl Fn() + Send + Sync) -> Result<Regenerated, Error> {
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
fn a_session_that_is_not_stored_draws_another_id_when_it_needs_one() {
    let ground = ground();
    let mut session = ground.sessions().blank(NOW);
    let (before, _) = ground.sessions().identify(&mut session).unwrap();
    assert!(matches!(ground.sessions().regenerate(&mut session, Move::Moved, NOW), Ok(Regenerated::Drawn | Regenerated::Emptied(_))));
    assert_ne!(ground.sessions().identify(&mut session).unwrap().0, before);
}

#[test]
fn a_session_that_is_emptied_and_moved_is_gone() {
    let ground = ground();
    let mut session = ground.begin();
    session.clear();
    assert!(matches!(ground.sessions().regenerate(&mut session, Move::Moved, NOW), Ok(Regenerated::Drawn | Regenerated::Emptied(_))));
    assert!(ground.records().is_empty());
    assert_eq!((session.phase(), session.id()), (Phase::Removed, None));
}

#[test]
fn sealed_values_move_and_merge_and_no_file_shows_them() {
    let mut ground = ground();
    ground.terms.sealed = true;
    let mut session = ground.sessions().blank(NOW);
    session.set("secret", Value::Text("the plain text".into())).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    let mut slow = ground.open(&session, NOW);
    ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
    slow.set("more", Value::Int(2)).unwrap();
    ground.sessions().save(&mut slow, NOW).unwrap();
    let found = ground.open(&session, NOW);
    assert_eq!((found.values().get("secret"), value(&found, "more")), (Some(&Value::Text("the plain text".into())), 2));
    for stored in ground.records() {
        assert!(!String::from_utf8_lossy(&stored.encode()).contains("plain"), "{stored:?}");
    }
}

#[test]
fn sealing_may_be_switched_on_and_off_while_sessions_live() {
    let mut ground = ground();
    let mut session = ground.begin();
    for sealed in [true, false, true] {
        ground.terms.sealed = sealed;
        session = ground.open(&session, NOW);
        session.add("n", 1).unwrap();
        ground.sessions().save(&mut session, NOW).unwrap();
        assert!(ground.records().iter().all(|stored| matches!(stored, Stored::Session(r) if r.clone().plain().is_none() == sealed)));
    }
    assert_eq!(value(&session, "n"), 4);
}

#[test]
fn an_owner_alone_is_worth_a_record_and_without_one_and_values_it_goes() {
    let ground = ground();
    let mut session = ground.sessions().blank(NOW);
    session.set_user(Some("ann".into()));
    assert_eq!(ground.sessions().save(&mut session, NOW).unwrap(), Saved::Created);
    let mut session = ground.open(&session, NOW);
    assert_eq!(session.user(), Some("ann"));
    session.set_user(None);
    assert_eq!(ground.sessions().save(&mut session, NOW).unwrap(), Saved::Deleted);
    assert!(ground.records().is_empty());
}

#[test]
fn who_writes_all_the_time_is_renewed_in_time() {
    let ground = ground();
    let mut session = ground.begin();
    let mut renewals = 0;
    for second in 1..=3600 {
        let now = NOW.plus(second * MICROS);
        session = ground.open(&session, now);
        session.add("n", 1).unwrap();
        renewals += u32::from(ground.sessions().save(&mut session, now).unwrap() == Saved::Changed { renewed: true });
    }
    assert_eq!(renewals, 3600 / 30, "one in each touch interval");
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
fn a_log_out_finds_its_session_behind_any_number_of_moves() {
    let ground = ground();
    let mut slow = ground.begin();
    let mut session = ground.open(&slow, NOW);
    for _ in 0..200 {
        ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
    }
    assert_eq!(ground.sessions().invalidate(&mut slow, NOW).unwrap().as_ref(), session.key());
    assert_eq!(ground.live(), 0);
}

#[test]
fn a_broken_seal_is_put_aside_once() {
    let mut ground = ground();
    ground.terms.sealed = true;
    let session = ground.begin();
    let (id, key) = (session.id().unwrap(), session.key().unwrap());
    let Ok(Lookup::Live(_)) = ground.sessions().find(id, NOW) else { panic!("whole") };
    ground.sessions().quarantine(id, key).unwrap();
    assert_eq!(ground.live(), 1, "what is whole stays");
    let mut change = |found: Option<&Blob>| {
        let Ok(Stored::Session(mut record)) = Stored::decode(&found.unwrap().bytes) else { panic!("a session") };
        record.incarnation ^= 1;
        Change::Write(Blob { expires: found.unwrap().expires, bytes: Stored::Session(record).encode() })
    };
    ground.store.update(key, Durability::Process, &mut change).unwrap();
    let Ok(Lookup::Damaged(damage)) = ground.sessions().find(id, NOW) else { panic!("damaged") };
    ground.sessions().quarantine(&damage.id, &damage.key).unwrap();
    assert!(matches!(ground.sessions().find(id, NOW), Ok(Lookup::Nothing)));
}

/// Does what it is told and then says that it failed, once.
struct Mute<'s>(&'s FileStore, AtomicBool);

impl Store for Mute<'_> {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> StoreResult<bool> {
        self.0.create(key, blob, durability)
    }
    fn load(&self, key: &Key) -> StoreResult<Option<Blob>> {
        self.0.load(key)
    }
    fn update(&self, key: &Key, durability: Durability, change: &mut dyn FnMut(Option<&Blob>) -> Change) -> StoreResult<Outcome> {
        let outcome = self.0.update(key, durability, change);
        if self.1.swap(true, Ordering::Relaxed) { outcome } else { Err(crate::store::Error::Unusable("no answer".into())) }
    }
    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> StoreResult<()> {
        self.0.quarantine(key, is_damaged)
    }
    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> StoreResult<Sweep> {
        self.0.sweep(before, slice, from, deleted)
    }
    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> StoreResult<()> {
        self.0.each(visit)
    }
}

#[test]
fn a_store_that_does_not_say_that_it_moved_a_session_loses_none() {
    for kind in [Move::Moved, Move::Superseded] {
        let ground = ground();
        let mut session = ground.begin();
        let store = Mute(&ground.store, AtomicBool::new(false));
        let moved = Repository { store: &store, terms: &ground.terms }.regenerate(&mut session, kind, NOW);
        assert_eq!(moved.unwrap(), Regenerated::Moved);
        assert_eq!(value(&ground.open(&session, NOW), "n"), 1);
    }
}

#[test]
fn what_was_stored_before_a_move_or_before_sealing_cannot_be_read_from_the_file() {
    let mut ground = ground();
    let mut session = ground.sessions().blank(NOW);
    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    session.set("n", Value::Int(1)).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    let shows = |ground: &Ground| {
        let subs = std::fs::read_dir(ground.store.directory()).unwrap().flatten().filter(|sub| sub.path().is_dir());
        let files = subs.flat_map(|sub| std::fs::read_dir(sub.path()).unwrap().flatten());
        files.map(|file| std::fs::read(file.path()).unwrap()).any(|bytes| bytes.windows(10).any(|part| part == b"plainplain"))
    };
    assert!(shows(&ground));
    ground.terms.sealed = true;
    session.add("n", 1).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    assert!(!shows(&ground), "sealed");

    ground.terms.sealed = false;
    let mut session = ground.sessions().blank(NOW);
    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    session.set("n", Value::Int(1)).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    session.unset("k").unwrap();
    ground.sessions().regenerate(&mut session, Move::Superseded, NOW).unwrap();
    assert!(!shows(&ground), "moved");

    session.set("k", Value::Text("plain".repeat(100))).unwrap();
    ground.sessions().save(&mut session, NOW).unwrap();
    for _ in 0..2 {
        session.unset("k").unwrap();
        session.add("n", 1).unwrap();
        ground.sessions().save(&mut session, NOW).unwrap();
    }
    assert!(!shows(&ground), "removed, and written twice");
}
