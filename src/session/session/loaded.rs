//! What a session was read from: where nobody has changed it, it need not be read again.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use crate::session::seal::Sealer;
use crate::session::{Key, Record, Timestamp};

/// What a store keeps of a load for the change that follows.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// What a record was read from.
#[derive(Debug)]
pub struct Loaded {
    /// Where it lay: values are sealed for that place.
    pub key: Key,
    pub bytes: Bytes,
    pub expires: Timestamp,
    /// By what the store knows it again, if it does.
    pub version: Option<u64>,
    pub kept: Option<Kept>,
    /// What its values were sealed with, if they were.
    pub sealer: Option<Sealer>,
    /// The access that it tells, which the session may show as another.
    pub accessed: Timestamp,
}

impl Session {
    /// Keeps what the record was read from, so that it need not be read again where nobody has changed it.
    pub fn remember(&mut self, loaded: Loaded) {
        self.loaded = Some(loaded);
    }

    /// Gives back what the store keeps for a change: if one comes at all, it comes later.
    pub fn let_go(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.kept = None;
        }
    }

    /// What was loaded from there.
    #[must_use]
    pub fn loaded(&self, key: &Key) -> Option<&Loaded> {
        self.loaded.as_ref().filter(|loaded| loaded.key == *key)
    }

    /// The record that these bytes are, if it is the one that was loaded from there, and whether it was sealed.
    #[must_use]
    pub fn as_loaded(&self, key: &Key, bytes: &Bytes) -> Option<(Record, bool)> {
        let is_same = |known: &Bytes| known.as_ptr_range() == bytes.as_ptr_range() || known == bytes;
        let loaded = self.loaded(key).filter(|loaded| is_same(&loaded.bytes))?;
        Some((Record { accessed: loaded.accessed, ..self.base.clone() }, loaded.sealer.is_some()))
    }
}
