//! Writing a session: the changes of this request go on top of the newest record, as one step of the store.

use crate::httpd::{Level, Request};
use crate::session::id::ID_BYTES;
use crate::session::session::{Intent, Phase};
use crate::session::{Id, Key, Record, Session, Timestamp};
use crate::store::{Blob, Change, Error, Outcome};

use super::faults::panic_at;
use super::report::{failure, store_failed};
use super::tree::{Slot, Tree, now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveError {
    /// Deleted, invalidated or outlived by somebody else: nothing revives it.
    Gone,
    /// A new session needs a cookie, and the headers have gone.
    TooLate,
    TooLarge,
    Corrupt,
    /// The store failed; what was stored is as it was.
    Store,
}

/// Whether a caller asked for a save, or a commit point came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Asked,
    CommitPoint,
}

/// Commits every session of a tree. A failure was logged; the others are committed all the same.
pub fn commit_all(tree: &mut Tree, request: Request<'_>) {
    panic_at("commit");
    if !tree.leases.is_empty() {
        panic_at("commit-held");
    }
    if !tree.ended {
        tree.collect(request);
    }
    for slot in &mut tree.slots {
        let _ = save(slot, request, tree.headers_sent, Cause::CommitPoint);
    }
}

/// Stores what changed, if anything did.
pub fn save(slot: &mut Slot, request: Request<'_>, headers_sent: bool, cause: Cause) -> Result<(), SaveError> {
    if slot.expires_at_commit {
        return expire_now(slot, request);
    }
    let now = now();
    let result = match slot.session.intent(&slot.settings.expiry, now) {
        // The client has no cookie for it, or was told to forget it.
        Intent::Create if headers_sent && (slot.session.phase() == Phase::New || slot.forget_cookie) => Err(SaveError::TooLate),
        Intent::Create => create(slot, request, now),
        Intent::Update => update(slot, request, now),
        // A session whose storage went may be wanted back without a further change.
        Intent::Nothing if cause == Cause::Asked && slot.session.phase() == Phase::Removed && !slot.session.values().is_empty() => {
            create(slot, request, now)
        }
        Intent::Nothing if slot.session.phase() == Phase::Gone && cause == Cause::Asked => Err(SaveError::Gone),
        Intent::Nothing => Ok(()),
    };
    if let Err(error) = result {
        log_failure(slot, request, error);
        if error == SaveError::TooLate && cause == Cause::CommitPoint {
            slot.session.revert(); // there is nobody left to tell
        }
    }
    result
}

fn log_failure(slot: &Slot, request: Request<'_>, error: SaveError) {
    let reference = slot.reference();
    match error {
        SaveError::Gone => request.log(
            Level::Info,
            format_args!("session {reference} was deleted, invalidated or outlived meanwhile: the changes of this request are dropped"),
        ),
        SaveError::TooLate => failure(
            request,
            format_args!(
                "a new session needs a cookie, and the response headers have gone: it is not stored; set values before the first output"
            ),
        ),
        SaveError::TooLarge => failure(
            request,
            format_args!(
                "session {reference} would be larger than SessionMaxSize ({}): the changes of this request are not stored",
                slot.settings.max_size
            ),
        ),
        SaveError::Corrupt => failure(request, format_args!("session {reference} is damaged: the changes of this request are not stored")),
        SaveError::Store => {} // said where the cause is known
    }
}

/// An id that nobody can guess. The generator of the kernel: any other, used before a fork, gives all children the same numbers.
fn draw<const N: usize>() -> Result<[u8; N], SaveError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SaveError::Store)?;
    Ok(bytes)
}

/// The id and key of a session; a new one draws them now.
pub fn identify(slot: &mut Slot) -> Result<(Id, Key), SaveError> {
    if let (Some(id), Some(key)) = (slot.session.id(), slot.session.key()) {
        return Ok((id.clone(), *key));
    }
    let id = Id::from_random(draw::<ID_BYTES>()?);
    let key = Key::derive(&slot.settings.scope, &id);
    slot.session.identify(id.clone(), key);
    Ok((id, key))
}

/// A limit that was lowered meanwhile holds for changes, not for renewals.
fn blob(slot: &Slot, record: &Record, expires: Timestamp) -> Result<Blob, SaveError> {
    let bytes = record.encode();
    let too_large = slot.session.has_changes() && bytes.len() > slot.settings.max_size;
    if too_large { Err(SaveError::TooLarge) } else { Ok(Blob { expires, bytes }) }
}

fn create(slot: &mut Slot, request: Request<'_>, now: Timestamp) -> Result<(), SaveError> {
    let record = slot.session.record_to_create(u64::from_le_bytes(draw()?), now);
    let expires = slot.settings.expiry.at_write(&record, now);
    let blob = blob(slot, &record, expires)?;
    // An id that is taken, with 192 random bits, is one that somebody else created anew after we removed it.
    let (_, key) = identify(slot)?;
    match slot.settings.place.store().create(&key, &blob, slot.settings.durability) {
        Ok(true) => {
            slot.session.saved(record, expires);
            Ok(())
        }
        Ok(false) => {
            slot.session.gone();
            Err(SaveError::Gone)
        }
        Err(error) => {
            store_failed(request, "create", &error);
            Err(SaveError::Store)
        }
    }
}

fn update(slot: &mut Slot, request: Request<'_>, now: Timestamp) -> Result<(), SaveError> {
    let Some(key) = slot.session.key().copied() else { return Ok(()) };
    let (renews, renews_only) = (slot.session.renews(), !slot.session.has_changes());
    let mut outcome = Err(SaveError::Gone);
    let result = {
        let (session, settings) = (&slot.session, &slot.settings);
        let mut change = |found: Option<&Blob>| {
            outcome = Err(SaveError::Gone);
            let Some(found) = found else { return Change::Keep };
            let Ok(newest) = Record::decode(&found.bytes) else {
                outcome = Err(SaveError::Corrupt);
                return Change::Keep;
            };
            let incarnation = newest.incarnation;
            if renews_only && incarnation == session.incarnation() && !session.touch_due(&newest, found.expires, &settings.expiry, now) {
                outcome = Ok((newest, found.expires)); // another request has just renewed it
                return Change::Keep;
            }
            let Some((record, expires)) = session.merged(newest, found.expires, &settings.expiry, now) else { return Change::Keep };
            if record.values.is_empty() {
                outcome = Ok((record, expires));
                return Change::Delete; // only a session with values is stored
            }
            match blob(slot, &record, expires) {
                Ok(blob) => {
                    outcome = Ok((record, expires));
                    Change::Write(blob)
                }
                Err(error) => {
                    outcome = Err(error);
                    Change::Keep
                }
            }
        };
        settings.place.store().update(&key, settings.durability, &mut change)
    };
    match result {
        Err(Error::Corrupt(_)) => outcome = Err(SaveError::Corrupt),
        Err(error) => {
            store_failed(request, "save", &error);
            return Err(SaveError::Store);
        }
        Ok(Outcome::Deleted) => {
            slot.session.removed();
            slot.forget_cookie = true;
            return Ok(());
        }
        Ok(done) => slot.renewed |= renews && done == Outcome::Written,
    }
    match outcome {
        Ok((record, expires)) => {
            slot.session.saved(record, expires);
            Ok(())
        }
        Err(SaveError::Gone) => {
            slot.session.gone();
            if renews_only { Ok(()) } else { Err(SaveError::Gone) }
        }
        Err(error) => Err(error),
    }
}

/// Takes the storage of a session away, if it is still the one that was loaded. `false`: it was gone already.
fn delete(slot: &Slot, request: Request<'_>) -> Result<bool, SaveError> {
    let (Phase::Stored(_), Some(key)) = (slot.session.phase(), slot.session.key()) else { return Ok(false) };
    let store = slot.settings.place.store();
    let is_damaged = |blob: &Blob| Record::decode(&blob.bytes).is_err();
    let ours = |blob: &Blob| Record::decode(&blob.bytes).is_ok_and(|record| record.incarnation == slot.session.incarnation());
    let mut change = |found: Option<&Blob>| if found.is_some_and(ours) { Change::Delete } else { Change::Keep };
    let outcome = match store.update(key, slot.settings.durability, &mut change) {
        // What is damaged is no session any more; nobody shall come back to it.
        Err(Error::Corrupt(_)) => store.quarantine(key, &is_damaged).map(|()| Outcome::Kept),
        other => other,
    };
    outcome.map(|outcome| outcome == Outcome::Deleted).map_err(|error| {
        store_failed(request, "delete", &error);
        SaveError::Store
    })
}

/// `delete` of the ancestors: the storage goes, the session stays usable under its id.
pub fn remove(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    match slot.session.phase() {
        Phase::New | Phase::Removed => Ok(()),
        Phase::Stored(_) if delete(slot, request)? => {
            slot.session.removed();
            Ok(())
        }
        // Somebody else ended it: under its id it must not come back.
        Phase::Stored(_) | Phase::Gone => {
            slot.session.gone();
            Err(SaveError::Gone)
        }
    }
}

/// Storage and values go; what is written from now on belongs to a new session with a new id.
pub fn invalidate(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    delete(slot, request)?;
    slot.session = Session::blank(now(), slot.settings.timeout, slot.settings.max_size);
    slot.is_new = true;
    slot.forget_cookie = true;
    Ok(())
}

fn expire_now(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    invalidate(slot, request)?;
    slot.expires_at_commit = false;
    Ok(())
}

/// The value of the `Set-Cookie` header that a response needs, if any. A commit has gone before.
pub fn cookie(slot: &Slot, https: bool) -> Option<String> {
    if slot.by_id {
        return None;
    }
    let rule = &slot.settings.cookie;
    match (slot.session.phase(), slot.session.id()) {
        (Phase::Stored(_), Some(id)) => {
            let known = slot.presented.as_ref() == Some(id);
            (!known || (slot.renewed && rule.max_age.is_some())).then(|| rule.set(id, https))
        }
        _ => (slot.forget_cookie && slot.presented.is_some()).then(|| rule.clear(https)),
    }
}
