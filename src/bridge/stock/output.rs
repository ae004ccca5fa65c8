//! `SessionEnv` and `SessionHeader`, with stores of ours and others, and the point where records of the stock stores are saved: before the
//! headers of a response go.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use super::codec::{decode, encode};
use super::kept;
use super::store::{self, SUCCESS, is_stock};
use crate::hooks::open::{Hold, Touch, open};
use crate::hooks::tree::{self, try_lock};
use crate::httpd::ffi::session_rec;
use crate::httpd::filter::{self, Passing, Watcher};
use crate::httpd::hook::{self, RequestEvent, RequestHook};
use crate::httpd::{Level, Outcome, Request};
use crate::session::form::{self, Pair};
use crate::session::mirror::{Detail, Edit};
use crate::session::{Mirror, Value};

/// Bytes of the longest `HTTP_SESSION`, and of the longest header that is taken.
const LONGEST: usize = 64 * 1024;

pub fn register() {
    hook::on_fixups::<Fixups>();
    hook::on_insert_filters_early::<InsertFilter>();
    filter::register::<BeforeHeaders>();
}

struct Fixups;

impl RequestHook for Fixups {
    /// Shows the session to CGI programs. The client's `Session:` header would look like it.
    fn run(request: Request<'_>) -> Outcome {
        let env = store::config(request).env == Some(true);
        hide_inherited(request);
        if is_stock(request) {
            let mut z: *mut session_rec = null_mut();
            // SAFETY: the request is live; `load` gives out a record or nothing.
            unsafe {
                let loaded = store::load(request, &mut z) == SUCCESS && !z.is_null();
                if loaded && env {
                    encode(request.raw(), z);
                    if !(*z).encoded.is_null() {
                        request.subprocess_env().set_static(c"HTTP_SESSION", CStr::from_ptr((*z).encoded).to_bytes());
                        (*z).encoded = null();
                    }
                }
            }
        } else if env && tree::is_ours(request) {
            show_in_environment(request);
        }
        if env || tree::is_ours(request) {
            request.headers_in().unset(c"Session");
        }
        Outcome::Ok
    }
}

/// Parts of a page, and requests that it is redirected to, inherit its environment. What they may see is shown to them anew.
fn hide_inherited(request: Request<'_>) {
    if request.and_origins().skip(1).any(tree::is_ours) {
        request.subprocess_env().unset(c"HTTP_SESSION");
        request.subprocess_env().unset(c"REDIRECT_HTTP_SESSION");
    }
}

/// What the handler makes of the variable is a use of the session.
fn show_in_environment(request: Request<'_>) {
    let Ok(mut tree) = tree::lock(tree::tree(request), request) else { return };
    let Ok(index) = open(&mut tree, request, Touch::Renew, Hold::Shared) else { return };
    tree.collect(request);
    let slot = &mut tree.slots[index];
    slot.is_used |= !slot.is_new;
    let mirror = Mirror::of(slot.session.values(), Detail::NoPasswords);
    let text = form::encode(mirror.entries());
    if text.len() > LONGEST {
        request.log(
            Level::Warning,
            format_args!("HTTP_SESSION is not set: session {} has {} bytes there, and 64 KiB are the limit", slot.reference(), text.len()),
        );
    } else if !text.is_empty() {
        request.subprocess_env().set_static(c"HTTP_SESSION", &text);
    }
}

struct InsertFilter;

impl RequestEvent for InsertFilter {
    fn run(request: Request<'_>) {
        let takes_header = tree::is_ours(request) && store::config(request).header.is_some();
        if takes_header || request.and_origins().any(is_stock) {
            filter::add::<BeforeHeaders>(request);
        }
    }
}

struct BeforeHeaders;

impl Watcher for BeforeHeaders {
    const NAME: &'static CStr = c"MOD_SESSION_STOCK_OUT";

    fn pass(request: Request<'_>, passing: Passing) {
        if !passing.first {
            return;
        }
        let answers = || std::iter::successors(Some(request.main().unwrap_or(request)), |r| r.next());
        for request in answers() {
            if is_stock(request) {
                finish(request);
            } else if tree::is_ours(request) {
                take_header(request);
            }
        }
        if answers().any(is_stock) {
            return;
        }
        // What led here, by internal redirects, may have changed a session that is not configured where the answer comes from.
        let led_here = request.and_origins().filter(|origin| origin.main().is_none() && is_stock(*origin));
        for origin in led_here.filter(|origin| kept::find(*origin).is_some()) {
            finish(origin);
        }
    }
}

/// Saves a record of the stock stores, once.
fn finish(request: Request<'_>) {
    let mut z: *mut session_rec = null_mut();
    // SAFETY: a request of a live chain; `load` gives out a record or nothing, and `decode` takes text from a table of the request.
    unsafe {
        if store::load(request, &mut z) == SUCCESS && !z.is_null() && (*z).written == 0 {
            if let Some(value) = header(request) {
                (*z).encoded = value.as_ptr();
                (*z).dirty = 1;
                decode(request.raw(), z);
            }
            store::save(request, &mut *z);
        }
    }
}

/// `SessionHeader`: what a handler answers in this header is merged into the session, and goes no further.
fn header(request: Request<'_>) -> Option<&CStr> {
    let name = CString::new(&**store::config(request).header.as_ref()?).ok()?;
    let tables = [request.err_headers_out(), request.headers_out()];
    let value = tables.iter().find_map(|table| table.get(&name));
    tables.iter().for_each(|table| table.unset(&name));
    value
}

/// With a store of ours, a backend may write texts, and nothing that decides who somebody is.
fn take_header(request: Request<'_>) {
    let Some(value) = header(request).map(CStr::to_bytes) else { return };
    if value.len() > LONGEST {
        return request.log(Level::Error, format_args!("SessionHeader: {} bytes are not taken, 64 KiB are the limit", value.len()));
    }
    let Ok(Some(mut tree)) = try_lock(tree::tree(request), request) else { return };
    let Ok(index) = open(&mut tree, request, Touch::Renew, Hold::Shared) else { return };
    tree.collect(request); // what the handler wrote otherwise came before
    let slot = &mut tree.slots[index];
    slot.is_used |= !slot.is_new;
    let mut refused = Vec::new();
    for pair in form::decode(value) {
        let (Pair::Set(key, _) | Pair::Unset(key)) = &pair;
        let Ok(key) = String::from_utf8(key.clone()) else { continue };
        let is_other = slot.session.values().find(&key).is_some_and(|(_, known)| !matches!(known, Value::Text(_)));
        if key == "expiry" || decides_who_somebody_is(&key) || is_other {
            refused.push((key, "it is not for a backend to write".to_owned()));
            continue;
        }
        let edit = match pair {
            Pair::Set(_, value) => Edit::Set(key, value),
            Pair::Unset(_) => Edit::Unset(key),
        };
        refused.extend(slot.session.apply(vec![edit]).into_iter().map(|(key, error)| (key, error.to_string())));
    }
    if let Some((key, why)) = refused.first() {
        let others = refused.len() - 1;
        request.log(Level::Warning, format_args!("SessionHeader: '{}' is not stored: {why} (and {others} more)", key.escape_debug()));
    }
}

/// mod_auth_form keeps user, password and a hash that stands for it under such keys.
fn decides_who_somebody_is(key: &str) -> bool {
    ["-user", "-pw", "-site"]
        .iter()
        .any(|end| key.len() >= end.len() && key.as_bytes()[key.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes()))
}
