//! Session files that no request made: thousands of them, of any age, made through the library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use mod_session_rs::session::record::Body;
use mod_session_rs::session::{Key, Record, Stored, Timestamp, Value, Values};
use mod_session_rs::store::directory;
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Change, Durability, Entry, Outcome, Store};
use rustix::process::geteuid;

use super::memory;

fn now() -> Timestamp {
    Timestamp(UNIX_EPOCH.elapsed().expect("a clock").as_micros().try_into().expect("64 bits"))
}

/// Puts the sessions of these numbers into a directory, made if it is missing, and gives all of it to the server's user. Session `n`
/// expired for as long as `expired_for` says, or lives.
pub fn put(dir: &Path, numbers: impl IntoIterator<Item = u32>, expired_for: impl Fn(u32) -> Option<Duration>) {
    if !directory::is_claimed(dir, directory::Kind::File).expect("a look at the directory") {
        directory::make(dir, None).expect("a directory for sessions");
        directory::claim(dir, directory::Kind::File).expect("its marker");
    }
    let store = FileStore::new(dir.to_owned());
    let mut values = Values::default();
    values.set("name", Value::Text("somebody who was here".into()));
    let record = Record { incarnation: 1, created: now(), accessed: now(), timeout: 1800, presented: true, user: None, values };
    let bytes = record.encode();
    for n in numbers {
        let expires = match expired_for(n) {
            Some(span) => now().minus(span.as_micros().try_into().expect("a short time")),
            None => now().plus(1_800_000_000),
        };
        let blob = Blob::new(expires, bytes.clone());
        assert!(store.create(&key(n), &blob, Durability::Process).expect("a session"), "session {n} is there");
    }
    if geteuid().is_root() {
        let status = Command::new("chown").args(["-R", "www-data:www-data"]).arg(dir).status().expect("chown");
        assert!(status.success());
    }
}

/// Spread over the sub-directories, as those of requests are.
fn key(n: u32) -> Key {
    let mut bytes = [0x5a; 32];
    bytes[0] = (n % 256) as u8;
    bytes[1..5].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_le_bytes());
    Key(bytes)
}

/// All files in the sub-directories of a session directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let subs = fs::read_dir(dir).into_iter().flatten().flatten();
    subs.flat_map(|sub| fs::read_dir(sub.path()).into_iter().flatten().flatten()).map(|file| file.path()).collect()
}

fn keys(store: &dyn Store) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut visit = |key: &Key, _: Entry| {
        keys.push(*key);
        true
    };
    store.each(&mut visit).expect("the sessions");
    keys
}

/// Changes one byte of what is sealed in every session, and leaves all else as it would be.
pub fn reseal(dir: &Path) {
    let store = FileStore::new(dir.to_owned());
    for key in keys(&store) {
        let mut change = |found: Option<&Blob>| {
            let blob = found.expect("the session");
            let Ok(Stored::Session(mut record)) = Stored::decode(&blob.bytes) else { panic!("not a session") };
            let Body::Sealed(sealed) = &mut record.values else { panic!("not sealed") };
            *sealed.last_mut().expect("a seal") ^= 1;
            Change::Write(Blob::new(blob.expires, Stored::Session(record).encode()))
        };
        assert_eq!(store.update(&key, Durability::Process, &mut change).expect("a write"), Outcome::Written);
    }
}

/// Shifts the times of all sessions of a store, as `htsession adjust-time` does.
pub fn shift(store: &dyn Store, seconds: i64) {
    let shifted = |time: Timestamp| {
        let micros = seconds.unsigned_abs() * 1_000_000;
        if seconds < 0 { time.minus(micros) } else { time.plus(micros) }
    };
    for key in keys(store) {
        let mut change = |found: Option<&Blob>| {
            let Some(blob) = found else { return Change::Keep };
            let mut stored = Stored::decode(&blob.bytes).expect("a record");
            match &mut stored {
                Stored::Session(record) => (record.created, record.accessed) = (shifted(record.created), shifted(record.accessed)),
                Stored::Alias(alias) => alias.grace_ends = shifted(alias.grace_ends),
            }
            Change::Write(Blob::new(shifted(blob.expires), stored.encode()))
        };
        store.update(&key, Durability::Process, &mut change).expect("a write");
    }
}

/// Shifts all times in a directory back, as if so much time had passed.
#[cfg(feature = "tool")]
pub fn age(dir: &Path, seconds: u32) {
    adjust_time(dir, -i64::from(seconds));
}

/// Shifts all times in a directory, as an administrator would.
#[cfg(feature = "tool")]
pub fn adjust_time(dir: &Path, seconds: i64) {
    if memory::is_in(dir) {
        return shift(&memory::store(dir), seconds);
    }
    let mut tool = Command::new(env!("CARGO_BIN_EXE_htsession"));
    let status = tool.arg("--dir").arg(dir).args(["adjust-time", &seconds.to_string()]).output().expect("htsession");
    assert!(status.status.success(), "{status:?}");
}
