//! What stays under the key of a session that has moved to another id.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::{Id, Key};
use super::seal::{NONCE, Sealer};
use super::time::{MICROS, Timestamp};

/// For so long at least a superseded id is told from an unknown one. Microseconds.
const SHORTEST: u64 = 600 * MICROS;

/// Why a session has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// The same visitor with the same rights: within the grace the old id leads to the session.
    Moved,
    /// A change of privilege: who knows the old id gains nothing by it.
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// That of the session.
    pub incarnation: u64,
    pub kind: Move,
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub to: Key,
    pub grace_ends: Timestamp,
    /// The new id, for those who present the old one; nothing if it was superseded.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    sealed_id: Vec<u8>,
}

impl Alias {
    /// What stays under `from`, the key of `old`.
    #[must_use]
    pub fn new(
        incarnation: u64,
        kind: Move,
        (old, from): (&Id, &Key),
        (new, to): (&Id, &Key),
        grace_ends: Timestamp,
        nonce: [u8; NONCE],
    ) -> Alias {
        let sealed_id = match kind {
            Move::Moved => Sealer::of(old, NEW_ID).close(&bound(from, to), nonce, new.expose().as_bytes()),
            Move::Superseded => Vec::new(),
        };
        Alias { incarnation, kind, to: *to, grace_ends, sealed_id }
    }

    /// The new id, for one who knows the old one, of this key. `None`: it was superseded, or the alias is damaged.
    #[must_use]
    pub fn new_id(&self, old: &Id, from: &Key) -> Option<Id> {
        Sealer::of(old, NEW_ID).open(&bound(from, &self.to), self.sealed_id.clone()).and_then(|plain| Id::parse(&plain))
    }

    /// Whether its seal is broken.
    #[must_use]
    pub fn is_damaged(&self, old: &Id, from: &Key) -> bool {
        self.kind == Move::Moved && self.new_id(old, from).is_none()
    }

    /// Whether the old id still leads to the session when it is presented.
    #[must_use]
    pub fn leads_on(&self, now: Timestamp) -> bool {
        self.kind == Move::Moved && now < self.grace_ends
    }

    /// When the alias itself is forgotten, and with it that the id ever was one.
    #[must_use]
    pub fn expires(&self, now: Timestamp) -> Timestamp {
        self.grace_ends.max(now.plus(SHORTEST))
    }
}

/// What the seal of an id is for.
const NEW_ID: &[u8] = b"alias";

fn bound(from: &Key, to: &Key) -> Vec<u8> {
    [from.0, to.0].concat()
}

fn write_key<S: Serializer>(key: &Key, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(&key.0)
}

fn read_key<'de, D: Deserializer<'de>>(from: D) -> Result<Key, D::Error> {
    read_bytes(from)?.try_into().map(Key).map_err(|_| D::Error::custom("a key has 32 bytes"))
}

fn write_bytes<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

fn read_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    match super::value::Value::deserialize(from)? {
        super::value::Value::Bytes(bytes) => Ok(bytes),
        _ => Err(D::Error::custom("not bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::Stored;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn alias(kind: Move) -> Alias {
        let (old, new) = (Id::from_random([1; 24]), Id::from_random([2; 24]));
        Alias::new(7, kind, (&old, &Key([1; 32])), (&new, &Key([2; 32])), NOW.plus(10 * MICROS), [5; NONCE])
    }

    #[test]
    fn the_old_id_opens_the_new_one_and_no_other_does() {
        let moved = alias(Move::Moved);
        assert_eq!(moved.new_id(&Id::from_random([1; 24]), &Key([1; 32])), Some(Id::from_random([2; 24])));
        assert_eq!(moved.new_id(&Id::from_random([3; 24]), &Key([1; 32])), None);
        assert_eq!(moved.new_id(&Id::from_random([1; 24]), &Key([3; 32])), None);
    }

    #[test]
    fn a_superseded_id_opens_nothing() {
        assert_eq!(alias(Move::Superseded).new_id(&Id::from_random([1; 24]), &Key([1; 32])), None);
        assert!(!alias(Move::Superseded).leads_on(NOW));
    }

    #[test]
    fn an_alias_leads_on_within_its_grace_and_is_known_for_ten_minutes_at_least() {
        let moved = alias(Move::Moved);
        assert!(moved.leads_on(NOW.plus(10 * MICROS - 1)) && !moved.leads_on(NOW.plus(10 * MICROS)));
        assert_eq!(moved.expires(NOW), NOW.plus(600 * MICROS));
        assert_eq!(Alias { grace_ends: NOW.plus(3600 * MICROS), ..moved }.expires(NOW), NOW.plus(3600 * MICROS));
    }

    #[test]
    fn an_alias_survives_its_encoding_and_shows_no_id() {
        for kind in [Move::Moved, Move::Superseded] {
            let stored = Stored::Alias(alias(kind));
            let bytes = stored.encode();
            assert_eq!(Stored::decode(&bytes.clone().into()), Ok(stored));
            assert!(!bytes.windows(32).any(|part| part == Id::from_random([2; 24]).expose().as_bytes()));
        }
    }
}
