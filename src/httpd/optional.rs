//! Optional functions: what modules offer each other by name, without a symbol.

use std::ffi::CStr;

use super::ffi;

/// # Safety
/// `function` has the C type that callers of the optional function `name` expect.
pub unsafe fn offer(name: &'static CStr, function: *const ()) {
    // SAFETY: all function pointers have one size; APR keeps it untyped.
    unsafe { ffi::apr_dynamic_fn_register(name.as_ptr(), Some(std::mem::transmute::<*const (), unsafe extern "C" fn()>(function))) };
}

/// A function as APR keeps it; `None`: nobody offers it.
pub(super) type Untyped = Option<unsafe extern "C" fn()>;

/// What a loaded module offers under a name. Asked for once the configuration is read, for modules come in any order.
pub(super) fn retrieve(name: &CStr) -> Untyped {
    // SAFETY: APR compares the name; it does not keep it.
    unsafe { ffi::apr_dynamic_fn_retrieve(name.as_ptr()) }
}
