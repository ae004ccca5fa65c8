//! Another id for a session: against whoever knows the old one.
//!
//! The store makes one key at a time an atomic step, and two are concerned. So the session is stored under its new key first, which
//! nobody knows yet, and then the old key becomes an alias, unless the record there has changed meanwhile: then once more. A process that
//! dies in between leaves the session under its old id, and a copy that nobody can find and that ends by itself.

use super::save::{Refused, newest};
use super::{Error, MOST_MOVES, Repository, draw};
use crate::faults;
use crate::session::session::Phase;
use crate::session::{Alias, Id, Key, Move, Session, Stored, Timestamp};
use crate::store::{Blob, Change, Outcome};

/// Each further attempt means that another request has stored something in between.
const MOST_ATTEMPTS: usize = 100;

impl Repository<'_> {
    /// Gives a session another id, with its values and its changes so far, which are stored now. The old id leads to it for the grace, or
    /// with `Move::Superseded` no more. `false`: nothing is stored yet, so there was nothing to move.
    ///
    /// # Errors
    /// It is gone, too large or damaged, or the store failed: it keeps its id.
    pub fn regenerate(&self, session: &mut Session, kind: Move, now: Timestamp) -> Result<bool, Error> {
        match session.phase() {
            Phase::New | Phase::Removed => {
                session.forget_id();
                Ok(false)
            }
            Phase::Gone => Err(Error::Gone),
            Phase::Stored(_) => self.move_on(session, kind, now),
        }
    }

    fn move_on(&self, session: &mut Session, kind: Move, now: Timestamp) -> Result<bool, Error> {
        let (id, key) = self.draw_id()?;
        let new = New { id, key };
        let mut stored = false;
        let moved = self.try_to_move(session, kind, &new, &mut stored, now);
        if stored && !matches!(moved, Ok(Moved::ByUs)) {
            let discarded = self.store.update(&new.key, self.terms.durability, &mut |_| Change::Delete);
            if moved.is_ok() {
                discarded?;
            }
        }
        match moved? {
            Moved::ByUs => Ok(true),
            Moved::Emptied => Ok(false),
            // Its id is as new as ours; what there is to store goes there.
            Moved::ByAnother => match (self.save(session, now)?, session.phase()) {
                (_, Phase::Gone) => Err(Error::Gone), // which a renewal does not tell
                _ => Ok(true),
            },
        }
    }

    fn try_to_move(&self, session: &mut Session, kind: Move, new: &New, stored: &mut bool, now: Timestamp) -> Result<Moved, Error> {
        let mut moves = 0;
        for _ in 0..MOST_ATTEMPTS {
            let (Some(id), Some(key)) = (session.id().cloned(), session.key().copied()) else { return Err(Error::Gone) };
            let found = self.store.load(&key)?;
            let (newest, expires) = match newest(session, (&id, &key), found.as_ref()) {
                Ok(newest) => newest,
                Err(Refused::Moved(alias)) => match alias.new_id(&id, &key) {
                    Some(elsewhere) if moves < MOST_MOVES => {
                        session.identify(elsewhere, alias.to);
                        moves += 1;
                        continue;
                    }
                    _ => return Err(gone(session)),
                },
                Err(Refused::Error(Error::Gone)) => return Err(gone(session)),
                Err(Refused::Error(error)) => return Err(error),
            };
            let Some((record, expires)) = session.merged(newest, expires, &self.terms.expiry, now) else { return Err(gone(session)) };
            if record.is_empty() {
                // Its last value goes with this request, and so does its storage, unless somebody has just stored another.
                if self.replace(&key, found.as_ref(), || Change::Delete)? == Outcome::Deleted {
                    session.saved(record, expires);
                    session.removed();
                    session.forget_id();
                    return Ok(Moved::Emptied);
                }
                continue;
            }
            if kind == Move::Moved && moves > 0 {
                return Ok(Moved::ByAnother);
            }
            let blob = self.blob(session, (&new.id, &new.key), &record, expires)?;
            *stored = if *stored {
                self.store.update(&new.key, self.terms.durability, &mut |_| Change::Write(blob.clone()))? == Outcome::Written
            } else {
                self.store.create(&new.key, &blob, self.terms.durability)?
            };
            if !*stored {
                continue; // taken, or swept away: as good as never
            }
            faults::die_at("regenerate");
            if self.leave_alias(session, kind, (&id, &key), new, found.as_ref(), now)? {
                session.identify(new.id.clone(), new.key);
                session.saved(record, expires);
                return Ok(Moved::ByUs);
            }
        }
        Err(Error::Store(crate::store::Error::Unusable("the session changed too often while its id was changed: try again".into())))
    }

    /// Puts the alias where the session was. `false`: something else is there by now.
    fn leave_alias(
        &self,
        session: &Session,
        kind: Move,
        old: (&Id, &Key),
        new: &New,
        found: Option<&Blob>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let grace_ends = if kind == Move::Moved { now.plus(self.terms.grace) } else { now };
        let alias = Alias::new(session.incarnation(), kind, old, (&new.id, &new.key), grace_ends, draw()?);
        let blob = Blob { expires: alias.expires(now), bytes: Stored::Alias(alias).encode() };
        Ok(self.replace(old.1, found, || Change::Write(blob.clone()))? == Outcome::Written)
    }

    /// Does this to what is stored under a key, if that is what was found there.
    fn replace(&self, key: &Key, found: Option<&Blob>, by: impl Fn() -> Change) -> Result<Outcome, Error> {
        let mut change = |newest: Option<&Blob>| if newest == found { by() } else { Change::Keep };
        Ok(self.store.update(key, self.terms.durability, &mut change)?)
    }
}

fn gone(session: &mut Session) -> Error {
    session.gone();
    Error::Gone
}

struct New {
    id: Id,
    key: Key,
}

enum Moved {
    ByUs,
    ByAnother,
    Emptied,
}
