//! Sessions in Redis or Valkey: for more than one machine.
//!
//! * **A record** is one string under `<prefix><key in hex>`: a version, and the blob ([`format`]). Redis removes it by itself, [`GRACE`]
//!   after it expired.
//! * **update** compares and sets by version, in a script: what somebody else wrote meanwhile is shown to the change again. Who
//!   brings what he has loaded, as requests do, needs no second look.
//! * **A lost answer** is made up for: each write has a version of its own, and what is found afterwards tells whether it was done.
//! * **Leases** keep other servers off a session ([`lease`]).
//!
//! Connections are made in the process that uses them, when it first does ([`pool`]).

mod connect;
mod fetched;
mod format;
mod lease;
mod pool;
mod renew;
mod scripts;
mod target;
mod walk;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::{Cmd, RedisResult};
use bytes::Bytes;

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::expiry::GRACE;
use crate::session::{Key, Timestamp};
use connect::Connector;
pub use connect::Files;
use fetched::Fetched;
use format::{Found, Value, Version};
pub use lease::{Host, Timing};
use pool::{Link, Pool};
pub use renew::Spawn;
pub use target::{Paths, Peer, Target, is_redis, without_login};
use write::{Answer, Write};

/// An update that others came before so often is given up.
const MOST_RACES: usize = 10_000;

pub struct RedisStore {
    shared: Arc<Shared>,
}

/// What the thread that renews leases needs too.
struct Shared {
    pool: Pool,
    prefix: String,
    /// Sentinels choose the primary: who wants a write to survive wants it on a replica too.
    has_replicas: bool,
    leases: lease::Leases,
    fetched: Fetched,
}

impl Shared {
    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, key.hex())
    }
}

/// What is stored under a name.
enum Stored {
    Nothing,
    Bytes(Bytes),
    /// No string: not ours.
    Foreign,
}

fn get(link: &mut Link, name: &str) -> RedisResult<Stored> {
    match Cmd::new().arg("GET").arg(name).query::<Option<Vec<u8>>>(&mut link.connection) {
        Ok(None) => Ok(Stored::Nothing),
        Ok(Some(bytes)) => Ok(Stored::Bytes(bytes.into())),
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(Stored::Foreign),
        Err(error) => Err(error),
    }
}

/// For so many milliseconds Redis keeps what is written now; `None`: for ever. What has expired is there for a while, as it is in other
/// stores: requests that began before may still come for it.
fn lifetime(expires: Timestamp) -> Option<u64> {
    const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = expires.since(Timestamp(u64::try_from(now.as_micros()).unwrap_or(u64::MAX)));
    (left < LONGEST).then(|| (left + GRACE) / 1000 + 1)
}

impl RedisStore {
    /// A store at a target. Nothing is connected before the first use. `files`: what is in the files that the target names, or why that
    /// cannot be had. `host`: who competes for leases.
    #[must_use]
    pub fn new(target: Target, files: std::result::Result<Files, String>, host: Host) -> RedisStore {
        let prefix = target.prefix.clone();
        let has_replicas = matches!(target.peer, Peer::Sentinel(..));
        let name = format!("SessionStore {target}");
        let pool = Pool::new(files.map(|files| Connector::new(target, files)), name);
        let shared = Shared { pool, prefix, has_replicas, leases: lease::Leases::new(host), fetched: Fetched::default() };
        RedisStore { shared: Arc::new(shared) }
    }

    /// A store for a tool: of the words of `SessionStore`, whose files it reads itself.
    ///
    /// # Errors
    /// What is wrong with the words or the files.
    pub fn open(words: &[&str]) -> std::result::Result<RedisStore, String> {
        let target = Target::parse(words)?;
        let files = Files::read(&target.paths, &mut |path| std::fs::read(path).map_err(|error| format!("{path}: {error}")))?;
        Ok(RedisStore::new(target, Ok(files), Host::default()))
    }

    /// What is stored, if it can be read.
    fn read(&self, key: &Key) -> Result<Option<Value>> {
        let name = self.shared.name(key);
        let stored = self.shared.pool.run(|link, _| get(link, &name))?;
        self.understand(key, stored)
    }

    fn understand(&self, key: &Key, stored: Stored) -> Result<Option<Value>> {
        let bytes = match stored {
            Stored::Nothing => return Ok(None),
            Stored::Bytes(bytes) => bytes,
            Stored::Foreign => return Err(self.damaged(key)),
        };
        match format::decode(key, &bytes) {
            Found::Value(value) => Ok(Some(value)),
            Found::Newer => Ok(None),
            Found::Damage => Err(self.damaged(key)),
        }
    }

    fn damaged(&self, key: &Key) -> Error {
        Error::Corrupt(PathBuf::from(self.shared.name(key)))
    }

    fn draw(&self) -> Result<Version> {
        Version::draw().map_err(|error| Error::Failed(format!("no random numbers: {error}")))
    }
}

impl Store for RedisStore {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        self.shared.fetched.forget(key);
        let version = self.draw()?;
        let bytes = format::encode(key, version, Version::default(), blob);
        write::create(&self.shared, &self.shared.name(key), version, &bytes, lifetime(blob.expires), durability)
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        let read = match self.shared.fetched.take(key) {
            Some(stored) => self.understand(key, stored)?,
            None => self.read(key)?,
        };
        Ok(read.map(|Value { version, blob, .. }| blob.known_by(version.into())))
    }

    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        // It need not be the newest: what is set is compared before.
        let known = loaded.and_then(|loaded| Some((loaded.version?.into(), loaded.clone())));
        self.shared.fetched.forget(key);
        let name = self.shared.name(key);
        let claim = self.shared.leases.ending(key);
        let read = |stored: Option<Value>| stored.map(|value| (value.version, value.blob));
        let mut is_newest = known.is_none();
        let mut current = match known {
            Some(known) => Some(known),
            None => read(self.read(key)?),
        };
        for _ in 0..MOST_RACES {
            let Some((over, blob)) = current else {
                change(None);
                return Ok(Outcome::Kept);
            };
            let write = match change(Some(&blob)) {
                Change::Keep if is_newest => return Ok(Outcome::Kept),
                // What was decided by an older one counts if that is the newest still.
                Change::Keep => {
                    current = read(self.read(key)?);
                    is_newest = true;
                    if current.as_ref().is_some_and(|(newest, _)| *newest == over) {
                        return Ok(Outcome::Kept);
                    }
                    continue;
                }
                Change::Write(blob) | Change::Replace(blob) => {
                    let version = self.draw()?;
                    let bytes = format::encode(key, version, over, &blob);
                    Write { over, version, to: Some((bytes, lifetime(blob.expires))) }
                }
                Change::Delete => Write { over, version: self.draw()?, to: None },
            };
            match write::compare_and_set(&self.shared, &name, &write, claim.as_deref(), durability)? {
                Answer::Done if write.to.is_some() => return Ok(Outcome::Written),
                Answer::Done => return Ok(Outcome::Deleted),
                Answer::Other(stored) => {
                    current = read(self.understand(key, stored)?);
                    is_newest = true;
                }
            }
        }
        Err(Error::Locked(PathBuf::from(name), Duration::ZERO))
    }

    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        self.shared.fetched.forget(key);
        walk::quarantine(&self.shared, key, is_damaged)
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        walk::sweep(&self.shared, before, slice, from, deleted)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        walk::each(&self.shared, visit)
    }

    fn lease(&self, key: &Key, label: &[u8], wait: &super::lease::Wait<'_>) -> Option<super::lease::Answer> {
        self.shared.leases.is_wanted().then(|| lease::acquire(&self.shared, key, &String::from_utf8_lossy(label), wait))
    }
}

#[cfg(test)]
mod tests;
