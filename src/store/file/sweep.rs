//! Walking over a store: cleaning, listing.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::directory;
use super::record::{Access, RecordFile};
use super::{Cursor, Entry, Error, FileStore, Result, Sweep};
use crate::session::{Key, Timestamp};
use crate::store::Store;

/// A temporary file of this age was left by a writer that died.
const TEMPORARY_AGE: Duration = Duration::from_secs(60);
/// Damaged records are kept for inspection this long.
const CORRUPT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const CORRUPT_SUFFIX: &str = ".corrupt";

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

/// The entries of a sub-directory. One that was never needed has none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::Io(dir.to_owned(), error)),
    }
}

pub fn sweep(store: &FileStore, before: Timestamp, slice: Duration, from: Cursor) -> Result<Sweep> {
    let started = Instant::now();
    let mut done = Sweep::default();
    if !directory::is_claimed(&store.dir)? {
        directory::claim(&store.dir)?;
    }
    for number in from.0..256 {
        if started.elapsed() > slice && number > from.0 {
            done.next = Some(Cursor(number));
            return Ok(done);
        }
        let byte = u8::try_from(number).expect("below 256");
        for path in entries(&directory::sub(&store.dir, byte))? {
            if let Err(error) = sweep_one(store, &path, byte, before, &mut done) {
                done.failed += 1;
                done.failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
    Ok(done)
}

fn sweep_one(store: &FileStore, path: &Path, sub: u8, before: Timestamp, done: &mut Sweep) -> Result<()> {
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
        Name::Record(key) => sweep_record(store, path, key, before, done),
        _ => Ok(()),
    }
}

fn sweep_record(store: &FileStore, path: &Path, key: Key, before: Timestamp, done: &mut Sweep) -> Result<()> {
    done.seen += 1;
    match store.load(&key) {
        Ok(Some(blob)) if blob.expires < before => {}
        Err(Error::Corrupt(_)) => {
            done.corrupt += 1;
            return store.quarantine(&key, &|_| false);
        }
        Ok(_) => return Ok(()),
        Err(error) => return Err(error),
    }
    // Judged again under the lock; whoever holds it is using the session.
    let Ok(file) = RecordFile::open(path, key, Access::Write) else { return Ok(()) };
    if file.try_lock()? && file.is_linked()? && file.newest().is_ok_and(|newest| newest.blob.expires < before) {
        remove(path)?;
        done.deleted += 1;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Io(path.to_owned(), error)),
        _ => Ok(()),
    }
}

pub fn each(store: &FileStore, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    for byte in 0..=255 {
        for path in entries(&directory::sub(&store.dir, byte))? {
            let name = path.file_name().and_then(|name| name.to_str()).map_or(Name::Foreign, |name| classify(name, byte));
            let Name::Record(key) = name else { continue };
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
