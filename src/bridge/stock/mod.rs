//! The stock API: `ap_session_load`, `get`, `set` and `save`, found by name as optional functions, and our stores as one more provider on the
//! stock hooks. With a store of ours they work on the session of the request tree ([`own`]); a section without one is served as the stock
//! module did ([`store`]).
#![allow(unsafe_code)]

mod codec;
mod kept;
mod login;
mod output;
pub mod own;
mod section;
pub mod store;

use std::ffi::{CStr, c_char, c_int};
use std::ptr::null;

use self::store::{FAILURE, SUCCESS};
use super::exports::{shim_hook_session_decode, shim_hook_session_encode, shim_hook_session_load, shim_hook_session_save};
use crate::hooks::commit::{Cause, save as commit};
use crate::hooks::open::{Hold, Touch, open};
use crate::hooks::tree::{self, Tree, try_lock};
use crate::httpd::ffi::{self, apr_status_t, request_rec, session_rec};
use crate::httpd::hook::{self, RequestEvent};
use crate::httpd::{Request, Table, guard, offer};

const INVALID: apr_status_t = ffi::APR_EINVAL as apr_status_t;
const DECLINED: c_int = ffi::DECLINED;

pub fn register() {
    // SAFETY: called while hooks are registered; the functions have the types that mod_session.h declares for these names.
    unsafe {
        offer(c"ap_session_load", load as *const ());
        offer(c"ap_session_save", save as *const ());
        offer(c"ap_session_get", get as *const ());
        offer(c"ap_session_set", set as *const ());
        shim_hook_session_encode(Some(codec::encode), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int);
        shim_hook_session_decode(Some(codec::decode), null(), null(), ffi::APR_HOOK_REALLY_LAST as c_int);
        // Where a store of ours is configured, it answers before all others.
        shim_hook_session_load(Some(provide), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int);
        shim_hook_session_save(Some(accept), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int);
    }
    output::register();
}

unsafe extern "C" fn load(r: *mut request_rec, z: *mut *mut session_rec) -> apr_status_t {
    if r.is_null() || z.is_null() {
        return INVALID;
    }
    guard(FAILURE, || {
        // SAFETY: the caller passes a live request and a place for the answer.
        let (request, z) = unsafe { (Request::from_raw(r), &mut *z) };
        if !store::is_on_as_told(request) {
            SUCCESS
        } else if tree::is_ours(request) {
            load_own(request, z)
        } else {
            // SAFETY: as above.
            unsafe { store::load(request, z) }
        }
    })
}

fn load_own(request: Request<'_>, z: &mut *mut session_rec) -> apr_status_t {
    // A module that is called while we log, say, must not wait for itself.
    let Ok(Some(mut tree)) = try_lock(tree::tree(request), request) else { return FAILURE };
    let Ok(index) = open(&mut tree, request, Touch::Renew, Hold::Exclusive) else { return FAILURE };
    tree.collect_by(own::collect);
    *z = own::show(&mut tree, index, request);
    drop(tree);
    if request.main().is_some() && mark_once(request) {
        hook::before_destroyed::<PartEnds>(request);
    }
    SUCCESS
}

/// Whether a part of a page had no record yet.
fn mark_once(part: Request<'_>) -> bool {
    struct HasRecord;
    tree::state(part).faces.with(|mark: &mut Option<HasRecord>| mark.replace(HasRecord).is_none())
}

/// A part of a page ends, and with it what its modules wrote on records that stay.
struct PartEnds;

impl RequestEvent for PartEnds {
    fn run(part: Request<'_>) {
        if let Some(Ok(Some(mut tree))) = tree::existing_tree(part).map(|tree| try_lock(tree, part)) {
            own::take_over(&mut tree, part);
        }
    }
}

/// `session_load`, for who runs the hook himself.
unsafe extern "C" fn provide(r: *mut request_rec, z: *mut *mut session_rec) -> c_int {
    guard(FAILURE, || {
        // SAFETY: the hook is run with a live request and a place for the answer.
        let (request, z) = unsafe { (Request::from_raw(r), &mut *z) };
        if tree::is_ours(request) { load_own(request, z) } else { DECLINED }
    })
}

unsafe extern "C" fn get(r: *mut request_rec, z: *mut session_rec, key: *const c_char, value: *mut *const c_char) -> apr_status_t {
    if r.is_null() || key.is_null() || value.is_null() {
        return INVALID;
    }
    // SAFETY: the caller passes a request, and a record from `load` or null; texts are NUL-terminated.
    unsafe {
        with_entries(r, z, |request, z, entries| {
            with_own(request, z, |tree, index| own::refresh(tree, index, request));
            *value = entries.get(CStr::from_ptr(key)).map_or(null(), CStr::as_ptr);
            SUCCESS
        })
    }
}

unsafe extern "C" fn set(r: *mut request_rec, z: *mut session_rec, key: *const c_char, value: *const c_char) -> apr_status_t {
    if r.is_null() || key.is_null() {
        return INVALID;
    }
    // SAFETY: as above; apr_table_set copies key and value.
    unsafe {
        with_entries(r, z, |request, z, entries| {
            let name = CStr::from_ptr(key);
            let text = (!value.is_null()).then(|| CStr::from_ptr(value));
            let done = with_own(request, z, |tree, index| own::set(tree, index, request, name, text));
            match (done, text) {
                (Some(Err(())), _) => return FAILURE,
                (Some(Ok(())), _) => {}
                (None, Some(_)) => ffi::apr_table_set(entries.raw(), key, value),
                (None, None) => ffi::apr_table_unset(entries.raw(), key),
            }
            (*z).dirty = 1;
            SUCCESS
        })
    }
}

/// Runs `body` on the session of ours that a record shows; `None`: it shows none, or other code of ours is at work on it.
fn with_own<T>(request: Request<'_>, z: *mut session_rec, body: impl FnOnce(&mut Tree, usize) -> T) -> Option<T> {
    let mut tree = try_lock(tree::existing_tree(request)?, request).ok()??;
    own::find(&mut tree, z).map(|index| body(&mut tree, index))
}

/// Runs `body` on the entries of `z`, or of the session of the request if `z` is null. Without a session it does nothing, as ever.
///
/// # Safety
/// `r` is a live request; `z` is null or a record of the stock API.
unsafe fn with_entries(
    r: *mut request_rec,
    mut z: *mut session_rec,
    body: impl FnOnce(Request<'_>, *mut session_rec, Table<'_>) -> apr_status_t,
) -> apr_status_t {
    // SAFETY: promised by the caller.
    unsafe {
        if z.is_null() {
            let status = load(r, &raw mut z);
            if status != SUCCESS {
                return status;
            }
        }
        if z.is_null() || (*z).entries.is_null() {
            return SUCCESS;
        }
        guard(FAILURE, || body(Request::from_raw(r), z, Table::from_raw((*z).entries)))
    }
}

unsafe extern "C" fn save(r: *mut request_rec, z: *mut session_rec) -> apr_status_t {
    if r.is_null() || z.is_null() {
        return SUCCESS;
    }
    guard(FAILURE, || {
        // SAFETY: the caller passes a live request and a record of the stock API.
        unsafe {
            let request = Request::from_raw(r);
            if tree::is_ours(request) || with_own(request, z, |_, _| ()).is_some() {
                save_own(request, z)
            } else {
                store::save(request, &mut *z)
            }
        }
    })
}

/// # Safety
/// `z` is a record of the stock API.
unsafe fn save_own(request: Request<'_>, z: *mut session_rec) -> apr_status_t {
    let Ok(Some(mut tree)) = try_lock(tree::tree(request), request) else { return FAILURE };
    let headers_sent = tree.headers_sent;
    let Some(index) = own::find(&mut tree, z) else { return FAILURE };
    own::read_back(&mut tree, index, request);
    if commit(&mut tree.slots[index], request, headers_sent, Cause::Asked).is_err() {
        return FAILURE;
    }
    own::show(&mut tree, index, request);
    // SAFETY: promised by the caller.
    unsafe { (*z).written = 1 };
    SUCCESS
}

/// `session_save`, for who runs the hook himself.
unsafe extern "C" fn accept(r: *mut request_rec, z: *mut session_rec) -> c_int {
    guard(FAILURE, || {
        // SAFETY: the hook is run with a live request and a record.
        unsafe {
            let request = Request::from_raw(r);
            if tree::is_ours(request) { save_own(request, z) } else { DECLINED }
        }
    })
}
