//! Facts of a session through the C interface. Where a session cannot be asked they are NULL and 0.

use std::ffi::{c_char, c_int};
use std::ptr::null;

use super::handle::{Handle, Inside, fact};
use crate::client::Error;

type Session = *const Handle;

/// # Safety
/// (here and below) The handle is null or lives, as session_api.h demands.
unsafe fn text(s: Session, pick: impl FnOnce(&mut Inside<'_>) -> Option<String>) -> *const c_char {
    unsafe {
        fact(s, null(), |inside| match pick(inside) {
            Some(text) => inside.lend_text(&text),
            None => Ok(null()),
        })
    }
}

pub unsafe extern "C" fn id(s: Session) -> *const c_char {
    unsafe { text(s, |inside| Some(inside.slot.identify().ok()?.0.expose().to_owned())) }
}

pub unsafe extern "C" fn reference(s: Session) -> *const c_char {
    unsafe { text(s, |inside| Some(inside.slot.identify().ok()?.1.reference().to_string())) }
}

pub unsafe extern "C" fn cookie_name(s: Session) -> *const c_char {
    unsafe { text(s, |inside| inside.slot.settings.cookie().map(|rule| rule.name.to_string())) }
}

pub unsafe extern "C" fn user(s: Session) -> *const c_char {
    unsafe { text(s, |inside| inside.slot.session.user().map(str::to_owned)) }
}

pub unsafe extern "C" fn is_new(s: Session) -> c_int {
    unsafe { fact(s, 0, |inside| Ok(inside.slot.is_new.into())) }
}

pub unsafe extern "C" fn was_invalidated(s: Session) -> c_int {
    unsafe { fact(s, 0, |inside| Ok(inside.slot.was_invalidated.into())) }
}

pub unsafe extern "C" fn created(s: Session) -> i64 {
    unsafe { fact(s, 0, |inside| Ok(i64::try_from(inside.slot.session.created().0).unwrap_or(i64::MAX))) }
}

pub unsafe extern "C" fn accessed(s: Session) -> i64 {
    unsafe { fact(s, 0, |inside| Ok(i64::try_from(inside.slot.session.accessed().0).unwrap_or(i64::MAX))) }
}

pub unsafe extern "C" fn timeout(s: Session) -> i64 {
    unsafe { fact(s, 0, |inside| Ok(i64::try_from(inside.slot.session.timeout()).unwrap_or(i64::MAX))) }
}

/// What a handler can answer its client. An integer, since C may pass any.
pub extern "C" fn http_status(status: c_int) -> c_int {
    Error::check(status).map_or_else(|error| error.http_status(), |()| 0)
}
