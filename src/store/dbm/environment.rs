//! The LMDB environment of a directory: opened on first use, once in a process, and again if it was replaced.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, MdbError, RoTxn, RwTxn};
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, open};
use rustix::io::Errno;

use super::gate::{self, Gate, PATIENCE};
use super::{Error, Result};
use crate::lmdb;
use crate::store::directory::{self, Kind, MARKER};
use crate::store::file::is_ours;

pub const DATA: &str = "data.mdb";
pub const LOCK: &str = "lock.mdb";
/// All that lies in a directory of this store.
pub const FILES: [&str; 4] = [MARKER, DATA, LOCK, gate::NAME];

type Table = Database<'static, Bytes, Bytes>;

/// The databases of an environment.
#[derive(Clone, Copy)]
pub struct Tables {
    /// Key to record: the main database, so that a commit has one page less to write. The names of the others are in it too.
    pub records: Table,
    /// Rows of expiry and key, in the order of time, to nothing.
    pub expiry: Table,
    /// Key to the time when it was put aside and a damaged record.
    pub aside: Table,
}

const NAMES: [Option<&str>; 3] = [None, Some("expiry"), Some("aside")];

/// What stops a transaction.
pub enum Trouble {
    Lmdb(heed::Error),
    Ours(Error),
    /// Others have taken the place of the files.
    Replaced,
}

impl From<heed::Error> for Trouble {
    fn from(error: heed::Error) -> Trouble {
        Trouble::Lmdb(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Ours(error)
    }
}

/// What becomes of what a transaction wrote.
pub enum Verdict<T> {
    Commit(T),
    Abort(T),
}

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Transactions that read at once, in all processes together.
    pub readers: u32,
    pub read_only: bool,
}

pub struct Environment {
    dir: PathBuf,
    terms: Terms,
    opened: RwLock<Option<Opened>>,
}

struct Opened {
    environment: lmdb::Environment,
    tables: Tables,
    gate: Gate,
    files: [(u64, u64); 2],
    /// Tells it from those before and after it.
    number: u64,
}

/// An environment that stays open meanwhile.
struct InUse<'e>(RwLockReadGuard<'e, Option<Opened>>);

impl std::ops::Deref for InUse<'_> {
    type Target = Opened;

    fn deref(&self) -> &Opened {
        self.0.as_ref().expect("only what is open is in use")
    }
}

impl Environment {
    /// That of a directory: LMDB must not have it twice in a process.
    pub fn of(dir: &Path, terms: Terms) -> Result<Arc<Environment>> {
        static ENVIRONMENTS: Mutex<Option<HashMap<PathBuf, Weak<Environment>>>> = Mutex::new(None);
        let canonical = match dir.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => {
                directory::claim(dir, Kind::Dbm)?; // says what is wrong with it
                return Err(Error::Io(dir.to_owned(), error));
            }
        };
        let mut environments = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let environments = environments.get_or_insert_default();
        environments.retain(|_, environment| environment.strong_count() > 0);
        if let Some(known) = environments.get(&canonical).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let environment = Arc::new(Environment { dir: dir.to_owned(), terms, opened: RwLock::new(None) });
        environments.insert(canonical, Arc::downgrade(&environment));
        Ok(environment)
    }

    fn in_use(&self) -> Result<InUse<'_>> {
        loop {
            let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            if opened.is_some() {
                return Ok(InUse(opened));
            }
            drop(opened);
            let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            if opened.is_none() {
                *opened = Some(Opened::open(&self.dir, self.terms)?);
            }
        }
    }

    /// Lets go of what was opened before, once nobody uses it.
    fn close(&self, number: u64) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_some_and(|opened| opened.number == number) {
            *opened = None;
        }
    }

    /// Runs `look` within a snapshot.
    pub fn read<T>(&self, look: impl Fn(Tables, &RoTxn<'_>) -> heed::Result<T>) -> Result<T> {
        let mut again = true;
        loop {
            let opened = self.in_use()?;
            let found = opened.environment.read_txn().and_then(|snapshot| look(opened.tables, &snapshot));
            match found {
                Ok(found) => return Ok(found),
                Err(error) => self.after(error, opened, &mut again)?,
            }
        }
    }

    /// As [`Environment::read`], and sees to it that "nothing" is what the directory says.
    pub fn find<T>(&self, look: impl Fn(Tables, &RoTxn<'_>) -> heed::Result<Option<T>>) -> Result<Option<T>> {
        let found = self.read(&look)?;
        let opened = self.in_use()?;
        if found.is_some() || opened.is_there(&self.dir) {
            return Ok(found);
        }
        let number = opened.number;
        drop(opened);
        self.close(number);
        self.read(look)
    }

    /// Runs `work` as the one who writes, and commits what it did if it says so.
    pub fn write<T>(
        &self,
        synced: bool,
        patience: Duration,
        mut work: impl FnMut(Tables, &mut RwTxn<'_>) -> std::result::Result<Verdict<T>, Trouble>,
    ) -> Result<T> {
        let mut again = true;
        loop {
            let opened = self.in_use()?;
            match opened.turn(&self.dir, synced, patience, &mut work) {
                Ok(done) => return Ok(done),
                Err(Trouble::Ours(error)) => return Err(error),
                Err(Trouble::Lmdb(error)) => self.after(error, opened, &mut again)?,
                Err(Trouble::Replaced) => {
                    let number = opened.number;
                    drop(opened);
                    self.close(number);
                }
            }
        }
    }

    /// What to do about an error of LMDB: once more, if that may help and was not tried before.
    fn after(&self, error: heed::Error, opened: InUse<'_>, again: &mut bool) -> Result<()> {
        let first = std::mem::replace(again, false);
        match error {
            // Killed readers keep their slots until somebody looks.
            heed::Error::Mdb(MdbError::ReadersFull) if first => {
                drop(opened.environment.clear_stale_readers());
                Ok(())
            }
            // A disk that failed LMDB, and a map that another version made larger: both need another opening.
            heed::Error::Mdb(MdbError::Panic | MdbError::MapResized) if first => {
                let number = opened.number;
                drop(opened);
                self.close(number);
                Ok(())
            }
            error => Err(failed(&self.dir, error)),
        }
    }

    /// Gives free what killed readers hold.
    pub fn clear_stale_readers(&self) -> Result<()> {
        self.in_use()?.environment.clear_stale_readers().map(drop).map_err(|error| failed(&self.dir, error))
    }

    #[cfg(test)]
    pub fn flags(&self) -> heed::Result<heed::EnvFlags> {
        Ok(self.in_use().expect("an environment").environment.flags()?.expect("flags that heed knows"))
    }

    /// Waits until all that was committed is on the disk.
    pub fn sync(&self) -> Result<()> {
        self.in_use()?.environment.force_sync().map_err(|error| failed(&self.dir, error))
    }
}

impl Opened {
    fn open(dir: &Path, terms: Terms) -> Result<Opened> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        directory::claim(dir, Kind::Dbm)?;
        for name in [DATA, LOCK, gate::NAME] {
            refuse_foreign(&dir.join(name))?;
        }
        let gate = Gate::open(dir)?;
        let is_new = !is_made(&dir.join(DATA)) || !is_made(&dir.join(LOCK));
        let turn = if is_new { Some(gate.enter(PATIENCE)?) } else { None };
        if turn.is_some() && !is_made(&dir.join(DATA)) {
            // Whoever still has what was there before shares no locks with what is made now.
            let _ = std::fs::remove_file(dir.join(LOCK));
        }
        set_room_aside(&dir.join(LOCK), terms.readers)?;
        let read_only = terms.read_only && !is_new;
        let failed = |error| failed(dir, error);
        let options = lmdb::Options { readers: terms.readers, databases: 2, read_only };
        let environment = lmdb::open(dir, &options).map_err(failed)?;
        let is_short = missing_length(&environment, dir)?.is_some();
        let tables = if is_short { None } else { known(&environment).map_err(failed)? };
        let tables = match (tables, turn) {
            (Some(tables), _) => tables,
            (None, _) if read_only => {
                drop(environment);
                return Opened::open(dir, Terms { read_only: false, ..terms });
            }
            (None, turn) => {
                let _turn = if let Some(turn) = turn { turn } else { gate.enter(PATIENCE)? };
                mend_length(&environment, dir)?;
                make(&environment).map_err(failed)?
            }
        };
        let files = identity(dir)?;
        Ok(Opened { environment, tables, gate, files, number: NUMBER.fetch_add(1, Ordering::Relaxed) })
    }

    /// Whether the files are still those in the directory. A store that vanished is a failure, and one that somebody made anew is used: what is
    /// written into files that have no name any more would be lost, and with other locks than the others there would be two writers.
    fn is_there(&self, dir: &Path) -> bool {
        identity(dir).is_ok_and(|files| files == self.files)
    }

    fn turn<T>(
        &self,
        dir: &Path,
        synced: bool,
        patience: Duration,
        work: &mut impl FnMut(Tables, &mut RwTxn<'_>) -> std::result::Result<Verdict<T>, Trouble>,
    ) -> std::result::Result<T, Trouble> {
        let _turn = self.gate.enter(patience)?;
        if !self.is_there(dir) {
            return Err(Trouble::Replaced);
        }
        let mut writer = self.environment.write_txn()?;
        lmdb::wait_for_disk(&self.environment, &writer, synced)?;
        match work(self.tables, &mut writer)? {
            Verdict::Commit(done) => {
                writer.commit()?;
                Ok(done)
            }
            Verdict::Abort(done) => Ok(done),
        }
    }
}

/// How long the file of the data should be, if it is shorter than its pages say.
fn missing_length(environment: &lmdb::Environment, dir: &Path) -> Result<Option<u64>> {
    let pages = environment.info().last_page_number as u64 + 1;
    let wanted = pages.saturating_mul(environment.unnamed_database_stat().page_size.into());
    let found = std::fs::metadata(dir.join(DATA)).map_err(|error| Error::Io(dir.join(DATA), error))?;
    Ok((found.len() < wanted).then_some(wanted))
}

/// A crash of the machine may leave the file too short, and to touch what is behind the end of a mapped file is a deadly signal. What is missing
/// is zeroes then, which LMDB takes for the damage that it is. The caller has his turn; in a transaction nobody else writes.
fn mend_length(environment: &lmdb::Environment, dir: &Path) -> Result<()> {
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
fn identity(dir: &Path) -> Result<[(u64, u64); 2]> {
    let of = |name: &str| {
        let path = dir.join(name);
        std::fs::symlink_metadata(&path).map(|found| (found.dev(), found.ino())).map_err(|error| Error::Io(path, error))
    };
    Ok([of(DATA)?, of(LOCK)?])
}

/// Something else under the name of one of our files.
fn refuse_foreign(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if is_ours(&found) => Ok(()),
        Ok(_) => {
            Err(Error::Unusable(format!("{}: it is no file of the dbm store, or has another link or owner; move it away", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::Io(path.to_owned(), error)),
    }
}

fn is_made(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

/// LMDB maps its locks and writes into the map: on a disk that is full by then, that would be a deadly signal. So the room is taken before. The
/// size of one that is in use is never changed. This process does not have it open: to close it would give its locks away.
fn set_room_aside(lock: &Path, readers: u32) -> Result<()> {
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

/// The tables, if they were made.
fn known(environment: &lmdb::Environment) -> heed::Result<Option<Tables>> {
    let opened = environment.open_databases_and_commit(environment.read_txn()?, |databases, snapshot| {
        let mut tables = [None; 3];
        for (table, name) in tables.iter_mut().zip(NAMES) {
            *table = databases.open_database::<Bytes, Bytes>(snapshot, name)?;
        }
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(tables))
    })?;
    let tables = opened.commit().unwrap_or_default();
    Ok(match tables {
        [Some(records), Some(expiry), Some(aside)] => Some(Tables { records, expiry, aside }),
        _ => None,
    })
}

fn make(environment: &lmdb::Environment) -> heed::Result<Tables> {
    let made = environment.create_databases_and_commit(environment.write_txn()?, |databases, writer| {
        let mut make = |name| databases.create_database::<Bytes, Bytes>(writer, name);
        let tables = (make(NAMES[0])?, make(NAMES[1])?, make(NAMES[2])?);
        heed::Result::Ok(CommitOrAbort::<_, heed::Error>::Commit(tables))
    })?;
    let (records, expiry, aside) = std::result::Result::from(made)?;
    Ok(Tables { records, expiry, aside })
}

fn failed(dir: &Path, error: heed::Error) -> Error {
    let what = match error {
        heed::Error::Io(error) => return Error::Io(dir.join(DATA), error),
        heed::Error::Mdb(MdbError::MapFull) => {
            format!(
                "the dbm store is full, at {} GiB; end sessions with htsession, or give some sections another SessionDir",
                lmdb::MAP >> 30
            )
        }
        heed::Error::Mdb(MdbError::ReadersFull) => {
            "all places for readers are taken; stop and start httpd, so that it makes more".to_owned()
        }
        heed::Error::Mdb(
            error @ (MdbError::Invalid | MdbError::VersionMismatch | MdbError::Corrupted | MdbError::PageNotFound | MdbError::BadTxn),
        ) => format!("{DATA} is damaged ({error}); stop httpd and move the directory away, sessions begin anew"),
        error => format!("LMDB failed: {error}"),
    };
    Error::Failed(format!("SessionDir {}: {what}", dir.display()))
}
