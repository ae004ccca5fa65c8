//! The fields of a record.

use super::walk::{Head, Walk};

/// The fields that an array begins with, one after the other.
pub struct Fields<'b>(Walk<'b>);

impl<'b> Fields<'b> {
    /// Of the fields that `bytes` begin with.
    pub fn of(bytes: &'b [u8]) -> Fields<'b> {
        Fields(Walk::from(bytes, 0))
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
        if walk.next() == Some(0xc0) {
            walk.byte()?;
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
        self.0.at()
    }
}
