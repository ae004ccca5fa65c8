//! Another id for a session: against whoever knows the old one.
//!
//! The store makes one key at a time an atomic step, and two are concerned. So the session is stored under its new key first, which
//! nobody knows yet, and then the old key becomes an alias, unless the record there has changed meanwhile: then once more. A process that
//! dies in between leaves the session under its old id, and a copy that nobody can find and that ends by itself.

use super::{CIRCLE, Error, Repository, circle, draw};
use crate::faults;
use crate::session::session::{Merged, Phase};
use crate::session::{Alias, Id, Key, Move, Session, Stored, Timestamp};
use crate::store::{self, Blob, Change, Outcome};

/// Each further attempt means that another request has stored something in between.
const MOST_ATTEMPTS: usize = 100;

/// An id that nobody has had.
#[derive(Debug)]
pub struct NewId {
    id: Id,
    key: Key,
}

impl NewId {
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regenerated {
    /// It has the new id.
    Moved,
    /// Another request has just moved it: its id is as new, and counts.
    Joined,
    /// Nothing is stored yet: an id is drawn when it is needed.
    Drawn,
    /// Its last value went with this request, and so did its storage, which was under this key.
    Emptied(Key),
}

impl Repository<'_> {
    /// An id to move a session to.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new_id(&self) -> Result<NewId, Error> {
        let (id, key) = self.draw_id()?;
        Ok(NewId { id, key })
    }

    /// Gives a session another id, with its values and its changes so far, which are stored now. The old id leads to it for the grace, or
    /// with `Move::Superseded` no more.
    ///
    /// # Errors
    /// It is gone, too large or damaged, or the store failed: it keeps its id.
    pub fn regenerate(&self, session: &mut Session, kind: Move, now: Timestamp) -> Result<Regenerated, Error> {
        self.regenerate_to(session, kind, &self.new_id()?, now)
    }

    /// [`Repository::regenerate`] to an id that was drawn before, so that its lease could be taken.
    ///
    /// # Errors
    /// As [`Repository::regenerate`].
    pub fn regenerate_to(&self, session: &mut Session, kind: Move, new: &NewId, now: Timestamp) -> Result<Regenerated, Error> {
        match session.phase() {
            Phase::New | Phase::Removed => {
                session.forget_id();
                return Ok(Regenerated::Drawn);
            }
            Phase::Gone => return Err(Error::Gone),
            Phase::Stored(_) => {}
        }
        let mut copied = false;
        let moved = self.move_on(session, kind, new, &mut copied, now);
        if copied && !matches!(moved, Ok(Regenerated::Moved)) {
            // Nobody can find the copy; if it cannot be taken away, it ends by itself.
            let _ = self.store.update(&new.key, self.terms.durability, &mut |_| Change::Delete);
        }
        if matches!(moved, Err(Error::Gone)) {
            session.gone();
        }
        moved
    }

    /// `copied`: a copy under the new key is nobody's unless the session has moved.
    fn move_on(&self, session: &mut Session, kind: Move, new: &NewId, copied: &mut bool, now: Timestamp) -> Result<Regenerated, Error> {
        let (mut attempts, mut joins) = (0, false);
        for _ in 0..CIRCLE {
            let (Some(id), Some(key)) = (session.id().cloned(), session.key().copied()) else { return Err(Error::Gone) };
            let found = match self.store.load_to_change(&key) {
                Err(store::Error::Corrupt(path)) => return Err(Error::Corrupt(path.display().to_string())),
                other => other?,
            };
            let (newest, expires) = match self.newest(session, found.as_ref())? {
                Ok(newest) => newest,
                Err(alias) => {
                    let leads_on = alias.leads_on(now);
                    let elsewhere = alias.new_id(&id, &key).filter(|_| leads_on).ok_or(Error::Gone)?;
                    session.identify(elsewhere, alias.to);
                    joins = kind == Move::Moved;
                    continue;
                }
            };
            let merged = session.merged(newest, expires, &self.terms.expiry, now).ok_or(Error::Gone)?;
            let Merged { record, expires, renews } = merged;
            if record.is_empty() {
                if self.replace(&key, found.as_ref(), Change::Delete)? == Outcome::Deleted {
                    session.saved(record, expires);
                    session.removed();
                    session.forget_id();
                    return Ok(Regenerated::Emptied(key));
                }
                continue; // somebody has just stored something
            }
            if joins {
                if !session.has_changes() && !renews {
                    return Ok(Regenerated::Joined);
                }
                let blob = self.blob(session, (&id, &key), &record, expires)?;
                if self.replace(&key, found.as_ref(), Change::Write(blob))? == Outcome::Written {
                    session.saved(record, expires);
                    return Ok(Regenerated::Joined);
                }
                continue;
            }
            attempts += 1;
            if attempts > MOST_ATTEMPTS {
                let why = "the session changed too often while its id was changed: try again";
                return Err(Error::Store(store::Error::Unusable(why.into())));
            }
            let blob = self.blob(session, (&new.id, &new.key), &record, expires)?;
            *copied = if *copied {
                self.store.update(&new.key, self.terms.durability, &mut |_| Change::Write(blob.clone()))? == Outcome::Written
            } else {
                self.store.create(&new.key, &blob, self.terms.durability)?
            };
            if !*copied {
                continue; // an administrator ended what looked like a session
            }
            faults::die_at("regenerate");
            if self.leave_alias(session, kind, (&id, &key), new, found.as_ref(), copied, now)? {
                session.identify(new.id.clone(), new.key);
                session.saved(record, expires);
                return Ok(Regenerated::Moved);
            }
        }
        Err(circle().into())
    }

    /// Puts the alias where the session was. `false`: something else is there by now.
    #[allow(clippy::too_many_arguments)]
    fn leave_alias(
        &self,
        session: &Session,
        kind: Move,
        old: (&Id, &Key),
        new: &NewId,
        found: Option<&Blob>,
        copied: &mut bool,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let grace_ends = if kind == Move::Moved { now.plus(self.terms.grace) } else { now };
        let alias = Alias::new(session.incarnation(), kind, old, (&new.id, &new.key), grace_ends, draw()?);
        let blob = Blob::new(alias.expires(now), Stored::Alias(alias).encode());
        // Nothing of what was there is to come back, whatever becomes of the alias.
        match self.replace(old.1, found, Change::Replace(blob.clone())) {
            Ok(outcome) => Ok(outcome == Outcome::Written),
            Err(error) => {
                // It may have been done all the same: what cannot be told was lost on the way back.
                let there = self.store.load(old.1);
                if matches!(&there, Ok(Some(newest)) if *newest == blob) {
                    return Ok(true);
                }
                *copied &= matches!(&there, Ok(newest) if newest.as_ref() == found); // else the copy may be what the old id leads to
                Err(error.into())
            }
        }
    }

    /// Does this to what is stored under a key, if that is what was found there.
    fn replace(&self, key: &Key, found: Option<&Blob>, by: Change) -> store::Result<Outcome> {
        let mut change = |newest: Option<&Blob>| if newest == found { by.clone() } else { Change::Keep };
        self.store.update_from(key, found, self.terms.durability, &mut change)
    }
}
