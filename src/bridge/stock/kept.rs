//! One record for a request tree. The stock stores keep theirs in notes, each in its own way: that of mod_session_dbd is not found after an
//! internal redirect, and that of mod_session_cookie with `SessionCookieRemove On` (httpd 2.4.69 to 2.4.71) not even by the next call.
#![allow(unsafe_code)]

use std::sync::{PoisonError, RwLock};

use super::super::exports::modules_with_session_hooks;
use crate::hooks::tree::state;
use crate::httpd::Request;
use crate::httpd::ffi::{self, session_rec};

/// The addresses of the modules whose configuration decides which session is meant.
static MODULES: RwLock<Vec<usize>> = RwLock::new(Vec::new());

/// To be called when all modules have registered their hooks.
pub fn learn_modules() {
    *MODULES.write().unwrap_or_else(PoisonError::into_inner) = modules_with_session_hooks();
}

/// Whether two requests mean the same session.
fn mean_the_same(one: Request<'_>, other: Request<'_>) -> bool {
    let modules = MODULES.read().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the requests are live, and so are the modules, until the process reads a configuration again.
    let config = |of: Request<'_>, module: usize| unsafe {
        ffi::ap_get_module_config((*of.raw()).per_dir_config, std::ptr::with_exposed_provenance::<ffi::module>(module)).addr()
    };
    one.user() == other.user() && modules.iter().all(|&module| config(one, module) == config(other, module))
}

/// Where the record of a request is kept: with the first request of its tree that means the same session.
pub fn home(request: Request<'_>) -> Request<'_> {
    request.and_origins().filter(|origin| mean_the_same(*origin, request)).last().unwrap_or(request)
}

/// Whom a store is asked for. What it allocates for a part of a page would not live as long as the page.
pub fn asker<'r>(request: Request<'r>, home: Request<'r>) -> Request<'r> {
    let page = request.and_origins().find(|origin| origin.main().is_none());
    page.filter(|page| mean_the_same(*page, request)).unwrap_or(home)
}

/// A record, and what the store did to the headers when it was asked.
#[derive(Clone)]
pub struct Kept {
    pub record: *mut session_rec,
    /// What `SessionCookieRemove On` left of the client's cookies, if it took one away.
    cookies: Option<Vec<Vec<u8>>>,
    /// What it told caches.
    cache_control: Option<Vec<u8>>,
}

// SAFETY: the record is used by the thread that serves the request.
unsafe impl Send for Kept {}

/// The headers before a store is asked.
pub struct Before {
    cookies: Vec<Vec<u8>>,
    cache_control: Option<Vec<u8>>,
}

impl Before {
    pub fn of(asker: Request<'_>) -> Before {
        Before { cookies: cookies(asker), cache_control: cache_control(asker) }
    }
}

fn cookies(request: Request<'_>) -> Vec<Vec<u8>> {
    let headers = request.headers_in().entries();
    headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Cookie")).map(|(_, value)| value.to_vec()).collect()
}

fn cache_control(request: Request<'_>) -> Option<Vec<u8>> {
    request.headers_out().get(c"Cache-Control").map(|value| value.to_bytes().to_vec())
}

/// The record that was kept before.
pub fn find(home: Request<'_>) -> Option<Kept> {
    state(home).faces.with(|kept: &mut Option<Kept>| kept.clone())
}

pub fn keep(home: Request<'_>, asker: Request<'_>, before: Before, record: *mut session_rec) -> Kept {
    let after = Before::of(asker);
    let kept = Kept {
        record,
        cookies: (before.cookies != after.cookies).then_some(after.cookies),
        cache_control: after.cache_control.filter(|_| before.cache_control.is_none()),
    };
    state(home).faces.with(|place| *place = Some(kept.clone()));
    kept
}

impl Kept {
    /// Does to another request of the tree what the store did to the one it was asked for.
    pub fn show(&self, request: Request<'_>) {
        if let Some(left) = &self.cookies
            && *left != cookies(request)
        {
            let headers = request.headers_in();
            headers.unset(c"Cookie");
            left.iter().for_each(|value| headers.append(c"Cookie", value));
        }
        if let Some(value) = &self.cache_control
            && request.main().is_none()
            && cache_control(request).is_none()
        {
            request.headers_out().set_static(c"Cache-Control", value);
        }
    }
}
