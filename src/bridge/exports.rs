//! The 12 hook functions that modules find in `mod_session.so` by name. rustc hides C symbols of a cdylib, so Rust defines the public
//! names and forwards to the shim; `session_module` beside them makes 13.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::httpd::ffi::{
    self, ap_HOOK_session_decode_t as Decode, ap_HOOK_session_encode_t as Encode, ap_HOOK_session_load_t as Load,
    ap_HOOK_session_save_t as Save, apr_array_header_t as Array, request_rec as R, session_rec as S,
};

type Names = *const *const c_char;

macro_rules! forward {
    ($($public:ident = $shim:ident ($($arg:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {
        unsafe extern "C" {
            $(pub fn $shim($($arg: $type),*) $(-> $answer)?;)*
        }
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $public($($arg: $type),*) $(-> $answer)? {
                // SAFETY: the caller keeps the contract of the stock function, which is that of the shim.
                unsafe { $shim($($arg),*) }
            }
        )*
    };
}

forward! {
    ap_hook_session_load = shim_hook_session_load(f: Load, pre: Names, succ: Names, order: c_int);
    ap_hook_session_save = shim_hook_session_save(f: Save, pre: Names, succ: Names, order: c_int);
    ap_hook_session_encode = shim_hook_session_encode(f: Encode, pre: Names, succ: Names, order: c_int);
    ap_hook_session_decode = shim_hook_session_decode(f: Decode, pre: Names, succ: Names, order: c_int);
    ap_hook_get_session_load = shim_hook_get_session_load() -> *mut Array;
    ap_hook_get_session_save = shim_hook_get_session_save() -> *mut Array;
    ap_hook_get_session_encode = shim_hook_get_session_encode() -> *mut Array;
    ap_hook_get_session_decode = shim_hook_get_session_decode() -> *mut Array;
    ap_run_session_load = shim_run_session_load(r: *mut R, z: *mut *mut S) -> c_int;
    ap_run_session_save = shim_run_session_save(r: *mut R, z: *mut S) -> c_int;
    ap_run_session_encode = shim_run_session_encode(r: *mut R, z: *mut S) -> c_int;
    ap_run_session_decode = shim_run_session_decode(r: *mut R, z: *mut S) -> c_int;
}

/// What APR's macros keep of a hook.
#[repr(C)]
struct Link {
    function: *const c_void,
    /// The file name of the module that registered it.
    name: *const c_char,
    predecessors: Names,
    successors: Names,
    order: c_int,
}

/// The addresses of the other modules that take part in loading or saving sessions.
pub fn modules_with_session_hooks() -> Vec<usize> {
    let mut modules = Vec::new();
    // SAFETY: APR keeps the links of each hook in an array, or there is none; names live as long as their modules.
    unsafe {
        let hooks =
            [shim_hook_get_session_load(), shim_hook_get_session_save(), shim_hook_get_session_encode(), shim_hook_get_session_decode()];
        for array in hooks.iter().filter_map(|array| array.as_ref()) {
            for i in 0..usize::try_from(array.nelts).unwrap_or(0) {
                let name = (*array.elts.cast::<Link>().add(i)).name;
                if name.is_null() || CStr::from_ptr(name) == c"mod_session.c" {
                    continue;
                }
                let module = ffi::ap_find_linked_module(name).expose_provenance();
                if module != 0 && !modules.contains(&module) {
                    modules.push(module);
                }
            }
        }
    }
    modules
}
