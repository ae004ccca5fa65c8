//! One file per session in 256 sub-directories, with commits in place.
//!
//! * **load** takes no lock: one open, if that, one read, the newest valid slot. A slot that is not valid means a writer at work or one
//!   that died, and a second look under the lock.
//! * A small file stays open for the next request of its session ([`OpenFiles`]); **load to change** leaves each one open for the
//!   update that follows.
//! * **update** takes the lock of the file (flock), makes sure that the file was not replaced meanwhile, and overwrites the older
//!   slot with one write.
//! * **growth** beyond the slots writes a new file and renames it over the old one, while it holds the lock of the old one.
//! * **create** writes a complete temporary file and renames it to where nothing is. **delete** works under the lock.
//!
//! Nothing on the hot path truncates, renames or waits for the disk. What is promised: a killed process never damages or loses an
//! acknowledged change; a crash of the machine may lose the last seconds, with [`Durability::Machine`] nothing acknowledged.

mod format;
mod open_files;
mod record;
mod sweep;
mod view;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::directory::{self, Kind};
use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use open_files::{Access, OF_THIS_PROCESS, OpenFiles};
use record::RecordFile;
use sweep::Order;
pub use sweep::{Name, classify, is_ours};

pub struct FileStore {
    dir: PathBuf,
    open_files: &'static OpenFiles,
}

impl FileStore {
    /// A store in `dir`. Nothing is touched before the first use.
    #[must_use]
    pub fn new(dir: PathBuf) -> FileStore {
        FileStore { dir, open_files: &OF_THIS_PROCESS }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    fn path(&self, key: &Key) -> PathBuf {
        let mut hex = [0; 64];
        HEXLOWER.encode_mut(&key.0, &mut hex);
        let dir = self.dir.as_os_str().as_bytes();
        let mut path = Vec::with_capacity(dir.len() + hex.len() + 4);
        for part in [dir, b"/", &hex[..2], b"/", &hex] {
            path.extend_from_slice(part);
        }
        OsString::from_vec(path).into()
    }

    /// A file is not there. Before that means "no such session", the directory must be there and ours: a store that vanished is
    /// a failure. It is claimed anew if somebody made it again.
    fn absent(&self) -> Result<()> {
        if directory::is_claimed(&self.dir, Kind::File)? { Ok(()) } else { directory::claim(&self.dir, Kind::File) }
    }

    fn open<'p>(&self, path: &'p Path, key: &Key, access: Access) -> Result<Option<RecordFile<'p>>> {
        if let Some(file) = self.open_files.take(path, key, access) {
            return Ok(Some(RecordFile::of(file, path)));
        }
        match RecordFile::open(path, *key, access) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.absent().map(|()| None),
            Err(error) => Err(Error::Io(path.to_owned(), error)),
        }
    }

    /// For the next request of its session, unless it is large: a file that was deleted takes its room on the disk for as long as it is open.
    fn keep_open(&self, file: &RecordFile<'_>) {
        if file.is_small() {
            self.open_files.keep(Arc::clone(file.open_file()));
        }
    }

    /// Opens the file of a key and locks it, so that nobody else changes, replaces or deletes it.
    fn open_locked<'p>(&self, path: &'p Path, key: &Key, loaded: Option<&'p Blob>) -> Result<Option<RecordFile<'p>>> {
        if let Some(kept) = loaded.and_then(|loaded| RecordFile::kept(path, *key, loaded)) {
            kept.lock()?;
            if kept.is_in_place()? {
                return Ok(Some(kept));
            }
        }
        loop {
            let Some(file) = self.open(path, key, Access::Write)? else { return Ok(None) };
            file.lock()?;
            if file.is_linked()? {
                return Ok(Some(file));
            }
        }
    }

    fn write_new(&self, path: &Path, key: &Key, seq: u64, blob: &Blob, durability: Durability) -> Result<PathBuf> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Error::Io(path.to_owned(), std::io::Error::other(error.to_string())))?;
        let (name, incarnation) = random.split_at(8);
        let temporary = path.with_file_name(format!("{}.{}.tmp", key.hex(), HEXLOWER.encode(name)));
        let incarnation = u64::from_le_bytes(incarnation.try_into().expect("eight bytes"));
        let written = RecordFile::create(&temporary, *key, incarnation, seq, blob, durability);
        if let Err(error) = written {
            if error.kind() != ErrorKind::NotFound {
                let _ = std::fs::remove_file(&temporary);
            }
            return Err(Error::Io(temporary, error));
        }
        Ok(temporary)
    }

    /// Makes the sub-directory of a path that is about to be created.
    fn make_sub(&self, path: &Path, durability: Durability) -> Result<()> {
        self.absent()?;
        let sub = path.parent().expect("a record lies in a sub-directory");
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(sub) {
            Ok(()) => sync_directory(&self.dir, durability),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Error::Io(sub.to_owned(), error)),
        }
    }
}

/// Makes a name that was just added or removed survive a crash of the machine, if that is wanted.
fn sync_directory(dir: &Path, durability: Durability) -> Result<()> {
    match durability {
        Durability::Process => Ok(()),
        Durability::Machine => std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::Io(dir.to_owned(), error)),
    }
}

/// The path of a sub-directory by the first byte of the key.
#[must_use]
pub fn sub(dir: &Path, byte: u8) -> PathBuf {
    dir.join(HEXLOWER.encode(&[byte]))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Renames to a name that must be free. `false`: it is taken.
fn rename_to_free(from: &Path, to: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // A file system without the flag.
        Err(Errno::INVAL | Errno::NOSYS) => match std::fs::hard_link(from, to) {
            Ok(()) => std::fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(errno) => Err(errno.into()),
    }
}

impl Store for FileStore {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        let path = self.path(key);
        let temporary = match self.write_new(&path, key, 1, blob, durability) {
            Err(Error::Io(_, error)) if error.kind() == ErrorKind::NotFound => {
                self.make_sub(&path, durability)?;
                self.write_new(&path, key, 1, blob, durability)?
            }
            other => other?,
        };
        let placed = rename_to_free(&temporary, &path);
        if !matches!(placed, Ok(true)) {
            let _ = std::fs::remove_file(&temporary);
        }
        let free = placed.map_err(|error| Error::Io(path.clone(), error))?;
        if free {
            sync_directory(parent(&path), durability)?;
        }
        Ok(free)
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        let path = self.path(key);
        loop {
            let Some(file) = self.open(&path, key, Access::Read)? else { return Ok(None) };
            match file.newest_unlocked() {
                Ok(Some(blob)) => {
                    self.keep_open(&file);
                    return Ok(Some(blob));
                }
                Ok(None) => {}
                Err(Error::Newer(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
            file.lock_shared()?;
            if file.is_linked()? {
                return Ok(Some(file.newest(None)?.blob));
            }
        }
    }

    fn load_to_change(&self, key: &Key) -> Result<Option<Blob>> {
        let path = self.path(key);
        match self.open(&path, key, Access::Write) {
            Ok(None) => return Ok(None),
            Ok(Some(file)) => {
                if let Ok(Some(blob)) = file.newest_unlocked() {
                    self.keep_open(&file);
                    return Ok(Some(file.keep(blob)));
                }
            }
            Err(_) => {}
        }
        self.load(key) // which tells what is the matter, or waits for whoever writes
    }

    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        let path = self.path(key);
        let Some(file) = self.open_locked(&path, key, loaded)? else {
            change(None);
            return Ok(Outcome::Kept);
        };
        let newest = match file.newest(loaded) {
            Err(Error::Newer(_)) => {
                change(None);
                return Ok(Outcome::Kept);
            }
            other => other?,
        };
        match change(Some(&newest.blob)) {
            Change::Keep => Ok(Outcome::Kept),
            Change::Delete => {
                std::fs::remove_file(&path).map_err(|error| Error::Io(path.clone(), error))?;
                sync_directory(parent(&path), durability)?;
                Ok(Outcome::Deleted)
            }
            Change::Write(blob) if newest.fits(&blob) => {
                file.overwrite_older(&newest, &blob, durability)?;
                Ok(Outcome::Written)
            }
            Change::Replace(blob) if newest.fits(&blob) && file.overwrite_both(&newest, &blob, durability)? => Ok(Outcome::Written),
            Change::Write(blob) | Change::Replace(blob) => {
                let temporary = self.write_new(&path, key, newest.next_seq(), &blob, durability)?;
                std::fs::rename(&temporary, &path).map_err(|error| {
                    let _ = std::fs::remove_file(&temporary);
                    Error::Io(path.clone(), error)
                })?;
                sync_directory(parent(&path), durability)?;
                Ok(Outcome::Written)
            }
        }
    }

    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        let path = self.path(key);
        let Some(file) = self.open_locked(&path, key, None)? else { return Ok(()) };
        let damaged = match file.newest(None) {
            Ok(newest) => is_damaged(&newest.blob),
            Err(error) => matches!(error, Error::Corrupt(_)),
        };
        if damaged && is_ours(&file.metadata()?) && file.is_under_its_name()? {
            file.put_aside(&sweep::corrupt_name(&path))?;
        }
        Ok(())
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        sweep::sweep(self, Order { before, deleted }, slice, from)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        sweep::each(self, visit)
    }
}

#[cfg(test)]
mod tests;
