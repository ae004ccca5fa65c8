//! What requests do to stored sessions: saves, ends, changes of ids, with what the log, the cookie and other modules are told of it.

use crate::faults::panic_at;
use crate::httpd::{Level, Request};
use crate::repository::{Error, Regenerated, Saved, now};
use crate::session::session::{Intent, Phase};
use crate::session::{Key, Move};

use super::events::{Event, happened};
use super::lease::{self, Holdings};
use super::report::{failure, store_failed};
use super::slot::Slot;
use super::stores::repository;
use super::tree::Tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveError {
    /// Deleted, invalidated or outlived by somebody else: nothing revives it.
    Gone,
    /// A new session or a new id needs a cookie, and the headers have gone.
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
        slot.session.let_go();
    }
}

/// Stores what changed, if anything did.
pub fn save(slot: &mut Slot, request: Request<'_>, headers_sent: bool, cause: Cause) -> Result<(), SaveError> {
    if slot.expires_at_commit {
        return expire_now(slot, request);
    }
    if slot.is_barred {
        slot.session.revert();
        return Err(SaveError::Store);
    }
    let now = now();
    let is_unknown = headers_sent && !slot.is_known_to_client();
    let (sessions, session) = (repository(&slot.settings), &mut slot.session);
    let saved = match session.intent(&slot.settings.terms.expiry, now) {
        // The client has no cookie for it, or was told to forget it.
        Intent::Create if is_unknown => Err(SaveError::TooLate),
        // A session whose storage went may be wanted back without a further change.
        Intent::Nothing if cause == Cause::Asked && session.phase() == Phase::Removed && !session.is_empty() => {
            if is_unknown {
                return Err(refused(slot, request, SaveError::TooLate, cause));
            }
            sessions.create(session, now).map_err(|error| told(slot, request, "create", error))
        }
        Intent::Nothing if session.phase() == Phase::Gone && cause == Cause::Asked => Err(SaveError::Gone),
        Intent::Nothing => Ok(Saved::Nothing),
        Intent::Create | Intent::Update => sessions.save(session, now).map_err(|error| told(slot, request, "save", error)),
    };
    match saved {
        Ok(saved) => {
            tell(slot, request, saved);
            Ok(())
        }
        Err(error) => Err(refused(slot, request, error, cause)),
    }
}

fn refused(slot: &mut Slot, request: Request<'_>, error: SaveError, cause: Cause) -> SaveError {
    log_failure(slot, request, error);
    if error == SaveError::TooLate && cause == Cause::CommitPoint {
        slot.session.revert(); // there is nobody left to tell
    }
    error
}

/// What a save did, for those who follow sessions and for the cookie.
fn tell(slot: &mut Slot, request: Request<'_>, saved: Saved) {
    match saved {
        Saved::Nothing => {}
        Saved::Created => slot.happened(request, Event::Created, None),
        Saved::Changed { renewed } => {
            slot.renewed |= renewed;
            if renewed {
                slot.happened(request, Event::Renewed, None);
            }
        }
        Saved::Deleted => {
            slot.forget_cookie = true;
            slot.happened(request, Event::Destroyed, None);
        }
    }
}

/// The answer for a caller. What only the store or the kernel knows is logged here.
fn told(slot: &Slot, request: Request<'_>, what: &str, error: Error) -> SaveError {
    match error {
        Error::Gone => SaveError::Gone,
        Error::TooLarge => SaveError::TooLarge,
        Error::Corrupt(_) => SaveError::Corrupt,
        Error::Store(error) => {
            store_failed(request, what, &error);
            SaveError::Store
        }
        Error::Random(error) => {
            failure(request, format_args!("cannot {what} session {}: no random numbers: {error}", slot.reference()));
            SaveError::Store
        }
    }
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
                "a new session or a new id needs a cookie, and the response headers have gone: it is not stored; do so before the first output"
            ),
        ),
        SaveError::TooLarge => failure(
            request,
            format_args!(
                "session {reference} would be larger than SessionMaxSize ({}): the changes of this request are not stored",
                slot.settings.terms.max_size
            ),
        ),
        SaveError::Corrupt => failure(request, format_args!("session {reference} is damaged: the changes of this request are not stored")),
        SaveError::Store => {} // said where the cause is known
    }
}

/// `delete` of the ancestors: the storage goes, the session stays usable under its id.
pub fn remove(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    let removed = repository(&slot.settings).remove(&mut slot.session);
    if removed.map_err(|error| told(slot, request, "delete", error))?.is_some() {
        slot.happened(request, Event::Destroyed, None);
    }
    Ok(())
}

/// Storage and values go; what is written from now on belongs to a new session with a new id.
pub fn invalidate(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    let user = slot.session.user().map(str::to_owned);
    let ended = repository(&slot.settings).invalidate(&mut slot.session, now());
    let ended = ended.map_err(|error| told(slot, request, "delete", error))?;
    (slot.is_new, slot.forget_cookie, slot.is_barred) = (true, true, false);
    slot.reads += 1;
    if let Some(key) = ended {
        happened(request, Event::Destroyed, &key.reference(), None, user.as_deref());
    }
    Ok(())
}

fn expire_now(slot: &mut Slot, request: Request<'_>) -> Result<(), SaveError> {
    invalidate(slot, request)?;
    slot.expires_at_commit = false;
    Ok(())
}

/// Gives a session another id, with the changes of this request so far. Where the request holds the session, it holds it under the new id
/// before anybody can come in by that.
pub fn regenerate(tree: &mut Tree, index: usize, request: Request<'_>, kind: Move) -> Result<(), SaveError> {
    let Tree { slots, leases, headers_sent, .. } = tree;
    let slot = &mut slots[index];
    let was = slot.session.key().map(Key::reference);
    let needs_cookie = *headers_sent && slot.needs_cookie() && slot.session.phase() != Phase::New;
    let moved = if needs_cookie { Err(SaveError::TooLate) } else { move_on(slot, leases, request, kind) };
    match moved {
        Ok(Regenerated::Moved) => slot.happened(request, Event::Renewed, was.as_ref()),
        Ok(Regenerated::Emptied(key)) => {
            slot.forget_cookie = true;
            happened(request, Event::Destroyed, &key.reference(), None, None);
        }
        Ok(Regenerated::Joined | Regenerated::Drawn) => {}
        Err(error) => return Err(refused(slot, request, error, Cause::Asked)),
    }
    Ok(())
}

fn move_on(slot: &mut Slot, leases: &mut Holdings, request: Request<'_>, kind: Move) -> Result<Regenerated, SaveError> {
    let sessions = repository(&slot.settings);
    let new = sessions.new_id().map_err(|error| told(slot, request, "move", error))?;
    let granted = lease::beside(leases, slot.leased, request, &slot.settings.place, new.key());
    let moved = sessions.regenerate_to(&mut slot.session, kind, &new, now()).map_err(|error| told(slot, request, "move", error))?;
    if moved == Regenerated::Moved
        && let Some(granted) = granted
    {
        leases.exchange(slot.leased.replace(*new.key()), granted);
    }
    Ok(moved)
}

/// Sets the owner of a session. To be somebody else is a change of privilege: the id changes, and the old one leads nowhere.
pub fn set_user(tree: &mut Tree, index: usize, request: Request<'_>, user: Option<String>) -> Result<(), SaveError> {
    let slot = &mut tree.slots[index];
    if slot.session.user() == user.as_deref() {
        return Ok(());
    }
    slot.session.set_user(user);
    if slot.session.phase() == Phase::New {
        return Ok(()); // nobody knows its id
    }
    let moved = regenerate(tree, index, request, Move::Superseded);
    if moved.is_err() {
        tree.slots[index].session.revert_user();
    }
    moved
}

/// The value of the `Set-Cookie` header that a response needs, if any. A commit has gone before.
pub fn cookie(slot: &Slot, https: bool) -> Option<String> {
    let rule = slot.settings.cookie().filter(|_| !slot.by_id)?;
    match (slot.session.phase(), slot.session.id()) {
        (Phase::Stored(_), Some(id)) => {
            let known = slot.presented.as_ref() == Some(id) && !slot.send_again;
            let sends = !known || (slot.renewed && rule.max_age.is_some());
            sends.then(|| slot.settings.set_cookie(id, https)).flatten()
        }
        _ => (slot.forget_cookie && slot.presented.is_some()).then(|| rule.clear(https)),
    }
}
