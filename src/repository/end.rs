//! Ending a session: its storage goes, wherever it has moved.

use super::{CIRCLE, Error, Repository, blob_of, circle};
use crate::session::session::Phase;
use crate::session::{Alias, Id, Key, Session, Stored, Timestamp};
use crate::store::{self, Blob, Change, Durability, Outcome, Store};

/// What became of a session that was to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its storage was under this key.
    At(Key),
    /// The record under this key was damaged, and was put aside.
    PutAside(Key),
    /// It had ended already.
    Before,
}

/// Ends the session of this incarnation that is, or was, under `key`, wherever it has moved. To end a session is safe always, so this follows
/// changes of privilege too. What was loaded from there, if anything was, goes with the key. `passed` is shown the aliases on the way.
///
/// # Errors
/// The store failed: the session is as it was.
pub fn end(
    store: &dyn Store,
    (mut key, mut loaded): (Key, Option<Blob>),
    incarnation: u64,
    durability: Durability,
    passed: &mut dyn FnMut(&Alias),
) -> store::Result<Ended> {
    for _ in 0..CIRCLE {
        let mut moved = None;
        let mut change = |found: Option<&Blob>| {
            moved = None;
            match found.map(|blob| Stored::decode(&blob.bytes)) {
                Some(Ok(stored)) if stored.incarnation() != incarnation => Change::Keep,
                Some(Ok(Stored::Session(_))) => Change::Delete,
                Some(Ok(Stored::Alias(alias))) => {
                    moved = Some(alias);
                    Change::Keep
                }
                Some(Err(_)) | None => Change::Keep,
            }
        };
        match store.update_from(&key, loaded.take().as_ref(), durability, &mut change) {
            Ok(Outcome::Deleted) => return Ok(Ended::At(key)),
            Ok(_) => {}
            // What is damaged is no session any more; nobody shall come back to it.
            Err(store::Error::Corrupt(_)) => {
                store.quarantine(&key, &|_| false)?;
                return Ok(Ended::PutAside(key));
            }
            Err(error) => return Err(error),
        }
        let Some(alias) = moved else { return Ok(Ended::Before) };
        passed(&alias);
        key = alias.to;
    }
    Err(circle())
}

impl Repository<'_> {
    /// Takes the storage of a session away, if it is still the one that was loaded, and answers where it was; `None`: it was gone already.
    ///
    /// # Errors
    /// The store failed: the session is as it was.
    pub fn delete(&self, session: &mut Session) -> Result<Option<Key>, Error> {
        let (Phase::Stored(_), Some(key)) = (session.phase(), session.key().copied()) else { return Ok(None) };
        let (incarnation, loaded) = (session.incarnation(), session.loaded(&key).map(blob_of));
        let mut follow = |alias: &Alias| {
            if let (Some(id), Some(from)) = (session.id(), session.key())
                && let Some(new) = alias.new_id(id, from)
            {
                session.identify(new, alias.to);
            }
        };
        match end(self.store, (key, loaded), incarnation, self.terms.durability, &mut follow)? {
            Ended::At(key) => Ok(Some(key)),
            Ended::PutAside(_) | Ended::Before => Ok(None),
        }
    }

    /// `delete` of the ancestors: the storage goes, the session stays usable under its id.
    ///
    /// # Errors
    /// Somebody else ended it: under its id it must not come back. Or the store failed.
    pub fn remove(&self, session: &mut Session) -> Result<Option<Key>, Error> {
        match session.phase() {
            Phase::New | Phase::Removed => return Ok(None),
            Phase::Stored(_) => {
                if let Some(key) = self.delete(session)? {
                    session.removed();
                    return Ok(Some(key));
                }
            }
            Phase::Gone => {}
        }
        session.gone();
        Err(Error::Gone)
    }

    /// Storage and values go; what is written from now on belongs to a new session with a new id. Answers where the storage was, if there
    /// was any.
    ///
    /// # Errors
    /// The store failed: the session is as it was.
    pub fn invalidate(&self, session: &mut Session, now: Timestamp) -> Result<Option<Key>, Error> {
        let ended = self.delete(session)?;
        *session = self.blank(now);
        Ok(ended)
    }

    /// Puts aside what is damaged for those who have this id.
    ///
    /// # Errors
    /// The store failed.
    pub fn quarantine(&self, id: &Id, key: &Key) -> store::Result<()> {
        let is_damaged = |blob: &Blob| match Stored::decode(&blob.bytes) {
            Err(_) => true,
            Ok(Stored::Session(record)) => record.open(id, key).is_err(),
            Ok(Stored::Alias(alias)) => alias.is_damaged(id, key),
        };
        self.store.quarantine(key, &is_damaged)
    }
}
