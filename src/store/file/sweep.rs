//! Walking over a store: cleaning, listing.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::directory::{self, Kind};
use super::open_files::Access;
use super::record::RecordFile;
use super::{Blob, Cursor, Entry, Error, FileStore, Result, Sweep};
use crate::session::{Key, Timestamp};
use crate::store::Store;

/// A temporary file of this age was left by a writer that died.
const TEMPORARY_AGE: Duration = Duration::from_secs(60);
/// Damaged records are kept for inspection this long.
const CORRUPT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const CORRUPT_SUFFIX: &str = ".corrupt";

/// Requests that wait for the processor go first, at a point where no lock is held, instead of when the scheduler's time for us is over.
const UNYIELDING: Duration = Duration::from_micros(200);

/// What the name of a file in a sub-directory says. `sub` is the byte that the sub-directory stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    Record(Key),
    Temporary,
    Corrupt,
    Foreign,
}

#[must_use]
pub fn classify(name: &str, sub: u8) -> Name {
    let Some(key) = name.get(..64).and_then(Key::from_hex).filter(|key| key.0[0] == sub) else { return Name::Foreign };
    let rest = &name[64..];
    let temporary = rest.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp"));
    if rest.is_empty() {
        Name::Record(key)
    } else if rest == CORRUPT_SUFFIX {
        Name::Corrupt
    } else if temporary.is_some_and(|random| random.len() == 16 && data_encoding::HEXLOWER.decode(random.as_bytes()).is_ok()) {
        Name::Temporary
    } else {
        Name::Foreign
    }
}

pub fn corrupt_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(CORRUPT_SUFFIX);
    name.into()
}

/// Ours beyond doubt: what else lies in our directories is never touched.
#[must_use]
pub fn is_ours(found: &Metadata) -> bool {
    found.is_file() && found.nlink() == 1 && found.uid() == rustix::process::geteuid().as_raw()
}

fn older_than(found: &Metadata, age: Duration) -> bool {
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(found.ctime().try_into().unwrap_or(0));
    SystemTime::now().duration_since(changed).is_ok_and(|since| since > age)
}

/// The names in a sub-directory. One that was never needed has none.
fn names(dir: &Path) -> Result<Vec<OsString>> {
    let names = std::fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    match names {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|error| Error::Io(dir.to_owned(), error)),
    }
}

/// How far a sweep has come: through all sub-directories before `sub`, and in that through all names up to `last`. What comes and
/// goes meanwhile moves nothing else, as a number of entries would.
struct Position {
    sub: u8,
    last: OsString,
}

impl Position {
    fn decode(cursor: Cursor) -> Position {
        let mut bytes = cursor.0.into_iter();
        Position { sub: bytes.next().unwrap_or(0), last: OsString::from_vec(bytes.collect()) }
    }

    fn encode(self) -> Cursor {
        Cursor(std::iter::once(self.sub).chain(self.last.into_vec()).collect())
    }
}

/// What a sweep is to remove, and who is told of it.
pub struct Order<'s> {
    pub before: Timestamp,
    pub deleted: &'s mut dyn FnMut(&Key, &Blob),
}

/// A slice looks at so many files whatever the time is: where the processor is short, it is over before it began, and a pass would never end.
const LEAST: usize = 16;

pub fn sweep(store: &FileStore, mut order: Order<'_>, slice: Duration, from: Cursor) -> Result<Sweep> {
    let end = Instant::now() + slice;
    if !directory::is_claimed(&store.dir, Kind::File)? {
        directory::claim(&store.dir, Kind::File)?;
    }
    let mut done = Sweep::default();
    let Position { sub: first, mut last } = Position::decode(from);
    let mut looked = 0;
    for sub in first..=255 {
        if sub > first && looked >= LEAST && Instant::now() > end {
            done.next = Some(Position { sub, last }.encode());
            break;
        }
        if let Some(last) = sweep_sub(store, sub, &last, &mut order, end, (&mut done, &mut looked)) {
            done.next = Some(Position { sub, last }.encode());
            break;
        }
        last.clear();
    }
    Ok(done)
}

/// Sweeps over the names behind `last` in a sub-directory; answers the name it came to, if the time was over before the end.
fn sweep_sub(
    store: &FileStore,
    sub: u8,
    last: &OsStr,
    order: &mut Order<'_>,
    end: Instant,
    (done, looked): (&mut Sweep, &mut usize),
) -> Option<OsString> {
    let started = Instant::now();
    let dir = super::sub(&store.dir, sub);
    let mut names = match names(&dir) {
        Ok(names) => names,
        Err(error) => {
            done.fail(&error);
            return None;
        }
    };
    names.retain(|name| name.as_os_str() > last);
    names.sort_unstable();
    // Where to list the names takes longer than a slice, a pass must come to its end all the same.
    let end = end.max(Instant::now() + started.elapsed());
    let mut names = names.into_iter().peekable();
    let mut yielded = Instant::now();
    while let Some(name) = names.next() {
        if let Err(error) = sweep_one(&dir.join(&name), sub, order, done) {
            done.fail(&error);
        }
        *looked += 1;
        let now = Instant::now();
        if names.peek().is_some() && *looked >= LEAST && now > end {
            return Some(name);
        }
        if now - yielded > UNYIELDING {
            std::thread::yield_now();
            yielded = Instant::now();
        }
    }
    None
}

impl Sweep {
    pub(crate) fn fail(&mut self, error: &Error) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| error.to_string());
    }
}

fn sweep_one(path: &Path, sub: u8, order: &mut Order<'_>, done: &mut Sweep) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).map_or(Name::Foreign, |name| classify(name, sub));
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) }; // gone meanwhile
    if found.nlink() == 0 {
        return Ok(()); // just being replaced or deleted; only what stays is worth a word
    }
    if name == Name::Foreign || !is_ours(&found) {
        done.foreign.get_or_insert_with(|| path.to_owned());
        return Ok(());
    }
    match name {
        Name::Temporary if older_than(&found, TEMPORARY_AGE) => remove(path),
        Name::Corrupt if older_than(&found, CORRUPT_AGE) => remove(path),
        Name::Record(key) => sweep_record(path, key, order, done),
        _ => Ok(()),
    }
}

fn sweep_record(path: &Path, key: Key, order: &mut Order<'_>, done: &mut Sweep) -> Result<()> {
    let file = match RecordFile::open(path, key, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()), // gone meanwhile
        Err(error) => return Err(Error::Io(path.to_owned(), error)),
    };
    done.seen += 1;
    match file.newest_unlocked() {
        Ok(Some(blob)) if blob.expires >= order.before => return Ok(()),
        Err(Error::Newer(_)) => return Ok(()),
        Ok(_) => {} // expired, torn or damaged: judged under the lock
        Err(error) => return Err(error),
    }
    // Whoever holds it is using the session, or has just replaced it.
    if !file.try_lock()? || !file.is_under_its_name()? {
        return Ok(());
    }
    match file.newest(None) {
        Ok(newest) if newest.blob.expires < order.before => {
            remove(path)?;
            (order.deleted)(&key, &newest.blob);
            done.deleted += 1;
        }
        Err(error @ Error::Corrupt(_)) if is_ours(&file.metadata()?) => {
            file.put_aside(&corrupt_name(path))?;
            done.corrupt += 1;
            done.damage.get_or_insert_with(|| error.to_string());
        }
        Err(Error::Corrupt(_) | Error::Newer(_)) | Ok(_) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::Io(path.to_owned(), error)),
        _ => Ok(()),
    }
}

pub fn each(store: &FileStore, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    for byte in 0..=255 {
        let sub = super::sub(&store.dir, byte);
        for name in names(&sub)? {
            let Some(Name::Record(key)) = name.to_str().map(|name| classify(name, byte)) else { continue };
            let path = sub.join(&name);
            // A link or a pipe under the name of a record must not end the walk.
            if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let entry = match store.load(&key) {
                Ok(Some(blob)) => Entry::Blob(blob),
                Ok(None) => continue,
                Err(Error::Corrupt(_)) => Entry::Corrupt,
                Err(error) => return Err(error),
            };
            if !visit(&key, entry) {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_in_their_own_sub_directory_are_ours() {
        let hex = Key([0xab; 32]).hex();
        assert_eq!(classify(&hex, 0xab), Name::Record(Key([0xab; 32])));
        assert_eq!(classify(&format!("{hex}.corrupt"), 0xab), Name::Corrupt);
        assert_eq!(classify(&format!("{hex}.0123456789abcdef.tmp"), 0xab), Name::Temporary);
        for foreign in [&hex[1..], &hex.to_uppercase(), &format!("{hex}~"), &format!("{hex}.tmp"), &format!("{hex}.bak"), "notes.txt", ""] {
            assert_eq!(classify(foreign, 0xab), Name::Foreign, "{foreign}");
        }
        assert_eq!(classify(&hex, 0xac), Name::Foreign);
    }
}
