//! Ending a session: its storage goes, wherever it has moved.

use super::{Error, MOST_MOVES, Repository};
use crate::session::session::Phase;
use crate::session::{Key, Session, Stored, Timestamp};
use crate::store::{self, Blob, Change, Outcome};

impl Repository<'_> {
    /// Takes the storage of a session away, if it is still the one that was loaded, and answers where it was; `None`: it was gone
    /// already. To end a session is safe always, so a request that began under an id which is superseded by now ends it too.
    ///
    /// # Errors
    /// The store failed: the session is as it was.
    pub fn delete(&self, session: &mut Session) -> Result<Option<Key>, Error> {
        let (Phase::Stored(_), Some(mut key)) = (session.phase(), session.key().copied()) else { return Ok(None) };
        for _ in 0..=MOST_MOVES {
            let mut moved = None;
            let mut change = |found: Option<&Blob>| match found.map(|blob| Stored::decode(&blob.bytes)) {
                Some(Ok(stored)) if stored.incarnation() != session.incarnation() => Change::Keep,
                Some(Ok(Stored::Session(_))) => Change::Delete,
                Some(Ok(Stored::Alias(alias))) => {
                    moved = Some(alias);
                    Change::Keep
                }
                Some(Err(_)) | None => Change::Keep,
            };
            let outcome = match self.store.update(&key, self.terms.durability, &mut change) {
                // What is damaged is no session any more; nobody shall come back to it.
                Err(store::Error::Corrupt(_)) => {
                    self.quarantine(&key)?;
                    Outcome::Kept
                }
                other => other?,
            };
            let Some(alias) = moved else { return Ok((outcome == Outcome::Deleted).then_some(key)) };
            if let (Some(id), Some(from)) = (session.id(), session.key())
                && let Some(new) = alias.new_id(id, from)
            {
                session.identify(new, alias.to);
            }
            key = alias.to;
        }
        Ok(None)
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

    /// Storage and values go; what is written from now on belongs to a new session with a new id. Answers where the
    /// storage was, if there was any.
    ///
    /// # Errors
    /// The store failed: the session is as it was.
    pub fn invalidate(&self, session: &mut Session, now: Timestamp) -> Result<Option<Key>, Error> {
        let ended = self.delete(session)?;
        *session = self.blank(now);
        Ok(ended)
    }

    /// Puts a damaged record aside.
    ///
    /// # Errors
    /// The store failed.
    pub fn quarantine(&self, key: &Key) -> store::Result<()> {
        self.store.quarantine(key, &|blob| Stored::decode(&blob.bytes).is_err())
    }
}
