//! The bytes of a record in Redis (docs/formats.md): a head that tells one write from another, and what was written.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::session::{Key, Timestamp};
use crate::store::Blob;

/// What each record begins with; behind the name stands the number of the layout.
const MAGIC: [u8; 5] = *b"msrs\x01";
/// Magic and version, by which a script tells what it finds.
pub const MARK: usize = 13;
/// Magic, version, version before, expires, check.
const HEAD: usize = 37;

/// Drawn for each write. Two writes never have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version(pub [u8; 8]);

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub version: Version,
    /// That of the write before: who lost the answer to a write finds it here, if another one followed.
    pub before: Version,
    pub blob: Blob,
}

impl From<Version> for u64 {
    fn from(version: Version) -> u64 {
        u64::from_ne_bytes(version.0)
    }
}

impl From<u64> for Version {
    fn from(version: u64) -> Version {
        Version(version.to_ne_bytes())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Value(Value),
    /// A newer layout.
    Newer,
    Damage,
}

impl Version {
    /// # Errors
    /// The kernel has no random numbers.
    pub fn draw() -> Result<Version, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map(|()| Version(bytes))
    }

    /// The bytes that a record of this version begins with.
    pub fn mark(self) -> [u8; MARK] {
        let mut mark = [0; MARK];
        mark[..5].copy_from_slice(&MAGIC);
        mark[5..].copy_from_slice(&self.0);
        mark
    }

    /// The version of a record, and the one before, whatever else is in it.
    pub fn peek(bytes: &[u8]) -> Option<(Version, Version)> {
        let head = bytes.get(..HEAD).filter(|head| head[..5] == MAGIC)?;
        Some((Version(part(head, 5)), Version(part(head, 13))))
    }
}

/// Binds what is stored to its key: under another one it is damage.
fn check(key: &Key, head: &[u8], payload: &[u8]) -> [u8; 8] {
    let bound = xxh3_64(&[&key.0, head].concat());
    xxh3_64_with_seed(payload, bound).to_le_bytes()
}

pub fn encode(key: &Key, version: Version, before: Version, blob: &Blob) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + blob.bytes.len());
    bytes.extend(version.mark());
    bytes.extend(before.0);
    bytes.extend(blob.expires.0.to_le_bytes());
    bytes.extend(check(key, &bytes, &blob.bytes));
    bytes.extend(&blob.bytes);
    bytes
}

fn part(head: &[u8], at: usize) -> [u8; 8] {
    head[at..at + 8].try_into().expect("eight bytes")
}

pub fn decode(key: &Key, bytes: &Bytes) -> Found {
    let Some((version, before)) = Version::peek(bytes) else {
        let is_newer = bytes.starts_with(&MAGIC[..4]) && bytes.get(4).is_some_and(|&layout| layout > MAGIC[4]);
        return if is_newer { Found::Newer } else { Found::Damage };
    };
    let (head, payload) = (&bytes[..HEAD], bytes.slice(HEAD..));
    if part(head, HEAD - 8) != check(key, &head[..HEAD - 8], &payload) {
        return Found::Damage;
    }
    let blob = Blob::new(Timestamp(u64::from_le_bytes(part(head, 21))), payload);
    Found::Value(Value { version, before, blob })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_every_other_byte_is_damage() {
        let key = Key([3; 32]);
        let value = Value { version: Version([1; 8]), before: Version([2; 8]), blob: Blob::new(Timestamp(77), &b"payload"[..]) };
        let bytes = Bytes::from(encode(&key, value.version, value.before, &value.blob));
        assert_eq!((bytes.len(), &bytes[..MARK]), (HEAD + 7, &value.version.mark()[..]));
        assert_eq!(decode(&key, &bytes), Found::Value(value));
        assert_eq!(decode(&Key([4; 32]), &bytes), Found::Damage, "under another key");
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 1; // that of the layout becomes an older one
            assert_eq!(decode(&key, &other.into()), Found::Damage, "byte {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(decode(&key, &bytes.slice(..length)), Found::Damage, "{length} bytes");
        }
        let newer = [b"msrs\x02", &bytes[5..]].concat();
        assert_eq!(decode(&key, &newer.into()), Found::Newer);
    }
}
