use tempfile::TempDir;

use super::*;
use crate::session::session::Phase;
use crate::session::{Move, Stored, Value};
use crate::store::directory;
use crate::store::file::FileStore;
use crate::store::{Blob, Change, Entry, Store};

mod meanwhile;
mod sealing;

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
    directory::claim(&path, directory::Kind::File).unwrap();
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
        assert_eq!(ground.sessions().reload(&mut slow, Purpose::Change, later).is_ok(), grace > 0);
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
fn what_is_changed_after_the_answer_gone_is_not_answered_as_saved() {
    let ground = ground();
    let mut slow = ground.begin();
    let mut session = ground.open(&slow, NOW);
    ground.sessions().invalidate(&mut session, NOW).unwrap();
    for _ in 0..2 {
        slow.add("n", 1).unwrap();
        assert!(matches!(ground.sessions().save(&mut slow, NOW), Err(Error::Gone)));
    }
}

#[test]
fn of_a_session_that_is_not_stored_there_is_nothing_to_read() {
    let ground = ground();
    let mut removed = ground.begin();
    ground.sessions().remove(&mut removed).unwrap();
    let mut new = ground.sessions().blank(NOW);
    ground.sessions().identify(&mut new).unwrap();
    for session in [&mut removed, &mut new] {
        ground.sessions().reload(session, Purpose::Look, NOW).unwrap();
        session.set("n", Value::Int(2)).unwrap();
        assert_eq!(ground.sessions().save(session, NOW).unwrap(), Saved::Created);
    }
}

#[test]
fn a_session_that_has_ended_before_it_moves_is_gone() {
    let ground = ground();
    let mut slow = ground.begin();
    let mut session = ground.open(&slow, NOW);
    ground.sessions().invalidate(&mut session, NOW).unwrap();
    assert!(matches!(ground.sessions().regenerate(&mut slow, Move::Moved, NOW), Err(Error::Gone)));
    assert_eq!(slow.phase(), Phase::Gone);
}

#[test]
fn who_moves_a_session_that_others_have_moved_twice_goes_on_under_its_newest_id() {
    let ground = ground();
    let mut slow = ground.begin();
    let mut session = ground.open(&slow, NOW);
    for _ in 0..2 {
        ground.sessions().regenerate(&mut session, Move::Moved, NOW).unwrap();
    }
    assert_eq!(ground.sessions().regenerate(&mut slow, Move::Moved, NOW).unwrap(), Regenerated::Joined);
    assert_eq!(slow.id(), session.id());
}
