//! The 12 hook functions that modules find in `mod_session.so` by name. rustc hides C symbols of a cdylib, so Rust defines the public
//! names and forwards to the shim; `session_module` beside them makes 13.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

use crate::httpd::ffi::{
    ap_HOOK_session_decode_t as Decode, ap_HOOK_session_encode_t as Encode, ap_HOOK_session_load_t as Load, ap_HOOK_session_save_t as Save,
    apr_array_header_t as Array, request_rec as R, session_rec as S,
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
