//! The encoding of the stock module as hooks: it runs first of all encoders and last of all decoders.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int};
use std::ptr::null;

use crate::httpd::ffi::{self, request_rec, session_rec};
use crate::httpd::{Table, guard};
use crate::session::form::{self, Pair};

const OK: c_int = ffi::OK as c_int;
const FAILED: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// The expiry is an entry of its own, which other modules see in the table afterwards.
pub unsafe extern "C" fn encode(r: *mut request_rec, z: *mut session_rec) -> c_int {
    guard(FAILED, || {
        // SAFETY: the hook is run with a live request and record.
        unsafe {
            let z = &mut *z;
            let table = Table::from_raw(z.entries);
            if z.expiry != 0 {
                table.set_static(c"expiry", z.expiry.to_string().as_bytes());
            }
            let text = form::encode(table.entries());
            let pool = if z.pool.is_null() { (*r).pool } else { z.pool };
            z.encoded = ffi::apr_pstrmemdup(pool, text.as_ptr().cast(), text.len() as ffi::apr_size_t);
        }
        OK
    })
}

pub unsafe extern "C" fn decode(_: *mut request_rec, z: *mut session_rec) -> c_int {
    guard(FAILED, || {
        // SAFETY: as above.
        unsafe {
            let z = &mut *z;
            if z.encoded.is_null() {
                return OK;
            }
            let text = CStr::from_ptr(z.encoded).to_bytes().to_vec();
            z.encoded = null();
            let table = Table::from_raw(z.entries);
            for pair in form::decode(&text) {
                match pair {
                    Pair::Set(key, value) if key == b"expiry" => {
                        z.expiry = CString::new(value).map_or(0, |value| ffi::apr_atoi64(value.as_ptr()));
                    }
                    Pair::Set(key, value) => table.set(&key, &value),
                    Pair::Unset(key) => {
                        if let Ok(key) = CString::new(key) {
                            table.unset(&key);
                        }
                    }
                }
            }
        }
        OK
    })
}
