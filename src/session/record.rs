//! What is stored of a session, and its form in bytes: a version byte, then MessagePack. `docs/formats.md` draws it.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::alias::Alias;
use super::id::{Id, Key};
use super::seal::{NONCE, Sealer};
use super::time::Timestamp;
use super::value::Value;
use super::values::Values;
use super::{msgpack, packed};
use packed::Fields;

/// The version this code writes. A record of a newer version counts as absent.
pub const VERSION: u8 = 1;

/// A session with its values; `Record<Body>` as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<V = Values> {
    /// Set at creation, kept by updates and regeneration: a commit names the one it loaded, so that nobody revives what was deleted.
    pub incarnation: u64,
    pub created: Timestamp,
    /// The last access, exact to the touch interval.
    pub accessed: Timestamp,
    /// Idle timeout in seconds, kept with the session.
    pub timeout: u64,
    /// The client has presented the id at least once.
    pub presented: bool,
    pub user: Option<String>,
    pub values: V,
}

/// The values as the store holds them.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Open(Values),
    /// By `SessionEncrypt`: who has the id can open them.
    Sealed(Vec<u8>),
}

/// What the store holds under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    Session(Record<Body>),
    /// The session has moved to another id.
    Alias(Alias),
}

impl Body {
    /// How many values there are; `None`: they are sealed.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self {
            Body::Open(values) => Some(values.len()),
            Body::Sealed(_) => None,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Body::Open(values) => values.weight(),
            Body::Sealed(bytes) => bytes.len() + 5,
        }
    }
}

/// Values that are all of `bytes`.
fn values(bytes: &Bytes) -> Result<Values, String> {
    match Values::read(bytes) {
        Ok((values, end)) if end == bytes.len() => Ok(values),
        Ok(_) => Err("bytes after the values".into()),
        Err(why) => Err(why.into()),
    }
}

struct AsBytes<'b>(&'b [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl Body {
    /// All of `bytes`.
    fn read(bytes: &Bytes) -> Result<Body, String> {
        if bytes.first().is_some_and(|&first| packed::is_map(first)) {
            return values(bytes).map(Body::Open);
        }
        match Value::from_msgpack(bytes) {
            Ok(Value::Bytes(sealed)) => Ok(Body::Sealed(sealed)),
            Ok(_) => Err("the values are neither a map nor sealed".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Body::Open(values) => values.write(to),
            Body::Sealed(bytes) => put(to, &AsBytes(bytes)),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("written by a newer version ({0})")]
    Newer(u8),
    #[error("not a session record: {0}")]
    Malformed(String),
    #[error("the seal of its values is broken")]
    Seal,
}

/// Of a session, the values the last.
const FIELDS: usize = 7;
/// An alias has no fields with fields.
const ALIAS_DEPTH: usize = 3;

/// How MessagePack writes an array of so many fields: what tells a session from an alias.
const fn array(fields: usize) -> u8 {
    0x90 | fields as u8
}

fn put(to: &mut Vec<u8>, value: &impl Serialize) {
    rmp_serde::encode::write(to, value).expect("writing to memory does not fail");
}

/// Room for a version, and for what is beside values.
fn begun(weight: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + weight);
    bytes.push(VERSION);
    bytes
}

impl Stored {
    /// # Errors
    /// A newer version, or bytes that no version of ours wrote.
    pub fn decode(bytes: &Bytes) -> Result<Stored, CodecError> {
        let malformed = |why: &dyn std::fmt::Display| CodecError::Malformed(why.to_string());
        let (version, rest) = match bytes.split_first() {
            None => return Err(malformed(&"empty")),
            Some((&version, _)) if version > VERSION => return Err(CodecError::Newer(version)),
            Some((&version, rest)) => (version, rest),
        };
        if version != VERSION {
            return Err(malformed(&format_args!("version {version}")));
        }
        match rest {
            [kind, ..] if *kind == array(FIELDS) => Record::read(&bytes.slice(2..)).map(Stored::Session).map_err(CodecError::Malformed),
            [kind, ..] if *kind == array(5) => {
                msgpack::read(rest, ALIAS_DEPTH, "record").map(Stored::Alias).map_err(|error| malformed(&error))
            }
            _ => Err(malformed(&"neither a session nor an alias")),
        }
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Stored::Session(record) => record.encoded(record.values.weight(), |to| record.values.write(to)),
            Stored::Alias(alias) => {
                let mut bytes = begun(128);
                put(&mut bytes, alias);
                bytes
            }
        }
    }

    /// That of the session: an alias keeps it.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        match self {
            Stored::Session(record) => record.incarnation,
            Stored::Alias(alias) => alias.incarnation,
        }
    }
}

/// Whether these are the bytes of a session whose client has not come back with its id yet: nobody misses it.
#[must_use]
pub fn is_unpresented(bytes: &[u8]) -> bool {
    match bytes {
        [VERSION, kind, fields @ ..] if *kind == array(FIELDS) => {
            let mut fields = Fields::of(fields);
            (0..4).all(|_| fields.number().is_ok()) && fields.flag() == Ok(false)
        }
        _ => false,
    }
}

impl<V> Record<V> {
    fn with<W>(self, values: W) -> Record<W> {
        let Record { incarnation, created, accessed, timeout, presented, user, values: _ } = self;
        Record { incarnation, created, accessed, timeout, presented, user, values }
    }

    /// The bytes of the record: `write` adds its values, of so many bytes.
    fn encoded(&self, weight: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let Record { incarnation, created, accessed, timeout, presented, user, values: _ } = self;
        let mut bytes = begun(weight + user.as_ref().map_or(0, String::len));
        bytes.push(array(FIELDS));
        [incarnation, &created.0, &accessed.0, timeout].into_iter().for_each(|number| put(&mut bytes, number));
        put(&mut bytes, presented);
        put(&mut bytes, user);
        write(&mut bytes);
        bytes
    }
}

impl Record {
    /// The bytes of a record whose values anybody may read who reads the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encoded(self.values.weight(), |to| self.values.write(to))
    }

    /// The bytes of a record whose values are sealed: times and user stay readable, for listing and cleaning.
    #[must_use]
    pub fn encode_sealed(&self, sealer: &Sealer, key: &Key, nonce: [u8; NONCE]) -> Vec<u8> {
        let values = &self.values;
        let sealed = sealer.close_written(&bound(key, self.incarnation), nonce, 5 + values.weight(), |to| values.write(to));
        let sealed = Body::Sealed(sealed);
        self.encoded(sealed.weight(), |to| sealed.write(to))
    }

    /// Whether there is anything that is worth a record and a cookie.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.user.is_none()
    }
}

/// What seals the values of the session of an id.
#[must_use]
pub fn sealer(id: &Id) -> Sealer {
    Sealer::of(id, b"seal")
}

/// What a seal of values holds for: this key, incarnation and version.
fn bound(key: &Key, incarnation: u64) -> [u8; 41] {
    let mut bound = [VERSION; 41];
    bound[..32].copy_from_slice(&key.0);
    bound[32..40].copy_from_slice(&incarnation.to_le_bytes());
    bound
}

impl Record<Body> {
    /// The fields of a record, and nothing behind them.
    fn read(bytes: &Bytes) -> Result<Record<Body>, String> {
        let mut fields = Fields::of(bytes);
        Ok(Record {
            incarnation: fields.number()?,
            created: Timestamp(fields.number()?),
            accessed: Timestamp(fields.number()?),
            timeout: fields.number()?,
            presented: fields.flag()?,
            user: fields.text()?.map(str::to_owned),
            values: Body::read(&bytes.slice(fields.end()..))?,
        })
    }

    /// The session with its values, opened by its id if they are sealed.
    ///
    /// # Errors
    /// They were not sealed for this id, key and incarnation.
    pub fn open(self, id: &Id, key: &Key) -> Result<Record, CodecError> {
        self.unseal(id, key).map(|(record, _)| record)
    }

    /// The same, and what it was sealed with, if it was.
    ///
    /// # Errors
    /// As [`Record::open`].
    pub fn unseal(mut self, id: &Id, key: &Key) -> Result<(Record, Option<Sealer>), CodecError> {
        let (values, sealer) = match std::mem::replace(&mut self.values, Body::Sealed(Vec::new())) {
            Body::Open(values) => (values, None),
            Body::Sealed(sealed) => {
                let sealer = sealer(id);
                let plain = sealer.open(&bound(key, self.incarnation), sealed).ok_or(CodecError::Seal)?;
                (values(&plain).map_err(CodecError::Malformed)?, Some(sealer))
            }
        };
        Ok((self.with(values), sealer))
    }

    /// The session with its values; `None`: they are sealed.
    #[must_use]
    pub fn plain(mut self) -> Option<Record> {
        match std::mem::replace(&mut self.values, Body::Sealed(Vec::new())) {
            Body::Open(values) => Some(self.with(values)),
            Body::Sealed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
