//! Which session a client means: what it presents, and what the store has of that.

use crate::config::{Carrier, SecretSource, Settings};
use crate::httpd::{Level, Request};
use crate::repository::{Damage, Live, Lookup, Purpose, now};
use crate::session::secret::Signature;
use crate::session::{Id, Key, query};

use super::events::{Event, happened};
use super::lease::{self, Holdings};
use super::open::OpenError;
use super::report::{failure, store_failed};
use super::slot::Slot;
use super::stores::repository;

/// An id that the client sent.
#[derive(Clone)]
struct Presented {
    id: Id,
    key: Key,
    signature: Signature,
}

/// What the client presents: ids of valid form, signed where that is asked for.
fn presented(request: Request<'_>, settings: &Settings) -> Result<Vec<Presented>, OpenError> {
    let root = request.root();
    let ids = match &settings.carrier {
        Carrier::Cookie(rule, secrets) => {
            let keys = match secrets.as_deref().map(SecretSource::keys) {
                Some(Err(why)) => {
                    failure(request, format_args!("{why}: without keys no cookie is trusted, and sessions fail until that is mended"));
                    return Err(OpenError::Store);
                }
                keys => keys.and_then(Result::ok),
            };
            let headers = root.headers_in().of_key(c"Cookie");
            rule.candidates(&headers, keys.map(|keys| (keys, &settings.terms.scope)))
        }
        Carrier::Query(name) => query::ids(root.query(), name).into_iter().map(|id| (id, Signature::Current)).collect(),
    };
    let keyed = |(id, signature)| Presented { key: Key::derive(&settings.terms.scope, &id), id, signature };
    Ok(ids.into_iter().map(keyed).collect())
}

/// Tries what the client presented: the first usable id counts. An exclusive open takes the lease before it reads, where it can tell which;
/// and once more where the session turns out to be another one.
pub fn find(
    leases: &mut Holdings,
    request: Request<'_>,
    settings: Settings,
    exclusive: bool,
    purpose: Purpose,
) -> Result<Box<Slot>, OpenError> {
    let presented = presented(request, &settings)?;
    let mut guess = match &presented[..] {
        [only] if exclusive => Some(only.key),
        _ => None,
    };
    let mut first_look = true;
    let (usable, granted) = loop {
        let granted = match &guess {
            Some(key) => lease::take_by_open(leases, request, &settings.place, key)?,
            None => None,
        };
        let usable = first_usable(request, &settings, &presented, purpose, first_look)?;
        first_look = false;
        match &usable {
            Some((_, live)) if exclusive && guess != Some(live.key) => guess = Some(live.key),
            _ => break (usable, granted),
        }
    };
    Ok(match usable {
        Some((Presented { id, signature, .. }, live)) => {
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
            slot.was_invalidated = !presented.is_empty();
            slot
        }
    })
}

type Usable = (Presented, Box<Live>);

/// `tells`: what is noticed is logged, which later looks need not repeat.
fn first_usable(
    request: Request<'_>,
    settings: &Settings,
    presented: &[Presented],
    purpose: Purpose,
    tells: bool,
) -> Result<Option<Usable>, OpenError> {
    let mut usable: Option<Usable> = None;
    for candidate in presented {
        let Some(live) = look_up(request, settings, (&candidate.id, candidate.key), purpose, tells)? else { continue };
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
pub fn look_up(
    request: Request<'_>,
    settings: &Settings,
    (id, key): (&Id, Key),
    purpose: Purpose,
    presented: bool,
) -> Result<Option<Box<Live>>, OpenError> {
    match repository(settings).find_at(id, key, purpose, now()) {
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

pub fn damaged(request: Request<'_>, settings: &Settings, Damage { id, key, why }: &Damage) -> Result<(), OpenError> {
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
