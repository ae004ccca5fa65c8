//! Where the sessions are that the tool works on, and as whom. A directory is never made, marked or taken into use here.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mod_session_rs::store::dbd::sql::Table;
use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::directory::{self, Kind, State};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::memory::Snapshot;
use mod_session_rs::store::redis::{RedisStore, Target, is_redis};
use mod_session_rs::store::{Durability, Store};
use rustix::process::geteuid;

use crate::failure::Failure;
use crate::sql;

/// What `--store` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A directory with this store; `None`: with the one that its marker names.
    Directory(Option<Kind>),
    /// The words of `SessionStore`, in one.
    Redis(String),
    /// Out of reach from here.
    Dbd(Table),
}

impl Word {
    pub fn parse(word: &str) -> Result<Word, String> {
        match word {
            "file" => Ok(Word::Directory(Some(Kind::File))),
            "dbm" => Ok(Word::Directory(Some(Kind::Dbm))),
            "memory" => Ok(Word::Directory(Some(Kind::Memory))),
            "dbd" => Ok(Word::Dbd(Table::default())),
            _ if is_redis(word) => Ok(Word::Redis(word.to_owned())),
            _ => match word.strip_prefix("dbd:") {
                Some(name) => sql::table(name).map(Word::Dbd),
                None => Err("the stores are file, dbm, memory, dbd and redis://...".to_owned()),
            },
        }
    }
}

/// What is to be done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Change,
}

pub struct Place {
    /// As an administrator knows it.
    pub name: String,
    pub store: Box<dyn Store>,
    /// Of a store that has one.
    pub directory: Option<(PathBuf, Kind)>,
    /// An empty directory, which no server has used yet: there is nothing in it, and nothing may be put into it.
    pub empty: bool,
    pub warning: Option<String>,
    /// Of what an administrator ends: it stays ended after a crash of the machine, as far as that is ours to say.
    pub durability: Durability,
}

impl Place {
    pub fn open(word: &Word, dir: Option<&Path>, access: Access) -> Result<Place, Failure> {
        match (word, dir) {
            (Word::Directory(kind), Some(dir)) => Place::open_directory(dir, *kind, access),
            (Word::Directory(_), None) => Err(Failure::Explained("--dir is missing".to_owned())),
            (Word::Dbd(table), _) => Err(sql::elsewhere(table)),
            (Word::Redis(words), _) => Place::open_redis(words),
        }
    }

    fn open_redis(words: &str) -> Result<Place, Failure> {
        let words: Vec<_> = words.split_whitespace().collect();
        let name = Target::parse(&words).map_err(Failure::Explained)?.to_string();
        let store = Box::new(RedisStore::open(&words).map_err(Failure::Explained)?);
        Ok(Place { name, store, directory: None, empty: false, warning: None, durability: Durability::Process })
    }

    fn open_directory(dir: &Path, kind: Option<Kind>, access: Access) -> Result<Place, Failure> {
        // A slash at the end would follow a symbolic link.
        let dir: PathBuf = std::path::absolute(dir).map_or_else(|_| dir.to_owned(), |dir| dir.components().collect());
        let name = dir.display().to_string();
        let owner = match std::fs::symlink_metadata(&dir) {
            Ok(found) => (found.uid(), found.gid()),
            Err(error) => {
                let remedy = match error.kind() {
                    ErrorKind::NotFound => "give the SessionDir of the server, once it has made it",
                    ErrorKind::PermissionDenied => "run htsession as root or as the User of the server",
                    _ => "give the SessionDir of the server",
                };
                return Err(Failure::unusable(name, &error.to_string(), remedy));
            }
        };
        become_owner(&dir, owner)?;
        if owner.0 != geteuid().as_raw() {
            let why = format!("it belongs to uid {}", owner.0);
            return Err(Failure::unusable(name, &why, "run htsession as root or as that user"));
        }
        // What cannot be read says so below.
        let kind = kind.or_else(|| directory::kind(&dir).ok().flatten()).unwrap_or(Kind::File);
        let found = directory::examine(&dir, geteuid(), kind).map_err(|error| Failure::Store(error).at(&name))?;
        let store: Box<dyn Store> = match (found.state, kind) {
            (State::Missing, _) => {
                return Err(Failure::unusable(name, "it is not there", "give the SessionDir of the server, once it has made it"));
            }
            // Of all, this one can look into a directory and leave nothing there.
            (State::Empty, _) | (State::Ours, Kind::File) => Box::new(FileStore::new(dir.clone())),
            (State::Ours, Kind::Dbm) if access == Access::Read => Box::new(DbmStore::new(dir.clone()).read_only()),
            // The server may have SessionSync On: what waits for the disk there must not stand on what does not.
            (State::Ours, Kind::Dbm) => Box::new(DbmStore::new(dir.clone()).synced(true)),
            (State::Ours, Kind::Memory) => Box::new(Snapshot::take(&dir).map_err(|error| Failure::Store(error).at(&name))?),
        };
        let kind = if found.state == State::Empty { Kind::File } else { kind };
        Ok(Place {
            name,
            store,
            directory: Some((dir, kind)),
            empty: found.state == State::Empty,
            warning: found.warning,
            durability: Durability::Machine,
        })
    }
}

/// Run as root, starts anew as the owner of the directory: whatever lies in it can then do no more than its owner may, and what
/// is written stays the server's. Supplementary groups go too (`Command` drops them together with root's uid).
fn become_owner(dir: &Path, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    if !geteuid().is_root() || uid == 0 {
        return Ok(());
    }
    let error = Command::new("/proc/self/exe").arg0("htsession").args(std::env::args_os().skip(1)).uid(uid).gid(gid).exec();
    Err(Failure::unusable(dir.display(), &format!("cannot become its owner, uid {uid}: {error}"), "run htsession as that user"))
}
