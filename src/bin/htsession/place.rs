//! The directory that the tool works in, and as whom. A directory is never made, marked or taken into use here.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mod_session_rs::store::directory::{self, Examined, Kind, State};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::memory::Snapshot;
use mod_session_rs::store::memory::file::NAME;
use mod_session_rs::store::{Error, Store};
use rustix::process::geteuid;

use crate::failure::Failure;

pub struct Place {
    pub dir: PathBuf,
    pub kind: Kind,
    pub store: Box<dyn Store>,
    /// An empty directory, which no server has used yet: there is nothing in it, and nothing may be put into it.
    pub empty: bool,
    pub warning: Option<String>,
}

impl Place {
    pub fn open(dir: &Path) -> Result<Place, Failure> {
        // A slash at the end would follow a symbolic link.
        let dir: PathBuf = std::path::absolute(dir).map_or_else(|_| dir.to_owned(), |dir| dir.components().collect());
        let owner = match std::fs::symlink_metadata(&dir) {
            Ok(found) => (found.uid(), found.gid()),
            Err(error) => {
                let remedy = match error.kind() {
                    ErrorKind::NotFound => "give the SessionDir of the server, once it has made it",
                    ErrorKind::PermissionDenied => "run htsession as root or as the User of the server",
                    _ => "give the SessionDir of the server",
                };
                return Err(Failure::unusable(&dir, &error.to_string(), remedy));
            }
        };
        become_owner(&dir, owner)?;
        if owner.0 != geteuid().as_raw() {
            let why = format!("it belongs to uid {}", owner.0);
            return Err(Failure::unusable(&dir, &why, "run htsession as root or as that user"));
        }
        let (kind, store, found) = store(&dir).map_err(|error| Failure::Store(error).at(&dir))?;
        match found.state {
            State::Missing => Err(Failure::unusable(&dir, "it is not there", "give the SessionDir of the server, once it has made it")),
            state => Ok(Place { kind, store, dir, empty: state == State::Empty, warning: found.warning }),
        }
    }
}

/// The store of a directory, by its marker, and what is to be known of the directory.
fn store(dir: &Path) -> Result<(Kind, Box<dyn Store>, Examined), Error> {
    match directory::examine(dir, geteuid(), Kind::Memory) {
        Ok(found) if dir.join(NAME).exists() => Ok((Kind::Memory, Box::new(Snapshot::take(dir)?), found)),
        _ => Ok((Kind::File, Box::new(FileStore::new(dir.to_owned())), directory::examine(dir, geteuid(), Kind::File)?)),
    }
}

/// Run as root, starts anew as the owner of the directory: whatever lies in it can then do no more than its owner may, and what
/// is written stays the server's. Supplementary groups go too (`Command` drops them together with root's uid).
fn become_owner(dir: &Path, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    if !geteuid().is_root() || uid == 0 {
        return Ok(());
    }
    let error = Command::new("/proc/self/exe").arg0("htsession").args(std::env::args_os().skip(1)).uid(uid).gid(gid).exec();
    Err(Failure::unusable(dir, &format!("cannot become its owner, uid {uid}: {error}"), "run htsession as that user"))
}
