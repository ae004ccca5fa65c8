//! One open session file.

use std::cell::Cell;
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FlockOperation, Mode, StatxFlags, fchmod, fstat, rename, statx};
use rustix::io::{Errno, pread, retry_on_intr};

use super::format::{FIRST_READ, Header, SLOT_HEAD, capacity_for};
use super::open_files::{Access, OpenFile, flags};
use super::view::{Newest, Room, View};
use crate::session::Key;
use crate::session::session::Kept;
use crate::store::{Blob, Durability, Error, Result, flock};

/// A lock is held for some microseconds. Whoever holds one for this long is stopped or not of ours.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a file of a record of some 6 kB.
const SMALL: u64 = 16384;

pub struct RecordFile<'p> {
    file: Arc<OpenFile>,
    path: &'p Path,
    is_locked: Cell<bool>,
    /// Of the file, as far as it was read.
    is_small: Cell<bool>,
}

/// A lock is given back by name: a process that is forked meanwhile has the file open too, so to close it here would not do.
impl Drop for RecordFile<'_> {
    fn drop(&mut self) {
        if self.is_locked.get() {
            let _ = rustix::fs::flock(self.file(), FlockOperation::Unlock);
        }
    }
}

impl<'p> RecordFile<'p> {
    pub fn open(path: &'p Path, key: Key, access: Access) -> std::io::Result<RecordFile<'p>> {
        OpenFile::open(path, key, access).map(|file| RecordFile::of(Arc::new(file), path))
    }

    pub fn of(file: Arc<OpenFile>, path: &'p Path) -> RecordFile<'p> {
        RecordFile { file, path, is_locked: Cell::new(false), is_small: Cell::new(false) }
    }

    /// That which stayed open when this was loaded, if it did, and nobody forked since.
    pub fn kept(path: &'p Path, key: Key, loaded: &Blob) -> Option<RecordFile<'p>> {
        let file: Arc<OpenFile> = Arc::clone(loaded.kept.as_ref()?).downcast().ok()?;
        let is_usable = file.key == key && file.is_of_no_other();
        is_usable.then(|| RecordFile::of(file, path))
    }

    /// Has it stay open with what was loaded from it.
    pub fn keep(&self, blob: Blob) -> Blob {
        Blob { kept: Some(Arc::clone(&self.file) as Kept), ..blob }
    }

    /// As [`RecordFile::newest_unlocked`] found it.
    pub fn is_small(&self) -> bool {
        self.is_small.get()
    }

    pub fn open_file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    pub fn key(&self) -> &Key {
        &self.file.key
    }

    pub fn path(&self) -> &Path {
        self.path
    }

    fn file(&self) -> &File {
        &self.file.file
    }

    /// Writes a complete new file. It has its final size from the beginning, so that a truncated one is noticed.
    pub fn create(path: &Path, key: Key, incarnation: u64, seq: u64, blob: &Blob, durability: Durability) -> std::io::Result<()> {
        let header = Header { capacity: capacity_for(blob.bytes.len()), incarnation };
        let mut bytes = header.encode(&key).to_vec();
        bytes.extend_from_slice(&header.encode_slot(&key, seq, blob, 0));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags()).open(path)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(header.file_size())?;
        if durability == Durability::Machine { file.sync_all() } else { Ok(()) }
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::Io(self.path.to_owned(), error)
    }

    pub fn metadata(&self) -> Result<Metadata> {
        self.file().metadata().map_err(|error| self.io(error))
    }

    /// `false`: replaced or deleted since it was opened.
    pub fn is_linked(&self) -> Result<bool> {
        self.linked_and_mode().map(|(is_linked, _)| is_linked)
    }

    /// The same of one that was open for long: it may have been put aside too.
    pub fn is_in_place(&self) -> Result<bool> {
        self.linked_and_mode().map(|(is_linked, mode)| is_linked && mode & Mode::WUSR.bits() != 0)
    }

    fn linked_and_mode(&self) -> Result<(bool, u32)> {
        // Nothing else is asked for: to be asked when a file was changed has the kernel write a new time to the disk with the next change.
        let asked = statx(self.file(), c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK | StatxFlags::MODE);
        let found = asked.map(|found| (found.stx_nlink > 0, found.stx_mode.into()));
        // An old kernel, or a sandbox.
        let found = found.or_else(|_| fstat(self.file()).map(|found| (found.st_nlink > 0, found.st_mode)));
        found.map_err(|errno| self.io(errno.into()))
    }

    /// Whether its name leads to it still.
    pub fn is_under_its_name(&self) -> Result<bool> {
        let mine = self.metadata()?;
        match std::fs::symlink_metadata(self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (mine.dev(), mine.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Takes it out of the way, for inspection. The caller has the lock.
    pub fn put_aside(&self, to: &Path) -> Result<()> {
        rename(self.path, to).map_err(|errno| self.io(errno.into()))?;
        let _ = fchmod(self.file(), Mode::RUSR); // so whoever has it open for a change learns of it
        Ok(())
    }

    /// The beginning of the file, and in most cases all of it.
    pub fn read_first<'r>(&self, room: &'r mut Room) -> Result<&'r [u8]> {
        let read = retry_on_intr(|| pread(self.file(), &mut room[..], 0)).map_err(|errno| self.io(errno.into()))?;
        Ok(&room[..read])
    }

    /// So many bytes, or as many as there are before the end of the file.
    pub fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let more = len - bytes.len();
            match pread(self.file(), spare_capacity(&mut bytes), offset + (len - more) as u64) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.io(errno.into())),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    pub fn lock(&self) -> Result<()> {
        self.wait_for(FlockOperation::NonBlockingLockExclusive)
    }

    pub fn lock_shared(&self) -> Result<()> {
        self.wait_for(FlockOperation::NonBlockingLockShared)
    }

    fn wait_for(&self, operation: FlockOperation) -> Result<()> {
        match flock::wait_for(self.file(), operation, LOCK_PATIENCE) {
            Ok(true) => {
                self.is_locked.set(true);
                Ok(())
            }
            Ok(false) => Err(Error::Locked(self.path.to_owned(), LOCK_PATIENCE)),
            Err(errno) => Err(self.io(errno.into())),
        }
    }

    pub fn try_lock(&self) -> Result<bool> {
        match rustix::fs::flock(self.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.is_locked.set(true);
                Ok(true)
            }
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.io(errno.into())),
        }
    }

    fn corrupt(&self) -> Error {
        Error::Corrupt(self.path.to_owned())
    }

    /// The newest blob, read without the lock. `None`: that cannot be told without it.
    pub fn newest_unlocked(&self) -> Result<Option<Blob>> {
        let mut room = [0; FIRST_READ];
        let Some(view) = View::read(self, &mut room)? else { return Ok(None) };
        self.is_small.set(view.header.file_size() <= SMALL);
        let Some((slot, head)) = view.claimed_newest() else { return Ok(None) };
        view.blob(slot, &head)
    }

    /// The newest blob. The caller holds the lock, so what is not valid now was left by a writer that died, or is damage. If it is `loaded` still,
    /// that was read and found whole before.
    pub fn newest(&self, loaded: Option<&Blob>) -> Result<Newest> {
        let mut room = [0; FIRST_READ];
        let view = View::read(self, &mut room)?.ok_or_else(|| self.corrupt())?;
        if let (Some(loaded), Some((slot, head))) = (loaded, view.claimed_newest())
            && loaded.version == Some(head.version())
        {
            return Ok(view.newest(slot, &head, loaded.clone()));
        }
        let mut slots: Vec<_> = view.written().collect();
        slots.sort_by_key(|(slot, head)| std::cmp::Reverse((head.seq, *slot)));
        for (slot, head) in slots {
            if let Some(blob) = view.blob(slot, &head)? {
                return Ok(view.newest(slot, &head, blob));
            }
        }
        Err(self.corrupt())
    }

    /// Two writes, after which neither slot holds anything else. The first one is the commit. `false`: the second one failed, and what was
    /// there before is still in its slot.
    pub fn overwrite_both(&self, newest: &Newest, blob: &Blob, durability: Durability) -> Result<bool> {
        self.overwrite_older(newest, blob, durability)?;
        let written = Newest {
            blob: Blob::new(blob.expires, Bytes::new()),
            header: newest.header,
            slot: 1 - newest.slot,
            seq: newest.next_seq(),
            older: newest.blob.bytes.len(),
        };
        Ok(self.overwrite_older(&written, blob, durability).is_ok())
    }

    /// One write over the slot that is not the newest, and over all that was in it. The caller holds the lock.
    pub fn overwrite_older(&self, newest: &Newest, blob: &Blob, durability: Durability) -> Result<()> {
        let bytes = newest.header.encode_slot(&self.file.key, newest.next_seq(), blob, SLOT_HEAD + newest.older);
        let written = self.file().write_all_at(&bytes, newest.header.slot_offset(1 - newest.slot));
        written
            .and_then(|()| if durability == Durability::Machine { self.file().sync_data() } else { Ok(()) })
            .map_err(|error| self.io(error))
    }
}
