//! Optional functions: what modules offer each other by name, without a symbol.

use std::ffi::CStr;

use super::ffi;

/// # Safety
/// `function` has the C type that callers of the optional function `name` expect.
pub unsafe fn offer(name: &'static CStr, function: *const ()) {
    // SAFETY: all function pointers have one size; APR keeps it untyped.
    unsafe { ffi::apr_dynamic_fn_register(name.as_ptr(), Some(std::mem::transmute::<*const (), unsafe extern "C" fn()>(function))) };
}
