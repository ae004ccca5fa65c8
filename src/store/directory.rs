//! The rules for `SessionDir`, whatever store is in it: whose it must be, what may be in it, how it is made.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::store::{Error, Result};

/// The file that says: this directory is ours.
pub const MARKER: &str = ".mod_session_rs";

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Dbm,
    Memory,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::File, Kind::Dbm, Kind::Memory];

    /// What the marker says: the store, and the version of its layout.
    fn marker(self) -> &'static str {
        match self {
            Kind::File => "file store 1\n",
            Kind::Dbm => "dbm store 1\n",
            Kind::Memory => "memory store 1\n",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Missing,
    Empty,
    Ours,
}

/// What [`examine`] found of a directory that may be used.
#[derive(Debug)]
pub struct Examined {
    pub state: State,
    /// Something an administrator should know.
    pub warning: Option<String>,
}

/// Network file systems, by the magic number of statfs(2): their locks and their caches do not hold what we promise.
const NETWORK: [(u32, &str); 9] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

fn unusable<T>(dir: &Path, why: &str, remedy: &str) -> Result<T> {
    Err(Error::Unusable(format!("SessionDir {}: {why}; {remedy}", dir.display())))
}

fn io(path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |errno| Error::Io(path, errno.into())
}

/// Looks at a directory and changes nothing.
///
/// # Errors
/// [`Error::Unusable`] names what is wrong and the remedy.
pub fn examine(dir: &Path, owner: Uid, kind: Kind) -> Result<Examined> {
    let warning = temporary_ancestor(dir).map(|ancestor| {
        format!(
            "SessionDir {} lies below a temporary directory ({}): others may clean it up; choose a place such as /var/lib/apache2/sessions",
            dir.display(),
            ancestor.display()
        )
    });
    let handle = match open_directory(dir) {
        Ok(handle) => handle,
        Err(Errno::NOENT) => {
            let parent = dir.parent().unwrap_or(Path::new("/"));
            return match std::fs::metadata(parent) {
                Ok(found) if found.is_dir() => Ok(Examined { state: State::Missing, warning }),
                _ => unusable(dir, "neither it nor its parent directory exists", "create the parent directory"),
            };
        }
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return unusable(dir, "it is not a directory, or a symbolic link", "give the real path of a directory");
        }
        Err(errno) => return Err(Error::Io(dir.to_owned(), errno.into())),
    };
    let stat = fs::fstat(&handle).map_err(io(dir))?;
    if stat.st_uid != owner.as_raw() {
        let why = format!("it belongs to uid {}, not to the User of the server (uid {})", stat.st_uid, owner.as_raw());
        return unusable(dir, &why, "chown it, or let the server make a new one");
    }
    if stat.st_mode & 0o022 != 0 {
        return unusable(dir, &format!("others may write to it (mode {:04o})", stat.st_mode & 0o7777), "chmod 0700 it");
    }
    let system = fs::fstatfs(&handle).map_err(io(dir))?.f_type;
    if let Some((_, name)) = NETWORK.iter().find(|(magic, _)| i64::from(*magic) == system || i64::from(magic.cast_signed()) == system) {
        return unusable(dir, &format!("it lies on {name}, a network file system"), "choose a directory on a disk of this machine");
    }
    let warning = warning.or_else(|| {
        let name = [(0x6573_5546, "FUSE"), (0x0102_1997, "9p")].iter().find(|(magic, _)| *magic == system)?.1;
        Some(format!(
            "SessionDir {} lies on {name}: if that is a network file system, choose a directory on a disk of this machine",
            dir.display()
        ))
    });
    if marked(dir, kind)? {
        return Ok(Examined { state: State::Ours, warning });
    }
    let mut entries = std::fs::read_dir(dir).map_err(|error| Error::Io(dir.to_owned(), error))?;
    // A child may have marked the directory and begun to use it between the two looks.
    if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != MARKER)) && !marked(dir, kind)? {
        return unusable(dir, "something else is in it", "give the sessions a directory of their own");
    }
    Ok(Examined { state: State::Empty, warning })
}

fn open_directory(dir: &Path) -> std::result::Result<OwnedFd, Errno> {
    fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// An ancestor in which anybody may create and somebody cleans up.
fn temporary_ancestor(dir: &Path) -> Option<&Path> {
    dir.ancestors().skip(1).find(|ancestor| std::fs::metadata(ancestor).is_ok_and(|found| found.mode() & 0o1002 == 0o1002))
}

/// What a directory holds, as its marker says. `None`: nothing yet, or something that this version does not know.
///
/// # Errors
/// It cannot be told.
pub fn kind(dir: &Path) -> Result<Option<Kind>> {
    let text = marker(dir)?;
    Ok(text.and_then(|text| Kind::ALL.into_iter().find(|kind| kind.marker() == text)))
}

/// The text of the marker; `None`: there is none.
fn marker(dir: &Path) -> Result<Option<String>> {
    let path = dir.join(MARKER);
    let file = match fs::open(&path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(Error::Io(path, errno.into())),
    };
    let mut text = String::new();
    File::from(file).take(64).read_to_string(&mut text).map_err(|error| Error::Io(path, error))?;
    Ok(Some(text))
}

fn marked(dir: &Path, kind: Kind) -> Result<bool> {
    let Some(text) = marker(dir)? else { return Ok(false) };
    // Another child has created the marker and not yet written it.
    if text == kind.marker() || text.is_empty() {
        return Ok(true);
    }
    unusable(dir, &format!("it holds another store ('{}')", text.trim().escape_default()), "give this store a directory of its own")
}

/// Makes a directory that is missing, for `owner`. Run by the parent, which is root where a server has a `User`.
///
/// # Errors
/// The directory cannot be made.
pub fn make(dir: &Path, owner: Option<(Uid, Gid)>) -> Result<()> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return unusable(dir, "it is no directory below another", "give an absolute path");
    };
    let parent_handle = fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(io(parent))?;
    match fs::mkdirat(&parent_handle, name, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()), // not made by us: its owner is not ours to set
        Err(errno) => return Err(Error::Io(dir.to_owned(), errno.into())),
    }
    let made = fs::openat(&parent_handle, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .map_err(io(dir))?;
    if let Some((uid, gid)) = owner {
        fs::fchown(&made, Some(uid), Some(gid)).map_err(io(dir))?;
    }
    Ok(())
}

/// Takes possession of an empty directory before its first use. Run by children and tools, never as root for others. It does not
/// make one: a directory that vanished took its sessions with it, and that must not look like an empty store.
///
/// # Errors
/// As [`examine`], or the directory is missing, or the marker cannot be written.
pub fn claim(dir: &Path, kind: Kind) -> Result<()> {
    claim_for(dir, kind, None)
}

/// [`claim`] for somebody else: by the parent of a server, before there are children.
///
/// # Errors
/// As [`claim`].
pub fn claim_for(dir: &Path, kind: Kind, owner: Option<(Uid, Gid)>) -> Result<()> {
    let found = examine(dir, owner.map_or_else(rustix::process::geteuid, |(user, _)| user), kind)?;
    if found.state == State::Missing {
        return unusable(dir, "it is missing", "bring it back, or make a new one for the User of the server, with mode 0700");
    }
    let path = dir.join(MARKER);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let given = |file: &OwnedFd| owner.map_or(Ok(()), |(user, group)| fs::fchown(file, Some(user), Some(group)));
    match fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            let given = given(&file).map_err(Into::into);
            given.and_then(|()| File::from(file).write_all(kind.marker().as_bytes())).map_err(|error| {
                let _ = std::fs::remove_file(&path);
                Error::Io(path, error)
            })
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::Io(path, errno.into())),
    }
}

/// Whether the directory carries the marker of this kind of store, by its length, which differs from kind to kind: one system call. If not,
/// [`claim`] says what is wrong.
///
/// # Errors
/// It cannot be told.
pub fn is_claimed(dir: &Path, kind: Kind) -> Result<bool> {
    let path = dir.join(MARKER);
    match fs::statat(fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(usize::try_from(found.st_size) == Ok(kind.marker().len())),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::Io(path, errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn place() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn why(dir: &Path) -> String {
        examine(dir, rustix::process::geteuid(), Kind::File).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_directory_is_made_private_and_claimed() {
        let place = place();
        let dir = place.path().join("sessions");
        assert_eq!(examine(&dir, rustix::process::geteuid(), Kind::File).unwrap().state, State::Missing);
        assert!(!dir.exists(), "examine made it");
        assert!(claim(&dir, Kind::File).unwrap_err().to_string().contains("missing"));
        make(&dir, None).unwrap();
        claim(&dir, Kind::File).unwrap();
        claim(&dir, Kind::File).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(std::fs::metadata(dir.join(MARKER)).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(examine(&dir, rustix::process::geteuid(), Kind::File).unwrap().state, State::Ours);
    }

    #[test]
    fn what_is_not_safe_or_not_ours_is_refused_with_the_remedy() {
        let place = place();
        let dir = |name: &str| {
            let dir = place.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            dir
        };
        let open = dir("open");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o770)).unwrap();
        assert!(why(&open).contains("chmod 0700"));

        let foreign = dir("foreign");
        std::fs::write(foreign.join("thesis.txt"), "x").unwrap();
        assert!(why(&foreign).contains("directory of their own"));

        let link = place.path().join("link");
        symlink(dir("target"), &link).unwrap();
        assert!(why(&link).contains("real path"));

        let other_kind = dir("kind");
        std::fs::write(other_kind.join(MARKER), "dbm store 1\n").unwrap();
        assert!(why(&other_kind).contains("another store"));

        assert!(why(&place.path().join("no/such/parent")).contains("parent directory"));
        let stranger = Uid::from_raw(rustix::process::geteuid().as_raw() + 1);
        assert!(examine(&dir("mine"), stranger, Kind::File).unwrap_err().to_string().contains("chown"));
    }

    #[test]
    fn a_place_below_a_temporary_directory_is_warned_about() {
        let place = place();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        let found = examine(&place.path().join("sessions"), rustix::process::geteuid(), Kind::File).unwrap();
        assert!(found.warning.unwrap().contains("temporary directory"));
    }
}
