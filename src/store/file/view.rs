//! What is read of a session file.

use std::borrow::Cow;

use super::format::{FIRST_READ, Found, HEADER, Header, SLOT_HEAD, SlotHead, SlotState};
use super::record::RecordFile;
use crate::store::{Blob, Error, Result};

/// The newest valid slot of a file.
pub struct Newest {
    pub blob: Blob,
    pub header: Header,
    pub slot: usize,
    pub seq: u64,
    /// Bytes of payload in the other slot.
    pub older: usize,
}

impl Newest {
    /// Whether the file can take it as its next.
    pub fn fits(&self, blob: &Blob) -> bool {
        blob.bytes.len() <= self.header.capacity as usize && self.seq < u64::MAX
    }

    /// Behind the last number a new file begins again.
    pub fn next_seq(&self) -> u64 {
        self.seq.checked_add(1).unwrap_or(1)
    }
}

/// Room for a first read, on the stack: what is larger than a kilobyte takes the allocator long.
pub type Room = [u8; FIRST_READ];

/// What one read shows of a file, and more where a record is large.
pub struct View<'f> {
    of: &'f RecordFile<'f>,
    pub header: Header,
    heads: [SlotState; 2],
    /// The beginning of the file, up to [`FIRST_READ`].
    first: &'f [u8],
}

impl<'f> View<'f> {
    /// `None`: not a whole file of ours.
    pub fn read(of: &'f RecordFile<'f>, room: &'f mut Room) -> Result<Option<View<'f>>> {
        let first = of.read_first(room)?;
        let header = match Header::decode(first, of.key()) {
            Found::Header(header) => header,
            Found::Newer => return Err(Error::Newer(of.path().to_owned())),
            Found::Damage => return Ok(None),
        };
        if first.len() < FIRST_READ && (first.len() as u64) < header.file_size() {
            return Ok(None);
        }
        let mut view = View { of, header, heads: [SlotState::Empty; 2], first };
        for slot in 0..2 {
            let Some(head) = view.part(header.slot_offset(slot), SLOT_HEAD)? else { return Ok(None) };
            view.heads[slot] = header.decode_head(&head);
        }
        Ok(Some(view))
    }

    /// Bytes of the file, of the first read if it has them; `None`: the file ends before.
    fn part(&self, offset: u64, len: usize) -> Result<Option<Cow<'f, [u8]>>> {
        let start = usize::try_from(offset).expect("64-bit");
        if let Some(part) = self.first.get(start..start + len) {
            return Ok(Some(Cow::Borrowed(part)));
        }
        let bytes = self.of.read(offset, len)?;
        Ok((bytes.len() == len).then_some(Cow::Owned(bytes)))
    }

    pub fn written(&self) -> impl Iterator<Item = (usize, SlotHead)> {
        self.heads.iter().enumerate().filter_map(|(slot, state)| match state {
            SlotState::Written(head) => Some((slot, *head)),
            _ => None,
        })
    }

    /// The slot that says it is the newest; `None` if either is damaged, for it might be.
    pub fn claimed_newest(&self) -> Option<(usize, SlotHead)> {
        if self.heads.contains(&SlotState::Damaged) {
            return None;
        }
        self.written().max_by_key(|(_, head)| head.seq)
    }

    /// What lies in a slot; `None`: not what its head was written with.
    pub fn blob(&self, slot: usize, head: &SlotHead) -> Result<Option<Blob>> {
        let bytes = self.part(self.header.slot_offset(slot) + SLOT_HEAD as u64, head.len as usize)?;
        let whole = bytes.filter(|bytes| self.header.intact(self.of.key(), head, bytes));
        Ok(whole.map(|bytes| Blob::new(head.expires, bytes.into_owned()).known_by(head.version())))
    }

    pub fn newest(&self, slot: usize, head: &SlotHead, blob: Blob) -> Newest {
        let older = match self.heads[1 - slot] {
            SlotState::Empty => 0,
            SlotState::Written(head) => head.len as usize,
            SlotState::Damaged => self.header.capacity as usize,
        };
        Newest { blob, header: self.header, slot, seq: head.seq, older }
    }
}

const _: () = assert!(HEADER + SLOT_HEAD < FIRST_READ);
