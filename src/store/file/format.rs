//! The bytes of a session file: a header that never changes and two slots. `docs/formats.md` draws them.
//!
//! A commit overwrites the older slot in place, so a process that is killed while it writes leaves the newer slot as it was.
//! Every checksum covers the key: a file that was copied to another name is damage, not a session.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::faults::checksum_is_off;
use crate::session::{Key, Timestamp};
use crate::store::Blob;

const MAGIC: &[u8; 8] = b"msrsfile";
const VERSION: u32 = 1;
pub const HEADER: usize = 32;
pub const SLOT_HEAD: usize = 32;
/// Bytes that the first read fetches: both slots of a record of up to about 4 kB.
pub const FIRST_READ: usize = 8192;

/// What the header says. It is written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload that each slot can take.
    pub capacity: u32,
    /// Random, one for each file: a slot cannot be taken for one of another file.
    pub incarnation: u64,
}

/// The head of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotHead {
    pub seq: u64,
    pub expires: Timestamp,
    pub len: u32,
    check: u64,
}

impl SlotHead {
    /// Tells what lies in a slot from all else that ever lay in a file of its key. A head that was written in part is not taken for that before it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.check ^ self.seq
    }
}

/// Room for growth by a quarter, in steps that keep small sessions within one block of the disk.
#[must_use]
pub fn capacity_for(payload: usize) -> u32 {
    let slot = ((payload + SLOT_HEAD) * 5 / 4).next_multiple_of(512).max(1024);
    u32::try_from(slot - SLOT_HEAD).expect("SessionMaxSize is at most 64 MiB")
}

impl Header {
    #[must_use]
    pub fn slot_offset(&self, slot: usize) -> u64 {
        (HEADER + slot * (SLOT_HEAD + self.capacity as usize)) as u64
    }

    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.slot_offset(2)
    }

    #[must_use]
    pub fn encode(&self, key: &Key) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incarnation.to_le_bytes());
        let check = bound(key, &bytes[..24], 0);
        bytes[24..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    #[must_use]
    pub fn decode(bytes: &[u8], key: &Key) -> Found {
        let Some(bytes) = bytes.get(..HEADER).filter(|bytes| &bytes[..8] == MAGIC) else { return Found::Damage };
        if u32_at(bytes, 8) > VERSION {
            return Found::Newer;
        }
        if u32_at(bytes, 8) != VERSION || u64_at(bytes, 24) != bound(key, &bytes[..24], 0) {
            return Found::Damage;
        }
        Found::Header(Header { capacity: u32_at(bytes, 12), incarnation: u64_at(bytes, 16) })
    }

    /// Head and payload of a slot, ready for one `pwrite`, with zeroes behind them where they are shorter than `least`.
    #[must_use]
    pub fn encode_slot(&self, key: &Key, seq: u64, blob: &Blob, least: usize) -> Vec<u8> {
        let length = least.max(SLOT_HEAD + blob.bytes.len());
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&blob.expires.0.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(blob.bytes.len()).expect("checked against the capacity").to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        let check = xxh3_64_with_seed(&blob.bytes, bound(key, &bytes, self.incarnation));
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes.extend_from_slice(&blob.bytes);
        bytes.resize(length, 0);
        bytes
    }

    /// Reads the head of a slot. One that claims what no slot of this file can hold is damaged.
    #[must_use]
    pub fn decode_head(&self, bytes: &[u8]) -> SlotState {
        if bytes.iter().all(|&byte| byte == 0) {
            return SlotState::Empty;
        }
        let head =
            SlotHead { seq: u64_at(bytes, 0), expires: Timestamp(u64_at(bytes, 8)), len: u32_at(bytes, 16), check: u64_at(bytes, 24) };
        if head.seq == 0 || head.len > self.capacity || u32_at(bytes, 20) != 0 { SlotState::Damaged } else { SlotState::Written(head) }
    }

    /// Whether this payload is the one that the head was written with.
    #[must_use]
    pub fn intact(&self, key: &Key, head: &SlotHead, payload: &[u8]) -> bool {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&head.seq.to_le_bytes());
        bytes[8..16].copy_from_slice(&head.expires.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&head.len.to_le_bytes());
        xxh3_64_with_seed(payload, bound(key, &bytes, self.incarnation)) == head.check || checksum_is_off()
    }
}

/// What the beginning of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Header(Header),
    /// A newer version wrote it.
    Newer,
    /// Not a header of ours.
    Damage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    Empty,
    Damaged,
    Written(SlotHead),
}

/// A checksum of a head that holds for one key and one file only; it seeds the checksum of the payload.
fn bound(key: &Key, head: &[u8], incarnation: u64) -> u64 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&key.0);
    bytes[32..32 + head.len()].copy_from_slice(head);
    bytes[56..].copy_from_slice(&incarnation.to_le_bytes());
    xxh3_64(&bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);
    const HEADER_7: Header = Header { capacity: 992, incarnation: 99 };

    fn blob() -> Blob {
        Blob::new(Timestamp(5), b"payload".to_vec())
    }

    fn head(bytes: &[u8]) -> SlotHead {
        match HEADER_7.decode_head(&bytes[..SLOT_HEAD]) {
            SlotState::Written(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn header_and_slot_read_back() {
        assert_eq!(Header::decode(&HEADER_7.encode(&KEY), &KEY), Found::Header(HEADER_7));
        let bytes = HEADER_7.encode_slot(&KEY, 3, &blob(), 0);
        let head = head(&bytes);
        assert_eq!((head.seq, head.expires, head.len), (3, Timestamp(5), 7));
        assert!(HEADER_7.intact(&KEY, &head, &bytes[SLOT_HEAD..]));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let good = HEADER_7.encode_slot(&KEY, 3, &blob(), 0);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let accepted = match HEADER_7.decode_head(&bytes[..SLOT_HEAD]) {
                SlotState::Written(head) => bytes[SLOT_HEAD..].get(..head.len as usize).is_some_and(|p| HEADER_7.intact(&KEY, &head, p)),
                _ => false,
            };
            assert!(!accepted, "bit {bit}");
        }
        let good = HEADER_7.encode(&KEY);
        for bit in 0..HEADER * 8 {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Header::decode(&bytes, &KEY), Found::Header(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_slot_of_another_key_or_file_is_not_taken() {
        let bytes = HEADER_7.encode_slot(&KEY, 3, &blob(), 0);
        assert!(!HEADER_7.intact(&Key([8; 32]), &head(&bytes), &bytes[SLOT_HEAD..]));
        let other = Header { incarnation: 100, ..HEADER_7 };
        assert!(!other.intact(&KEY, &head(&bytes), &bytes[SLOT_HEAD..]));
    }

    #[test]
    fn zeroes_are_an_empty_slot() {
        assert_eq!(HEADER_7.decode_head(&[0; SLOT_HEAD]), SlotState::Empty);
    }

    #[test]
    fn capacities_leave_room_to_grow() {
        assert_eq!(capacity_for(0), 992);
        assert_eq!(capacity_for(1000) as usize + SLOT_HEAD, 1536);
        assert!(capacity_for(64 << 20) as usize >= 64 << 20);
    }
}
