//! Finding the session of a request.

use std::sync::atomic::Ordering;

use crate::config::Settings;
use crate::httpd::{Level, Request};
use crate::session::expiry::Expiry;
use crate::session::record::{CodecError, Record};
use crate::session::session::Phase;
use crate::session::{Id, Key, Session, Timestamp};
use crate::store;

use super::faults::panic_at;
use super::lease::{self, Busy, Granted, Holdings};
use super::report::store_failed;
use super::tree::{Slot, State, Tree, now, origin, settings};

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

impl From<Busy> for OpenError {
    fn from(_: Busy) -> OpenError {
        OpenError::Busy
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

/// A record and its expiry.
type Live = Box<(Record, Timestamp)>;

/// What the store says of one id.
enum Found {
    Live(Live),
    /// Unknown, expired, damaged or written by a newer version.
    Nothing,
}

/// The slot of the session that the configuration of a request means, loaded if it was not yet. There is always one: perhaps of a
/// new session.
pub fn open(tree: &mut Tree, request: Request<'_>, touch: Touch, hold: Hold) -> Result<usize, OpenError> {
    panic_at("open");
    let exclusive = hold == Hold::Exclusive && lease::is_due(tree, request);
    let known = |tree: &Tree| tree.slots.iter().position(|slot| slot.opened_under == Some(origin(request)));
    let index = match known(tree) {
        Some(index) => index,
        None => {
            let settings = settings(request).ok_or(OpenError::Off)?;
            let index = match tree.find(&settings) {
                Some(index) => {
                    if request.main().is_none() {
                        tree.slots[index].settings.lock = settings.lock; // a part of a page does not speak for the page
                    }
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
    if hold == Hold::Exclusive {
        hold_known(&mut tree.leases, &mut tree.slots[index], request, exclusive)?;
    }
    opened(&mut tree.slots[index], request, touch);
    Ok(index)
}

/// Takes the lease of a session that this tree has met without one, if that is due.
fn hold_known(leases: &mut Holdings, slot: &mut Slot, request: Request<'_>, due: bool) -> Result<(), OpenError> {
    let (Phase::Stored(_), Some(key)) = (slot.session.phase(), slot.session.key().copied()) else { return Ok(()) };
    let is_known_outside = slot.presented.is_some() || slot.by_id;
    if !is_known_outside || slot.is_held(leases) || !(due || leases.holds(&key)) {
        return Ok(());
    }
    let granted = lease::take_by_open(leases, request, &key)?;
    if !read_under(leases, slot, request, key, granted)? && !slot.session.has_changes() && !slot.by_id {
        start_anew(slot); // as if it had ended before this request began
    }
    Ok(())
}

/// Reads the session again once its lease is granted, for others may have changed it before; keeps the lease if it is still there.
/// `false`: it is gone.
pub fn read_under(
    leases: &mut Holdings,
    slot: &mut Slot,
    request: Request<'_>,
    key: Key,
    granted: Option<Granted>,
) -> Result<bool, OpenError> {
    let found = reload(slot, request)?;
    if found {
        slot.leased = Some(key);
        granted.into_iter().for_each(|granted| leases.keep(granted));
    }
    Ok(found)
}

/// What the client presented is no session any more.
fn start_anew(slot: &mut Slot) {
    slot.session = Session::blank(now(), slot.settings.timeout, slot.settings.max_size);
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
            let key = Key::derive(&settings.scope, id);
            let Found::Live(found) = look_up(request, &settings, &key)? else { return Ok(None) };
            let session = stored(&settings, id.clone(), key, *found);
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
    Ok(matches!(look_up(request, settings, &Key::derive(&settings.scope, id))?, Found::Live(_)))
}

/// Reads what the store holds by now; the changes of this request stay. `false`: it is gone.
pub fn reload(slot: &mut Slot, request: Request<'_>) -> Result<bool, OpenError> {
    let (Phase::Stored(_), Some(key)) = (slot.session.phase(), slot.session.key().copied()) else {
        return Ok(slot.session.phase() != Phase::Gone); // nothing is stored that could be read
    };
    match look_up(request, &slot.settings, &key)? {
        Found::Live(found) if found.0.incarnation == slot.session.incarnation() => {
            slot.session.reloaded(found.0, found.1);
            slot.reads += 1;
            Ok(true)
        }
        _ => {
            slot.session.gone();
            Ok(false)
        }
    }
}

fn opened(slot: &mut Slot, request: Request<'_>, touch: Touch) {
    if touch == Touch::Renew {
        slot.session.renew();
    }
    slot.is_used |= !slot.is_new && request.state::<State>().is_some_and(|state| state.is_serving.load(Ordering::Relaxed));
}

fn stored(settings: &Settings, id: Id, key: Key, (record, expires): (Record, Timestamp)) -> Session {
    Session::stored(id, key, record, expires, now(), settings.max_size)
}

/// Tries what the client presented: the first usable id counts. An exclusive open that has but one to try takes the lease first and
/// need not read twice.
fn find(leases: &mut Holdings, request: Request<'_>, settings: Settings, exclusive: bool) -> Result<Slot, OpenError> {
    let cookies: Vec<_> = request.root().headers_in().entries();
    let cookies: Vec<_> = cookies.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Cookie")).map(|(_, value)| *value).collect();
    let candidates = settings.cookie.candidates(&cookies);
    let mut granted = match &candidates[..] {
        [only] if exclusive => lease::take_by_open(leases, request, &Key::derive(&settings.scope, only))?,
        _ => None,
    };
    let mut usable = first_usable(request, &settings, &candidates)?;
    if exclusive && candidates.len() > 1 {
        while let Some((_, key, found)) = &mut usable {
            granted = lease::take_by_open(leases, request, key)?;
            match look_up(request, &settings, key)? {
                Found::Live(newest) => {
                    *found = newest;
                    break;
                }
                // It ended while this request waited for it; another one may be usable still.
                Found::Nothing => {
                    granted = None;
                    usable = first_usable(request, &settings, &candidates)?;
                }
            }
        }
    }
    Ok(match usable {
        Some((id, key, found)) => {
            granted.into_iter().for_each(|granted| leases.keep(granted));
            let session = stored(&settings, id.clone(), key, *found);
            let mut slot = Slot::new(settings, session);
            slot.presented = Some(id);
            slot.leased = leases.holds(&key).then_some(key);
            slot
        }
        None => {
            let session = Session::blank(now(), settings.timeout, settings.max_size);
            let mut slot = Slot::new(settings, session);
            slot.is_new = true;
            slot.was_invalidated = !candidates.is_empty();
            slot
        }
    })
}

fn first_usable(request: Request<'_>, settings: &Settings, candidates: &[Id]) -> Result<Option<(Id, Key, Live)>, OpenError> {
    let mut usable: Option<(Id, Key, Live)> = None;
    for id in candidates {
        let key = Key::derive(&settings.scope, id);
        let Found::Live(found) = look_up(request, settings, &key)? else { continue };
        match &usable {
            None => usable = Some((id.clone(), key, found)),
            Some((_, first, _)) => {
                let (first, second) = (first.reference(), key.reference());
                request.log(Level::Notice, format_args!("the client presents two sessions, {first} and {second}: the first counts"));
            }
        }
    }
    Ok(usable)
}

fn look_up(request: Request<'_>, settings: &Settings, key: &Key) -> Result<Found, OpenError> {
    match settings.place.store().load(key) {
        Ok(None) => Ok(Found::Nothing),
        Ok(Some(blob)) => match Record::decode(&blob.bytes) {
            Ok(record) => Ok(judge(record, blob.expires, &settings.expiry)),
            Err(error @ CodecError::Newer(_)) => {
                request.log(Level::Info, format_args!("session {} is not used: {error}", key.reference()));
                Ok(Found::Nothing)
            }
            Err(error) => damaged(request, settings, key, &error),
        },
        Err(store::Error::Corrupt(path)) => damaged(request, settings, key, &path.display()),
        Err(error) => {
            store_failed(request, "load", &error);
            Err(OpenError::Store)
        }
    }
}

fn judge(record: Record, expires: Timestamp, rules: &Expiry) -> Found {
    if rules.alive(&record, expires, now()) { Found::Live(Box::new((record, expires))) } else { Found::Nothing }
}

fn damaged(request: Request<'_>, settings: &Settings, key: &Key, what: &dyn std::fmt::Display) -> Result<Found, OpenError> {
    let reference = key.reference();
    if !settings.invalidate_corrupt {
        request.log(Level::Error, format_args!("session {reference} is damaged ({what}); SessionInvalidateCorrupt is Off: it stays"));
        return Err(OpenError::Corrupt);
    }
    request.log(Level::Error, format_args!("session {reference} is damaged ({what}): the client gets a new one, the record is put aside"));
    if let Err(error) = settings.place.store().quarantine(key, &|blob| Record::decode(&blob.bytes).is_err()) {
        store_failed(request, "put aside", &error);
    }
    Ok(Found::Nothing)
}
