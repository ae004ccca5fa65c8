//! Walking over a store: cleaning on demand, listing, and what is put aside.
//!
//! Redis removes by itself what expired, so a server cleans nothing here. `htsession gc` does, and then what expired is told.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::redis::{Cmd, RedisResult};
use bytes::Bytes;

use super::format::{self, Found};
use super::scripts::PUT_ASIDE;
use super::write::{self, Answer, Write};
use super::{Link, Shared, Stored, get};
use crate::session::{Key, Timestamp};
use crate::store::{Blob, Cursor, Durability, Entry, Result, Sweep};

/// Damaged records are kept for inspection this long.
const CORRUPT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of the names that one look asks for, in the beginning and at most: their records lie in the memory of both sides at once.
const LOOK: usize = 2;
const LONG_LOOK: usize = 100;

pub fn quarantine(shared: &Shared, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
    let (name, aside) = (shared.name(key), format!("{}corrupt:{}", shared.prefix, key.hex()));
    let stored = shared.pool.run(|link, _| get(link, &name))?;
    let bytes = match stored {
        Stored::Nothing => return Ok(()),
        Stored::Foreign => Bytes::new(),
        Stored::Bytes(bytes) => match format::decode(key, &bytes) {
            Found::Value(value) if is_damaged(&value.blob) => bytes,
            Found::Damage => bytes,
            Found::Value(_) | Found::Newer => return Ok(()),
        },
    };
    let age = CORRUPT_AGE.as_millis() as u64;
    shared.pool.run(|link, _| {
        let mut call = PUT_ASIDE.key(&name);
        call.key(&aside).arg(&bytes[..]).arg(age);
        call.invoke::<u8>(&mut link.connection).map(drop)
    })
}

/// One look at some of the names: those of records, and the cursor for the next look.
fn look(link: &mut Link, shared: &Shared, cursor: u64, count: usize) -> RedisResult<(u64, Vec<Key>)> {
    let pattern = glob(&shared.prefix) + "*";
    let mut scan = Cmd::new();
    scan.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
    let (next, names): (u64, Vec<Vec<u8>>) = scan.query(&mut link.connection)?;
    let key = |name: Vec<u8>| Key::from_hex(std::str::from_utf8(name.strip_prefix(shared.prefix.as_bytes())?).ok()?);
    Ok((next, names.into_iter().filter_map(key).collect()))
}

/// A prefix as a pattern that means itself.
fn glob(text: &str) -> String {
    let escaped = |c: char| if "*?[]\\^".contains(c) { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escaped).collect()
}

/// What is stored under some keys; `None`: gone meanwhile, or no string.
fn get_all(link: &mut Link, shared: &Shared, keys: &[Key]) -> RedisResult<Vec<Option<Vec<u8>>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = Cmd::new();
    get.arg("MGET");
    for key in keys {
        get.arg(shared.name(key));
    }
    get.query(&mut link.connection)
}

pub fn sweep(shared: &Shared, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
    let end = Instant::now() + slice;
    let mut cursor = from.0.try_into().map_or(0, u64::from_le_bytes);
    let mut done = Sweep::default();
    let mut count = LOOK;
    loop {
        let (next, found) = shared.pool.run(|link, _| {
            let (next, keys) = look(link, shared, cursor, count)?;
            let stored = get_all(link, shared, &keys)?;
            Ok((next, keys.into_iter().zip(stored).collect::<Vec<_>>()))
        })?;
        for (key, bytes) in found {
            judge(shared, &key, bytes, before, &mut done, deleted);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(done);
        }
        if Instant::now() >= end {
            done.next = Some(Cursor(cursor.to_le_bytes().to_vec()));
            return Ok(done);
        }
        count = (count * 2).min(LONG_LOOK);
    }
}

fn judge(shared: &Shared, key: &Key, bytes: Option<Vec<u8>>, before: Timestamp, done: &mut Sweep, deleted: &mut dyn FnMut(&Key, &Blob)) {
    let found = bytes.map(|bytes| format::decode(key, &bytes.into()));
    match found {
        Some(Found::Value(value)) => {
            done.seen += 1;
            if value.blob.expires >= before {
                return;
            }
            let write = Write { over: value.version, version: value.version, to: None };
            match write::compare_and_set(shared, &shared.name(key), &write, None, Durability::Process) {
                Ok(Answer::Done) => {
                    done.deleted += 1;
                    deleted(key, &value.blob);
                }
                Ok(Answer::Other(_)) => {} // renewed at this moment
                Err(error) => done.fail(&error),
            }
        }
        Some(Found::Damage) => {
            done.seen += 1;
            done.corrupt += 1;
            done.damage.get_or_insert_with(|| shared.name(key));
            if let Err(error) = quarantine(shared, key, &|_| false) {
                done.fail(&error);
            }
        }
        Some(Found::Newer) => done.seen += 1,
        None => done.foreign = done.foreign.take().or_else(|| foreign(shared, key)),
    }
}

/// A name that is one of ours, and holds no string.
fn foreign(shared: &Shared, key: &Key) -> Option<PathBuf> {
    let name = shared.name(key);
    let stored = shared.pool.run(|link, _| get(link, &name));
    matches!(stored, Ok(Stored::Foreign)).then(|| PathBuf::from(name))
}

pub fn each(shared: &Shared, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    let (mut cursor, mut seen) = (0, HashSet::new()); // SCAN may show a name twice
    loop {
        let (next, found) = shared.pool.run(|link, _| {
            let (next, mut keys) = look(link, shared, cursor, LONG_LOOK)?;
            keys.retain(|key| !seen.contains(&key.0));
            let stored = get_all(link, shared, &keys)?;
            Ok((next, keys.into_iter().zip(stored).collect::<Vec<_>>()))
        })?;
        for (key, bytes) in found {
            let entry = match bytes.map(|bytes| format::decode(&key, &bytes.into())) {
                Some(Found::Value(value)) => Entry::Blob(value.blob),
                Some(Found::Damage) => Entry::Corrupt,
                Some(Found::Newer) | None => continue,
            };
            if seen.insert(key.0) && !visit(&key, entry) {
                return Ok(());
            }
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(glob("a*[b]?\\c^:"), "a\\*\\[b\\]\\?\\\\c\\^:");
    }
}
