//! Values as they lie in a record: each is read when somebody asks for it, and written as it was if nobody has changed it.
//!
//! All of them are looked through at once, so that a record is refused as a whole or not at all.

mod fields;
mod walk;

use std::borrow::Cow;
use std::sync::OnceLock;

use super::value::{MAX_DEPTH, Value};
pub use fields::Fields;
use walk::{Head, Walk};

/// A key with its value, of a record or changed since.
#[derive(Clone)]
pub enum Entry {
    Packed(Packed),
    Own(String, Value),
}

/// What lies at a place in the bytes of a map. There are many of them: small numbers keep their list small.
#[derive(Clone)]
pub struct Packed {
    begin: u32,
    key_len: u32,
    /// Where the value begins, and the key ends.
    at: u32,
    end: u32,
    weight: u32,
    value: OnceLock<Value>,
}

/// Bytes that a key with its value takes in a record, rounded up a little.
#[must_use]
pub fn weight(key: &str, value: &Value) -> usize {
    key.len() + 2 + value.weight()
}

impl Entry {
    /// `map`: what the entry was read from.
    pub fn key<'e>(&'e self, map: &'e [u8]) -> &'e [u8] {
        match self {
            Entry::Packed(packed) => &map[(packed.at - packed.key_len) as usize..packed.at as usize],
            Entry::Own(key, _) => key.as_bytes(),
        }
    }

    pub fn spelling<'e>(&'e self, map: &'e [u8]) -> &'e str {
        match self {
            Entry::Packed(_) => std::str::from_utf8(self.key(map)).expect("a key is text: it was looked through"),
            Entry::Own(key, _) => key,
        }
    }

    pub fn value<'e>(&'e self, map: &[u8]) -> &'e Value {
        match self {
            Entry::Packed(packed) => packed.value.get_or_init(|| packed.read(map)),
            Entry::Own(_, value) => value,
        }
    }

    /// [`Value::to_plain`], for which text need not be read.
    pub fn plain<'e>(&'e self, map: &'e [u8]) -> Option<Cow<'e, [u8]>> {
        self.as_it_lies(map).map(Cow::Borrowed).or_else(|| self.value(map).to_plain())
    }

    /// The bytes of text or bytes, which need not be made of the value.
    pub fn as_it_lies<'e>(&'e self, map: &'e [u8]) -> Option<&'e [u8]> {
        match self {
            Entry::Packed(packed) => packed.text(map),
            Entry::Own(_, Value::Text(text)) => Some(text.as_bytes()),
            Entry::Own(_, Value::Bytes(bytes)) => Some(bytes),
            Entry::Own(..) => None,
        }
    }

    pub fn weight(&self) -> usize {
        match self {
            Entry::Packed(packed) => packed.weight as usize,
            Entry::Own(key, value) => weight(key, value),
        }
    }

    pub fn write(&self, map: &[u8], to: &mut Vec<u8>) {
        match self {
            Entry::Packed(packed) => to.extend_from_slice(&map[packed.begin as usize..packed.end as usize]),
            Entry::Own(key, value) => {
                let written = rmp_serde::encode::write(to, key).and_then(|()| rmp_serde::encode::write(to, value));
                written.expect("writing to memory does not fail");
            }
        }
    }
}

impl Packed {
    fn read(&self, map: &[u8]) -> Value {
        Value::from_msgpack(&map[self.at as usize..self.end as usize]).expect("a value: it was looked through")
    }

    /// The bytes of text or bytes.
    fn text<'m>(&self, map: &'m [u8]) -> Option<&'m [u8]> {
        let mut walk = Walk::from(&map[..self.end as usize], self.at as usize);
        walk.short_text().or_else(|| match walk.head() {
            Ok(Head::Text(length) | Head::Bytes(length)) => walk.take(length).ok(),
            _ => None,
        })
    }
}

/// Reads the map that `bytes` begin with: its entries as they follow each other, and where it ends.
///
/// # Errors
/// It is none, or holds what sessions do not know.
pub fn read(bytes: &[u8]) -> Result<(Vec<Entry>, usize), &'static str> {
    if bytes.len() > u32::MAX as usize {
        return Err("more than a session can hold");
    }
    let mut walk = Walk::from(bytes, 0);
    let Some(entries) = walk.head()?.entries() else { return Err("the values are not a map") };
    let mut found = Vec::with_capacity(entries.min(bytes.len() / 2));
    for _ in 0..entries {
        let begin = small(walk.at());
        let key_len = walk.key()?;
        let at = small(walk.at());
        let weight = small(key_len + 2 + walk.skip(MAX_DEPTH)?);
        found.push(Entry::Packed(Packed { begin, key_len: small(key_len), at, end: small(walk.at()), weight, value: OnceLock::new() }));
    }
    Ok((found, walk.at()))
}

/// Of bytes that are less than 4 GiB. What would weigh more is beyond each limit all the same.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether this is the first byte of a map.
#[must_use]
pub fn is_map(first: u8) -> bool {
    matches!(first, 0x80..=0x8f | 0xde | 0xdf)
}

/// Begins a map of so many entries.
pub fn write_head(entries: usize, to: &mut Vec<u8>) {
    match entries {
        0..16 => to.push(0x80 | entries as u8),
        16..0x1_0000 => {
            to.push(0xde);
            to.extend((entries as u16).to_be_bytes());
        }
        _ => {
            to.push(0xdf);
            to.extend(u32::try_from(entries).expect("fewer values than bytes").to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
