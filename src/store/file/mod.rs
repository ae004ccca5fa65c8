//! One file per session in 256 sub-directories, with commits in place.
//!
//! * **load** takes no lock: one open, one read, the newest valid slot. A slot that is not valid means a writer at work or one
//!   that died, and a second look under the lock.
//! * **update** takes the lock of the file (flock), makes sure that the file was not replaced meanwhile, and overwrites the older
//!   slot with one write.
//! * **growth** beyond the slots writes a new file and renames it over the old one, while it holds the lock of the old one.
//! * **create** writes a complete temporary file and renames it to where nothing is. **delete** works under the lock.
//!
//! Nothing on the hot path truncates, renames or waits for the disk. What is promised: a killed process never damages or loses an
//! acknowledged change; a crash of the machine may lose the last seconds, with [`Durability::Machine`] nothing acknowledged.

pub mod directory;
mod format;
mod record;
mod sweep;

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use record::{Access, RecordFile};
pub use sweep::{Name, classify, is_ours};

pub struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// A store in `dir`. Nothing is touched before the first use.
    #[must_use]
    pub fn new(dir: PathBuf) -> FileStore {
        FileStore { dir }
    }

    fn path(&self, key: &Key) -> PathBuf {
        let hex = key.hex();
        let mut path = PathBuf::with_capacity(self.dir.as_os_str().len() + hex.len() + 4);
        path.push(&self.dir);
        path.push(&hex[..2]);
        path.push(&hex);
        path
    }

    /// A file is not there. Before that means "no such session", the directory must be there and ours: a store that vanished is
    /// a failure. It is claimed anew if somebody made it again.
    fn absent(&self) -> Result<()> {
        if directory::is_claimed(&self.dir)? { Ok(()) } else { directory::claim(&self.dir) }
    }

    fn open(&self, path: &Path, key: &Key, access: Access) -> Result<Option<RecordFile>> {
        match RecordFile::open(path, *key, access) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.absent().map(|()| None),
            Err(error) => Err(Error::Io(path.to_owned(), error)),
        }
    }

    /// Opens the file of a key and locks it, so that nobody else changes, replaces or deletes it.
    fn open_locked(&self, path: &Path, key: &Key) -> Result<Option<RecordFile>> {
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
        let temporary = path.with_file_name(format!("{}.{}.tmp", key.hex(), data_encoding::HEXLOWER.encode(name)));
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
                Ok(Some(blob)) => return Ok(Some(blob)),
                Ok(None) => {}
                Err(Error::Newer(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
            file.lock_shared()?;
            if file.is_linked()? {
                return Ok(Some(file.newest()?.blob));
            }
        }
    }

    fn update(&self, key: &Key, durability: Durability, change: &mut dyn FnMut(Option<&Blob>) -> Change) -> Result<Outcome> {
        let path = self.path(key);
        let Some(file) = self.open_locked(&path, key)? else {
            change(None);
            return Ok(Outcome::Kept);
        };
        let newest = match file.newest() {
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
            Change::Write(blob) => {
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
        let Some(file) = self.open_locked(&path, key)? else { return Ok(()) };
        let damaged = match file.newest() {
            Ok(newest) => is_damaged(&newest.blob),
            Err(error) => matches!(error, Error::Corrupt(_)),
        };
        if damaged && is_ours(&file.metadata()?) {
            let aside = sweep::corrupt_name(&path);
            std::fs::rename(&path, &aside).map_err(|error| Error::Io(path, error))?;
        }
        Ok(())
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor) -> Result<Sweep> {
        sweep::sweep(self, before, slice, from)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        sweep::each(self, visit)
    }
}

impl RecordFile {
    /// `false`: replaced or deleted since it was opened.
    fn is_linked(&self) -> Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

    use super::*;

    const KEY: Key = Key([0x5a; 32]);

    fn store() -> (tempfile::TempDir, FileStore) {
        let place = tempfile::tempdir().unwrap();
        let store = FileStore::new(place.path().join("sessions"));
        (place, store)
    }

    fn blob(bytes: &[u8]) -> Blob {
        Blob { expires: Timestamp(9), bytes: bytes.to_vec() }
    }

    fn write(store: &FileStore, bytes: &[u8]) -> Result<Outcome> {
        store.update(&KEY, Durability::Process, &mut |_| Change::Write(blob(bytes)))
    }

    #[test]
    fn it_keeps_the_promises_of_a_store() {
        let (_place, store) = store();
        crate::store::conformance::run(&store);
    }

    #[test]
    fn files_are_private_and_leave_nothing_behind() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        write(&store, &[1; 5000]).unwrap();
        let path = store.path(&KEY);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::metadata(parent(&path)).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(std::fs::read_dir(parent(&path)).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_reported_and_put_aside_once() {
        let (_place, store) = store();
        let path = store.path(&KEY);
        for damage in [&[][..], b"x", &[0; 4096], &[0xff; 9000]] {
            store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
            std::fs::write(&path, damage).unwrap();
            assert!(matches!(store.load(&KEY), Err(Error::Corrupt(_))));
            assert!(matches!(write(&store, b"y"), Err(Error::Corrupt(_))));
            store.quarantine(&KEY, &|_| false).unwrap();
            assert_eq!(store.load(&KEY).unwrap(), None);
            assert!(sweep::corrupt_name(&path).exists());
        }
    }

    #[test]
    fn a_file_of_a_newer_version_counts_as_absent_and_stays() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let path = store.path(&KEY);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] += 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(store.load(&KEY).unwrap(), None);
        assert_eq!(write(&store, b"y").unwrap(), Outcome::Kept);
        store.quarantine(&KEY, &|_| true).unwrap();
        assert!(store.sweep(Timestamp::NEVER, Duration::from_secs(9), Cursor::default()).is_ok());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn what_its_reader_calls_damaged_is_put_aside_too() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"nonsense"), Durability::Process).unwrap();
        store.quarantine(&KEY, &|blob| blob.bytes == b"nonsense").unwrap();
        assert_eq!(store.load(&KEY).unwrap(), None);
    }

    #[test]
    fn a_truncated_file_is_damage_wherever_it_is_cut() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
        write(&store, b"second").unwrap();
        let path = store.path(&KEY);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(store.load(&KEY), Err(Error::Corrupt(_))), "{length} of {} bytes", whole.len());
        }
    }

    #[test]
    fn a_writer_that_died_half_way_leaves_the_acknowledged_state() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"first"), Durability::Process).unwrap();
        write(&store, b"second").unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(store.path(&KEY)).unwrap();
        file.write_all_at(&[0xee; 40], 32).unwrap(); // the slot of "first", half overwritten
        assert_eq!(store.load(&KEY).unwrap(), Some(blob(b"second")));
        write(&store, b"third").unwrap();
        assert_eq!(store.load(&KEY).unwrap(), Some(blob(b"third")));
    }

    #[test]
    fn a_file_under_another_name_is_damage() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let other = Key([0x5b; 32]);
        store.create(&other, &blob(b"y"), Durability::Process).unwrap();
        std::fs::copy(store.path(&KEY), store.path(&other)).unwrap();
        assert!(matches!(store.load(&other), Err(Error::Corrupt(_))));
    }

    #[test]
    fn links_and_foreign_files_are_not_followed_read_or_deleted() {
        let (place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let path = store.path(&KEY);
        let sub = parent(&path).to_owned();
        let secret = place.path().join("secret");
        std::fs::rename(&path, &secret).unwrap();
        symlink(&secret, &path).unwrap();
        assert!(matches!(store.load(&KEY), Err(Error::Io(..))));
        std::fs::write(sub.join("thesis.txt"), "x").unwrap();
        let swept = store.sweep(Timestamp::NEVER, Duration::from_secs(9), Cursor::default()).unwrap();
        assert_eq!((swept.deleted, swept.foreign.is_some()), (0, true));
        assert!(path.is_symlink() && secret.exists() && sub.join("thesis.txt").exists());
    }

    #[test]
    fn a_record_that_cannot_be_read_does_not_end_a_sweep() {
        let (_place, store) = store();
        for byte in [0x11, 0x5a, 0xee] {
            store.create(&Key([byte; 32]), &blob(b"x"), Durability::Process).unwrap();
        }
        let path = store.path(&KEY);
        std::fs::write(&path, [&std::fs::read(&path).unwrap()[..40], &[0xff; 2040]].concat()).unwrap(); // torn, and in use
        let holder = RecordFile::open(&path, KEY, Access::Write).unwrap();
        holder.lock().unwrap();
        let swept = store.sweep(Timestamp::NEVER, Duration::from_secs(60), Cursor::default()).unwrap();
        assert_eq!((swept.deleted, swept.failed, swept.next), (2, 1, None), "{swept:?}");
    }

    #[test]
    fn a_fifo_in_the_place_of_a_record_blocks_nobody() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let path = store.path(&KEY);
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0)
            .unwrap();
        assert!(store.load(&KEY).is_err());
        assert!(write(&store, b"y").is_err());
    }

    #[test]
    fn a_store_that_vanished_is_a_failure_and_one_made_again_is_used_again() {
        let (place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        std::fs::rename(place.path().join("sessions"), place.path().join("away")).unwrap();
        std::fs::write(place.path().join("sessions"), "not a directory").unwrap();
        assert!(store.load(&KEY).is_err());
        assert!(store.create(&KEY, &blob(b"y"), Durability::Process).is_err());
        std::fs::remove_file(place.path().join("sessions")).unwrap();
        std::fs::create_dir(place.path().join("sessions")).unwrap();
        std::fs::set_permissions(place.path().join("sessions"), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(store.load(&KEY).unwrap(), None);
        assert!(store.create(&KEY, &blob(b"y"), Durability::Process).unwrap());
    }

    #[test]
    fn whoever_waits_for_a_locked_file_gets_it_when_it_is_free() {
        let (_place, store) = store();
        store.create(&KEY, &blob(b"x"), Durability::Process).unwrap();
        let holder = RecordFile::open(&store.path(&KEY), KEY, Access::Write).unwrap();
        holder.lock().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| write(&store, b"y"));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!waiter.is_finished());
            drop(holder);
            assert_eq!(waiter.join().unwrap().unwrap(), Outcome::Written);
        });
    }
}
