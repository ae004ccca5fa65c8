//! Opening, saving and ending sessions through the C interface.

use std::ffi::{c_char, c_int};
use std::ptr::null;

use super::handle::{Handle, change, change_in_tree, handle, inside, key, put, with_tree};
use super::{Answer, Status};
use crate::client::header::flag::{CREATE, NO_LOCK, NO_TOUCH, READ_ONLY};
use crate::config::parse::LONGEST;
use crate::hooks::commit::{self, Cause};
use crate::hooks::open::{self, Hold, Touch};
use crate::hooks::tree;
use crate::httpd::ffi::request_rec;
use crate::httpd::{Request, guard};
use crate::repository::Purpose;
use crate::session::session::{Phase, is_user};
use crate::session::{Id, Move};

type Session = *const Handle;

fn hold_by(flags: u32) -> Hold {
    if flags & (READ_ONLY | NO_LOCK) == 0 { Hold::Exclusive } else { Hold::Shared }
}

fn touch_by(flags: u32) -> Touch {
    if flags & NO_TOUCH == 0 { Touch::Renew } else { Touch::Leave }
}

/// A call that has no session yet.
fn answer(body: impl FnOnce() -> Answer) -> Status {
    guard(Err(Status::Panic), body).into()
}

/// # Safety
/// `r` is null or a live request, `out` is null or a place for a handle.
pub unsafe extern "C" fn open(r: *mut request_rec, flags: u32, out: *mut Session) -> Status {
    answer(|| {
        // SAFETY: (here and below) promised by the caller, as session_api.h demands.
        unsafe { put(out, null()) }?;
        let request = unsafe { request(r) }?;
        if !tree::is_ours(request) {
            return Err(Status::Off);
        }
        let of = tree::tree(request);
        let found = with_tree(of, request, |tree| {
            let slot = open::open(tree, request, touch_by(flags), hold_by(flags))?;
            let session = &tree.slots[slot].session;
            if flags & CREATE == 0 && !matches!(session.phase(), Phase::Stored(_)) && session.is_empty() {
                return Err(Status::None);
            }
            Ok(handle(tree, slot, request.root(), of, flags & READ_ONLY == 0))
        })?;
        unsafe { put(out, found) }
    })
}

/// # Safety
/// As [`open`]; `id` is null or NUL-terminated.
pub unsafe extern "C" fn open_by_id(r: *mut request_rec, id: *const c_char, flags: u32, out: *mut Session) -> Status {
    answer(|| {
        unsafe { put(out, null()) }?;
        let request = unsafe { request(r) }?;
        let settings = tree::settings(request).ok_or(Status::Off)?;
        let id = unsafe { parse(id) }?;
        let of = tree::tree(request);
        let found = with_tree(of, request, |tree| {
            let slot = open::open_by_id(tree, request, settings, &id, touch_by(flags), hold_by(flags))?.ok_or(Status::None)?;
            Ok(handle(tree, slot, request.root(), of, flags & READ_ONLY == 0))
        })?;
        unsafe { put(out, found) }
    })
}

/// # Safety
/// As [`open_by_id`].
pub unsafe extern "C" fn exists(r: *mut request_rec, id: *const c_char) -> Status {
    answer(|| {
        let request = unsafe { request(r) }?;
        let settings = tree::settings(request).ok_or(Status::Off)?;
        let id = unsafe { parse(id) }?;
        if open::exists(request, &settings, &id)? { Ok(()) } else { Err(Status::None) }
    })
}

unsafe fn request<'r>(r: *mut request_rec) -> Answer<Request<'r>> {
    if r.is_null() { Err(Status::None) } else { Ok(unsafe { Request::from_raw(r) }) }
}

/// What is not an id is the id of no session.
unsafe fn parse(id: *const c_char) -> Answer<Id> {
    unsafe { key(id) }.ok().and_then(|text| Id::parse(text.as_bytes())).ok_or(Status::None)
}

pub unsafe extern "C" fn load(s: Session) -> Status {
    unsafe { inside(s, |inside| if open::reload(inside.slot, inside.request, Purpose::Look)? { Ok(()) } else { Err(Status::Gone) }) }.into()
}

pub unsafe extern "C" fn save(s: Session) -> Status {
    unsafe { change(s, |inside| Ok(commit::save(inside.slot, inside.request, inside.headers_sent, Cause::Asked)?)) }
}

pub unsafe extern "C" fn revert(s: Session) -> Status {
    unsafe {
        change(s, |inside| {
            inside.slot.session.revert();
            Ok(())
        })
    }
}

pub unsafe extern "C" fn remove(s: Session) -> Status {
    unsafe { change(s, |inside| Ok(commit::remove(inside.slot, inside.request)?)) }
}

pub unsafe extern "C" fn invalidate(s: Session) -> Status {
    unsafe { change(s, |inside| Ok(commit::invalidate(inside.slot, inside.request)?)) }
}

pub unsafe extern "C" fn expire(s: Session) -> Status {
    unsafe {
        change(s, |inside| {
            inside.slot.expires_at_commit = true;
            Ok(())
        })
    }
}

pub unsafe extern "C" fn touch(s: Session) -> Status {
    unsafe {
        inside(s, |inside| {
            inside.slot.session.renew();
            Ok(())
        })
    }
    .into()
}

pub unsafe extern "C" fn set_timeout(s: Session, seconds: i64) -> Status {
    unsafe {
        change(s, |inside| {
            let seconds = u64::try_from(seconds).ok().filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or(Status::BadType)?;
            inside.slot.session.set_timeout(seconds);
            Ok(())
        })
    }
}

pub unsafe extern "C" fn regenerate(s: Session, privilege: c_int) -> Status {
    let kind = if privilege == 0 { Move::Moved } else { Move::Superseded };
    unsafe { change_in_tree(s, |tree, slot, request| Ok(commit::regenerate(tree, slot, request, kind)?)) }
}

/// NULL and the empty name mean nobody.
pub unsafe extern "C" fn set_user(s: Session, user: *const c_char) -> Status {
    let name = if user.is_null() { Ok("") } else { unsafe { key(user) } };
    unsafe {
        change_in_tree(s, |tree, slot, request| {
            let name = name.ok().filter(|name| is_user(name)).ok_or(Status::BadType)?;
            let user = (!name.is_empty()).then(|| name.to_owned());
            Ok(commit::set_user(tree, slot, request, user)?)
        })
    }
}
