//! Writing a session: its changes go on top of the newest record, as one step of the store.

use super::{Error, MOST_MOVES, Repository, draw};
use crate::session::record::CodecError;
use crate::session::session::{Intent, Phase};
use crate::session::{Alias, Id, Key, Record, Session, Stored, Timestamp};
use crate::store::{self, Blob, Change, Outcome};

/// What a save did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// There was nothing to do.
    Nothing,
    Created,
    Changed {
        /// The expiry was moved.
        renewed: bool,
    },
    /// Its last value went: only a session with values is stored.
    Deleted,
}

/// What an update of one key came to.
enum Step {
    Done(Saved),
    /// The session has moved on.
    Moved(Alias),
}

/// What is to become of the record that is there.
pub(super) type Plan = Result<(Record, Timestamp), Refused>;

pub(super) enum Refused {
    Moved(Alias),
    Error(Error),
}

impl Repository<'_> {
    /// Stores what changed, if anything did, and renews the session if that is due.
    ///
    /// # Errors
    /// Nothing was stored; what was stored before is as it was.
    pub fn save(&self, session: &mut Session, now: Timestamp) -> Result<Saved, Error> {
        match session.intent(&self.terms.expiry, now) {
            Intent::Create => self.create(session, now),
            Intent::Update => self.update(session, now),
            // Nothing revives it, so these changes are lost, and their request is to know.
            Intent::Nothing if session.phase() == Phase::Gone && session.has_changes() => Err(Error::Gone),
            Intent::Nothing => Ok(Saved::Nothing),
        }
    }

    /// Stores a session that is not stored.
    ///
    /// # Errors
    /// As [`Repository::save`].
    pub fn create(&self, session: &mut Session, now: Timestamp) -> Result<Saved, Error> {
        let record = session.record_to_create(u64::from_le_bytes(draw()?), now);
        let expires = self.terms.expiry.at_write(&record, now);
        // An id that is taken, with 192 random bits, is one that somebody else created anew after we removed it.
        let (id, key) = self.identify(session)?;
        let blob = self.blob(session, (&id, &key), &record, expires)?;
        if self.store.create(&key, &blob, self.terms.durability)? {
            session.saved(record, expires);
            Ok(Saved::Created)
        } else {
            session.gone();
            Err(Error::Gone)
        }
    }

    /// A limit that was lowered meanwhile holds for changes, not for renewals.
    pub(super) fn blob(&self, session: &Session, (id, key): (&Id, &Key), record: &Record, expires: Timestamp) -> Result<Blob, Error> {
        let bytes = if self.terms.sealed { record.encode_sealed(id, key, draw()?) } else { record.encode() };
        let too_large = session.has_changes() && bytes.len() > self.terms.max_size;
        if too_large { Err(Error::TooLarge) } else { Ok(Blob { expires, bytes }) }
    }

    /// Writes the changes of a stored session, wherever it has moved meanwhile.
    pub(super) fn update(&self, session: &mut Session, now: Timestamp) -> Result<Saved, Error> {
        for _ in 0..=MOST_MOVES {
            let (Some(id), Some(key)) = (session.id().cloned(), session.key().copied()) else { break };
            match self.update_at(session, &id, &key, now)? {
                Step::Done(saved) => return Ok(saved),
                Step::Moved(alias) => match alias.new_id(&id, &key) {
                    Some(new) => session.identify(new, alias.to),
                    None => break, // a change of privilege: what the old id began does not reach it
                },
            }
        }
        self.lost(session)
    }

    /// The session is not there any more, which a mere renewal need not tell.
    fn lost(&self, session: &mut Session) -> Result<Saved, Error> {
        session.gone();
        if session.has_changes() { Err(Error::Gone) } else { Ok(Saved::Nothing) }
    }

    fn update_at(&self, session: &mut Session, id: &Id, key: &Key, now: Timestamp) -> Result<Step, Error> {
        let renews = session.renews();
        let mut plan = Err(Refused::Error(Error::Gone));
        let outcome = {
            let session = &*session;
            let mut change = |found: Option<&Blob>| {
                let change;
                (plan, change) = self.plan(session, (id, key), found, now);
                change
            };
            self.store.update(key, self.terms.durability, &mut change)
        };
        let outcome = match outcome {
            Err(store::Error::Corrupt(path)) => return Err(Error::Corrupt(path.display().to_string())),
            other => other?,
        };
        match plan {
            Ok((record, expires)) if outcome == Outcome::Deleted => {
                session.saved(record, expires);
                session.removed();
                Ok(Step::Done(Saved::Deleted))
            }
            Ok((record, expires)) => {
                session.saved(record, expires);
                Ok(Step::Done(if outcome == Outcome::Written { Saved::Changed { renewed: renews } } else { Saved::Nothing }))
            }
            Err(Refused::Moved(alias)) => Ok(Step::Moved(alias)),
            Err(Refused::Error(Error::Gone)) => self.lost(session).map(Step::Done),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// What a commit makes of the newest record.
    fn plan(&self, session: &Session, (id, key): (&Id, &Key), found: Option<&Blob>, now: Timestamp) -> (Plan, Change) {
        let refuse = |why| (Err(why), Change::Keep);
        let (newest, expires) = match newest(session, (id, key), found) {
            Ok(newest) => newest,
            Err(why) => return refuse(why),
        };
        if !session.has_changes() && !session.touch_due(&newest, expires, &self.terms.expiry, now) {
            return (Ok((newest, expires)), Change::Keep); // another request has just renewed it
        }
        let Some((record, expires)) = session.merged(newest, expires, &self.terms.expiry, now) else {
            return refuse(Refused::Error(Error::Gone));
        };
        if record.is_empty() {
            return (Ok((record, expires)), Change::Delete);
        }
        match self.blob(session, (id, key), &record, expires) {
            Ok(blob) => (Ok((record, expires)), Change::Write(blob)),
            Err(error) => refuse(Refused::Error(error)),
        }
    }
}

/// The newest record, if it is of the session that was loaded.
pub(super) fn newest(session: &Session, (id, key): (&Id, &Key), found: Option<&Blob>) -> Plan {
    let gone = || Refused::Error(Error::Gone);
    let damaged = |error: CodecError| Refused::Error(Error::Corrupt(error.to_string()));
    let found = found.ok_or_else(gone)?;
    let stored = match Stored::decode(&found.bytes) {
        Err(CodecError::Newer(_)) => return Err(gone()),
        other => other.map_err(damaged)?,
    };
    if stored.incarnation() != session.incarnation() {
        return Err(gone());
    }
    match stored {
        Stored::Alias(alias) => Err(Refused::Moved(alias)),
        Stored::Session(record) => Ok((record.open(id, key).map_err(damaged)?, found.expires)),
    }
}
