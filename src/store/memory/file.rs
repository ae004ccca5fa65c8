//! The file that the memory lies in. The parent of a server makes and locks it, before there are children; whoever maps it finds it of
//! its full size, with every block of the disk reserved, for a page that cannot be had later would be SIGBUS.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::layout::Geometry;
use crate::room::reserve;
use crate::store::{Error, Result};

pub const NAME: &str = "sessions.mem";
/// One that is being made.
pub const NEW: &str = "sessions.mem.new";
/// One that could not be used.
pub const DAMAGED: &str = "sessions.mem.damaged";
/// All that may lie in a directory of this store, beside the marker.
pub const FILES: [&str; 3] = [NAME, NEW, DAMAGED];

/// Setting up takes a moment only; somebody who does it at the same time is waited for.
const SETTING_UP: Duration = Duration::from_secs(5);
/// Processes that were killed just now have the file until they are gone.
const ENDING: Duration = Duration::from_secs(2);

/// A directory in which files of this size are to be, for this owner: `None` is whoever runs this.
pub struct Maker<'d> {
    dir: &'d Path,
    bytes: u64,
    owner: Option<(Uid, Gid)>,
    handle: OwnedFd,
}

/// A file of a store. It is locked as long as it, or a copy of it in another process, is open.
pub struct Opened {
    pub file: File,
    pub bytes: u64,
    /// Why the one that was there is not used; the text begins with its path.
    pub instead_of: Option<String>,
}

fn io(path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |errno| Error::Io(path, errno.into())
}

impl<'d> Maker<'d> {
    /// Nobody else sets up a store in the directory until this is dropped.
    ///
    /// # Errors
    /// The directory cannot be opened, or somebody has it for too long.
    pub fn new(dir: &'d Path, bytes: u64, owner: Option<(Uid, Gid)>) -> Result<Maker<'d>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = fs::open(dir, flags, Mode::empty()).map_err(io(dir))?;
        match lock(&handle, SETTING_UP) {
            Ok(()) => Ok(Maker { dir, bytes, owner, handle }),
            Err(Errno::WOULDBLOCK) => Err(Error::Locked(dir.to_owned(), SETTING_UP)),
            Err(errno) => Err(io(dir)(errno)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn unusable<T>(&self, why: &str) -> Result<T> {
        Err(Error::Unusable(format!("SessionDir {}: {why}", self.dir.display())))
    }

    /// The file that is there, of whatever size, or a new one.
    ///
    /// # Errors
    /// Another server has it, it is not ours, or there is no room for a new one.
    pub fn open(&self) -> Result<Opened> {
        let path = self.path(NAME);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match fs::openat(&self.handle, NAME, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return self.make_in_place(None),
            Err(Errno::LOOP) => return self.unusable("sessions.mem is a symbolic link; remove it"),
            Err(errno) => return Err(io(&path)(errno)),
        };
        let found = file.metadata().map_err(|error| Error::Io(path.clone(), error))?;
        let owner = self.owner.map_or_else(rustix::process::geteuid, |(user, _)| user);
        if !found.is_file() || found.uid() != owner.as_raw() || found.nlink() != 1 {
            return self.unusable("sessions.mem is not a file of the User of the server alone; remove it");
        }
        match lock(&file, ENDING) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return self.unusable(
                    "another httpd keeps its sessions in there (SessionStore memory); give this one a directory of its own, \
                     or wait until the last process of the other has ended",
                );
            }
            Err(errno) => return Err(io(&path)(errno)),
        }
        let mut first = [0; 16];
        let read = file.read_exact_at(&mut first, 0);
        let words = [0, 8].map(|at| u64::from_ne_bytes(first[at..at + 8].try_into().expect("eight bytes")));
        let geometry = if read.is_ok() { Geometry::read(words, found.len()) } else { Err("is too short".to_owned()) };
        match geometry {
            Ok(geometry) => Ok(Opened { file, bytes: geometry.bytes, instead_of: None }),
            Err(why) => {
                fs::renameat(&self.handle, NAME, &self.handle, DAMAGED).map_err(io(&path))?;
                self.make_in_place(Some(format!("{} {why}; it was renamed to {DAMAGED}", path.display())))
            }
        }
    }

    fn make_in_place(&self, instead_of: Option<String>) -> Result<Opened> {
        let file = self.make()?;
        self.install()?;
        Ok(Opened { file, bytes: self.bytes, instead_of })
    }

    /// A file with an empty store, locked, not yet in its place.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn make(&self) -> Result<File> {
        let path = self.path(NEW);
        let Some(geometry) = Geometry::of(self.bytes) else { return self.unusable("a store of that size cannot be") };
        let _ = fs::unlinkat(&self.handle, NEW, AtFlags::empty()); // somebody died while making it
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.handle, NEW, flags, Mode::RUSR | Mode::WUSR).map_err(io(&path))?;
        let prepared = || -> std::io::Result<()> {
            if let Some((user, group)) = self.owner {
                fs::fchown(&file, Some(user), Some(group))?;
            }
            fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            reserve(&File::from(file.try_clone()?), self.bytes)?;
            let words = geometry.first_words().map(u64::to_ne_bytes);
            File::from(file.try_clone()?).write_all_at(words.as_flattened(), 0)
        };
        match prepared() {
            Ok(()) => Ok(File::from(file)),
            Err(why) => {
                let _ = fs::unlinkat(&self.handle, NEW, AtFlags::empty());
                self.unusable(&format!(
                    "no room for SessionStore memory, {} MiB: {why}; make room there, or give the store a smaller size",
                    self.bytes >> 20
                ))
            }
        }
    }

    /// Puts what was made in the place of what is there.
    ///
    /// # Errors
    /// The directory does not take it.
    pub fn install(&self) -> Result<()> {
        fs::renameat(&self.handle, NEW, &self.handle, NAME).map_err(io(&self.path(NAME)))
    }
}

/// Takes a lock that is free within that time.
fn lock(file: impl AsFd, patience: Duration) -> std::result::Result<(), Errno> {
    let end = Instant::now() + patience;
    loop {
        match fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
}

/// What became of a file that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    InPlace,
    /// The directory has none, or another one.
    TakenAway,
    /// It is shorter than what is mapped.
    Cut,
}

/// How the file of a directory stands that is known by its device and number.
#[must_use]
pub fn standing(dir: &Path, identity: (u64, u64), bytes: u64) -> Standing {
    match std::fs::symlink_metadata(dir.join(NAME)) {
        Ok(found) if (found.dev(), found.ino()) != identity => Standing::TakenAway,
        Ok(found) if found.len() < bytes => Standing::Cut,
        Ok(_) => Standing::InPlace,
        Err(_) => Standing::TakenAway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 1 << 20;

    fn open(dir: &Path) -> Result<Opened> {
        Maker::new(dir, BYTES, None)?.open()
    }

    fn why(dir: &Path) -> String {
        open(dir).err().expect("refused").to_string()
    }

    #[test]
    fn it_is_private_whole_and_the_same_when_it_is_opened_again() {
        let place = tempfile::tempdir().unwrap();
        let first = open(place.path()).unwrap();
        let found = first.file.metadata().unwrap();
        assert_eq!((found.mode() & 0o7777, found.len(), first.instead_of.is_none()), (0o600, BYTES, true));
        assert!(found.blocks() * 512 >= BYTES, "not reserved");
        let identity = (found.dev(), found.ino());
        assert_eq!(standing(place.path(), identity, BYTES), Standing::InPlace);
        assert_eq!(standing(place.path(), identity, BYTES + 1), Standing::Cut);
        assert_eq!(standing(place.path(), (identity.0, identity.1 + 1), BYTES), Standing::TakenAway);
        drop(first);
        // Another size is for the caller to see to.
        let again = Maker::new(place.path(), 2 * BYTES, None).unwrap().open().unwrap();
        assert!(again.bytes == BYTES && standing(place.path(), identity, BYTES) == Standing::InPlace);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn whoever_has_it_has_it_alone() {
        let place = tempfile::tempdir().unwrap();
        let first = open(place.path()).unwrap();
        let text = why(place.path());
        assert!(text.contains("another httpd") && text.contains("directory of its own"), "{text}");
        let copy = first.file.try_clone().unwrap();
        drop(first);
        assert!(why(place.path()).contains("another httpd"), "a child has it still");
        drop(copy);
        assert!(open(place.path()).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_put_aside_and_said() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(NAME);
        let mut newer = vec![0; 1 << 20];
        newer[..8].copy_from_slice(&(Geometry::of(BYTES).unwrap().first_words()[0] + 1).to_ne_bytes());
        drop(open(place.path()).unwrap());
        let short = std::fs::read(&path).unwrap()[..BYTES as usize - 4096].to_vec();
        for (bytes, part) in
            [(vec![], "too short"), (vec![7; 5000], "does not begin"), (newer, "another version (2)"), (short, "bytes long")]
        {
            std::fs::write(&path, &bytes).unwrap();
            let opened = open(place.path()).unwrap();
            let why = opened.instead_of.expect("a reason");
            assert!(why.contains(part) && why.contains(DAMAGED), "{why}");
            assert_eq!((opened.bytes, std::fs::read(place.path().join(DAMAGED)).unwrap()), (BYTES, bytes));
        }
    }

    #[test]
    fn links_and_files_of_others_are_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let (path, other) = (place.path().join(NAME), place.path().join("thesis"));
        std::fs::write(&other, "years of work").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(why(place.path()).contains("symbolic link"));
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&other, &path).unwrap();
        assert!(why(place.path()).contains("remove it"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(open(place.path()).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"years of work");
    }

    #[test]
    fn where_there_is_no_room_the_size_is_told_and_nothing_stays() {
        let place = tempfile::tempdir().unwrap();
        let text = Maker::new(place.path(), super::super::layout::LARGEST, None).unwrap().open().err().unwrap().to_string();
        assert!(text.contains("no room for SessionStore memory, 262144 MiB") && text.contains("smaller size"), "{text}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
