//! Opening the session of a request.

use std::sync::atomic::Ordering;

use crate::config::Settings;
use crate::faults::panic_at;
use crate::httpd::Request;
use crate::repository::{Damage, Error, Purpose, now};
use crate::session::session::Phase;
use crate::session::{Id, Key};

use super::lease::{self, Granted, Holdings, NotGranted};
use super::look::means_same;
use super::presented::{damaged, find, look_up};
use super::report::store_failed;
use super::slot::Slot;
use super::stores::repository;
use super::tree::{State, Tree, origin, settings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// No session of ours is configured here.
    Off,
    /// The store failed, which is not "no session".
    Store,
    /// The record is damaged, and `SessionInvalidateCorrupt off`.
    Corrupt,
    /// The lease was not granted.
    Busy,
}

impl From<NotGranted> for OpenError {
    fn from(why: NotGranted) -> OpenError {
        match why {
            NotGranted::Busy => OpenError::Busy,
            NotGranted::Store => OpenError::Store,
        }
    }
}

/// How an opener means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The session lives on for another timeout.
    Renew,
    Leave,
}

/// Whether an opener means to change the session, so that others wait where `SessionLock request` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Exclusive,
    Shared,
}

/// The slot of the session that the configuration of a request means, loaded if it was not yet. There is always one: perhaps of a
/// new session.
pub fn open(tree: &mut Tree, request: Request<'_>, touch: Touch, hold: Hold) -> Result<usize, OpenError> {
    let exclusive = hold == Hold::Exclusive && lease::is_due(tree, request);
    let index = slot_of(tree, request, exclusive, hold)?;
    if hold == Hold::Exclusive {
        hold_known(&mut tree.leases, &mut tree.slots[index], request, exclusive)?;
    }
    opened(&mut tree.slots[index], request, touch);
    Ok(index)
}

pub(super) fn is_serving(request: Request<'_>) -> bool {
    request.state::<State>().is_some_and(|state| state.is_serving.load(Ordering::Relaxed))
}

/// The slot of the session that the configuration of a request means, as far as anybody met it, else as the store has it.
pub(super) fn slot_of(tree: &mut Tree, request: Request<'_>, exclusive: bool, hold: Hold) -> Result<usize, OpenError> {
    panic_at("open");
    let known = |tree: &Tree| tree.slots.iter().position(|slot| slot.opened_under == Some(origin(request)));
    let index = match known(tree) {
        Some(index) => index,
        None => {
            let settings = settings(request).ok_or(OpenError::Off)?;
            let changes = exclusive || (hold == Hold::Exclusive && lease::is_before_commit(tree, request));
            let purpose = if changes { Purpose::Change } else { Purpose::Look };
            let index = match tree.find(&settings) {
                Some(index) if tree.slots[index].is_opened || means_same(&tree.slots[index].settings, &settings) => {
                    if request.main().is_none() {
                        tree.slots[index].settings.lock = settings.lock; // a part of a page does not speak for the page
                    }
                    index
                }
                Some(index) => {
                    // Somebody looked before the sections of this request were known.
                    tree.slots[index] = find(&mut tree.leases, request, settings, exclusive, purpose)?;
                    index
                }
                None => {
                    let slot = find(&mut tree.leases, request, settings, exclusive, purpose)?;
                    tree.enter(slot)
                }
            };
            if request.main().is_none() {
                // That of a sub-request may end before the tree, and another come to lie in its place.
                tree.slots[index].opened_under = Some(origin(request));
            }
            index
        }
    };
    Ok(index)
}

/// Takes the lease of a session that this tree has met without one, if that is due.
fn hold_known(leases: &mut Holdings, slot: &mut Slot, request: Request<'_>, due: bool) -> Result<(), OpenError> {
    let (Phase::Stored(_), Some(key)) = (slot.session.phase(), slot.session.key().copied()) else { return Ok(()) };
    let is_known_outside = slot.presented.is_some() || slot.by_id;
    if !is_known_outside || slot.is_held(leases) || !(due || leases.holds(&key)) {
        return Ok(());
    }
    let granted = lease::take_by_open(leases, request, &slot.settings.place, &key)?;
    if !read_under(leases, slot, request, key, granted)? {
        if !slot.session.has_changes() && !slot.by_id {
            start_anew(slot); // as if it had ended before this request began
        }
    } else if slot.session.key() != Some(&key) {
        return hold_known(leases, slot, request, due); // it has moved to another id, whose lease counts
    }
    Ok(())
}

/// Reads the session again once its lease is granted, for others may have changed it before; keeps the lease if it is still there.
/// `false`: it is gone. If it has another id by now, the lease is given back.
pub fn read_under(
    leases: &mut Holdings,
    slot: &mut Slot,
    request: Request<'_>,
    key: Key,
    granted: Option<Granted>,
) -> Result<bool, OpenError> {
    let found = reload(slot, request, Purpose::Change)?;
    if found && slot.session.key() == Some(&key) {
        slot.leased = Some(key);
        granted.into_iter().for_each(|granted| leases.keep(granted));
    }
    Ok(found)
}

/// What the client presented is no session any more.
pub fn start_anew(slot: &mut Slot) {
    slot.reads += 1;
    slot.session = repository(&slot.settings).blank(now());
    slot.is_new = true;
    slot.was_invalidated = true;
}

/// The slot of a session that the application names by its id; `None`: no such session. It never makes one.
pub fn open_by_id(
    tree: &mut Tree,
    request: Request<'_>,
    settings: Settings,
    id: &Id,
    touch: Touch,
    hold: Hold,
) -> Result<Option<usize>, OpenError> {
    let exclusive = hold == Hold::Exclusive && lease::is_due(tree, request);
    let index = match tree.find_by_id(&settings, id) {
        Some(index) => index,
        None => {
            let Some(found) = look_up(request, &settings, (id, Key::derive(&settings.terms.scope, id)), Purpose::Look, false)? else {
                return Ok(None);
            };
            let session = found.into_session(settings.terms.max_size, now());
            let mut slot = Slot::new(settings, session);
            slot.by_id = true;
            tree.enter(slot)
        }
    };
    if hold == Hold::Exclusive {
        hold_known(&mut tree.leases, &mut tree.slots[index], request, exclusive)?;
        if tree.slots[index].session.phase() == Phase::Gone {
            return Ok(None);
        }
    }
    opened(&mut tree.slots[index], request, touch);
    Ok(Some(index))
}

/// Whether the store knows a session that has not expired. Touches nothing.
pub fn exists(request: Request<'_>, settings: &Settings, id: &Id) -> Result<bool, OpenError> {
    Ok(look_up(request, settings, (id, Key::derive(&settings.terms.scope, id)), Purpose::Look, false)?.is_some())
}

/// Reads what the store holds by now; the changes of this request stay. `false`: it is gone.
pub fn reload(slot: &mut Slot, request: Request<'_>, purpose: Purpose) -> Result<bool, OpenError> {
    match repository(&slot.settings).reload(&mut slot.session, purpose, now()) {
        Ok(()) => {
            slot.reads += 1;
            Ok(true)
        }
        Err(Error::Corrupt(why)) => {
            let (Some(id), Some(key)) = (slot.session.id().cloned(), slot.session.key().copied()) else { return Ok(false) };
            damaged(request, &slot.settings, &Damage { id, key, why })?;
            slot.session.gone();
            Ok(false)
        }
        Err(Error::Store(error)) => {
            store_failed(request, "load", &error);
            Err(OpenError::Store)
        }
        Err(Error::Gone | Error::TooLarge | Error::Random(_)) => Ok(false),
    }
}

fn opened(slot: &mut Slot, request: Request<'_>, touch: Touch) {
    slot.is_opened = true;
    if touch == Touch::Renew {
        slot.session.renew();
    }
    slot.is_used |= !slot.is_new && is_serving(request);
}
