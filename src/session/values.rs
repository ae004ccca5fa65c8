//! The values of a session by key. Keys keep their spelling; two keys never differ only in (ASCII) case, since request notes
//! and the stock table could not tell them apart.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::{KeyError, Value, check_key};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// In the order of [`compare`]. Copies share them until one changes.
    entries: Arc<Vec<(String, Value)>>,
    weight: usize,
}

/// The order of keys, in which case makes no difference.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    one.bytes().map(|c| c.to_ascii_lowercase()).cmp(other.bytes().map(|c| c.to_ascii_lowercase()))
}

fn entry_weight(key: &str, value: &Value) -> usize {
    key.len() + 2 + value.weight()
}

impl Values {
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| compare(known, key))
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).filter(|(spelled, _)| *spelled == key).map(|(_, value)| value)
    }

    /// The spelling and value of a key however it is written.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(&str, &Value)> {
        let (spelled, value) = &self.entries[self.position(key).ok()?];
        Some((spelled, value))
    }

    /// # Errors
    /// The key is not well-formed, or an existing key differs from it only in case.
    pub fn check(&self, key: &str) -> Result<(), KeyError> {
        check_key(key)?;
        match self.find(key) {
            Some((spelled, _)) if spelled != key => Err(KeyError::CaseConflict),
            _ => Ok(()),
        }
    }

    /// Sets a value; an existing key keeps its spelling.
    pub fn set(&mut self, key: &str, value: Value) {
        self.insert(Cow::Borrowed(key), value);
    }

    fn insert(&mut self, key: Cow<'_, str>, value: Value) {
        self.weight += entry_weight(&key, &value);
        let position = self.position(&key);
        let entries = Arc::make_mut(&mut self.entries);
        match position {
            Ok(at) => {
                let (spelled, old) = &mut entries[at];
                self.weight -= entry_weight(spelled, old);
                *old = value;
            }
            Err(at) => entries.insert(at, (key.into_owned(), value)),
        }
    }

    pub fn remove(&mut self, key: &str) {
        if let Ok(at) = self.position(key) {
            let (spelled, old) = Arc::make_mut(&mut self.entries).remove(at);
            self.weight -= entry_weight(&spelled, &old);
        }
    }

    pub fn clear(&mut self) {
        *self = Values::default();
    }

    /// Whether this is a copy that was not changed since, or what it was copied from.
    #[must_use]
    pub fn is_copy_of(&self, other: &Values) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the values take in a record, rounded up a little.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Map(items) => Ok(items.into_iter().collect()),
            _ => Err(D::Error::custom("the values are not a map")),
        }
    }
}

impl FromIterator<(String, Value)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(items: I) -> Values {
        let items = items.into_iter();
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(items.size_hint().0);
        let mut weight = 0;
        let mut strays = Vec::new();
        for (key, value) in items {
            // Records hold them in order.
            if entries.last().is_none_or(|(last, _)| compare(last, &key).is_lt()) {
                weight += entry_weight(&key, &value);
                entries.push((key, value));
            } else {
                strays.push((key, value));
            }
        }
        let mut values = Values { entries: Arc::new(entries), weight };
        for (key, value) in strays {
            values.insert(Cow::Owned(key), value);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_differs_only_in_case_is_refused_but_found() {
        let mut values = Values::default();
        values.set("Name", Value::Int(1));
        assert_eq!(values.check("name"), Err(KeyError::CaseConflict));
        assert_eq!(values.check("Name"), Ok(()));
        assert_eq!(values.get("name"), None);
        assert_eq!(values.find("NAME"), Some(("Name", &Value::Int(1))));
    }

    #[test]
    fn the_weight_follows_every_change() {
        let mut values = Values::default();
        values.set("a", Value::Text("x".repeat(100)));
        values.set("a", Value::Int(1));
        values.set("b", Value::Bytes(vec![0; 10]));
        values.remove("a");
        values.remove("nothing");
        assert_eq!(values.weight(), entry_weight("b", &Value::Bytes(vec![0; 10])));
        values.remove("b");
        assert_eq!((values.weight(), values.len()), (0, 0));
    }
}
