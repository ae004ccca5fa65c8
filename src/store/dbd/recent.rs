//! The rows that were loaded last, for those who are about to change them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Row;
use crate::session::Key;

/// A request or two for each thread.
const MOST: usize = 64;
/// Beyond this a copy would cost what it saves.
const LARGEST: usize = 16 << 10;

#[derive(Default)]
pub struct Recent(Mutex<VecDeque<(Key, Row)>>);

impl Recent {
    /// In the place of what was known of the key.
    pub fn put(&self, key: &Key, row: &Row) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.retain(|(known, _)| known != key);
        if row.blob.bytes.len() <= LARGEST {
            rows.truncate(MOST - 1);
            rows.push_front((*key, row.clone()));
        }
    }

    /// Once: whoever finds it outdated reads.
    pub fn take(&self, key: &Key) -> Option<Row> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = rows.iter().position(|(known, _)| known == key)?;
        rows.remove(at).map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Timestamp;
    use crate::store::Blob;

    fn row(version: i64, size: usize) -> Row {
        Row { version, blob: Blob { expires: Timestamp(9), bytes: vec![0; size] } }
    }

    #[test]
    fn the_last_rows_are_known_once_and_large_ones_not() {
        let (recent, key) = (Recent::default(), |n: u8| Key([n; 32]));
        for n in 0..=64 {
            recent.put(&key(n), &row(1, 1));
            recent.put(&key(n), &row(2, 1));
        }
        assert!(recent.take(&key(0)).is_none(), "the oldest has gone");
        assert_eq!(recent.take(&key(64)).unwrap().version, 2);
        assert!(recent.take(&key(64)).is_none());
        recent.put(&key(7), &row(3, LARGEST + 1));
        assert!(recent.take(&key(7)).is_none(), "neither the large one nor what was there before");
    }
}
