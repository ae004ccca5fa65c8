//! Sessions in a store: finding, saving, moving and ending them. All that the life of a session needs but httpd: the clock is an
//! argument, and a program outside of httpd - a tool, a CGI program, a test - does the same with the same calls.
//!
//! ```
//! use mod_session_rs::repository::{Repository, Terms, now};
//! use mod_session_rs::session::{Scope, Value};
//! use mod_session_rs::store::directory;
//! use mod_session_rs::store::file::FileStore;
//!
//! # let place = tempfile::tempdir()?;
//! # let path = place.path().join("sessions");
//! directory::make(&path, None)?;
//! directory::claim(&path, directory::Kind::File)?;
//! let store = FileStore::new(path);
//! let terms = Terms::new(Scope { name: "example.org".into(), cookie: "sid".into() });
//! let sessions = Repository { store: &store, terms: &terms };
//!
//! let mut session = sessions.blank(now());
//! session.set("visits", Value::Int(1))?;
//! sessions.save(&mut session, now())?;
//!
//! let id = session.id().expect("a stored session has an id");
//! let found = sessions.open(id, now())?.expect("it is stored");
//! assert_eq!(found.values().get("visits"), Some(&Value::Int(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod end;
mod find;
mod regenerate;
mod save;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::session::session::Loaded;
use crate::session::time::MICROS;
use crate::session::{Expiry, Id, Key, Scope, Session, Timestamp};
use crate::store::{self, Blob, Durability, Store};

pub use end::{Ended, end};
pub use find::{Damage, Live, Lookup};
pub use regenerate::{NewId, Regenerated};
pub use save::Saved;

/// The rules that hold for the sessions of a scope: the values of directives, or the defaults of a program outside of httpd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub scope: Scope,
    /// Idle seconds of a new session.
    pub timeout: u64,
    pub expiry: Expiry,
    /// Bytes of the largest record.
    pub max_size: usize,
    /// Whether the values of what is written are sealed.
    pub sealed: bool,
    /// For so long an id that was changed leads to its session. Microseconds.
    pub grace: u64,
    pub durability: Durability,
}

pub const DEFAULT_TIMEOUT: u64 = 1800;
pub const DEFAULT_MAX_SIZE: usize = 1 << 20;
pub const DEFAULT_GRACE: u64 = 10 * MICROS;

impl Terms {
    /// The defaults of the directives.
    #[must_use]
    pub fn new(scope: Scope) -> Terms {
        Terms {
            scope,
            timeout: DEFAULT_TIMEOUT,
            expiry: Expiry::default(),
            max_size: DEFAULT_MAX_SIZE,
            sealed: false,
            grace: DEFAULT_GRACE,
            durability: Durability::Process,
        }
    }
}

/// The sessions of one scope in one store.
#[derive(Clone, Copy)]
pub struct Repository<'a> {
    pub store: &'a dyn Store,
    pub terms: &'a Terms,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the session was deleted, invalidated or outlived meanwhile")]
    Gone,
    #[error("the session would be larger than SessionMaxSize")]
    TooLarge,
    #[error("the session is damaged: {0}")]
    Corrupt(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the kernel has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// An id that is presented leads over so many others to its session at most: whoever changes it more often within the grace is not served
/// by following.
const MOST_MOVES: usize = 64;

/// No session moves as often as this while a request is at work: aliases that lead in a circle were made by somebody else.
const CIRCLE: usize = 10_000;

fn circle() -> store::Error {
    store::Error::Unusable("the aliases of a session lead in a circle: somebody wrote into the store".into())
}

/// What a session was loaded from, for the store that it came from.
fn blob_of(Loaded { bytes, expires, version, kept, .. }: &Loaded) -> Blob {
    Blob { expires: *expires, bytes: bytes.clone(), version: *version, kept: kept.clone() }
}

/// What a session is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Look,
    /// It will probably be changed, soon.
    Change,
}

/// The wall clock, as records hold it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Bits that nobody can guess. The generator of the kernel: any other, used before a fork, gives all children the same numbers.
fn draw<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

impl Repository<'_> {
    /// A session that nothing is stored of.
    #[must_use]
    pub fn blank(&self, now: Timestamp) -> Session {
        Session::blank(now, self.terms.timeout, self.terms.max_size)
    }

    fn key(&self, id: &Id) -> Key {
        Key::derive(&self.terms.scope, id)
    }

    /// The id and key of a session; a new one draws them now.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn identify(&self, session: &mut Session) -> Result<(Id, Key), Error> {
        if let (Some(id), Some(key)) = (session.id(), session.key()) {
            return Ok((id.clone(), *key));
        }
        let (id, key) = self.draw_id()?;
        session.identify(id.clone(), key);
        Ok((id, key))
    }

    fn draw_id(&self) -> Result<(Id, Key), Error> {
        let id = Id::from_random(draw()?);
        let key = self.key(&id);
        Ok((id, key))
    }
}

#[cfg(test)]
mod tests;
