//! Writing a session: its changes go on top of the newest record, as one step of the store.

use super::{CIRCLE, Error, Repository, blob_of, circle, draw};
use crate::session::record::{CodecError, sealer};
use crate::session::session::{Intent, Merged, Phase};
use crate::session::{Alias, Id, Key, Record, Session, Stored, Timestamp};
use crate::store::{self, Blob, Change, Outcome};

/// What a save did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// There was nothing to do.
    Nothing,
    Created,
    Changed {
        /// A renewal was due, and is written with it.
        renewed: bool,
    },
    /// Its last value went: only a session with values is stored.
    Deleted,
}

/// Ids that are drawn before a generator is given up.
const MOST_DRAWN: usize = 4;

/// What an update of one key came to.
enum Step {
    Done(Merged, Outcome),
    /// The session has moved on.
    Moved(Alias),
}

enum Refused {
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
        for _ in 0..MOST_DRAWN {
            let (id, key) = self.identify(session)?;
            let blob = self.blob(session, (&id, &key), &record, expires)?;
            if self.store.create(&key, &blob, self.terms.durability)? {
                session.saved(record, expires);
                return Ok(Saved::Created);
            }
            if session.phase() != Phase::New {
                break; // somebody else created it anew after we removed it
            }
            session.forget_id(); // taken, which chance never does, but a generator that repeats itself may
        }
        session.gone();
        Err(Error::Gone)
    }

    /// A limit that was lowered meanwhile holds for changes, not for renewals.
    pub(super) fn blob(&self, session: &Session, (id, key): (&Id, &Key), record: &Record, expires: Timestamp) -> Result<Blob, Error> {
        let bytes = if self.terms.sealed {
            match session.loaded(key).and_then(|loaded| loaded.sealer.as_ref()) {
                Some(sealer) => record.encode_sealed(sealer, key, draw()?),
                None => record.encode_sealed(&sealer(id), key, draw()?),
            }
        } else {
            record.encode()
        };
        let too_large = session.has_changes() && bytes.len() > self.terms.max_size;
        if too_large { Err(Error::TooLarge) } else { Ok(Blob::new(expires, bytes)) }
    }

    /// Writes the changes of a stored session, wherever it has moved meanwhile. Behind the end of a grace they arrive still, for this request
    /// began before; but it does not learn the new id or what is under it.
    pub(super) fn update(&self, session: &mut Session, now: Timestamp) -> Result<Saved, Error> {
        let (Some(mut id), Some(mut key)) = (session.id().cloned(), session.key().copied()) else { return self.lost(session) };
        let mut in_time = true;
        for _ in 0..CIRCLE {
            let step = self.update_at(session, (&id, &key), now);
            if in_time && !matches!(step, Ok(Some(Step::Moved(_)))) {
                session.identify(id.clone(), key);
            }
            match step? {
                Some(Step::Done(merged, outcome)) if in_time => return Ok(done(session, merged, outcome)),
                Some(Step::Done(..)) => {
                    session.revert();
                    session.gone();
                    return Ok(Saved::Changed { renewed: false });
                }
                Some(Step::Moved(alias)) => {
                    // None: a change of privilege. What the old id began does not reach it.
                    let Some(new) = alias.new_id(&id, &key) else { return self.lost(session) };
                    in_time &= alias.leads_on(now);
                    (id, key) = (new, alias.to);
                }
                None => return self.lost(session),
            }
        }
        Err(circle().into())
    }

    /// The session is not there any more, which a mere renewal need not tell.
    fn lost(&self, session: &mut Session) -> Result<Saved, Error> {
        session.gone();
        if session.has_changes() { Err(Error::Gone) } else { Ok(Saved::Nothing) }
    }

    /// `None`: it is not there.
    fn update_at(&self, session: &Session, at: (&Id, &Key), now: Timestamp) -> Result<Option<Step>, Error> {
        let mut plan = Err(Refused::Error(Error::Gone));
        let mut change = |found: Option<&Blob>| {
            let change;
            (plan, change) = self.plan(session, at, found, now);
            change
        };
        let loaded = session.loaded(at.1).map(blob_of);
        let outcome = match self.store.update_from(at.1, loaded.as_ref(), self.terms.durability, &mut change) {
            Err(store::Error::Corrupt(path)) => return Err(Error::Corrupt(path.display().to_string())),
            other => other?,
        };
        match plan {
            Ok(merged) => Ok(Some(Step::Done(merged, outcome))),
            Err(Refused::Moved(alias)) => Ok(Some(Step::Moved(alias))),
            Err(Refused::Error(Error::Gone)) => Ok(None),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// What a commit makes of the newest record.
    fn plan(&self, session: &Session, at: (&Id, &Key), found: Option<&Blob>, now: Timestamp) -> (Result<Merged, Refused>, Change) {
        let refuse = |why| (Err(why), Change::Keep);
        let (newest, expires, was_sealed) = match newest(session, at, found) {
            Ok(newest) => newest,
            Err(why) => return refuse(why),
        };
        if !session.has_changes() && !session.touch_due(&newest, expires, &self.terms.expiry, now) {
            return (Ok(Merged { record: newest, expires, renews: false }), Change::Keep); // another request has just renewed it
        }
        let Some(merged) = session.merged(newest, expires, &self.terms.expiry, now) else {
            return refuse(Refused::Error(Error::Gone));
        };
        if merged.record.is_empty() {
            return (Ok(merged), Change::Delete);
        }
        match self.blob(session, at, &merged.record, merged.expires) {
            // What could be read before is not to stay beside what is sealed.
            Ok(blob) if self.terms.sealed && !was_sealed => (Ok(merged), Change::Replace(blob)),
            Ok(blob) => (Ok(merged), Change::Write(blob)),
            Err(error) => refuse(Refused::Error(error)),
        }
    }

    /// Reads the newest record of a session for one that is about to replace it.
    pub(super) fn newest(&self, session: &Session, blob: Option<&Blob>) -> Result<Result<(Record, Timestamp), Alias>, Error> {
        let (Some(id), Some(key)) = (session.id(), session.key()) else { return Err(Error::Gone) };
        match newest(session, (id, key), blob) {
            Ok((record, expires, _)) => Ok(Ok((record, expires))),
            Err(Refused::Moved(alias)) => Ok(Err(alias)),
            Err(Refused::Error(error)) => Err(error),
        }
    }
}

/// After an update of the key that the session has by now.
fn done(session: &mut Session, Merged { record, expires, renews }: Merged, outcome: Outcome) -> Saved {
    session.saved(record, expires);
    match outcome {
        Outcome::Written => Saved::Changed { renewed: renews },
        Outcome::Kept => Saved::Nothing,
        Outcome::Deleted => {
            session.removed();
            Saved::Deleted
        }
    }
}

/// The newest record, if it is of the session that was loaded, and whether it was sealed.
fn newest(session: &Session, (id, key): (&Id, &Key), found: Option<&Blob>) -> Result<(Record, Timestamp, bool), Refused> {
    let gone = || Refused::Error(Error::Gone);
    let damaged = |error: CodecError| Refused::Error(Error::Corrupt(error.to_string()));
    let found = found.ok_or_else(gone)?;
    if let Some((record, was_sealed)) = session.as_loaded(key, &found.bytes) {
        return Ok((record, found.expires, was_sealed));
    }
    let stored = match Stored::decode(&found.bytes) {
        Err(CodecError::Newer(_)) => return Err(gone()),
        other => other.map_err(damaged)?,
    };
    if stored.incarnation() != session.incarnation() {
        return Err(gone());
    }
    match stored {
        Stored::Alias(alias) => Err(Refused::Moved(alias)),
        Stored::Session(record) => {
            let sealed = record.values.count().is_none();
            Ok((record.open(id, key).map_err(damaged)?, found.expires, sealed))
        }
    }
}
