//! The stock encoding of a session, which runs first of all encoders and last of all decoders.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int};
use std::ptr::null;

use crate::httpd::ffi::{self, request_rec, session_rec};
use crate::httpd::{Table, guard};

const OK: c_int = ffi::OK as c_int;
const EXPIRY: &[u8] = b"expiry";

/// `k=v&k=v`, each side as in a web form; the expiry is an entry of its own.
pub unsafe extern "C" fn encode(_: *mut request_rec, z: *mut session_rec) -> c_int {
    guard(ffi::HTTP_INTERNAL_SERVER_ERROR as c_int, || {
        // SAFETY: the hook is run with a live request and record.
        unsafe {
            let z = &mut *z;
            let table = Table::from_raw(z.entries);
            if z.expiry != 0 {
                table.set_static(c"expiry", z.expiry.to_string().as_bytes());
            }
            let pairs = table.entries().into_iter().map(|(key, value)| {
                let escaped = |text: &[u8]| {
                    CString::new(text)
                        .map(|text| CStr::from_ptr(ffi::ap_escape_urlencoded(z.pool, text.as_ptr())).to_bytes())
                        .unwrap_or_default()
                };
                [escaped(key), b"=", escaped(value)].concat()
            });
            let text = pairs.collect::<Vec<_>>().join(&b'&');
            z.encoded = ffi::apr_pstrmemdup(z.pool, text.as_ptr().cast(), text.len() as ffi::apr_size_t);
        }
        OK
    })
}

pub unsafe extern "C" fn decode(_: *mut request_rec, z: *mut session_rec) -> c_int {
    guard(ffi::HTTP_INTERNAL_SERVER_ERROR as c_int, || {
        // SAFETY: as above.
        unsafe {
            let z = &mut *z;
            if z.encoded.is_null() {
                return OK;
            }
            let text = CStr::from_ptr(z.encoded).to_bytes().to_vec();
            z.encoded = null();
            let table = Table::from_raw(z.entries);
            for pair in text.split(|&c| c == b'&').filter(|pair| !pair.is_empty()) {
                let mut parts = pair.splitn(2, |&c| c == b'=');
                let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if value.is_empty() {
                    if let Ok(key) = CString::new(key) {
                        table.unset(&key);
                    }
                } else if let (Some(key), Some(value)) = (unescaped(z.pool, key), unescaped(z.pool, value)) {
                    if key.to_bytes() == EXPIRY {
                        z.expiry = value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                    } else {
                        ffi::apr_table_setn(z.entries, key.as_ptr(), value.as_ptr());
                    }
                }
            }
        }
        OK
    })
}

/// # Safety
/// A live pool.
unsafe fn unescaped<'p>(pool: *mut ffi::apr_pool_t, text: &[u8]) -> Option<&'p CStr> {
    // SAFETY: the copy is ours to change; unescaping makes it shorter.
    unsafe {
        let copy = ffi::apr_pstrmemdup(pool, text.as_ptr().cast(), text.len() as ffi::apr_size_t);
        (ffi::ap_unescape_urlencoded(copy) == OK).then(|| CStr::from_ptr(copy))
    }
}
