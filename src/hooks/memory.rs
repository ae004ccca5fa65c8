//! `SessionStore memory`: the parent opens the file, locks it for the life of the server and maps it; children find it mapped, before a
//! restart and after it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::locks::locks;
use crate::config::{Config, Location, StorePlace};
use crate::httpd::retained::{retain, retained};
use crate::httpd::shared::{KeptFile, MappedFile};
use crate::httpd::{Level, Server, Workers, workers};
use crate::lock::Exclusion as _;
use crate::lock::pool::Pool;
use crate::session::record::is_unpresented;
use crate::store::directory::{self, Kind};
use crate::store::memory::file::{self, Maker, Standing};
use crate::store::memory::layout::Memory;
use crate::store::memory::{Carried, Exclusion, MemoryStore, Missing, Surroundings, carry};
use crate::store::{Error, Store};

/// Where the mapped file of a directory is kept. The number is that of the layout: another version of the module must not use this one's.
fn kept_as(dir: &Path) -> CString {
    CString::new([b"mod_session_rs memory 1 ", dir.as_os_str().as_bytes()].concat()).unwrap_or_default()
}

/// The size as an administrator would write it.
fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}G", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        _ => bytes.to_string(),
    }
}

/// What only the whole of a configuration shows.
pub fn check(server: Server<'_>, places: &[Arc<StorePlace>]) -> Result<(), ()> {
    for (number, place) in places.iter().enumerate() {
        let Location::Memory { dir, bytes } = &place.location else { continue };
        let other = places.iter().enumerate().find_map(|(other, place)| match &place.location {
            Location::Memory { dir: same, bytes } if other > number && same == dir => Some(format!("memory:{}", size(*bytes))),
            other => other.directory().filter(|(same, kind)| same == dir && *kind != Kind::Memory).map(|_| "another store".to_owned()),
        });
        if let Some(other) = other {
            server.log(
                Level::Error,
                format_args!(
                    "SessionStore memory:{} and {other} are both in SessionDir {}: give each a directory of its own, or both one size",
                    size(*bytes),
                    dir.display()
                ),
            );
            return Err(());
        }
    }
    Ok(())
}

/// What a section cannot be promised.
pub fn check_section(host: Server<'_>, part: &Config) -> Result<(), ()> {
    let is_memory = part.own_store().is_some_and(|place| matches!(place.location, Location::Memory { .. }));
    if is_memory && part.sync == Some(true) {
        host.log(
            Level::Error,
            format_args!(
                "SessionSync On cannot be kept by SessionStore memory, which outlives processes and not a crash of the machine: \
                 say SessionSync Off there, or use SessionStore file"
            ),
        );
        return Err(());
    }
    Ok(())
}

/// Makes what is not there yet. What is there stays as it is until a full restart.
///
/// # Errors
/// What is wrong was logged.
pub fn prepare(server: Server<'_>, places: &[Arc<StorePlace>]) -> Result<(), ()> {
    let mut prepared = Ok(());
    for place in places {
        let Location::Memory { dir, bytes } = &place.location else { continue };
        if let Some(kept) = retained::<KeptFile>(&kept_as(dir)) {
            look_after(server, dir, *bytes, kept);
        } else if let Err(error) = open_in_parent(server, dir, *bytes) {
            server.log(Level::Error, format_args!("{error}"));
            prepared = Err(());
        }
    }
    prepared
}

/// At a restart.
fn look_after(server: Server<'_>, dir: &Path, bytes: u64, kept: KeptFile) {
    // The parent does not touch the memory: where somebody has cut the file, that is a deadly signal.
    let has = kept.bytes();
    if has != bytes {
        server.log(
            Level::Notice,
            format_args!(
                "SessionStore memory:{} in {} takes effect at a full restart: until then it has {}",
                size(bytes),
                dir.display(),
                size(has)
            ),
        );
    }
    let (level, what) = match file::standing(dir, kept.identity(), has) {
        Standing::InPlace => return,
        Standing::TakenAway => {
            (Level::Warning, "was taken away under a running server; its sessions go on until a full restart, and are lost then")
        }
        Standing::Cut => {
            (Level::Error, "was cut under a running server, and who looks behind its end dies (SIGBUS); it is made anew at a full restart")
        }
    };
    server.log(level, format_args!("SessionDir {}: {} {what}", dir.display(), file::NAME));
}

fn open_in_parent(server: Server<'_>, dir: &Path, bytes: u64) -> Result<(), Error> {
    let owner = if let Workers::Become(user, group) = workers() { Some((user, group)) } else { None };
    directory::claim_for(dir, Kind::Memory, owner)?;
    let maker = Maker::new(dir, bytes, owner)?;
    let opened = maker.open()?;
    if let Some(why) = &opened.instead_of {
        server.log(Level::Error, format_args!("SessionStore memory begins without sessions: {why}"));
    }
    let failed = |error| Error::Io(dir.join(file::NAME), error);
    let mut mapped = MappedFile::new(opened.file).map_err(failed)?;
    MemoryStore::distrust(attach(&mapped)?);
    if opened.bytes != bytes {
        match resize(&maker, &mapped) {
            Ok((resized, carried)) => {
                mapped = resized;
                let (left, level) = if carried.left > 0 { (", for want of room", Level::Warning) } else { ("", Level::Notice) };
                server.log(
                    level,
                    format_args!(
                        "SessionStore memory in {} has {} now, and had {}: {} sessions were carried over, {} were not{left}",
                        dir.display(),
                        size(bytes),
                        size(opened.bytes),
                        carried.kept,
                        carried.left,
                    ),
                );
            }
            Err(error) => server.log(Level::Error, format_args!("SessionStore memory keeps its size of {}: {error}", size(opened.bytes))),
        }
    }
    retain(&kept_as(dir), mapped.keep().map_err(failed)?);
    Ok(())
}

fn resize(maker: &Maker<'_>, from: &MappedFile) -> Result<(MappedFile, Carried), Error> {
    let mapped = MappedFile::new(maker.make()?).map_err(|error| Error::Failed(error.to_string()))?;
    let carried = carry(attach(from)?, attach(&mapped)?);
    maker.install()?;
    Ok((mapped, carried))
}

fn attach(mapped: &MappedFile) -> Result<Memory<'_>, Error> {
    Memory::attach(mapped.words()).map_err(|why| Error::Failed(format!("{} {why}", file::NAME)))
}

/// The pool of the server, with as many mutexes as it happens to have.
struct Pooled(&'static Pool);

impl Exclusion for Pooled {
    fn under(&self, partition: usize, section: &mut dyn FnMut()) -> Result<(), String> {
        self.0.under(partition % self.0.0.len().max(1), section).map_err(|unavailable| unavailable.to_string())
    }
}

/// In a child.
pub fn open(dir: &Path, bytes: u64) -> Box<dyn Store> {
    let name = format!("SessionStore memory:{} in {}", size(bytes), dir.display());
    let kept =
        retained::<KeptFile>(&kept_as(dir)).ok_or("it could not be had at the start, and the error log says why; restart httpd".to_owned());
    let (memory, locks) = match (kept.and_then(|kept| Memory::attach(kept.words())), locks()) {
        (Ok(memory), Some(locks)) => (memory, locks),
        (Err(why), _) => return Box::new(Missing(format!("{name}: {why}"))),
        (Ok(_), None) => return Box::new(Missing(format!("{name}: there is no session-pool; restart httpd"))),
    };
    let dropped = {
        let name = name.clone();
        move |number: u64| {
            locks.server.log(
                Level::Warning,
                format_args!(
                    "{name} is full: {number} sessions whose clients never came back were dropped; give it a larger size, \
                     or let such sessions end sooner (SessionNewTimeout)"
                ),
            );
        }
    };
    let around = Surroundings {
        name,
        exclusion: Box::new(Pooled(locks.pool)),
        is_passing: |blob| is_unpresented(&blob.bytes),
        dropped: Box::new(dropped),
    };
    Box::new(MemoryStore::new(memory, around))
}
