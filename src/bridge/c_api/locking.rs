//! Keeping other requests off a session through the C interface.

use std::time::Duration;

use super::handle::{Handle, Inside, inside};
use super::{Answer, Status};
use crate::config::LockMode;
use crate::hooks::commit::{self, Cause, identify};
use crate::hooks::lease;
use crate::hooks::open::reload;

type Session = *const Handle;

/// # Safety
/// (here and below) The handle is null or lives, as session_api.h demands.
pub unsafe extern "C" fn lock(s: Session, timeout: i64) -> Status {
    let patience = u64::try_from(timeout).ok().map(Duration::from_micros);
    unsafe { inside(s, |inside| take(inside, patience)) }.into()
}

pub unsafe extern "C" fn trylock(s: Session) -> Status {
    unsafe { inside(s, |inside| take(inside, Some(Duration::ZERO))) }.into()
}

/// Others may have changed the session before: it is read again, and the changes of this request stay on top.
fn take(inside: &mut Inside<'_>, patience: Option<Duration>) -> Answer {
    if inside.slot.settings.lock == LockMode::None {
        return Err(Status::Off);
    }
    // A new session gets its id now: from the first save on others may come for it.
    let (_, key) = identify(inside.slot)?;
    if inside.leases.holds(&key) {
        return Ok(());
    }
    let granted = lease::take_by_call(inside.request, &key, patience)?;
    inside.leases.keep(granted);
    let found = reload(inside.slot, inside.request);
    if found != Ok(true) {
        inside.leases.drop_one(&key);
    }
    if found? { Ok(()) } else { Err(Status::Gone) }
}

pub unsafe extern "C" fn unlock(s: Session) -> Status {
    unsafe {
        inside(s, |inside| {
            if inside.slot.settings.lock == LockMode::None {
                return Err(Status::Off);
            }
            let Some(key) = inside.slot.session.key().copied().filter(|key| inside.leases.holds(key)) else { return Ok(()) };
            let saved = commit::save(inside.slot, inside.request, inside.headers_sent, Cause::Asked);
            inside.leases.drop_one(&key);
            Ok(saved?)
        })
    }
    .into()
}
