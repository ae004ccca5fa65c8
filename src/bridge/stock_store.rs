//! Sections without a store of ours: what the stock module does, for the stock store modules, with the fix of httpd's trunk for
//! sessions that expired (PR 56052, PR 58171): they are emptied in place, so that values set afterwards are saved.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_long, c_void};
use std::ptr::{null, null_mut};

use super::exports::{
    shim_hook_session_decode, shim_hook_session_encode, shim_run_session_decode, shim_run_session_encode, shim_run_session_load,
    shim_run_session_save,
};
use super::stock_codec::{decode, encode};
use crate::config::{Config, StockConfig};
use crate::hooks::tree;
use crate::httpd::ffi::{self, apr_status_t, session_rec};
use crate::httpd::filter::{self, Passing, Watcher};
use crate::httpd::hook::{self, RequestEvent, RequestHook};
use crate::httpd::{Level, Outcome, Request, Table};
use crate::repository::now;

pub const SUCCESS: apr_status_t = ffi::APR_SUCCESS as apr_status_t;
pub const FAILURE: apr_status_t = ffi::APR_EGENERAL as apr_status_t;
const OK: c_int = ffi::OK as c_int;

pub fn register() {
    hook::on_fixups::<Fixups>();
    hook::on_insert_filters::<InsertFilter>();
    filter::register::<SaveOnOutput>();
    // SAFETY: called while hooks are registered.
    unsafe {
        shim_hook_session_encode(Some(encode), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int);
        shim_hook_session_decode(Some(decode), null(), null(), ffi::APR_HOOK_REALLY_LAST as c_int);
    }
}

pub fn is_on(request: Request<'_>) -> bool {
    request.dir_config::<Config>().is_some_and(|config| config.is_on(request.uri()))
}

/// Whether the stock store modules answer for a request.
fn is_stock(request: Request<'_>) -> bool {
    is_on(request) && !tree::is_ours(request)
}

fn config<'r>(request: Request<'r>) -> &'r StockConfig {
    static NOTHING: StockConfig =
        StockConfig { max_age_seconds: None, header: None, env: None, includes: Vec::new(), excludes: Vec::new(), expiry_update: None };
    request.dir_config::<Config>().map_or(&NOTHING, |config| &config.stock)
}

/// An empty record in the pool of a request.
pub fn new_record(request: Request<'_>) -> *mut session_rec {
    // SAFETY: allocated in the pool of the request, zeroed, and filled before anybody sees it.
    unsafe {
        let pool = request.pool().raw();
        let record = ffi::apr_palloc(pool, size_of::<session_rec>()).cast::<session_rec>();
        record.write_bytes(0, 1);
        reset(&mut *record, pool);
        record
    }
}

unsafe fn reset(record: &mut session_rec, pool: *mut ffi::apr_pool_t) {
    // SAFETY: all fields of a session_rec may be zero.
    *record = unsafe { std::mem::zeroed() };
    record.pool = pool;
    // SAFETY: a live pool.
    record.entries = unsafe { ffi::apr_table_make(pool, 10) };
}

fn micros() -> i64 {
    i64::try_from(now().0).unwrap_or(i64::MAX)
}

/// # Safety
/// The request is live; what the hooks put into `z` is a record of theirs.
pub unsafe fn load(request: Request<'_>, z: &mut *mut session_rec) -> apr_status_t {
    // SAFETY: promised by the caller.
    unsafe {
        let mut found: *mut session_rec = null_mut();
        match shim_run_session_load(request.raw(), &raw mut found) {
            OK => {}
            status if status == ffi::DECLINED as c_int => {
                let uri = String::from_utf8_lossy(request.uri());
                request.log(
                    Level::Warning,
                    format_args!("AH01815: session is enabled but no session modules have been configured, session not loaded: {uri}"),
                );
                return FAILURE;
            }
            status => {
                request.log(
                    Level::Error,
                    format_args!(
                        "AH01816: error while loading the session, session not loaded: {}",
                        String::from_utf8_lossy(request.uri())
                    ),
                );
                return status;
            }
        }
        if found.is_null() {
            found = new_record(request);
        } else {
            let pool = if (*found).pool.is_null() { request.pool().raw() } else { (*found).pool };
            if shim_run_session_decode(request.raw(), found) != OK {
                request.log(
                    Level::Error,
                    format_args!(
                        "AH01817: error while decoding the session, session not loaded: {}",
                        String::from_utf8_lossy(request.uri())
                    ),
                );
                reset(&mut *found, pool);
            } else if (*found).expiry != 0 && (*found).expiry < micros() {
                reset(&mut *found, pool);
            }
        }
        if let Some(seconds) = config(request).max_age() {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            if (*found).expiry == 0 {
                (*found).expiry = micros().saturating_add(seconds.saturating_mul(1_000_000));
            }
            (*found).maxage = seconds as c_long;
        }
        *z = found;
    }
    SUCCESS
}

/// The entries of a session and its user, for those who only look; `None`: it cannot be loaded, which was logged.
pub fn look(request: Request<'_>) -> Option<(Table<'_>, Option<&CStr>)> {
    let mut z: *mut session_rec = null_mut();
    // SAFETY: the request is live; `load` gives out a record, whose table and text live in a pool of the request tree.
    unsafe {
        if load(request, &mut z) != SUCCESS || z.is_null() || (*z).entries.is_null() {
            return None;
        }
        let user = (*z).remote_user;
        Some((Table::from_raw((*z).entries), (!user.is_null()).then(|| CStr::from_ptr(user))))
    }
}

/// # Safety
/// The request is live; `z` is a record that a load gave out.
pub unsafe fn save(request: Request<'_>, z: &mut session_rec) -> apr_status_t {
    let uri = || String::from_utf8_lossy(request.uri());
    let now = micros();
    let config = config(request);
    if z.written != 0 {
        request.log(Level::Error, format_args!("AH01818: attempt made to save the session twice, session not saved: {}", uri()));
        return FAILURE;
    }
    if z.expiry != 0 && z.expiry < now {
        request.log(
            Level::Warning,
            format_args!("AH01819: attempt made to save a session when the session had already expired, session not saved: {}", uri()),
        );
        return FAILURE;
    }
    let before = z.expiry;
    let in_seconds = |seconds: i64| now.saturating_add(seconds.saturating_mul(1_000_000));
    if let Some(seconds) = config.max_age() {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        z.expiry = in_seconds(seconds);
        z.maxage = seconds as c_long;
    }
    if z.dirty != 0 && z.maxage != 0 {
        z.expiry = in_seconds(z.maxage);
    }
    let moved_little = config.expiry_update.is_some_and(|seconds| {
        seconds > 0 && z.expiry.saturating_sub(before) < i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
    });
    if z.dirty == 0 && (z.maxage == 0 || moved_little) {
        return SUCCESS;
    }
    // SAFETY: promised by the caller.
    let status = unsafe { shim_run_session_encode(request.raw(), z) };
    if status != OK {
        request.log(Level::Error, format_args!("AH01820: error while encoding the session, session not saved: {}", uri()));
        return status;
    }
    // SAFETY: promised by the caller.
    match unsafe { shim_run_session_save(request.raw(), z) } {
        OK => {
            z.written = 1;
            SUCCESS
        }
        status if status == ffi::DECLINED as c_int => {
            request.log(
                Level::Warning,
                format_args!("AH01821: session is enabled but no session modules have been configured, session not saved: {}", uri()),
            );
            FAILURE
        }
        status => {
            request.log(Level::Error, format_args!("AH01822: error while saving the session, session not saved: {}", uri()));
            status
        }
    }
}

struct Fixups;

impl RequestHook for Fixups {
    /// Loads the session for all handlers, and shows it to CGI programs. The client's `Session:` header never reaches them.
    fn run(request: Request<'_>) -> Outcome {
        if is_stock(request) {
            let mut z: *mut session_rec = null_mut();
            // SAFETY: the request is live.
            let loaded = unsafe { load(request, &mut z) } == SUCCESS && !z.is_null();
            if config(request).env == Some(true) {
                if loaded {
                    // SAFETY: `load` gave out a record.
                    unsafe {
                        encode(request.raw(), z);
                        if !(*z).encoded.is_null() {
                            request.subprocess_env().set_static(c"HTTP_SESSION", CStr::from_ptr((*z).encoded).to_bytes());
                            (*z).encoded = null();
                        }
                    }
                }
                request.headers_in().unset(c"Session");
            }
        }
        Outcome::Ok
    }
}

struct InsertFilter;

impl RequestEvent for InsertFilter {
    fn run(request: Request<'_>) {
        if is_stock(request) {
            filter::add::<SaveOnOutput>(request);
        }
    }
}

struct SaveOnOutput;

impl Watcher for SaveOnOutput {
    const NAME: &'static CStr = c"MOD_SESSION_STOCK_OUT";

    fn pass(request: Request<'_>, passing: Passing) {
        if !passing.first {
            return;
        }
        for request in std::iter::successors(Some(request.main().unwrap_or(request)), |r| r.next()) {
            let mut z: *mut session_rec = null_mut();
            // SAFETY: requests of a live chain; `load` gives out a record or nothing.
            unsafe {
                if is_stock(request) && load(request, &mut z) == SUCCESS && !z.is_null() && (*z).written == 0 {
                    take_header(request, &mut *z);
                    save(request, &mut *z);
                }
            }
        }
    }
}

/// `SessionHeader`: what a handler answers in this header is merged into the session, and goes no further.
fn take_header(request: Request<'_>, z: &mut session_rec) {
    let Some(name) = config(request).header.as_deref().and_then(|name| CString::new(name).ok()) else { return };
    let tables = [request.err_headers_out(), request.headers_out()];
    let value = tables.iter().find_map(|table| table.get(&name));
    if let Some(value) = value {
        z.encoded = value.as_ptr();
        z.dirty = 1;
        // SAFETY: a live record with text to decode.
        unsafe { decode(request.raw(), std::ptr::from_mut(z).cast::<c_void>().cast()) };
        for table in tables {
            table.unset(&name);
        }
    }
}
