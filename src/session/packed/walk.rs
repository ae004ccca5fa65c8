//! Over the bytes of values, without reading what they are.

use crate::session::value::Value;

/// How a value of MessagePack begins, and what of it is still to come.
pub enum Head {
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
    pub fn entries(&self) -> Option<usize> {
        if let Head::Map(entries) = self { Some(*entries) } else { None }
    }
}

/// What [`Value`] refuses is refused.
pub struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Walk<'b> {
    pub fn from(bytes: &'b [u8], at: usize) -> Walk<'b> {
        Walk { bytes, at }
    }

    /// How far it has come.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'b [u8], &'static str> {
        let taken = self.bytes[self.at..].get(..bytes).ok_or("cut off")?;
        self.at += bytes;
        Ok(taken)
    }

    /// The first byte of what comes next.
    pub fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn byte(&mut self) -> Result<u8, &'static str> {
        let byte = self.next().ok_or("cut off")?;
        self.at += 1;
        Ok(byte)
    }

    /// Big-endian.
    pub fn number(&mut self, bytes: usize) -> Result<u64, &'static str> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, bytes: usize) -> Result<usize, &'static str> {
        Ok(self.number(bytes)? as usize) // four bytes at most
    }

    pub fn head(&mut self) -> Result<Head, &'static str> {
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
    pub fn short_text(&mut self) -> Option<&'b [u8]> {
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
    pub fn key(&mut self) -> Result<usize, &'static str> {
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
    pub fn skip(&mut self, depth: usize) -> Result<usize, &'static str> {
        if let Some(text) = self.short_text() {
            return Ok(text.len() + 5);
        }
        let first = self.next();
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
