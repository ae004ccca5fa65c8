//! Typed values, and what a key may look like. MessagePack is the format on disk and in `get_msgpack`/`set_msgpack`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::msgpack;

/// Lists and maps nest at most this deep: reading a value must not exhaust a worker's stack.
pub const MAX_DEPTH: usize = 32;
/// Bytes of the longest key.
pub const MAX_KEY: usize = 128;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// Keeps the order in which the application wrote the members.
    Map(Vec<(String, Value)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a session key has 1 to 128 bytes")]
    Length,
    #[error("a session key has no control characters")]
    Control,
    #[error("a session key differs from an existing one only in case")]
    CaseConflict,
}

/// 1-128 bytes of UTF-8 without control characters.
///
/// # Errors
/// Says what is wrong with the key.
pub fn check_key(key: &str) -> Result<(), KeyError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(KeyError::Length);
    }
    if key.chars().any(char::is_control) {
        return Err(KeyError::Control);
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error("not one MessagePack value of a type that sessions know: {0}")]
    Format(String),
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

impl Value {
    /// Bytes that the value takes in a record, give or take a few of framing: what `SessionMaxSize` is held against at `set`.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 9,
            Value::Text(text) => text.len() + 5,
            Value::Bytes(bytes) => bytes.len() + 5,
            Value::List(items) => 5 + items.iter().map(Value::weight).sum::<usize>(),
            Value::Map(items) => 5 + items.iter().map(|(k, v)| k.len() + 5 + v.weight()).sum::<usize>(),
        }
    }

    /// Reads exactly one MessagePack value.
    ///
    /// # Errors
    /// Other types (extensions, integers beyond 64 bits signed, maps with keys that are not text), trailing bytes, or too deep.
    pub fn from_msgpack(bytes: &[u8]) -> Result<Value, ValueError> {
        msgpack::read(bytes, MAX_DEPTH + 1, "value").map_err(|error| match error {
            rmp_serde::decode::Error::DepthLimitExceeded => ValueError::Depth,
            error => ValueError::Format(error.to_string()),
        })
    }

    /// The value in MessagePack.
    #[must_use]
    pub fn to_msgpack(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("writing to memory does not fail")
    }

    /// What a door without types shows: text and bytes as they are, numbers, booleans as 1 and 0, lists and maps as JSON; `None`
    /// for null.
    #[must_use]
    pub fn to_plain(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Value::Null => return None,
            Value::Bool(flag) => Cow::Borrowed(if *flag { b"1" } else { b"0" }),
            Value::Int(number) => Cow::Owned(number.to_string().into()),
            Value::Float(number) => Cow::Owned(number.to_string().into()),
            Value::Text(text) => Cow::Borrowed(text.as_bytes()),
            Value::Bytes(bytes) => Cow::Borrowed(bytes),
            Value::List(_) | Value::Map(_) => Cow::Owned(serde_json::to_vec(self).expect("text keys only")),
        })
    }

    /// What came in through such a door without anything before it: text, or bytes if it is not UTF-8.
    #[must_use]
    pub fn from_plain(bytes: Vec<u8>) -> Value {
        String::from_utf8(bytes).map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text)
    }

    /// What was written over the value `self`: it keeps its type if the text parses as it, else it becomes text.
    #[must_use]
    pub fn rewritten(&self, bytes: Vec<u8>) -> Value {
        if matches!(self, Value::Bytes(_)) {
            return Value::Bytes(bytes);
        }
        let text = match Value::from_plain(bytes) {
            Value::Text(text) => text,
            other => return other,
        };
        let kept = match self {
            Value::Bool(_) => match text.as_str() {
                "1" => Some(Value::Bool(true)),
                "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Value::Int(_) => text.parse().ok().map(Value::Int),
            Value::Float(_) => text.parse().ok().map(Value::Float),
            Value::List(_) => Self::json(&text).filter(|value| matches!(value, Value::List(_))),
            Value::Map(_) => Self::json(&text).filter(|value| matches!(value, Value::Map(_))),
            Value::Null | Value::Text(_) | Value::Bytes(_) => None,
        };
        kept.unwrap_or(Value::Text(text))
    }

    fn json(text: &str) -> Option<Value> {
        serde_json::from_str::<Value>(text).ok().filter(|value| value.depth() <= MAX_DEPTH)
    }

    fn depth(&self) -> usize {
        match self {
            Value::List(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            Value::Map(items) => 1 + items.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => to.serialize_unit(),
            Value::Bool(flag) => to.serialize_bool(*flag),
            Value::Int(number) => to.serialize_i64(*number),
            Value::Float(number) => to.serialize_f64(*number),
            Value::Text(text) => to.serialize_str(text),
            Value::Bytes(bytes) => to.serialize_bytes(bytes),
            Value::List(items) => to.collect_seq(items),
            Value::Map(items) => to.collect_map(items.iter().map(|(key, value)| (key, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, text, bytes, a list or a map with text keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(|_| E::custom("an integer beyond 64 bits signed"))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(key) = map.next_key::<Value>()? {
            let Value::Text(key) = key else { return Err(A::Error::custom("a map key that is not text")) };
            items.push((key, map.next_value()?));
        }
        Ok(Value::Map(items))
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value a session can hold.
    pub fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e300f64..1e300).prop_map(Value::Float),
            ".{0,12}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec((".{0,6}", inner), 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_survives_messagepack(value in any_value()) {
            prop_assert_eq!(Value::from_msgpack(&value.to_msgpack()).unwrap(), value);
        }

        #[test]
        fn reading_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Value::from_msgpack(&bytes);
        }

        #[test]
        fn the_weight_covers_what_is_stored(value in any_value()) {
            prop_assert!(value.to_msgpack().len() <= value.weight());
        }

        #[test]
        fn plain_text_written_back_unchanged_keeps_value_and_type(value in any_value()) {
            // JSON knows no bytes and no exact floats: a list or map that is shown keeps its value only if it is left alone.
            if !matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                prop_assert_eq!(value.rewritten(value.to_plain().unwrap().into_owned()), value);
            }
        }
    }

    #[test]
    fn what_is_not_one_known_value_is_refused() {
        for bad in [
            &[][..],
            &[0xc0, 0xc0],                      // two values
            &[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0], // beyond i64
            &[0xd4, 1, 2],                      // an extension
            &[0x81, 1, 2],                      // a map with a number as key
            &[0xdd, 0xff, 0xff, 0xff, 0xff],    // a list that claims 4 G items
        ] {
            assert!(Value::from_msgpack(bad).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn depth_is_limited_where_it_is_read() {
        let nested = |levels: usize| {
            let mut bytes = vec![0x91; levels];
            bytes.push(0xc0);
            Value::from_msgpack(&bytes)
        };
        assert!(nested(MAX_DEPTH).is_ok());
        assert!(matches!(nested(MAX_DEPTH + 1), Err(ValueError::Depth)));
        assert!(nested(100_000).is_err());
        let json = |levels: usize| Value::List(vec![]).rewritten(("[".repeat(levels) + &"]".repeat(levels)).into());
        assert!(matches!(json(MAX_DEPTH), Value::List(_)));
        assert!(matches!(json(MAX_DEPTH + 1), Value::Text(_)));
    }

    #[test]
    fn text_over_a_typed_value_keeps_the_type_if_it_parses() {
        let list = Value::List(vec![Value::Int(1)]);
        assert_eq!(Value::Int(1).rewritten("42".into()), Value::Int(42));
        assert_eq!(Value::Int(1).rewritten("many".into()), Value::Text("many".into()));
        assert_eq!(Value::Bool(true).rewritten("0".into()), Value::Bool(false));
        assert_eq!(Value::Bool(true).rewritten("yes".into()), Value::Text("yes".into()));
        assert_eq!(Value::Float(1.5).rewritten("2".into()), Value::Float(2.0));
        assert_eq!(list.rewritten("[1,\"a\"]".into()), Value::List(vec![Value::Int(1), Value::Text("a".into())]));
        assert_eq!(list.rewritten("{}".into()), Value::Text("{}".into()));
        assert_eq!(Value::Bytes(vec![]).rewritten("x".into()), Value::Bytes(b"x".to_vec()));
        assert_eq!(Value::Int(1).rewritten(vec![0xff]), Value::Bytes(vec![0xff]));
        assert_eq!(Value::Text(String::new()).rewritten("7".into()), Value::Text("7".into()));
    }

    #[test]
    fn keys_have_1_to_128_bytes_without_control_characters() {
        assert!(check_key("k").is_ok());
        assert!(check_key(&"\u{e9}".repeat(64)).is_ok());
        assert_eq!(check_key(""), Err(KeyError::Length));
        assert_eq!(check_key(&"k".repeat(129)), Err(KeyError::Length));
        assert_eq!(check_key("a\nb"), Err(KeyError::Control));
        assert_eq!(check_key("a\u{85}b"), Err(KeyError::Control));
    }
}
