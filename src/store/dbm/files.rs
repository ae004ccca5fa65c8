//! The files of an environment: whose they are, whether they are still there, how long they have to be.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use heed::MdbError;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, open};
use rustix::io::Errno;

use super::environment::failed;
use super::gate;
use super::{Error, Result};
use crate::lmdb;
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

/// Device and inode of data and locks: while they are these, what others write is what we read.
pub fn identity(dir: &Path) -> Result<[(u64, u64); 2]> {
    let of = |name: &str| {
        let path = dir.join(name);
        std::fs::symlink_metadata(&path).map(|found| (found.dev(), found.ino())).map_err(|error| Error::Io(path, error))
    };
    Ok([of(DATA)?, of(LOCK)?])
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

/// LMDB maps its locks and writes into the map: on a disk that is full by then, that would be a deadly signal. So the room is taken before. The
/// size of one that is in use is never changed. This process does not have it open: to close it would give its locks away.
pub fn set_room_aside(lock: &Path, readers: u32) -> Result<()> {
    let io = |errno: Errno| Error::Io(lock.to_owned(), errno.into());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = open(lock, flags, Mode::RUSR | Mode::WUSR).map_err(io)?;
    let size = match fstat(&file).map_err(io)?.st_size {
        0 => (u64::from(readers) + 1) * SLOT + HEAD,
        size => size.cast_unsigned(),
    };
    match fallocate(&file, FallocateFlags::empty(), 0, size) {
        Err(Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(errno) => Err(io(errno)),
    }
}

/// Of the file of locks: what a reader needs, and more than all before them does.
const SLOT: u64 = 64;
const HEAD: u64 = 4096;
