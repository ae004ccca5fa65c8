use bytes::Bytes;

use super::*;
use crate::session::Value;
use crate::session::id::Scope;
use crate::session::time::MICROS;

const NOW: Timestamp = Timestamp(1_000_000_000);
const RULES: Expiry = Expiry { touch_interval: None, lifetime: None, new_timeout: None };

fn stored() -> (Session, Record) {
    let mut first = Session::blank(NOW, 1800, 4096);
    first.set("n", Value::Int(1)).unwrap();
    let record = first.record_to_create(42, NOW);
    let id = Id::from_random([1; 24]);
    let key = Key::derive(&Scope { name: "h".into(), cookie: "sid".into() }, &id);
    (Session::stored(id, key, record.clone(), RULES.at_write(&record, NOW), NOW, 4096), record)
}

#[test]
fn only_a_new_session_with_values_is_created() {
    let mut session = Session::blank(NOW, 1800, 4096);
    assert_eq!(session.intent(&RULES, NOW), Intent::Nothing);
    session.set("k", Value::Null).unwrap();
    assert_eq!(session.intent(&RULES, NOW), Intent::Create);
    session.unset("k").unwrap();
    assert_eq!(session.intent(&RULES, NOW), Intent::Nothing);
}

#[test]
fn a_session_that_was_only_read_is_not_written_before_a_touch_is_due() {
    let (mut session, _) = stored();
    session.renew();
    assert_eq!(session.intent(&RULES, NOW.plus(1_000_000)), Intent::Nothing);
    assert_eq!(session.intent(&RULES, NOW.plus(31_000_000)), Intent::Update);
}

#[test]
fn a_commit_keeps_what_others_changed_and_names_its_incarnation() {
    let (mut session, mut newest) = stored();
    newest.values.set("other", Value::Text("theirs".into()));
    newest.values.set("n", Value::Int(10));
    session.add("n", 5).unwrap();
    let merged = session.merged(newest.clone(), NOW.plus(1), &RULES, NOW).unwrap().record;
    assert_eq!(merged.values.get("n"), Some(&Value::Int(15)));
    assert_eq!(merged.values.get("other"), Some(&Value::Text("theirs".into())));
    newest.incarnation += 1;
    assert_eq!(session.merged(newest, NOW, &RULES, NOW), None);
}

#[test]
fn a_commit_past_the_lifetime_is_refused() {
    let (session, newest) = stored();
    let rules = Expiry { lifetime: Some(10), ..RULES };
    assert!(session.merged(newest.clone(), Timestamp::NEVER, &rules, NOW.plus(9)).is_some());
    assert!(session.merged(newest, Timestamp::NEVER, &rules, NOW.plus(10)).is_none());
}

#[test]
fn a_request_that_outlives_its_session_may_change_but_not_renew_it_within_the_grace() {
    let (mut session, newest) = stored();
    let at = |session: &Session, after: u64| session.merged(newest.clone(), NOW, &RULES, NOW.plus(after)).is_some();
    session.renew();
    assert!(!at(&session, 1));
    session.add("n", 1).unwrap();
    assert!(at(&session, 1) && at(&session, crate::session::expiry::GRACE - 1));
    assert!(!at(&session, crate::session::expiry::GRACE));
}

#[test]
fn what_would_not_fit_is_refused_at_once_and_changes_nothing() {
    let (mut session, _) = stored();
    assert_eq!(session.set("big", Value::Text("x".repeat(5000))), Err(ChangeError::TooLarge));
    session.set("fits", Value::Text("x".repeat(4000))).unwrap();
    session.set("fits", Value::Text("y".repeat(4000))).unwrap();
    assert_eq!(session.set("more", Value::Text("x".repeat(100))), Err(ChangeError::TooLarge));
    assert_eq!(session.values().len(), 2);
}

#[test]
fn revert_drops_the_changes_since_the_last_load_or_save() {
    let (mut session, record) = stored();
    session.clear();
    session.set_timeout(5);
    session.revert();
    assert_eq!((session.values(), session.timeout()), (&record.values, 1800));
    assert!(!session.has_changes());
}

#[test]
fn after_a_removal_a_revert_comes_back_to_what_was_shown_then() {
    let (mut session, _) = stored();
    session.set("n", Value::Int(2)).unwrap();
    session.set_user(Some("ann".into()));
    session.set_timeout(60);
    session.removed();
    session.clear();
    session.revert();
    assert_eq!((session.values().get("n"), session.user(), session.timeout()), (Some(&Value::Int(2)), Some("ann"), 60));
}

#[test]
fn adding_to_something_else_than_an_integer_is_refused() {
    let (mut session, _) = stored();
    session.set("t", Value::Text("1".into())).unwrap();
    assert_eq!(session.add("t", 1), Err(ChangeError::NotAnInteger));
}

#[test]
fn a_change_without_renewal_leaves_the_expiry_alone() {
    let (mut session, record) = stored();
    session.set("k", Value::Int(1)).unwrap();
    assert_eq!(session.merged(record.clone(), NOW.plus(7), &RULES, NOW.plus(5)).unwrap().expires, NOW.plus(7));
    session.set_timeout(60);
    assert_eq!(session.merged(record, NOW.plus(7), &RULES, NOW.plus(5)).unwrap().expires, NOW.plus(61_000_000));
}

#[test]
fn accessed_stays_the_access_before_this_request() {
    let (mut session, record) = stored();
    let later = NOW.plus(60_000_000);
    session.opened = later;
    session.renew();
    let Merged { record: merged, expires, .. } = session.merged(record, Timestamp::NEVER, &RULES, later).unwrap();
    assert_eq!((merged.accessed, expires), (later, RULES.at_write(&merged, later)));
    session.saved(merged, expires);
    assert_eq!(session.accessed(), NOW);
}

#[test]
fn only_a_session_that_was_found_by_its_id_counts_as_presented() {
    let rules = Expiry { new_timeout: Some(60_000_000), ..RULES };
    let mut maker = Session::blank(NOW, 1800, 4096);
    maker.set("n", Value::Int(1)).unwrap();
    let record = maker.record_to_create(42, NOW);
    let expires = rules.at_write(&record, NOW);
    maker.saved(record.clone(), expires);
    maker.renew();
    assert_eq!(maker.intent(&rules, NOW.plus(1)), Intent::Nothing, "opened again within the tree that made it");
    maker.set("n", Value::Int(2)).unwrap();
    let Merged { record, expires, .. } = maker.merged(record, expires, &rules, NOW.plus(1)).unwrap();
    assert_eq!((record.presented, expires), (false, NOW.plus(60_000_000)));

    let (mut client, _) = stored();
    client.reloaded(record.clone(), expires);
    client.renew();
    let back = NOW.plus(2_000_000);
    assert_eq!(client.intent(&rules, back), Intent::Update);
    let Merged { record, expires, .. } = client.merged(record, expires, &rules, back).unwrap();
    assert_eq!((record.presented, expires), (true, RULES.at_write(&record, back)));
    client.removed();
    assert!(client.record_to_create(43, back).presented, "the client knows this id");
}

#[test]
fn a_client_that_comes_back_and_changes_something_has_presented_its_id_though_no_renewal_is_due() {
    let mut maker = Session::blank(NOW, 1800, 4096);
    maker.set("n", Value::Int(1)).unwrap();
    let record = maker.record_to_create(42, NOW);
    let expires = RULES.at_write(&record, NOW);
    for renews in [true, false] {
        let (mut client, _) = stored();
        client.reloaded(record.clone(), expires);
        if renews {
            client.renew();
        }
        client.set("n", Value::Int(2)).unwrap();
        let merged = client.merged(record.clone(), expires, &RULES, NOW.plus(1)).unwrap();
        assert_eq!((merged.record.presented, merged.expires, merged.renews), (renews, expires, false));
    }
}

#[test]
fn a_clock_that_is_set_back_during_a_request_leaves_no_access_in_the_future() {
    let (mut session, newest) = stored();
    session.set_timeout(60);
    session.renew();
    let now = NOW.minus(50 * MICROS);
    let merged = session.merged(newest, NOW.plus(1), &RULES, now).unwrap();
    assert_eq!((merged.record.accessed, merged.expires), (now, now.plus(61 * MICROS)));
}

const BYTES: Bytes = Bytes::from_static(&[1]);

fn loaded(key: Key, accessed: Timestamp) -> Loaded {
    Loaded { key, bytes: BYTES, expires: NOW, version: None, kept: None, sealer: None, accessed }
}

#[test]
fn what_is_stored_of_additions_beyond_the_last_number_is_the_same_whoever_wrote_meanwhile() {
    let (_, mut newest) = stored();
    newest.values.set("n", Value::Int(i64::MAX - 1));
    let key = Key::derive(&Scope { name: "h".into(), cookie: "sid".into() }, &Id::from_random([1; 24]));
    let mut session = Session::stored(Id::from_random([1; 24]), key, newest.clone(), NOW.plus(1), NOW, 4096);
    session.remember(loaded(key, NOW));
    session.add("n", 5).unwrap();
    session.add("n", -5).unwrap();
    let (loaded, _) = session.as_loaded(&key, &BYTES).unwrap();
    for newest in [loaded, newest] {
        let merged = session.merged(newest, NOW.plus(1), &RULES, NOW).unwrap();
        assert_eq!(merged.record.values.get("n"), Some(&Value::Int(i64::MAX - 1)));
    }
}

#[test]
fn what_is_stored_of_additions_is_the_same_after_a_reload_and_for_sums_of_sums_beyond_the_last_number() {
    let key = Key::derive(&Scope { name: "h".into(), cookie: "sid".into() }, &Id::from_random([1; 24]));
    let record_with = |n| {
        let (_, mut record) = stored();
        record.values.set("n", Value::Int(n));
        record
    };
    // What lies there, what is added, what lies there when it is read again, what is added then.
    for (first, one, then, other) in [(1, i64::MAX - 1, Some(2), -10), (-10, i64::MAX, None, 5), (-10, i64::MAX, Some(-9), 5)] {
        let mut session = Session::stored(Id::from_random([1; 24]), key, record_with(first), NOW.plus(1), NOW, 4096);
        session.remember(loaded(key, NOW));
        session.add("n", one).unwrap();
        if let Some(then) = then {
            session.reloaded(record_with(then), NOW.plus(1));
            session.remember(loaded(key, NOW));
        }
        session.add("n", other).unwrap();
        let newest = record_with(then.unwrap_or(first));
        let known = session.as_loaded(&key, &BYTES).unwrap().0;
        let stored = [known, newest].map(|newest| session.merged(newest, NOW.plus(1), &RULES, NOW).unwrap().record.values);
        assert_eq!(stored[0], stored[1], "{first} + {one}, {then:?} + {other}");
    }
}

#[test]
fn the_same_bytes_in_another_place_are_not_what_was_loaded() {
    let (mut session, _) = stored();
    let key = *session.key().unwrap();
    session.remember(loaded(key, NOW.plus(1)));
    let (record, _) = session.as_loaded(&key, &BYTES).unwrap();
    assert_eq!(record.accessed, NOW.plus(1), "as it lay there, whatever the session shows");
    assert!(session.as_loaded(&key, &vec![1].into()).is_some() && session.as_loaded(&key, &vec![2].into()).is_none());
    assert!(session.as_loaded(&Key([7; 32]), &BYTES).is_none());
}
