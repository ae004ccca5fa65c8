//! The values of a session, as Rust has them and as sessions have them.

use std::ffi::{CString, c_int};

use serde::{Deserialize, Serialize};

use super::error::{Error, Result, found};
use super::header::Type;
use super::table::Session;
use crate::session::Value;

fn key(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::BadKey)
}

/// MessagePack with the names of fields, so that other languages read it.
fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|error| Error::BadType(error.to_string()))
}

fn decode<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(|error| Error::BadType(error.to_string()))
}

fn known(of_type: c_int) -> Result<Type> {
    Type::of(of_type).ok_or(Error::Unknown(of_type))
}

/// # Values
///
/// Keys are 1-128 bytes of UTF-8 without control characters; one that differs from an existing one only in case is refused
/// ([`Error::BadKey`]). Any other error of a call that sets is [`BadType`](Error::BadType), [`TooLarge`](Error::TooLarge),
/// [`Off`](Error::Off) (read-only) or [`Panic`](Error::Panic).
impl<'r> Session<'r> {
    /// `None`: no such key. Text and bytes may be borrowed (`&str`, `&[u8]`): what is answered stays as it is, whatever is set afterwards.
    ///
    /// # Errors
    /// [`Error::BadType`]: the value does not fit the type. [Here](super#values) is what fits what.
    pub fn get<T: Deserialize<'r>>(&self, name: &str) -> Result<Option<T>> {
        found(self.msgpack(&key(name)?))?.map(decode).transpose()
    }

    /// Sets a value, whatever was there. [Here](super#values) is what becomes what.
    ///
    /// # Errors
    /// [`Error::BadType`]: sessions know no such value; [`Error::TooLarge`].
    pub fn set<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result {
        let bytes = encode(value)?;
        Error::check(self.set_msgpack(&key(name)?, &bytes)).map_err(|error| match (error, Value::from_msgpack(&bytes)) {
            (Error::BadType(_), Err(reason)) => Error::BadType(reason.to_string()),
            (error, _) => error,
        })
    }

    /// Adds to an integer; a key that is not there counts as 0, and the sum stops at the limits of 64 bits. Exact without a lock, however
    /// many requests add at once.
    ///
    /// # Errors
    /// [`Error::BadType`]: the value is no integer.
    pub fn add(&self, name: &str, delta: i64) -> Result {
        Error::check(self.add_number(&key(name)?, delta))
    }

    /// Removes a value. One that is not there is no error.
    ///
    /// # Errors
    /// As all that sets.
    pub fn unset(&self, name: &str) -> Result {
        Error::check(self.ask_text(|table| table.unset, &key(name)?))
    }

    /// Removes all values, also those that other requests store before the commit.
    ///
    /// # Errors
    /// As all that sets.
    pub fn clear(&self) -> Result {
        self.done(|table| table.clear)
    }

    /// The type of a value. `None`: no such key.
    ///
    /// # Errors
    /// [`Error::BadKey`].
    pub fn type_of(&self, name: &str) -> Result<Option<Type>> {
        found(self.type_number(&key(name)?))?.map(known).transpose()
    }

    /// All keys with the types of their values, in the order of the keys without regard to case.
    ///
    /// # Errors
    /// [`Error::Panic`].
    pub fn keys(&self) -> Result<Vec<(&'r str, Type)>> {
        self.key_numbers()?.into_iter().map(|(key, number)| Ok((key, known(number)?))).collect()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ask(|table| table.len)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
