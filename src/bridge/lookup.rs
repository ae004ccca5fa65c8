//! The session of a request for those who only look at it: `Require` lines and expressions.

use std::ffi::CString;

use super::stock::store;
use crate::hooks::look;
use crate::hooks::open::OpenError;
use crate::hooks::tree::{self, Guard, try_lock};
use crate::httpd::{Request, Table};
use crate::session::Session;
use crate::session::mirror::Detail;
use crate::session::session::Phase;

pub enum Found<'r> {
    /// No session is there, or none that will be stored.
    Nothing,
    Ours(Guard<'r>, usize),
    /// Entries and user of a session of the stock store modules.
    Stock(Table<'r>, Option<&'r [u8]>),
}

/// `None`: sessions are off here.
pub fn look(request: Request<'_>) -> Result<Option<Found<'_>>, OpenError> {
    if !store::is_on(request) {
        return Ok(None);
    }
    if !tree::is_ours(request) {
        let (entries, user) = store::look(request).ok_or(OpenError::Store)?;
        return Ok(Some(Found::Stock(entries, user.map(|user| user.to_bytes()))));
    }
    // Whoever evaluates an expression while we are at work, or in another thread, must not wait for us.
    let mut tree = try_lock(tree::tree(request), request).map_err(|_| OpenError::Store)?.ok_or(OpenError::Busy)?;
    let index = look::look(&mut tree, request)?;
    let slot = &tree.slots[index];
    let is_there = !slot.expires_at_commit && will_be_stored(&slot.session);
    Ok(Some(if is_there { Found::Ours(tree, index) } else { Found::Nothing }))
}

/// What a request has changed so far counts as if it were stored.
fn will_be_stored(session: &Session) -> bool {
    let may_be = match session.phase() {
        Phase::Stored(_) => true,
        Phase::New | Phase::Removed => session.has_changes(),
        Phase::Gone => false,
    };
    may_be && !session.is_empty()
}

impl Found<'_> {
    fn session(&self) -> Option<&Session> {
        match self {
            Found::Ours(tree, index) => Some(&tree.slots[*index].session),
            Found::Nothing | Found::Stock(..) => None,
        }
    }

    pub fn is_there(&self) -> bool {
        match self {
            Found::Nothing => false,
            Found::Ours(..) => true,
            Found::Stock(entries, _) => !entries.entries().is_empty(),
        }
    }

    pub fn user(&self) -> Option<&[u8]> {
        let user = match self {
            Found::Stock(_, user) => *user,
            _ => self.session()?.user().map(str::as_bytes),
        };
        user.filter(|user| !user.is_empty())
    }

    pub fn has(&self, key: &str) -> bool {
        match self {
            Found::Stock(entries, _) => entry(*entries, key).is_some(),
            _ => self.session().is_some_and(|session| session.values().find(key).is_some()),
        }
    }

    /// A value as notes show it.
    pub fn text(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Found::Stock(entries, _) => entry(*entries, key).filter(|text| Detail::Public.shows(key.as_bytes(), text)).map(<[u8]>::to_vec),
            _ => Detail::Public.text(self.session()?.values(), key),
        }
    }
}

fn entry<'r>(entries: Table<'r>, key: &str) -> Option<&'r [u8]> {
    entries.get(&CString::new(key).ok()?).map(|text| text.to_bytes())
}
