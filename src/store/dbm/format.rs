//! What lies in the databases: records with a check of their own, and rows that say when to look at them.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::session::{Key, Timestamp};
use crate::store::Blob;

/// Before the bytes of a record, 8 bytes each: check, expiry, time of its row in the index.
const HEAD: usize = 24;
const ROW: usize = 40;

/// A record, and when the index has it looked at: at its expiry or before. An expiry that moves on, as it does in use, leaves the row where it
/// is; who comes to it then moves it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    pub blob: Blob,
    pub row: Timestamp,
}

/// Holds for one key only: a record under another one is damage.
fn check(key: &Key, times: [u8; 16], bytes: &[u8]) -> u64 {
    let mut head = [0; 48];
    head[..32].copy_from_slice(&key.0);
    head[32..].copy_from_slice(&times);
    xxh3_64_with_seed(bytes, xxh3_64(&head))
}

/// What comes before the bytes of a record.
pub fn head(key: &Key, blob: &Blob, row: Timestamp) -> [u8; HEAD] {
    let mut times = [0; 16];
    times[..8].copy_from_slice(&blob.expires.0.to_le_bytes());
    times[8..].copy_from_slice(&row.0.to_le_bytes());
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&check(key, times, &blob.bytes).to_le_bytes());
    head[8..].copy_from_slice(&times);
    head
}

/// `None`: it is damaged.
pub fn decode(key: &Key, record: &[u8]) -> Option<Stored> {
    let (stored, rest) = record.split_first_chunk()?;
    let (times, bytes) = rest.split_first_chunk()?;
    if u64::from_le_bytes(*stored) != check(key, *times, bytes) {
        return None;
    }
    let expires = Timestamp(u64::from_le_bytes(*times.first_chunk()?));
    Some(Stored { blob: Blob::new(expires, bytes.to_vec()).known_by(claimed_version(record)?), row: claimed_row(record)? })
}

/// The check of a record, which all that is in it goes into, with its key.
pub fn claimed_version(record: &[u8]) -> Option<u64> {
    record.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What a record says of its row, whole or not.
pub fn claimed_row(record: &[u8]) -> Option<Timestamp> {
    let bytes = record.get(16..HEAD)?.try_into().ok()?;
    Some(Timestamp(u64::from_le_bytes(bytes)))
}

/// The row of the index: big-endian, so that the order of bytes is that of time.
pub fn row(expires: Timestamp, key: &Key) -> [u8; ROW] {
    let mut row = [0; ROW];
    row[..8].copy_from_slice(&expires.0.to_be_bytes());
    row[8..].copy_from_slice(&key.0);
    row
}

/// `None`: no row of ours.
pub fn read_row(row: &[u8]) -> Option<(Timestamp, Key)> {
    let row: &[u8; ROW] = row.try_into().ok()?;
    let (expires, key) = row.split_first_chunk()?;
    Some((Timestamp(u64::from_be_bytes(*expires)), Key(key.try_into().ok()?)))
}

/// A key as it stands in a database.
pub fn read_key(bytes: &[u8]) -> Option<Key> {
    bytes.try_into().ok().map(Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([0x5a; 32]);

    fn encode(key: &Key, blob: &Blob, row: Timestamp) -> Vec<u8> {
        [&head(key, blob, row)[..], &blob.bytes].concat()
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_under_its_own_key_only() {
        for bytes in [&b""[..], b"x", &[7; 5000]] {
            let blob = Blob::new(Timestamp(0x0102_0304_0506_0708), bytes.to_vec());
            let record = encode(&KEY, &blob, Timestamp(77));
            assert_eq!(decode(&KEY, &record), Some(Stored { blob, row: Timestamp(77) }));
            assert_eq!(claimed_row(&record), Some(Timestamp(77)));
            assert_eq!(decode(&Key([0x5b; 32]), &record), None);
        }
    }

    #[test]
    fn each_changed_bit_and_each_lost_byte_is_damage() {
        let record = encode(&KEY, &Blob::new(Timestamp(9), b"value".to_vec()), Timestamp(8));
        for bit in 0..record.len() * 8 {
            let mut changed = record.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&KEY, &changed), None, "bit {bit}");
        }
        for length in 0..record.len() {
            assert_eq!(decode(&KEY, &record[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn rows_are_in_the_order_of_time() {
        let times = [0, 1, 255, 256, u64::MAX / 2, u64::MAX].map(Timestamp);
        let rows = times.map(|time| row(time, &KEY));
        assert!(rows.is_sorted());
        assert_eq!(rows.map(|row| read_row(&row).unwrap()), times.map(|time| (time, KEY)));
        assert!(read_row(&rows[0][..39]).is_none());
    }
}
