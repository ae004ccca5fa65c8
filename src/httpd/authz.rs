//! Authorization: requirements of ours for `Require` lines, which mod_authz_core asks.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null;

use super::config::{Section, SectionConfig};
use super::hook::{self, RequestHook};
use super::record::module;
use super::{Outcome, Place, Request, ffi, guard};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Granted,
    Denied,
    /// It cannot be decided. mod_authz_core answers 500 at once, whatever else is required.
    Failed,
}

impl Verdict {
    fn raw(self) -> ffi::authz_status {
        match self {
            Verdict::Granted => ffi::authz_status_AUTHZ_GRANTED,
            Verdict::Denied => ffi::authz_status_AUTHZ_DENIED,
            Verdict::Failed => ffi::authz_status_AUTHZ_GENERAL_ERROR,
        }
    }
}

/// One `Require` line, as it was read.
pub trait Requirement: Sized + Send + Sync + 'static {
    const NAME: &'static CStr;

    /// # Errors
    /// A text that names the value and the remedy; the line is named before it.
    fn parse(words: &[&str], place: Place<'_>) -> Result<Self, String>;
    fn check(&self, request: Request<'_>) -> Verdict;
}

struct Provider<R>(PhantomData<R>);

impl<R: Requirement> Provider<R> {
    const TABLE: &'static ffi::authz_provider =
        &ffi::authz_provider { check_authorization: Some(check::<R>), parse_require_line: Some(parse::<R>) };
}

pub fn register<R: Requirement>() {
    // SAFETY: called while hooks are registered, which lie in the same pool; names and table are static. What a requirement asks for
    // depends on the request tree and on the configuration, so requests with the same configuration need not be asked again.
    unsafe {
        ffi::ap_register_auth_provider(
            ffi::apr_hook_global_pool,
            ffi::AUTHZ_PROVIDER_GROUP.as_ptr().cast(),
            R::NAME.as_ptr(),
            ffi::AUTHZ_PROVIDER_VERSION.as_ptr().cast(),
            std::ptr::from_ref(Provider::<R>::TABLE).cast(),
            ffi::AP_AUTH_INTERNAL_PER_CONF as c_int,
        );
    }
}

unsafe extern "C" fn parse<R: Requirement>(parms: *mut ffi::cmd_parms, line: *const c_char, parsed: *mut *const c_void) -> *const c_char {
    guard(c"a defect of mod_session_rs: see the error log".as_ptr(), || {
        // SAFETY: mod_authz_core passes the directive that is read, the rest of its line, and a place for the answer.
        let (place, words) = unsafe { (Place::from_raw(parms), words(parms, line)) };
        let answer = words.and_then(|words| R::parse(&words, place));
        match answer {
            Ok(requirement) => {
                // SAFETY: as above. The requirement lives as long as the configuration.
                unsafe { *parsed = place.pool().adopt_raw(requirement).cast_const().cast() };
                null()
            }
            Err(text) => place.pool().text(&format!("Require {} {text}", R::NAME.to_string_lossy())).as_ptr(),
        }
    })
}

/// The words of a line, with httpd's rules for quotes.
///
/// # Safety
/// httpd passes a directive and a NUL-terminated line.
unsafe fn words<'p>(parms: *mut ffi::cmd_parms, mut line: *const c_char) -> Result<Vec<&'p str>, String> {
    let mut words = Vec::new();
    // SAFETY: promised by the caller. A word is a copy in the pool of the configuration, and takes the blanks behind it away.
    unsafe {
        while !CStr::from_ptr(line).to_bytes().trim_ascii().is_empty() {
            let word = ffi::ap_getword_conf((*parms).pool, &raw mut line);
            words.push(CStr::from_ptr(word).to_str().map_err(|_| "takes UTF-8 text only".to_owned())?);
        }
    }
    Ok(words)
}

unsafe extern "C" fn check<R: Requirement>(r: *mut ffi::request_rec, _line: *const c_char, parsed: *const c_void) -> ffi::authz_status {
    guard(Verdict::Failed.raw(), || {
        // SAFETY: a live request, and what `parse` answered for a line of this kind, or null where it was never called.
        match unsafe { parsed.cast::<R>().as_ref() } {
            Some(requirement) => requirement.check(unsafe { Request::from_raw(r) }).raw(),
            None => Verdict::Failed.raw(),
        }
    })
}

impl Place<'_> {
    /// Changes what our directives say in the section that is being read, even if none of them stands there.
    pub fn with_config<C: SectionConfig>(self, change: impl FnOnce(&mut C)) {
        // SAFETY: httpd passes the vector of the section, and makes our part of it as it does for a directive of ours. One thread reads
        // the configuration, so `&mut` is exclusive.
        unsafe {
            let parms = &*self.raw();
            let section = ffi::ap_set_config_vectors(parms.server, parms.context, parms.path, module().cast_mut(), parms.pool);
            if let Some(section) = section.cast::<Section<C::Public>>().as_mut() {
                section.change(self.pool(), change);
            }
        }
    }
}

const CORE: &CStr = c"mod_authz_core.c";

struct Names([*const c_char; 2]);

// SAFETY: names that are static.
unsafe impl Sync for Names {}

static BEFORE_CORE: Names = Names([CORE.as_ptr(), null()]);

/// Right before mod_authz_core decides whether a request may go on without a user.
pub fn before_core<H: RequestHook>() {
    // SAFETY: called while hooks are registered; the names are static.
    unsafe {
        ffi::ap_hook_check_access_ex(
            Some(hook::request::<H>),
            null(),
            BEFORE_CORE.0.as_ptr(),
            ffi::APR_HOOK_LAST as c_int,
            ffi::AP_AUTH_INTERNAL_PER_CONF as c_int,
        );
    }
}

/// What mod_authz_core decides, asked ahead of its turn; `None`: it is not loaded.
pub fn ask_core(request: Request<'_>) -> Option<Outcome> {
    // SAFETY: httpd hands out the functions of the hook, each with the name of its module; all take a live request.
    unsafe {
        let links = ffi::ap_hook_get_access_checker_ex().as_ref()?;
        let first = links.elts.cast::<ffi::ap_LINK_access_checker_ex_t>();
        let mut links = (0..usize::try_from(links.nelts).unwrap_or(0)).map(|at| &*first.add(at));
        let core = links.find(|link| !link.szName.is_null() && CStr::from_ptr(link.szName) == CORE)?;
        core.pFunc.map(|decide| Outcome::of(decide(request.raw())))
    }
}
