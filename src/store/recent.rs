//! What was loaded last, for the updates that mostly follow. They compare before they set, so what is remembered need not be the newest.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Blob;
use crate::session::Key;

/// As many as threads of a process are between a load and its update.
const MOST: usize = 64;
/// Beyond this a copy would cost what it saves.
const LARGEST: usize = 16 << 10;

/// A record with what tells its version.
pub trait Versioned: Clone {
    fn blob(&self) -> &Blob;
}

pub struct Recent<V>(Mutex<VecDeque<(Key, V)>>);

impl<V> Default for Recent<V> {
    fn default() -> Recent<V> {
        Recent(Mutex::default())
    }
}

impl<V: Versioned> Recent<V> {
    /// In the place of what was known of the key. What is too large changes nothing.
    pub fn put(&self, key: &Key, value: &V) {
        if value.blob().bytes.len() > LARGEST {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known != key);
        all.truncate(MOST - 1);
        all.push_front((*key, value.clone()));
    }

    /// The same, but what was known is forgotten also for one that is too large.
    pub fn replace(&self, key: &Key, value: &V) {
        drop(self.take(key));
        self.put(key, value);
    }

    /// Once: whoever finds it outdated reads.
    pub fn take(&self, key: &Key) -> Option<V> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(known, _)| known == key)?;
        all.remove(at).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Timestamp;

    #[derive(Debug, Clone, PartialEq)]
    struct Row(u8, Blob);

    impl Versioned for Row {
        fn blob(&self) -> &Blob {
            &self.1
        }
    }

    fn row(version: u8, size: usize) -> Row {
        Row(version, Blob { expires: Timestamp(9), bytes: vec![0; size] })
    }

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    #[test]
    fn the_last_ones_are_remembered_once_and_large_ones_not() {
        let recent = Recent::default();
        (0..=MOST as u8).for_each(|n| recent.put(&key(n), &row(1, 1)));
        recent.put(&key(2), &row(2, 2));
        assert_eq!(recent.take(&key(0)), None, "the oldest went");
        assert_eq!((recent.take(&key(2)), recent.take(&key(2))), (Some(row(2, 2)), None));
        recent.put(&key(1), &row(1, LARGEST + 1));
        assert_eq!(recent.take(&key(1)), Some(row(1, 1)));
    }

    #[test]
    fn what_is_replaced_is_known_once_and_by_a_large_one_no_more() {
        let recent = Recent::default();
        for n in 0..=64 {
            recent.replace(&key(n), &row(1, 1));
            recent.replace(&key(n), &row(2, 1));
        }
        assert!(recent.take(&key(0)).is_none(), "the oldest has gone");
        assert_eq!(recent.take(&key(64)).unwrap().0, 2);
        assert!(recent.take(&key(64)).is_none());
        recent.replace(&key(7), &row(3, LARGEST + 1));
        assert!(recent.take(&key(7)).is_none(), "neither the large one nor what was there before");
    }
}
