//! Optional functions and hooks: what modules offer each other by name, without a symbol.

use std::ffi::{CStr, CString, c_char, c_int};

use super::{Request, ffi};

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

/// What an optional hook keeps for each function, as apr_hooks.h has it.
#[repr(C)]
struct Link {
    function: Untyped,
    name: *const c_char,
    predecessors: *const *const c_char,
    successors: *const *const c_char,
    order: c_int,
}

/// Calls all functions of the optional hook `name`, each with a request or null and two texts. They are told, not asked: their answers
/// count for nothing.
///
/// # Safety
/// The functions of this hook take these arguments.
pub unsafe fn tell(name: &CStr, request: Option<Request<'_>>, event: &CStr, subject: &str) {
    type Told = unsafe extern "C" fn(*mut ffi::request_rec, *const c_char, *const c_char) -> c_int;
    let Ok(subject) = CString::new(subject) else { return };
    // SAFETY: APR hands out the array of links that modules added, or null; they were added for this hook.
    unsafe {
        let links = ffi::apr_optional_hook_get(name.as_ptr());
        if links.is_null() {
            return;
        }
        let (first, count) = ((*links).elts.cast::<Link>(), usize::try_from((*links).nelts).unwrap_or(0));
        for at in 0..count {
            if let Some(function) = (*first.add(at)).function {
                let function = std::mem::transmute::<unsafe extern "C" fn(), Told>(function);
                function(request.map_or(std::ptr::null_mut(), Request::raw), event.as_ptr(), subject.as_ptr());
            }
        }
    }
}
