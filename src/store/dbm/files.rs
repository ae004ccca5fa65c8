//! The files of an environment: whose they are, whether they are still there, how long they have to be.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use heed::MdbError;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, open};
use rustix::io::Errno;

use super::gate;
use super::trouble::failed;
use super::{Error, Result};
use crate::lmdb;
use crate::room::reserve;
use crate::store::directory::MARKER;
use crate::store::file::is_ours;

pub const DATA: &str = "data.mdb";
pub const LOCK: &str = "lock.mdb";
/// All that lies in a directory of this store.
pub const FILES: [&str; 4] = [MARKER, DATA, LOCK, gate::NAME];

/// How long the file of the data should be, if it is shorter than its pages say.
pub fn missing_length(environment: &lmdb::Environment, dir: &Path) -> Result<Option<u64>> {
    let pages = environment.info().last_page_number as u64 + 1;
    let wanted = pages.saturating_mul(environment.unnamed_database_stat().page_size.into());
    let found = std::fs::metadata(dir.join(DATA)).map_err(|error| Error::Io(dir.join(DATA), error))?;
    Ok((found.len() < wanted).then_some(wanted))
}

/// A crash of the machine may leave the file too short, and to touch what is behind the end of a mapped file is a deadly signal. What is missing
/// is zeroes then, which LMDB takes for the damage that it is. The caller has his turn; in a transaction nobody else writes.
pub fn mend_length(environment: &lmdb::Environment, dir: &Path) -> Result<()> {
    let failed = |error| failed(dir, error);
    let _writer = environment.write_txn().map_err(failed)?;
    match missing_length(environment, dir)? {
        Some(length) if length > lmdb::MAP as u64 => Err(failed(heed::Error::Mdb(MdbError::Corrupted))),
        Some(length) => {
            let file = environment.try_clone_inner_file().map_err(failed)?;
            file.set_len(length).map_err(|error| Error::Io(dir.join(DATA), error))
        }
        None => Ok(()),
    }
}

/// Device and inode.
pub type Identity = (u64, u64);

/// What lies under the names of data and locks: while it is what is open, what others write is what we read.
pub fn there(dir: &Path) -> std::io::Result<[Identity; 2]> {
    // std asks for all that statx can tell, at each commit.
    let of = |name: &str| rustix::fs::lstat(dir.join(name)).map(|found| (found.st_dev, found.st_ino));
    Ok([of(DATA)?, of(LOCK)?])
}

/// The data that an environment has open.
pub fn opened(environment: &lmdb::Environment, dir: &Path) -> Result<Identity> {
    let file = environment.try_clone_inner_file().map_err(|error| failed(dir, error))?;
    file.metadata().map(|found| (found.dev(), found.ino())).map_err(|error| Error::Io(dir.join(DATA), error))
}

/// Something else under the name of one of our files.
pub fn refuse_foreign(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if is_ours(&found) => Ok(()),
        Ok(_) => {
            Err(Error::Unusable(format!("{}: it is no file of the dbm store, or has another link or owner; move it away", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::Io(path.to_owned(), error)),
    }
}

pub fn is_made(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

/// The file of locks before LMDB has it.
pub struct Room {
    /// So many readers have a place on the disk.
    pub readers: u32,
    pub file: Identity,
}

/// LMDB maps its locks and writes into the map: on a disk that is full by then, that would be a deadly signal. So the room is taken before, also
/// that for more readers than before: LMDB makes the file longer if nobody else has it. The size of one that is in use is never changed. This process
/// does not have it open: to close it would give its locks away.
pub fn set_room_aside(lock: &Path, readers: u32) -> Result<Room> {
    let io = |errno: Errno| Error::Io(lock.to_owned(), errno.into());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = open(lock, flags, Mode::RUSR | Mode::WUSR).map_err(io)?;
    let found = fstat(&file).map_err(io)?;
    let wanted = (u64::from(readers) + 1) * SLOT + HEAD;
    let size = if found.st_size == 0 { wanted } else { found.st_size.cast_unsigned() };
    let file = File::from(file);
    reserve(&file, size).map_err(|error| Error::Io(lock.to_owned(), error))?;
    let is_more = size < wanted && fallocate(&file, FallocateFlags::KEEP_SIZE, 0, wanted).is_ok();
    let places = (if is_more { wanted } else { size }).saturating_sub(HEAD) / SLOT;
    let readers = u32::try_from(places).unwrap_or(u32::MAX).clamp(1, readers);
    Ok(Room { readers, file: (found.st_dev, found.st_ino) })
}

/// Of the file of locks: what a reader needs, and more than all before them does.
const SLOT: u64 = 64;
const HEAD: u64 = 4096;
