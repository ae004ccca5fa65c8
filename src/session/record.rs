//! What is stored of a session, and its form in bytes: a version byte, then MessagePack. `docs/formats.md` draws it.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use super::value::MAX_DEPTH;
use super::values::Values;

/// The version this code writes. A record of a newer version counts as absent.
pub const VERSION: u8 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Set at creation, kept by updates: a commit names the one it loaded, so that nobody revives what was deleted.
    pub incarnation: u64,
    pub created: Timestamp,
    /// The last access, exact to the touch interval.
    pub accessed: Timestamp,
    /// Idle timeout in seconds, kept with the session.
    pub timeout: u64,
    /// The client has presented the id at least once.
    pub presented: bool,
    pub user: Option<String>,
    pub values: Values,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("written by a newer version ({0})")]
    Newer(u8),
    #[error("not a session record: {0}")]
    Malformed(String),
}

impl Record {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.values.weight());
        bytes.push(VERSION);
        rmp_serde::encode::write(&mut bytes, self).expect("writing to memory does not fail");
        bytes
    }

    /// # Errors
    /// A newer version, or bytes that no version of ours wrote.
    pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
        let (version, mut rest) = match bytes.split_first() {
            None => return Err(CodecError::Malformed("empty".into())),
            Some((&version, _)) if version > VERSION => return Err(CodecError::Newer(version)),
            Some((&version, rest)) => (version, rest),
        };
        if version != VERSION {
            return Err(CodecError::Malformed(format!("version {version}")));
        }
        let mut reader = rmp_serde::Deserializer::new(&mut rest);
        reader.set_max_depth(MAX_DEPTH + 3); // the record, its values, one level for the scalars inside
        let record = Record::deserialize(&mut reader).map_err(|error| CodecError::Malformed(error.to_string()))?;
        if rest.is_empty() { Ok(record) } else { Err(CodecError::Malformed("bytes after the record".into())) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::value::tests::any_value;

    pub fn any_record() -> impl Strategy<Value = Record> {
        let values = prop::collection::vec(("[a-zA-Z]{1,8}", any_value()), 0..6);
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>(), prop::option::of(".{0,9}"), values).prop_map(
            |(incarnation, created, accessed, timeout, presented, user, pairs)| {
                let mut values = Values::default();
                for (key, value) in pairs {
                    values.set(&key, value);
                }
                let (created, accessed) = (Timestamp(created), Timestamp(accessed));
                Record { incarnation, created, accessed, timeout, presented, user, values }
            },
        )
    }

    proptest! {
        #[test]
        fn every_record_survives_its_encoding(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }

        #[test]
        fn decoding_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode(&bytes);
        }

        #[test]
        fn a_truncated_record_is_refused(record in any_record(), cut in 1..50usize) {
            let bytes = record.encode();
            prop_assert!(Record::decode(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        assert_eq!(Record::decode(&[VERSION + 1, 0xc0]), Err(CodecError::Newer(VERSION + 1)));
        assert!(matches!(Record::decode(&[0]), Err(CodecError::Malformed(_))));
        assert!(matches!(Record::decode(&[]), Err(CodecError::Malformed(_))));
    }
}
