//! The bytes of a record: what is read and written again is the same, sealed values are those that were sealed.
//!
//! An input is a record: a version byte, then MessagePack. What follows its first byte is also read as one value, and as what a good
//! seal holds.

use mod_session_rs::session::alias::Move;
use mod_session_rs::session::record::{Body, sealer};
use mod_session_rs::session::seal::{NONCE, Sealer};
use mod_session_rs::session::value::MAX_DEPTH;
use mod_session_rs::session::{Id, Key, Record, Stored, Timestamp, Value, Values};

/// Under which the sealed records of the corpus were sealed.
const KEY: Key = Key([9; 32]);
const NEW_KEY: Key = Key([8; 32]);
const FRESH: [u8; NONCE] = [3; NONCE];

fn id() -> Id {
    Id::from_random([1; 24])
}

pub fn record(data: &[u8]) {
    if let Ok(stored) = Stored::decode(&data.to_vec().into()) {
        written_and_read_again(&stored);
    }
    let Some((_, inside)) = data.split_first() else { return };
    if let Ok(value) = Value::from_msgpack(inside) {
        value_survives(&value);
    }
    a_seal_hides_nothing_from_the_reader(inside);
    an_alias_leads_to_ids_only(inside);
}

fn written_and_read_again(stored: &Stored) {
    let bytes = stored.encode();
    let again = Stored::decode(&bytes.clone().into()).expect("what was written is read");
    assert_eq!(again.encode(), bytes);
    // NaN is not equal to itself.
    if *stored == stored.clone() {
        assert_eq!(again, *stored);
    }
    assert_eq!(again.incarnation(), stored.incarnation());
    match again {
        Stored::Alias(alias) => {
            let to = alias.new_id(&id(), &KEY);
            assert!(to.is_none_or(|to| Id::parse(to.expose().as_bytes()).is_some()));
            let now = alias.grace_ends.minus(1);
            assert!(!alias.leads_on(alias.grace_ends) && alias.expires(now) >= alias.grace_ends);
            assert_eq!(alias.leads_on(now), alias.kind == Move::Moved && alias.grace_ends.0 > 0);
        }
        Stored::Session(record) => {
            let count = record.values.count();
            assert_eq!(record.clone().plain().map(|plain| plain.values.len()), count);
            match record.open(&id(), &KEY) {
                Ok(open) => sealed_and_opened_again(&open),
                Err(_) => assert!(count.is_none(), "values that nobody sealed need no seal"),
            }
        }
    }
}

fn decoded(bytes: &[u8]) -> Option<Record<Body>> {
    match Stored::decode(&bytes.to_vec().into()) {
        Ok(Stored::Session(record)) => Some(record),
        _ => None,
    }
}

fn sealed_and_opened_again(record: &Record) {
    let sealed = decoded(&record.encode_sealed(&sealer(&id()), &KEY, FRESH)).expect("a sealed record is read");
    assert_eq!(sealed.values.count(), None);
    assert!(sealed.clone().open(&id(), &NEW_KEY).is_err(), "sealed for another key");
    assert_eq!(sealed.open(&id(), &KEY).expect("its own seal").encode(), record.encode());
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(items) => 1 + items.iter().map(|(_, item)| depth(item)).max().unwrap_or(0),
        _ => 0,
    }
}

fn value_survives(value: &Value) {
    let bytes = value.to_msgpack();
    let again = Value::from_msgpack(&bytes).expect("what was written is read");
    assert_eq!(again.to_msgpack(), bytes);
    assert!(bytes.len() <= value.weight());
    assert!(depth(value) <= MAX_DEPTH);

    let plain = value.to_plain();
    assert_eq!(plain.is_none(), *value == Value::Null);
    let is_same = *value == value.clone();
    if let (Some(plain), true, 0) = (plain, is_same, depth(value)) {
        assert_eq!(value.rewritten(plain.into_owned()), *value);
    }

    let record = holding([("key".to_owned(), value.clone())].into_iter().collect());
    written_and_read_again(&Stored::decode(&record.encode().into()).expect("whatever can be set can be stored"));
    let stored = decoded(&record.encode()).and_then(Record::plain).expect("a record in the open");
    assert_eq!(stored.values.get("key").expect("the value").to_msgpack(), bytes);
}

fn holding<V>(values: V) -> Record<V> {
    Record { incarnation: 5, created: Timestamp(1), accessed: Timestamp(2), timeout: 1800, presented: true, user: None, values }
}

/// Whatever lies in a seal is read as it would be read in the open.
fn a_seal_hides_nothing_from_the_reader(plain: &[u8]) {
    let bound = [&KEY.0[..], &5u64.to_le_bytes(), &[1]].concat();
    let sealed = holding(Body::Sealed(Sealer::of(&id(), b"seal").close(&bound, FRESH, plain))).open(&id(), &KEY).ok();
    let mut bytes = holding(Values::default()).encode();
    assert_eq!(bytes.pop(), Some(0x80), "an empty map");
    bytes.extend_from_slice(plain);
    let open = decoded(&bytes).and_then(Record::plain);
    assert_eq!(sealed.map(|record| record.encode()), open.map(|record| record.encode()));
}

fn an_alias_leads_to_ids_only(plain: &[u8]) {
    let sealed = Sealer::of(&id(), b"alias").close(&[KEY.0, NEW_KEY.0].concat(), FRESH, plain);
    let fields = [Value::Int(5), Value::Text("Moved".into()), Value::Bytes(NEW_KEY.0.into()), Value::Int(7), Value::Bytes(sealed)];
    let bytes = [&[1], &Value::List(fields.into()).to_msgpack()[..]].concat();
    let Ok(Stored::Alias(alias)) = Stored::decode(&bytes.clone().into()) else { panic!("a good alias") };
    assert_eq!(alias.new_id(&id(), &KEY), Id::parse(plain));
    assert_eq!(alias.new_id(&id(), &NEW_KEY), None);
}
