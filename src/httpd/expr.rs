//! Expressions (ap_expr): functions of ours in them, and arguments of directives that may be some.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::null;

use super::record::module_index;
use super::{Place, Request, ffi, guard};

/// A function from text to text: `name('argument')`, which is also `%{NAME:argument}`.
pub trait Function: 'static {
    const NAME: &'static CStr;
    /// What it yields for a request; `None` is the empty text.
    fn call(request: Request<'_>, argument: &str) -> Option<Vec<u8>>;
}

/// Makes a function known to all expressions.
pub fn register<F: Function>() {
    // SAFETY: called while hooks are registered.
    unsafe { ffi::ap_hook_expr_lookup(Some(look_up::<F>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) };
}

/// Called when an expression is parsed, with each name in it.
unsafe extern "C" fn look_up<F: Function>(parms: *mut ffi::ap_expr_lookup_parms) -> c_int {
    guard(ffi::DECLINED as c_int, || {
        // SAFETY: httpd passes a NUL-terminated name and places for the answer.
        unsafe {
            let is_ours = (*parms).type_ == ffi::AP_EXPR_FUNC_STRING as c_int
                && CStr::from_ptr((*parms).name).to_bytes().eq_ignore_ascii_case(F::NAME.to_bytes());
            if !is_ours {
                return ffi::DECLINED as c_int;
            }
            *(*parms).func = call::<F> as *const c_void;
            *(*parms).data = null();
            ffi::OK as c_int
        }
    })
}

/// Called when an expression is evaluated. NULL is the empty text.
unsafe extern "C" fn call<F: Function>(
    context: *mut ffi::ap_expr_eval_ctx_t,
    _data: *const c_void,
    argument: *const c_char,
) -> *const c_char {
    guard(null(), || {
        // SAFETY: httpd passes the context of an evaluation, with a live request or none (while the configuration is read), and a
        // NUL-terminated argument; the answer lives in the pool of the evaluation.
        unsafe {
            if (*context).r.is_null() || argument.is_null() {
                return null();
            }
            let Ok(argument) = CStr::from_ptr(argument).to_str() else { return null() };
            match F::call(Request::from_raw((*context).r), argument) {
                Some(text) => ffi::apr_pstrmemdup((*context).p, text.as_ptr().cast(), text.len() as ffi::apr_size_t),
                None => null(),
            }
        }
    })
}

/// An argument of a directive that is text, or an expression where it holds `%{`.
pub enum Argument {
    Text(String),
    Expression(Parsed),
}

/// In the pool of the configuration that it was read with.
pub struct Parsed(*const ffi::ap_expr_info_t);

// SAFETY: httpd does not change an expression once it is parsed, and evaluates it in all threads at once.
unsafe impl Send for Parsed {}
// SAFETY: as above.
unsafe impl Sync for Parsed {}

impl Argument {
    /// # Errors
    /// What is wrong with the expression.
    pub fn parse(word: &str, place: Place<'_>) -> Result<Argument, String> {
        if !word.contains("%{") {
            return Ok(Argument::Text(word.to_owned())); // a `$1` or `\n` in it is meant as it is
        }
        let mut error: *const c_char = null();
        // SAFETY: httpd keeps neither text nor places; what it answers lies in the pool of the configuration.
        unsafe {
            let flags = ffi::AP_EXPR_FLAG_STRING_RESULT as c_uint;
            let text = place.pool().text(word).as_ptr();
            let parsed = ffi::ap_expr_parse_cmd_mi(place.raw(), text, flags, &raw mut error, None, module_index());
            if error.is_null() && !parsed.is_null() {
                return Ok(Argument::Expression(Parsed(parsed)));
            }
            let why = if error.is_null() { Cow::Borrowed("not an expression") } else { CStr::from_ptr(error).to_string_lossy() };
            Err(format!("cannot read the expression '{word}': {why}"))
        }
    }

    /// The text, if it needs no request.
    pub fn text(&self) -> Option<&str> {
        match self {
            Argument::Text(text) => Some(text),
            Argument::Expression(_) => None,
        }
    }

    /// What it is for a request.
    ///
    /// # Errors
    /// What httpd says of an expression that it cannot evaluate.
    pub fn evaluate<'r>(&'r self, request: Request<'r>) -> Result<Cow<'r, [u8]>, String> {
        let parsed = match self {
            Argument::Text(text) => return Ok(Cow::Borrowed(text.as_bytes())),
            Argument::Expression(Parsed(parsed)) => *parsed,
        };
        let mut error: *const c_char = null();
        // SAFETY: the request and the expression are live; the answer lies in the pool of the request, as does an error.
        unsafe {
            let text = ffi::ap_expr_str_exec(request.raw(), parsed, &raw mut error);
            if !error.is_null() {
                return Err(CStr::from_ptr(error).to_string_lossy().into_owned());
            }
            Ok(Cow::Borrowed(if text.is_null() { b"" } else { CStr::from_ptr(text).to_bytes() }))
        }
    }
}
