//! The stock API: `ap_session_load`, `get`, `set` and `save`, found by name as optional functions. With a store of ours they work on the
//! session of the request tree; a section without one is served by [`super::stock_store`] as the stock module did.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_long};
use std::ptr::null_mut;

use super::stock_store::{self, FAILURE, SUCCESS};
use crate::hooks::commit::{Cause, save as commit};
use crate::hooks::open::{Hold, Touch, open};
use crate::hooks::tree::{self, Slot, Tree, try_lock};
use crate::httpd::ffi::{self, apr_status_t, request_rec, session_rec};
use crate::httpd::{Level, Request, Table, guard, offer};
use crate::repository::now;
use crate::session::Mirror;
use crate::session::mirror::Detail;
use crate::session::session::Phase;
use crate::session::time::MICROS;

const INVALID: apr_status_t = ffi::APR_EINVAL as apr_status_t;

/// The stock picture of a session. It lives in the pool of the first request, as long as the slot it is attached to.
struct View {
    record: *mut session_rec,
    mirror: Mirror,
    /// How often the session had been read when this was shown.
    reads: u32,
}

// SAFETY: the record is used by the thread that serves the request, under the lock of the tree.
unsafe impl Send for View {}

pub fn register() {
    // SAFETY: the functions have the types that mod_session.h declares for these names.
    unsafe {
        offer(c"ap_session_load", load as *const ());
        offer(c"ap_session_save", save as *const ());
        offer(c"ap_session_get", get as *const ());
        offer(c"ap_session_set", set as *const ());
    }
    stock_store::register();
}

unsafe extern "C" fn load(r: *mut request_rec, z: *mut *mut session_rec) -> apr_status_t {
    if r.is_null() || z.is_null() {
        return INVALID;
    }
    guard(FAILURE, || {
        // SAFETY: the caller passes a live request and a place for the answer.
        let request = unsafe { Request::from_raw(r) };
        if !stock_store::is_on(request) {
            return SUCCESS;
        }
        if !tree::is_ours(request) {
            // SAFETY: as above.
            return unsafe { stock_store::load(request, &mut *z) };
        }
        // A module that is called while we log, say, must not wait for itself.
        let Ok(Some(mut tree)) = try_lock(tree::tree(request), request) else { return FAILURE };
        let Ok(index) = open(&mut tree, request, Touch::Renew, Hold::Exclusive) else { return FAILURE };
        tree.collect_by(collect);
        let record = show(&mut tree.slots[index], request);
        // SAFETY: as above.
        unsafe { *z = record };
        SUCCESS
    })
}

unsafe extern "C" fn get(r: *mut request_rec, z: *mut session_rec, key: *const c_char, value: *mut *const c_char) -> apr_status_t {
    if r.is_null() || key.is_null() || value.is_null() {
        return INVALID;
    }
    // SAFETY: the caller passes a request, and a record from `load` or null.
    unsafe { with_entries(r, z, |_, entries| *value = entries.get(CStr::from_ptr(key)).map_or(std::ptr::null(), CStr::as_ptr)) }
}

unsafe extern "C" fn set(r: *mut request_rec, z: *mut session_rec, key: *const c_char, value: *const c_char) -> apr_status_t {
    if r.is_null() || key.is_null() {
        return INVALID;
    }
    // SAFETY: as above; apr_table_set copies key and value.
    unsafe {
        with_entries(r, z, |record, entries| {
            if value.is_null() {
                ffi::apr_table_unset(entries.raw(), key);
            } else {
                ffi::apr_table_set(entries.raw(), key, value);
            }
            (*record).dirty = 1;
        })
    }
}

/// Runs `body` on the entries of `z`, or of the session of the request if `z` is null. Without a session it does nothing, as ever.
///
/// # Safety
/// `r` is a live request; `z` is null or a record of the stock API.
unsafe fn with_entries(r: *mut request_rec, mut z: *mut session_rec, body: impl FnOnce(*mut session_rec, Table<'_>)) -> apr_status_t {
    // SAFETY: promised by the caller.
    unsafe {
        if z.is_null() {
            let status = load(r, &raw mut z);
            if status != SUCCESS {
                return status;
            }
        }
        if !z.is_null() && !(*z).entries.is_null() {
            guard((), || {
                refresh(Request::from_raw(r), z);
                body(z, Table::from_raw((*z).entries));
            });
        }
    }
    SUCCESS
}

/// A record that was handed out before its session was read again, under the lease, is brought up to date.
fn refresh(request: Request<'_>, z: *mut session_rec) {
    let Some(Ok(Some(mut tree))) = tree::existing_tree(request).map(|tree| try_lock(tree, request)) else { return };
    let is_old = |slot: &mut Slot| {
        let reads = slot.reads;
        slot.attachment::<View>().is_some_and(|view| view.record == z && view.reads != reads)
    };
    if let Some(index) = tree.slots.iter_mut().position(is_old) {
        show(&mut tree.slots[index], request);
    }
}

unsafe extern "C" fn save(r: *mut request_rec, z: *mut session_rec) -> apr_status_t {
    if r.is_null() || z.is_null() {
        return SUCCESS;
    }
    guard(FAILURE, || {
        // SAFETY: the caller passes a live request and a record of the stock API.
        let request = unsafe { Request::from_raw(r) };
        if !tree::is_ours(request) {
            // SAFETY: as above.
            return unsafe { stock_store::save(request, &mut *z) };
        }
        let Ok(Some(mut tree)) = try_lock(tree::tree(request), request) else { return FAILURE };
        let headers_sent = tree.headers_sent;
        let is_of = |slot: &mut Slot| slot.attachment::<View>().is_some_and(|view| view.record == z);
        let Some(index) = tree.slots.iter_mut().position(is_of) else { return FAILURE };
        let slot = &mut tree.slots[index];
        read_back(slot, request);
        if commit(slot, request, headers_sent, Cause::Asked).is_err() {
            return FAILURE;
        }
        show(slot, request);
        // SAFETY: as above.
        unsafe { (*z).written = 1 };
        SUCCESS
    })
}

/// Reads back the entries of every session that was handed out.
fn collect(tree: &mut Tree, request: Request<'_>) {
    for slot in &mut tree.slots {
        read_back(slot, request);
    }
}

fn read_back(slot: &mut Slot, request: Request<'_>) {
    let Some(view) = slot.attachment::<View>() else { return };
    // SAFETY: the record lives in the pool of the first request.
    let table = unsafe { (*view.record).entries };
    if table.is_null() {
        return;
    }
    // SAFETY: a table of the stock API, used by the thread that serves the request.
    let entries = unsafe { Table::from_raw(table) }.entries();
    let edits = view.mirror.edits(&entries);
    for (key, error) in slot.session.apply(edits) {
        request.log(Level::Error, format_args!("ap_session_set: '{}' is not stored: {error}", key.escape_debug()));
    }
}

/// The record of a session, brought up to date.
fn show(slot: &mut Slot, request: Request<'_>) -> *mut session_rec {
    read_back(slot, request);
    let root = request.root();
    let record = match slot.attachment::<View>() {
        Some(view) => view.record,
        None => {
            let record = stock_store::new_record(root);
            slot.attach(View { record, mirror: Mirror::default(), reads: 0 });
            record
        }
    };
    let mirror = Mirror::of(slot.session.values(), Detail::All);
    let timeout = slot.session.timeout();
    let expires = match slot.session.phase() {
        Phase::Stored(expires) => expires,
        _ => now().plus(timeout.saturating_mul(MICROS)),
    };
    let user = slot.session.user().map_or(null_mut(), |user| root.pool().text(user).as_ptr().cast_mut());
    // SAFETY: the record and its table live in the pool of the first request, and this thread serves it.
    unsafe {
        if slot.attachment::<View>().is_some_and(|view| view.mirror != mirror) {
            // Strings that were handed out stay: clearing a table frees none.
            ffi::apr_table_clear((*record).entries);
            let table = Table::from_raw((*record).entries);
            for (key, plain) in mirror.entries() {
                table.set(key.as_bytes(), plain);
            }
        }
        (*record).expiry = i64::try_from(expires.0).unwrap_or(i64::MAX);
        (*record).maxage = c_long::try_from(timeout).unwrap_or(c_long::MAX);
        (*record).remote_user = user;
        (*record).dirty = 0;
    }
    let reads = slot.reads;
    if let Some(view) = slot.attachment::<View>() {
        (view.mirror, view.reads) = (mirror, reads);
    }
    record
}
