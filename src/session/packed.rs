//! Values as they lie in a record: each is read when somebody asks for it, and written as it was if nobody has changed it.
//!
//! All of them are looked through at once, so that a record is refused as a whole or not at all.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::value::{MAX_DEPTH, Value};

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
        let mut walk = Walk { bytes: &map[..self.end as usize], at: self.at as usize };
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
    let mut walk = Walk { bytes, at: 0 };
    let Some(entries) = walk.head()?.entries() else { return Err("the values are not a map") };
    let mut found = Vec::with_capacity(entries.min(bytes.len() / 2));
    for _ in 0..entries {
        let begin = walk.place();
        let key_len = walk.key()?;
        let at = walk.place();
        let weight = small(key_len + 2 + walk.skip(MAX_DEPTH)?);
        found.push(Entry::Packed(Packed { begin, key_len: small(key_len), at, end: walk.place(), weight, value: OnceLock::new() }));
    }
    Ok((found, walk.at))
}

/// Of bytes that are less than 4 GiB. What would weigh more is beyond each limit all the same.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The fields that an array begins with, one after the other.
pub struct Fields<'b>(Walk<'b>);

impl<'b> Fields<'b> {
    /// Of the fields that `bytes` begin with.
    pub fn of(bytes: &'b [u8]) -> Fields<'b> {
        Fields(Walk { bytes, at: 0 })
    }

    /// # Errors
    /// It is not a whole number from 0 on.
    pub fn number(&mut self) -> Result<u64, &'static str> {
        let Fields(walk) = self;
        Ok(match walk.byte()? {
            small @ 0x00..=0x7f => u64::from(small),
            size @ 0xcc..=0xcf => walk.number(1 << (size - 0xcc))?,
            size @ 0xd0..=0xd3 => {
                let bytes = 1 << (size - 0xd0);
                walk.number(bytes).ok().filter(|number| number >> (8 * bytes - 1) == 0).ok_or("a number below 0")?
            }
            _ => return Err("a field that is no number"),
        })
    }

    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&mut self) -> Result<bool, &'static str> {
        match self.0.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err("a field that is neither true nor false"),
        }
    }

    /// # Errors
    /// It is neither a text nor nothing.
    pub fn text(&mut self) -> Result<Option<&'b str>, &'static str> {
        let Fields(walk) = self;
        if walk.bytes.get(walk.at) == Some(&0xc0) {
            walk.at += 1;
            return Ok(None);
        }
        match walk.head()? {
            Head::Text(length) => std::str::from_utf8(walk.take(length)?).map(Some).map_err(|_| "a text that is not UTF-8"),
            _ => Err("a field that is no text"),
        }
    }

    /// Where the next one begins.
    #[must_use]
    pub fn end(&self) -> usize {
        self.0.at
    }
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

/// How a value of MessagePack begins, and what of it is still to come.
enum Head {
    /// Nothing, a boolean or a number.
    Small,
    /// A number beyond 64 bits signed.
    Large,
    Text(usize),
    Bytes(usize),
    List(usize),
    Map(usize),
}

impl Head {
    fn entries(&self) -> Option<usize> {
        if let Head::Map(entries) = self { Some(*entries) } else { None }
    }
}

/// Over values, without reading what they are. What [`Value`] refuses is refused.
struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Walk<'b> {
    fn take(&mut self, bytes: usize) -> Result<&'b [u8], &'static str> {
        let taken = self.bytes[self.at..].get(..bytes).ok_or("cut off")?;
        self.at += bytes;
        Ok(taken)
    }

    fn place(&self) -> u32 {
        small(self.at)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let byte = *self.bytes.get(self.at).ok_or("cut off")?;
        self.at += 1;
        Ok(byte)
    }

    /// Big-endian.
    fn number(&mut self, bytes: usize) -> Result<u64, &'static str> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, bytes: usize) -> Result<usize, &'static str> {
        Ok(self.number(bytes)? as usize) // four bytes at most
    }

    fn head(&mut self) -> Result<Head, &'static str> {
        Ok(match self.byte()? {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Small,
            small @ 0x80..=0x8f => Head::Map(usize::from(small & 0xf)),
            small @ 0x90..=0x9f => Head::List(usize::from(small & 0xf)),
            small @ 0xa0..=0xbf => Head::Text(usize::from(small & 0x1f)),
            size @ 0xc4..=0xc6 => Head::Bytes(self.length(1 << (size - 0xc4))?),
            0xcf if self.number(8)? > i64::MAX as u64 => Head::Large,
            0xcf => Head::Small,
            0xca | 0xce | 0xd2 => self.small(4)?,
            0xcb | 0xd3 => self.small(8)?,
            0xcc | 0xd0 => self.small(1)?,
            0xcd | 0xd1 => self.small(2)?,
            size @ 0xd9..=0xdb => Head::Text(self.length(1 << (size - 0xd9))?),
            size @ 0xdc..=0xdd => Head::List(self.length(2 << (size - 0xdc))?),
            size @ 0xde..=0xdf => Head::Map(self.length(2 << (size - 0xde))?),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err("a value of a type that sessions do not know"),
        })
    }

    fn small(&mut self, bytes: usize) -> Result<Head, &'static str> {
        self.take(bytes).map(|_| Head::Small)
    }

    /// Over a text of less than 256 bytes, if that comes next and is not cut off: most keys and values are, and need no more than this.
    #[inline]
    fn short_text(&mut self) -> Option<&'b [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let (begin, length) = match rest {
            [first @ 0xa0..=0xbf, ..] => (1, usize::from(first & 0x1f)),
            [0xd9, length, ..] => (2, usize::from(*length)),
            _ => return None,
        };
        let text = rest.get(begin..begin + length)?;
        self.at += begin + length;
        Some(text)
    }

    /// The length of a key.
    fn key(&mut self) -> Result<usize, &'static str> {
        const NOT_TEXT: &str = "a map key that is not text";
        let key = match self.short_text() {
            Some(key) => key,
            None => match self.head()? {
                Head::Text(length) => self.take(length)?,
                _ => return Err(NOT_TEXT),
            },
        };
        // Most are ASCII, for which the whole check is long.
        if key.is_ascii() || std::str::from_utf8(key).is_ok() { Ok(key.len()) } else { Err(NOT_TEXT) }
    }

    /// Over one value: answers its weight, as [`Value::weight`] does.
    fn skip(&mut self, depth: usize) -> Result<usize, &'static str> {
        if let Some(text) = self.short_text() {
            return Ok(text.len() + 5);
        }
        let first = self.bytes.get(self.at).copied();
        let deeper = || depth.checked_sub(1).ok_or("values that nest too deep");
        Ok(match self.head()? {
            Head::Small if matches!(first, Some(0xc0 | 0xc2 | 0xc3)) => Value::Null.weight(),
            Head::Small => Value::Int(0).weight(),
            Head::Large => return Err("an integer beyond 64 bits signed"),
            Head::Text(length) | Head::Bytes(length) => self.take(length)?.len() + 5,
            Head::List(items) => {
                let depth = deeper()?;
                (0..items).try_fold(5, |sum, _| Ok::<_, &'static str>(sum + self.skip(depth)?))?
            }
            Head::Map(entries) => {
                let depth = deeper()?;
                (0..entries).try_fold(5, |sum, _| Ok::<_, &'static str>(sum + self.key()? + 5 + self.skip(depth)?))?
            }
        })
    }
}

#[cfg(test)]
mod tests;
