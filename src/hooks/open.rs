//! Finding the session of a request.

use std::sync::atomic::Ordering;

use crate::config::{Carrier, SecretSource, Settings};
use crate::faults::panic_at;
use crate::httpd::{Level, Request};
use crate::repository::{Damage, Error, Live, Lookup, now};
use crate::session::secret::Signature;
use crate::session::session::Phase;
use crate::session::{Id, Key, query};

use super::events::{Event, happened};
use super::lease::{self, Granted, Holdings, NotGranted};
use super::look::means_same;
use super::report::{failure, store_failed};
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
    let index = slot_of(tree, request, exclusive)?;
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
pub(super) fn slot_of(tree: &mut Tree, request: Request<'_>, exclusive: bool) -> Result<usize, OpenError> {
    panic_at("open");
    let known = |tree: &Tree| tree.slots.iter().position(|slot| slot.opened_under == Some(origin(request)));
    let index = match known(tree) {
        Some(index) => index,
        None => {
            let settings = settings(request).ok_or(OpenError::Off)?;
            let index = match tree.find(&settings) {
                Some(index) if tree.slots[index].is_opened || means_same(&tree.slots[index].settings, &settings) => {
                    if request.main().is_none() {
                        tree.slots[index].settings.lock = settings.lock; // a part of a page does not speak for the page
                    }
                    index
                }
                Some(index) => {
                    // Somebody looked before the sections of this request were known.
                    tree.slots[index] = find(&mut tree.leases, request, settings, exclusive)?;
                    index
                }
                None => {
                    let slot = find(&mut tree.leases, request, settings, exclusive)?;
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
    let found = reload(slot, request)?;
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
            let Some(found) = look_up(request, &settings, id, false)? else { return Ok(None) };
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
    Ok(look_up(request, settings, id, false)?.is_some())
}

/// Reads what the store holds by now; the changes of this request stay. `false`: it is gone.
pub fn reload(slot: &mut Slot, request: Request<'_>) -> Result<bool, OpenError> {
    match repository(&slot.settings).reload(&mut slot.session, now()) {
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

/// What the client presents: ids of valid form, signed where that is asked for.
fn candidates(request: Request<'_>, settings: &Settings) -> Result<Vec<(Id, Signature)>, OpenError> {
    let root = request.root();
    match &settings.carrier {
        Carrier::Cookie(rule, secrets) => {
            let keys = match secrets.as_deref().map(SecretSource::keys) {
                Some(Err(why)) => {
                    failure(request, format_args!("{why}: without keys no cookie is trusted, and sessions fail until that is mended"));
                    return Err(OpenError::Store);
                }
                keys => keys.and_then(Result::ok),
            };
            let headers = root.headers_in().entries();
            let headers: Vec<_> =
                headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Cookie")).map(|(_, value)| *value).collect();
            Ok(rule.candidates(&headers, keys.map(|keys| (keys, &settings.terms.scope))))
        }
        Carrier::Query(name) => Ok(query::ids(root.query(), name).into_iter().map(|id| (id, Signature::Current)).collect()),
    }
}

/// Tries what the client presented: the first usable id counts. An exclusive open takes the lease before it reads, where it can tell which;
/// and once more where the session turns out to be another one.
fn find(leases: &mut Holdings, request: Request<'_>, settings: Settings, exclusive: bool) -> Result<Slot, OpenError> {
    let candidates = candidates(request, &settings)?;
    let mut guess = match &candidates[..] {
        [(only, _)] if exclusive => Some(Key::derive(&settings.terms.scope, only)),
        _ => None,
    };
    let mut first_look = true;
    let (usable, granted) = loop {
        let granted = match &guess {
            Some(key) => lease::take_by_open(leases, request, &settings.place, key)?,
            None => None,
        };
        let usable = first_usable(request, &settings, &candidates, first_look)?;
        first_look = false;
        match &usable {
            Some((_, live)) if exclusive && guess != Some(live.key) => guess = Some(live.key),
            _ => break (usable, granted),
        }
    };
    Ok(match usable {
        Some(((id, signature), live)) => {
            granted.into_iter().for_each(|granted| leases.keep(granted));
            let key = live.key;
            let session = live.into_session(settings.terms.max_size, now());
            let mut slot = Slot::new(settings, session);
            slot.client_has = Some(id.clone());
            slot.presented = Some(id);
            slot.send_again = signature == Signature::Older;
            slot.leased = leases.holds(&key).then_some(key);
            slot
        }
        None => {
            let session = repository(&settings).blank(now());
            let mut slot = Slot::new(settings, session);
            slot.is_new = true;
            slot.was_invalidated = !candidates.is_empty();
            slot
        }
    })
}

type Usable = ((Id, Signature), Box<Live>);

/// `tells`: what is noticed is logged, which later looks need not repeat.
fn first_usable(
    request: Request<'_>,
    settings: &Settings,
    candidates: &[(Id, Signature)],
    tells: bool,
) -> Result<Option<Usable>, OpenError> {
    let mut usable: Option<Usable> = None;
    for candidate in candidates {
        let Some(live) = look_up(request, settings, &candidate.0, tells)? else { continue };
        match &usable {
            None => usable = Some((candidate.clone(), live)),
            Some((_, first)) if tells && first.key != live.key => {
                let (first, second) = (first.key.reference(), live.key.reference());
                request.log(Level::Notice, format_args!("the client presents two sessions, {first} and {second}: the first counts"));
            }
            Some(_) => {}
        }
    }
    Ok(usable)
}

/// What an id leads to, if that is a session. `presented`: a client comes with it, and it is the first look.
fn look_up(request: Request<'_>, settings: &Settings, id: &Id, presented: bool) -> Result<Option<Box<Live>>, OpenError> {
    match repository(settings).find(id, now()) {
        Ok(Lookup::Live(live)) => return Ok(Some(live)),
        Ok(Lookup::Nothing) => {}
        Ok(Lookup::Superseded(reference)) => {
            if presented {
                happened(request, Event::Superseded, &reference, None, None);
            }
        }
        Ok(Lookup::Newer(reference, error)) => request.log(Level::Info, format_args!("session {reference} is not used: {error}")),
        Ok(Lookup::Damaged(damage)) => damaged(request, settings, &damage)?,
        Err(error) => {
            store_failed(request, "load", &error);
            return Err(OpenError::Store);
        }
    }
    Ok(None)
}

fn damaged(request: Request<'_>, settings: &Settings, Damage { id, key, why }: &Damage) -> Result<(), OpenError> {
    let reference = key.reference();
    if !settings.invalidate_corrupt {
        request.log(Level::Error, format_args!("session {reference} is damaged ({why}); SessionInvalidateCorrupt is Off: it stays"));
        return Err(OpenError::Corrupt);
    }
    request.log(Level::Error, format_args!("session {reference} is damaged ({why}): the client gets a new one, the record is put aside"));
    if let Err(error) = repository(settings).quarantine(id, key) {
        store_failed(request, "put aside", &error);
    }
    Ok(())
}
