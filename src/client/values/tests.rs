//! What becomes what: the table of the documentation, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

/// What the module makes of a value, and whether it can be read back.
fn becomes<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> Value {
    let bytes = encode(&value).unwrap();
    let stored = Value::from_msgpack(&bytes).unwrap();
    // The module hands out what it makes of its own values, not the bytes that it was given.
    assert_eq!(decode::<T>(&stored.to_msgpack()), Ok(value));
    stored
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn map(members: &[(&str, Value)]) -> Value {
    Value::Map(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Meters(f64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point(i32, i32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Line(u32, u32),
    Box { width: u32 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    voucher: Option<String>,
    prices: BTreeMap<String, f64>,
}

#[test]
fn simple_values_become_the_type_that_other_languages_expect() {
    assert_eq!(becomes(()), Value::Null);
    assert_eq!(becomes(None::<i64>), Value::Null);
    assert_eq!(becomes(Some(5)), Value::Int(5));
    assert_eq!(becomes(true), Value::Bool(true));
    assert_eq!(becomes(i64::MIN), Value::Int(i64::MIN));
    assert_eq!(becomes(u8::MAX), Value::Int(255));
    assert_eq!(becomes(i64::MAX as u64), Value::Int(i64::MAX));
    assert_eq!(becomes(0.1), Value::Float(0.1));
    assert_eq!(becomes(0.1f32), Value::Float(0.1f32.into()));
    assert_eq!(becomes('\u{e9}'), text("\u{e9}"));
    assert_eq!(becomes("with \0 in it".to_owned()), text("with \0 in it"));
}

#[test]
fn structs_and_enums_become_maps_with_names() {
    let cart = Cart { items: vec!["tea".into()], voucher: None, prices: BTreeMap::from([("tea".into(), 2.5)]) };
    let expected =
        map(&[("items", Value::List(vec![text("tea")])), ("voucher", Value::Null), ("prices", map(&[("tea", Value::Float(2.5))]))]);
    assert_eq!(becomes(cart), expected);
    assert_eq!(becomes(Shape::Empty), text("Empty"));
    assert_eq!(becomes(Shape::Circle(1)), map(&[("Circle", Value::Int(1))]));
    assert_eq!(becomes(Shape::Line(1, 2)), map(&[("Line", Value::List(vec![Value::Int(1), Value::Int(2)]))]));
    assert_eq!(becomes(Shape::Box { width: 1 }), map(&[("Box", map(&[("width", Value::Int(1))]))]));
    assert_eq!(becomes(Meters(1.5)), Value::Float(1.5));
    assert_eq!(becomes(Point(1, 2)), Value::List(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(becomes(Unit), Value::List(Vec::new()));
}

#[test]
fn sequences_become_lists_and_bytes_are_the_callers_business() {
    assert_eq!(becomes((1, "x".to_owned())), Value::List(vec![Value::Int(1), text("x")]));
    assert_eq!(becomes(BTreeSet::from([2, 1])), Value::List(vec![Value::Int(1), Value::Int(2)]));
    assert_eq!(becomes(vec![0u8, 255]), Value::List(vec![Value::Int(0), Value::Int(255)]));
    assert_eq!(becomes(-1i128), Value::Bytes(vec![255; 16]));
    assert_eq!(becomes(1u128), Value::Bytes([[0; 15].as_slice(), &[1]].concat()));
}

#[test]
fn what_sessions_do_not_know_is_refused_where_it_is_set() {
    let refused = |bytes: Vec<u8>| Value::from_msgpack(&bytes).unwrap_err().to_string();
    assert!(refused(encode(&u64::MAX).unwrap()).contains("64 bits"));
    assert!(refused(encode(&BTreeMap::from([(1, 2)])).unwrap()).contains("text"));
    #[derive(Serialize)]
    struct Deep(Vec<Deep>);
    let deep = |levels: usize| (0..levels).fold(Deep(Vec::new()), |inner, _| Deep(vec![inner]));
    assert!(refused(encode(&deep(40)).unwrap()).contains("deeper"));
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the caller's own reason"))
        }
    }
    assert_eq!(encode(&Broken), Err(Error::BadType("the caller's own reason".into())));
}

#[test]
fn a_value_is_read_as_any_type_that_holds_it_and_as_no_other() {
    fn read<'r, T: Deserialize<'r>>(value: &Value) -> Result<T> {
        decode(value.to_msgpack().leak())
    }
    assert_eq!(read(&Value::Int(200)), Ok(200u8));
    assert_eq!(read(&Value::Int(3)), Ok(3.0f64));
    assert_eq!(read(&text("borrowed")), Ok("borrowed"));
    assert_eq!(read(&Value::Bytes(vec![1, 2])), Ok([1u8, 2].as_slice()));
    assert_eq!(read(&Value::Null), Ok(None::<Cart>));
    for bad in [Value::Int(300), Value::Int(-1), Value::Float(1.0), text("1"), Value::Null] {
        assert!(matches!(read::<u8>(&bad), Err(Error::BadType(_))), "{bad:?}");
    }
    let error = read::<Cart>(&map(&[("items", Value::List(Vec::new()))])).unwrap_err();
    assert!(matches!(&error, Error::BadType(reason) if reason.contains("prices")), "{error}");
}
