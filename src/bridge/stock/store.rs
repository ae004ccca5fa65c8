//! Sections without a store of ours: what the stock module does, for the stock store modules. One record serves a request tree, and that of
//! a session that expired or cannot be decoded is emptied in place, as in httpd's trunk, so that values set afterwards are saved (PR 56052,
//! PR 58171).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long};
use std::fmt;
use std::ptr::null_mut;

use super::super::exports::{shim_run_session_decode, shim_run_session_encode, shim_run_session_load, shim_run_session_save};
use super::kept;
use crate::config::{Config, StockConfig};
use crate::hooks::tree;
use crate::httpd::ffi::{self, apr_status_t, session_rec};
use crate::httpd::{Level, Request, Table};
use crate::repository::now;
use crate::session::time::MICROS;

pub const SUCCESS: apr_status_t = ffi::APR_SUCCESS as apr_status_t;
pub const FAILURE: apr_status_t = ffi::APR_EGENERAL as apr_status_t;
const OK: c_int = ffi::OK as c_int;
const DECLINED: c_int = ffi::DECLINED;

/// Whether sessions are on for a request.
pub fn is_on(request: Request<'_>) -> bool {
    request.dir_config::<Config>().is_some_and(|config| config.is_on(request.uri()))
}

/// Whether the stock store modules answer for a request.
pub fn is_stock(request: Request<'_>) -> bool {
    is_on(request) && !tree::is_ours(request)
}

pub fn config<'r>(request: Request<'r>) -> &'r StockConfig {
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

/// A line of the stock module: its number, its text, and the path it is about.
fn say(request: Request<'_>, level: Level, status: apr_status_t, text: &str) {
    request.log_status(level, status, format_args!("{text}: {}", Path(request.uri())));
}

struct Path<'r>(&'r [u8]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

/// As [`is_on`]. Where the path is left out, the log says so.
pub fn is_on_as_told(request: Request<'_>) -> bool {
    let is_on = is_on(request);
    if !is_on && request.dir_config::<Config>().is_some_and(Config::is_switched_on) {
        say(request, Level::Debug, 0, "AH01814: excluded by configuration for");
    }
    is_on
}

/// # Safety
/// The request is live; what the hooks put into `z` is a record of theirs.
pub unsafe fn load(request: Request<'_>, z: &mut *mut session_rec) -> apr_status_t {
    let record = match kept::find(request) {
        Some(record) => record,
        // SAFETY: promised by the caller.
        None => match unsafe { ask(request) } {
            Ok(record) => record,
            Err(status) => return status,
        },
    };
    if let Some(seconds) = config(request).max_age() {
        // SAFETY: the record lives as long as the request at least, and this thread serves it.
        let record = unsafe { &mut *record };
        if record.expiry == 0 {
            record.expiry = after(seconds);
        }
        record.maxage = c_long::try_from(seconds).unwrap_or(c_long::MAX);
    }
    *z = record;
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

/// The time in so many seconds.
fn after(seconds: u64) -> i64 {
    i64::try_from(now().plus(seconds.saturating_mul(MICROS)).0).unwrap_or(i64::MAX)
}

/// Asks the store, and keeps its record.
///
/// # Safety
/// As [`load`].
unsafe fn ask(request: Request<'_>) -> Result<*mut session_rec, apr_status_t> {
    let mut found: *mut session_rec = null_mut();
    // SAFETY: promised by the caller.
    match unsafe { shim_run_session_load(request.raw(), &raw mut found) } {
        OK if found.is_null() => found = new_record(request),
        OK => {}
        DECLINED => {
            let text = "AH01815: session is enabled but no session modules have been configured, session not loaded";
            say(request, Level::Warning, 0, text);
            return Err(FAILURE);
        }
        status => {
            say(request, Level::Error, status, "AH01816: error while loading the session, session not loaded");
            return Err(status);
        }
    }
    let (record, is_new) = kept::keep(request, found);
    if is_new {
        // SAFETY: a record of the store.
        unsafe {
            let pool = if (*record).pool.is_null() { request.pool().raw() } else { (*record).pool };
            let status = shim_run_session_decode(request.raw(), record);
            if status != OK {
                say(request, Level::Error, status, "AH01817: error while decoding the session, session not loaded");
                reset(&mut *record, pool);
            } else if (*record).expiry != 0 && (*record).expiry < micros() {
                request.log(Level::Trace2, format_args!("session is expired"));
                reset(&mut *record, pool);
            }
        }
    }
    Ok(record)
}

/// # Safety
/// The request is live; `z` is a record that a load gave out.
pub unsafe fn save(request: Request<'_>, z: &mut session_rec) -> apr_status_t {
    let config = config(request);
    if z.written != 0 {
        say(request, Level::Error, 0, "AH01818: attempt made to save the session twice, session not saved");
        return FAILURE;
    }
    if z.expiry != 0 && z.expiry < micros() {
        let text = "AH01819: attempt made to save a session when the session had already expired, session not saved";
        say(request, Level::Warning, 0, text);
        return FAILURE;
    }
    let before = z.expiry;
    if let Some(seconds) = config.max_age() {
        z.expiry = after(seconds);
        z.maxage = c_long::try_from(seconds).unwrap_or(c_long::MAX);
    }
    if z.dirty != 0
        && let Ok(seconds @ 1..) = u64::try_from(z.maxage)
    {
        z.expiry = after(seconds);
    }
    let interval = config.expiry_update.map_or(0, |seconds| i64::try_from(seconds.saturating_mul(MICROS)).unwrap_or(i64::MAX));
    let moved_little = interval > 0 && z.expiry.saturating_sub(before) < interval;
    if z.dirty == 0 && (z.maxage == 0 || moved_little) {
        return SUCCESS;
    }
    // SAFETY: promised by the caller.
    let status = unsafe { shim_run_session_encode(request.raw(), z) };
    if status != OK {
        say(request, Level::Error, status, "AH01820: error while encoding the session, session not saved");
        return status;
    }
    // SAFETY: promised by the caller.
    match unsafe { shim_run_session_save(request.raw(), z) } {
        OK => {
            z.written = 1;
            SUCCESS
        }
        DECLINED => {
            let text = "AH01821: session is enabled but no session modules have been configured, session not saved";
            say(request, Level::Warning, 0, text);
            FAILURE
        }
        status => {
            say(request, Level::Error, status, "AH01822: error while saving the session, session not saved");
            status
        }
    }
}
