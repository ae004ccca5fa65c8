//! The values of a session by key. Keys keep their spelling; two keys never differ only in (ASCII) case, since request notes
//! and the stock table could not tell them apart.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::packed::{self, Entry};
use super::value::{KeyError, Value, check_key};

#[derive(Clone, Default)]
pub struct Values {
    /// Copies share them until one changes.
    entries: Arc<Entries>,
    weight: usize,
}

#[derive(Clone, Default)]
struct Entries {
    /// The map that some were read from.
    map: Bytes,
    /// In the order of [`compare`].
    list: Vec<Entry>,
}

/// The order of keys, in which case makes no difference.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    compare_bytes(one.as_bytes(), other.as_bytes())
}

fn compare_bytes(one: &[u8], other: &[u8]) -> Ordering {
    for (one, other) in one.iter().zip(other) {
        if one != other {
            match one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase()) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
    }
    one.len().cmp(&other.len())
}

impl Values {
    /// Reads the map that `bytes` begin with, and answers where it ends. Each value is read when somebody asks for it.
    ///
    /// # Errors
    /// It is no map with text keys and values of types that sessions know.
    pub fn read(bytes: &Bytes) -> Result<(Values, usize), &'static str> {
        let (list, end) = packed::read(bytes)?;
        let map = &bytes[..end];
        let is_in_order = list.is_sorted_by(|one, other| compare_bytes(one.key(map), other.key(map)).is_lt());
        let values = if is_in_order {
            let weight = list.iter().map(Entry::weight).sum();
            Values { entries: Arc::new(Entries { map: bytes.slice(..end), list }), weight }
        } else {
            list.iter().map(|entry| (entry.spelling(map).to_owned(), entry.value(map).clone())).collect()
        };
        Ok((values, end))
    }

    /// Writes them as a map.
    pub fn write(&self, to: &mut Vec<u8>) {
        packed::write_head(self.len(), to);
        self.entries.list.iter().for_each(|entry| entry.write(&self.entries.map, to));
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        let Entries { map, list } = &*self.entries;
        list.binary_search_by(|known| compare_bytes(known.key(map), key.as_bytes()))
    }

    fn at(&self, at: usize) -> (&str, &Value) {
        let Entries { map, list } = &*self.entries;
        (list[at].spelling(map), list[at].value(map))
    }

    fn is_spelled(&self, at: usize, key: &str) -> bool {
        self.entries.list[at].key(&self.entries.map) == key.as_bytes()
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.position(key).ok().filter(|&at| self.is_spelled(at, key))?;
        Some(self.at(at).1)
    }

    /// The spelling and value of a key however it is written.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(&str, &Value)> {
        Some(self.at(self.position(key).ok()?))
    }

    /// # Errors
    /// The key is not well-formed, or an existing key differs from it only in case.
    pub fn check(&self, key: &str) -> Result<(), KeyError> {
        check_key(key)?;
        match self.position(key) {
            Ok(at) if !self.is_spelled(at, key) => Err(KeyError::CaseConflict),
            _ => Ok(()),
        }
    }

    /// Sets a value; an existing key keeps its spelling.
    pub fn set(&mut self, key: &str, value: Value) {
        let position = self.position(key);
        let Entries { map, list } = Arc::make_mut(&mut self.entries);
        match position {
            Ok(at) => {
                let spelled = list[at].spelling(map).to_owned();
                self.weight -= list[at].weight();
                self.weight += packed::weight(&spelled, &value);
                list[at] = Entry::Own(spelled, value);
            }
            Err(at) => {
                self.weight += packed::weight(key, &value);
                list.insert(at, Entry::Own(key.to_owned(), value));
            }
        }
    }

    pub fn remove(&mut self, key: &str) {
        if let Ok(at) = self.position(key) {
            self.weight -= Arc::make_mut(&mut self.entries).list.remove(at).weight();
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
        (0..self.len()).map(|at| self.at(at))
    }

    /// What a door without types shows of the value at a place, as [`Value::to_plain`] says.
    #[must_use]
    pub fn plain(&self, at: usize) -> Option<Cow<'_, [u8]>> {
        let Entries { map, list } = &*self.entries;
        list[at].plain(map)
    }

    /// The bytes of each key, in their places, with those of text or bytes, which need not be made.
    pub fn as_they_lie(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let Entries { map, list } = &*self.entries;
        list.iter().map(|entry| (entry.key(map), entry.as_it_lies(map)))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the values take in a record, rounded up a little.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(String, Value)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(items: I) -> Values {
        let mut values = Values::default();
        items.into_iter().for_each(|(key, value)| values.set(&key, value));
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
        assert_eq!(values.weight(), packed::weight("b", &Value::Bytes(vec![0; 10])));
        values.remove("b");
        assert_eq!((values.weight(), values.len()), (0, 0));
    }
}
