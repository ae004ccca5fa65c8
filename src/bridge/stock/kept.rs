//! One record for a session of a request tree. The stock stores keep theirs in notes, each in its own way: that of mod_session_dbd is not found
//! after an internal redirect, and that of mod_session_cookie with `SessionCookieRemove On` (httpd 2.4.69 to 2.4.71) not even by the next
//! call. So each request keeps what a store answered to it; and of two records that a store keeps under one name the first counts.
#![allow(unsafe_code)]

use std::ffi::CStr;

use crate::hooks::tree::state;
use crate::httpd::Request;
use crate::httpd::ffi::{self, session_rec};

/// The record of a request.
struct Kept {
    record: *mut session_rec,
    /// The configuration under which the store was asked. That of a request grows while its sections are found, with expressions evaluated
    /// in between.
    under: usize,
}

// SAFETY: the record is used by the thread that serves the request.
unsafe impl Send for Kept {}

fn configuration(request: Request<'_>) -> usize {
    // SAFETY: a live request.
    unsafe { (*request.raw()).per_dir_config.addr() }
}

/// The records of a tree by the names that their stores gave them, with its first request.
#[derive(Default)]
struct Named(Vec<(Vec<u8>, *mut session_rec)>);

// SAFETY: as above.
unsafe impl Send for Named {}

/// The record that was kept before.
pub fn find(request: Request<'_>) -> Option<*mut session_rec> {
    let under = configuration(request);
    state(request).faces.with(|kept: &mut Option<Kept>| kept.as_ref().filter(|kept| kept.under == under).map(|kept| kept.record))
}

/// Keeps what a store answered to a request. Answers the record that counts, and whether the tree has not seen it before.
pub fn keep(request: Request<'_>, record: *mut session_rec) -> (*mut session_rec, bool) {
    let (counts, is_new) = match name_of(request, record) {
        Some(name) => state(request.root()).faces.with(|named: &mut Option<Named>| {
            let named = &mut named.get_or_insert_default().0;
            match named.iter().find(|(known, _)| *known == name) {
                Some((_, known)) => (*known, false),
                None => {
                    if lives_as_long_as_the_tree(request, record) {
                        named.push((name, record));
                    }
                    (record, true)
                }
            }
        }),
        None => (record, true),
    };
    state(request).faces.with(|kept| *kept = Some(Kept { record: counts, under: configuration(request) }));
    (counts, is_new)
}

/// What is allocated for a part of a page ends with that.
fn lives_as_long_as_the_tree(request: Request<'_>, record: *mut session_rec) -> bool {
    let page = request.and_origins().find(|origin| origin.main().is_none()).unwrap_or(request);
    // SAFETY: a record that a store has just answered.
    request.main().is_none() || unsafe { (*record).pool } == page.pool().raw()
}

/// The name under which a store keeps a record in the notes of the request or of one before it: its own, and that of the cookie or user.
fn name_of(request: Request<'_>, record: *mut session_rec) -> Option<Vec<u8>> {
    request.and_origins().find_map(|request| {
        // SAFETY: the notes of a live request. The value of such an entry is no text, and is compared only.
        unsafe {
            let notes = &*ffi::apr_table_elts(request.notes().raw());
            let entries = notes.elts.cast::<ffi::apr_table_entry_t>();
            (0..usize::try_from(notes.nelts).unwrap_or(0))
                .map(|i| &*entries.add(i))
                .find(|entry| !entry.key.is_null() && entry.val.cast_const().cast() == record.cast_const())
                .map(|entry| CStr::from_ptr(entry.key).to_bytes().to_vec())
        }
    })
}
