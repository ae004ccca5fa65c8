//! What is stored, session by session.

use std::process::ExitCode;

use mod_session_rs::repository::now;
use mod_session_rs::session::record::{Body, CodecError};
use mod_session_rs::session::time::MICROS;
use mod_session_rs::session::{Alias, Key, Record, Ref, Stored as Decoded, Timestamp};
use mod_session_rs::store::{Blob, Entry, Error};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, plain, table};
use crate::place::Place;
use crate::times::{iso, iso_short, span};

/// What one record is.
pub enum Content {
    Session(Record<Body>),
    /// A session had this id, and has another one.
    Alias(Alias),
    /// Of a format that a newer version of the module wrote: the server counts it as absent.
    Newer,
    /// The text says why.
    Damaged(String),
}

pub struct Stored {
    pub key: Key,
    pub expires: Timestamp,
    pub size: usize,
    pub content: Content,
}

impl Stored {
    fn new(key: &Key, entry: Entry) -> Stored {
        match entry {
            Entry::Corrupt => {
                let content = Content::Damaged("it is not what was written".to_owned());
                Stored { key: *key, expires: Timestamp::NEVER, size: 0, content }
            }
            Entry::Blob(Blob { expires, bytes, .. }) => {
                let content = match Decoded::decode(&bytes) {
                    Ok(Decoded::Session(record)) => Content::Session(record),
                    Ok(Decoded::Alias(alias)) => Content::Alias(alias),
                    Err(CodecError::Newer(_)) => Content::Newer,
                    Err(error) => Content::Damaged(error.to_string()),
                };
                Stored { key: *key, expires, size: bytes.len(), content }
            }
        }
    }
}

/// Shows all that is stored to `visit`, until it fails.
pub fn each(place: &Place, mut visit: impl FnMut(Stored) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut done = Ok(());
    place.store.each(&mut |key, entry| {
        done = visit(Stored::new(key, entry));
        done.is_ok()
    })?;
    done
}

/// All that goes by this reference: one session, unless two agree in 48 random bits. One that has another id by now is found by both.
pub fn find(place: &Place, reference: &Ref) -> Result<Vec<Stored>, Failure> {
    let mut found = Vec::new();
    let mut moved: Vec<Key> = Vec::new();
    each(place, |stored| {
        if stored.key.reference() == *reference {
            match &stored.content {
                Content::Alias(alias) => moved.push(alias.to),
                _ => found.push(stored),
            }
        }
        Ok(())
    })?;
    for key in moved {
        found.extend(follow(place, key)?);
    }
    if found.is_empty() { Err(Failure::Unknown(reference.clone())) } else { Ok(found) }
}

/// What an alias leads to by now, over any others; `None`: nothing any more.
pub fn follow(place: &Place, mut key: Key) -> Result<Option<Stored>, Failure> {
    loop {
        let entry = match place.store.load(&key) {
            Ok(Some(blob)) => Entry::Blob(blob),
            Ok(None) => return Ok(None),
            Err(Error::Corrupt(_)) => Entry::Corrupt,
            Err(error) => return Err(error.into()),
        };
        let stored = Stored::new(&key, entry);
        match &stored.content {
            Content::Alias(alias) => key = alias.to,
            _ => return Ok(Some(stored)),
        }
    }
}

/// A session without its values.
#[derive(Serialize)]
pub struct Summary {
    pub r#ref: String,
    created: Option<String>,
    accessed: Option<String>,
    /// `None`: never.
    expires: Option<String>,
    idle: u64,
    /// Negative: so long ago.
    expires_in: Option<i64>,
    expired: bool,
    timeout: u64,
    presented: bool,
    user: Option<String>,
    /// `None`: they are sealed.
    keys: Option<usize>,
    size: usize,
}

impl Summary {
    pub fn new(stored: &Stored, record: &Record<Body>, now: Timestamp) -> Summary {
        let ahead = i64::try_from(stored.expires.since(now) / MICROS).unwrap_or(i64::MAX);
        let behind = i64::try_from(now.since(stored.expires) / MICROS).unwrap_or(i64::MAX);
        Summary {
            r#ref: stored.key.reference().to_string(),
            created: iso(record.created),
            accessed: iso(record.accessed),
            expires: iso(stored.expires),
            idle: now.since(record.accessed) / MICROS,
            expires_in: (stored.expires != Timestamp::NEVER).then_some(ahead - behind),
            expired: now >= stored.expires,
            timeout: record.timeout,
            presented: record.presented,
            user: record.user.clone(),
            keys: record.values.count(),
            size: stored.size,
        }
    }
}

/// How long a session has left, for people.
pub fn left(expires: Timestamp, now: Timestamp) -> String {
    if expires == Timestamp::NEVER {
        "never".to_owned()
    } else if now >= expires {
        "expired".to_owned()
    } else {
        span(expires.since(now))
    }
}

#[derive(Serialize)]
struct Listing {
    sessions: Vec<Summary>,
    /// Written by a newer version.
    newer: Vec<String>,
    damaged: Vec<String>,
}

pub fn list(place: &Place, output: &mut Output) -> Result<ExitCode, Failure> {
    let now = now();
    let mut sessions = Vec::new();
    let mut listing = Listing { sessions: Vec::new(), newer: Vec::new(), damaged: Vec::new() };
    each(place, |stored| {
        match &stored.content {
            Content::Session(record) => {
                let cells = vec![
                    stored.key.reference().to_string(),
                    iso_short(record.created),
                    iso_short(record.accessed),
                    span(now.since(record.accessed)),
                    left(stored.expires, now),
                    stored.size.to_string(),
                    record.values.count().map_or_else(|| "sealed".to_owned(), |count| count.to_string()),
                    record.user.as_deref().map_or_else(|| "-".to_owned(), plain),
                ];
                sessions.push((record.accessed, Summary::new(&stored, record, now), cells));
            }
            Content::Alias(_) => {}
            Content::Newer => listing.newer.push(stored.key.reference().to_string()),
            Content::Damaged(_) => listing.damaged.push(stored.key.reference().to_string()),
        }
        Ok(())
    })?;
    sessions.sort_by_key(|(accessed, ..)| std::cmp::Reverse(*accessed));
    let mut rows = Vec::with_capacity(sessions.len() + 1);
    if !sessions.is_empty() {
        rows.push(["REF", "CREATED", "ACCESSED", "IDLE", "EXPIRES IN", "BYTES", "KEYS", "USER"].map(str::to_owned).to_vec());
    }
    for (_, summary, cells) in sessions {
        listing.sessions.push(summary);
        rows.push(cells);
    }
    output.either(&listing, || {
        let mut lines = table(&rows);
        lines.extend(listing.newer.iter().map(|name| format!("{name}  written by a newer version of the module")));
        lines.extend(listing.damaged.iter().map(|name| format!("{name}  damaged: see 'htsession verify'")));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}
