//! Content filters that look at a response and pass it on.

use std::ffi::{CStr, c_int};
use std::mem::offset_of;
use std::ptr::null_mut;

use super::{Request, ffi, guard};

/// What a brigade means to a watcher.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Passing {
    /// The first of this request: headers can still be changed.
    pub first: bool,
    /// The last of this request.
    pub last: bool,
    /// Not the last, and passing it on may take as long as the client pleases.
    pub may_block: bool,
}

/// So much of a body fits into the buffers below us.
const BUFFERED: usize = 64 * 1024;

/// Watches the response of a request.
pub trait Watcher {
    const NAME: &'static CStr;
    fn pass(request: Request<'_>, passing: Passing);
}

/// Registers a watcher among the content filters.
pub fn register<W: Watcher>() {
    // SAFETY: called while hooks are registered; the name is static.
    unsafe { ffi::ap_register_output_filter(W::NAME.as_ptr(), Some(filter::<W>), None, ffi::ap_filter_type_AP_FTYPE_CONTENT_SET) };
}

/// Puts the watcher on the response of a request.
pub fn add<W: Watcher>(request: Request<'_>) {
    // SAFETY: the request is alive, and its connection with it.
    unsafe { ffi::ap_add_output_filter(W::NAME.as_ptr(), null_mut(), request.raw(), (*request.raw()).connection) };
}

unsafe extern "C" fn filter<W: Watcher>(f: *mut ffi::ap_filter_t, brigade: *mut ffi::apr_bucket_brigade) -> ffi::apr_status_t {
    // SAFETY: httpd passes a filter of ours with a request, and a brigade; both live through the call.
    unsafe {
        let seen = inspect(brigade);
        if seen.error {
            // Not the response: httpd answers with an error document instead, which is watched in its turn.
            return ffi::ap_pass_brigade((*f).next, brigade);
        }
        // The context counts the body, from 1 on.
        let (first, before) = ((*f).ctx.is_null(), (*f).ctx.addr().max(1));
        let body = before.saturating_add(seen.length);
        (*f).ctx = std::ptr::without_provenance_mut(body);
        let last = seen.eos;
        let passing = Passing { first, last, may_block: !last && (seen.flush || body > BUFFERED) };
        let passed = !(first || last || passing.may_block)
            || guard(false, || {
                W::pass(Request::from_raw((*f).r), passing);
                true
            });
        if !passed {
            if !first {
                // The headers have gone: only a broken connection tells the client.
                (*(*(*f).r).connection).aborted = 1;
                return ffi::APR_EGENERAL as ffi::apr_status_t;
            }
            ffi::apr_brigade_cleanup(brigade.cast());
            insert_last(
                brigade,
                ffi::ap_bucket_error_create(ffi::HTTP_INTERNAL_SERVER_ERROR as c_int, null_mut(), (*(*f).r).pool, (*brigade).bucket_alloc),
            );
            insert_last(brigade, ffi::apr_bucket_eos_create((*brigade).bucket_alloc));
        }
        let next = (*f).next;
        if last || !passed {
            ffi::ap_remove_output_filter(f);
        }
        ffi::ap_pass_brigade(next, brigade)
    }
}

/// The sentinel of a brigade: what APR's ring macros compute.
unsafe fn sentinel(brigade: *mut ffi::apr_bucket_brigade) -> *mut ffi::apr_bucket {
    // SAFETY: pointer arithmetic within what APR lays out.
    unsafe { (&raw mut (*brigade).list).cast::<u8>().sub(offset_of!(ffi::apr_bucket, link)).cast() }
}

/// What a brigade holds.
#[derive(Default)]
struct Seen {
    error: bool,
    eos: bool,
    flush: bool,
    /// Bytes; what is not known is endless.
    length: usize,
}

unsafe fn inspect(brigade: *mut ffi::apr_bucket_brigade) -> Seen {
    let mut seen = Seen::default();
    // SAFETY: a brigade is a ring of live buckets that ends at its sentinel.
    unsafe {
        let end = sentinel(brigade);
        let mut bucket = (*brigade).list.next;
        while bucket != end {
            let of = (*bucket).type_;
            seen.error |= of == &raw const ffi::ap_bucket_type_error;
            seen.eos |= of == &raw const ffi::apr_bucket_type_eos;
            seen.flush |= of == &raw const ffi::apr_bucket_type_flush;
            seen.length = seen.length.saturating_add((*bucket).length);
            bucket = (*bucket).link.next;
        }
    }
    seen
}

unsafe fn insert_last(brigade: *mut ffi::apr_bucket_brigade, bucket: *mut ffi::apr_bucket) {
    // SAFETY: APR_BRIGADE_INSERT_TAIL, spelled out.
    unsafe {
        let end = sentinel(brigade);
        let before = (*end).link.prev;
        (*bucket).link.next = end;
        (*bucket).link.prev = before;
        (*before).link.next = bucket;
        (*end).link.prev = bucket;
    }
}
