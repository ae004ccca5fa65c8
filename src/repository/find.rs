//! Finding the session of an id, also of one that it had before.

use super::{Error, MOST_MOVES, Purpose, Repository};
use crate::session::record::CodecError;
use crate::session::session::{Loaded, Phase};
use crate::session::{Id, Key, Record, Ref, Session, Stored, Timestamp};
use crate::store::{self, Blob};

/// What an id leads to.
#[derive(Debug)]
pub enum Lookup {
    /// A session, of this id by now.
    Live(Box<Live>),
    /// Nothing that ever was a session, or one that has ended.
    Nothing,
    /// A session had this id, and has another one.
    Superseded(Ref),
    /// A newer version wrote it: it counts as absent.
    Newer(Ref, CodecError),
    Damaged(Damage),
}

#[derive(Debug)]
pub struct Live {
    pub id: Id,
    pub key: Key,
    pub record: Record,
    pub expires: Timestamp,
    /// What the record was read from.
    pub loaded: Loaded,
}

#[derive(Debug)]
pub struct Damage {
    pub id: Id,
    pub key: Key,
    pub why: String,
}

impl Live {
    /// The session as an open sees it.
    #[must_use]
    pub fn into_session(self, max_size: usize, now: Timestamp) -> Session {
        let mut session = Session::stored(self.id, self.key, self.record, self.expires, now, max_size);
        session.remember(self.loaded);
        session
    }
}

impl Repository<'_> {
    /// The session of an id; `None`: there is none. It is renewed by its next save. Until then the store may keep a file open with it
    /// ([`Session::let_go`]).
    ///
    /// # Errors
    /// The store failed, or the record is damaged.
    pub fn open(&self, id: &Id, now: Timestamp) -> Result<Option<Session>, Error> {
        match self.find_at(id, self.key(id), Purpose::Change, now)? {
            Lookup::Live(live) => {
                let mut session = live.into_session(self.terms.max_size, now);
                session.renew();
                Ok(Some(session))
            }
            Lookup::Nothing | Lookup::Superseded(_) | Lookup::Newer(..) => Ok(None),
            Lookup::Damaged(damage) => Err(Error::Corrupt(damage.why)),
        }
    }

    /// Reads what the store holds of a session by now; its changes stay on top. Of one that is not stored there is nothing to read.
    ///
    /// # Errors
    /// It is gone, it is damaged, or the store failed.
    pub fn reload(&self, session: &mut Session, purpose: Purpose, now: Timestamp) -> Result<(), Error> {
        let id = match (session.phase(), session.id()) {
            (Phase::Gone, _) => return Err(Error::Gone),
            (Phase::Stored(_), Some(id)) => id.clone(),
            _ => return Ok(()),
        };
        match self.find_at(&id, self.key(&id), purpose, now)? {
            Lookup::Live(live) if live.record.incarnation == session.incarnation() => {
                session.identify(live.id, live.key);
                session.reloaded(live.record, live.expires);
                session.remember(live.loaded);
                Ok(())
            }
            Lookup::Damaged(damage) => Err(Error::Corrupt(damage.why)),
            _ => {
                session.gone();
                Err(Error::Gone)
            }
        }
    }

    /// What an id leads to by now.
    ///
    /// # Errors
    /// The store failed, which is not "no session".
    pub fn find(&self, id: &Id, now: Timestamp) -> store::Result<Lookup> {
        self.find_at(id, self.key(id), Purpose::Look, now)
    }

    /// The same for a caller who has derived the key of the id.
    ///
    /// # Errors
    /// As [`Repository::find`].
    pub fn find_at(&self, id: &Id, mut key: Key, purpose: Purpose, now: Timestamp) -> store::Result<Lookup> {
        let mut id = id.clone();
        let mut incarnation = None;
        for _ in 0..=MOST_MOVES {
            let (stored, blob) = match self.read(&id, &key, purpose)? {
                Ok(Some(stored)) => stored,
                Ok(None) => return Ok(Lookup::Nothing),
                Err(instead) => return Ok(instead),
            };
            if *incarnation.get_or_insert(stored.incarnation()) != stored.incarnation() {
                return Ok(Lookup::Nothing); // under the new id another session has begun
            }
            let damaged = |id: Id, why: &str| Ok(Lookup::Damaged(Damage { id, key, why: why.to_owned() }));
            match stored {
                Stored::Session(record) => {
                    let Blob { expires, bytes, version, kept } = blob;
                    return match record.unseal(&id, &key) {
                        Ok((record, sealer)) if self.terms.expiry.alive(&record, expires, now) => {
                            let loaded = Loaded { key, bytes, expires, version, kept, sealer, accessed: record.accessed };
                            Ok(Lookup::Live(Box::new(Live { id, key, record, expires, loaded })))
                        }
                        Ok(_) => Ok(Lookup::Nothing),
                        Err(error) => damaged(id, &error.to_string()),
                    };
                }
                Stored::Alias(alias) => {
                    if !alias.leads_on(now) {
                        return Ok(Lookup::Superseded(key.reference()));
                    }
                    match alias.new_id(&id, &key) {
                        Some(new) if self.key(&new) == alias.to => (id, key) = (new, alias.to),
                        _ => return damaged(id, "the seal of its new id is broken"),
                    }
                }
            }
        }
        Ok(Lookup::Nothing)
    }

    /// What is stored under a key, or what to answer instead.
    fn read(&self, id: &Id, key: &Key, purpose: Purpose) -> store::Result<Result<Option<(Stored, Blob)>, Lookup>> {
        let damaged = |why: String| Ok(Err(Lookup::Damaged(Damage { id: id.clone(), key: *key, why })));
        let loaded = match purpose {
            Purpose::Look => self.store.load(key),
            Purpose::Change => self.store.load_to_change(key),
        };
        let blob = match loaded {
            Ok(Some(blob)) => blob,
            Ok(None) => return Ok(Ok(None)),
            Err(store::Error::Corrupt(path)) => return damaged(path.display().to_string()),
            Err(error) => return Err(error),
        };
        match Stored::decode(&blob.bytes) {
            Ok(stored) => Ok(Ok(Some((stored, blob)))),
            Err(error @ CodecError::Newer(_)) => Ok(Err(Lookup::Newer(key.reference(), error))),
            Err(error) => damaged(error.to_string()),
        }
    }
}
