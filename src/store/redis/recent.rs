//! What was loaded last, for the update that mostly follows. It compares before it sets, so what is remembered need not be the newest.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::format::Value;
use crate::session::Key;

/// As many as threads of a process are between a load and its update.
const MOST: usize = 64;
/// What is larger is read again.
const LARGEST: usize = 16 << 10;

#[derive(Default)]
pub struct Recent(Mutex<VecDeque<(Key, Value)>>);

impl Recent {
    pub fn put(&self, key: Key, value: &Value) {
        if value.blob.bytes.len() > LARGEST {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != key);
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back((key, value.clone()));
    }

    pub fn take(&self, key: &Key) -> Option<Value> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(known, _)| known == key)?;
        all.remove(at).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Timestamp;
    use crate::store::Blob;
    use crate::store::redis::format::Version;

    #[test]
    fn the_last_ones_are_remembered_once_and_large_ones_not() {
        let recent = Recent::default();
        let value = |size| Value {
            version: Version([size as u8; 8]),
            before: Version::default(),
            blob: Blob { expires: Timestamp(1), bytes: vec![0; size] },
        };
        let key = |n| Key([n; 32]);
        (0..=MOST as u8).for_each(|n| recent.put(key(n), &value(1)));
        recent.put(key(2), &value(2));
        assert_eq!(recent.take(&key(0)), None, "the oldest went");
        assert_eq!((recent.take(&key(2)), recent.take(&key(2))), (Some(value(2)), None));
        recent.put(key(1), &value(LARGEST + 1));
        assert_eq!(recent.take(&key(1)), Some(value(1)));
    }
}
