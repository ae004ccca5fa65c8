//! Sections with a store of ours: the stock picture of their session. What other modules write on it is read back at commit points.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_long};
use std::ptr::null_mut;

use super::store::new_record;
use crate::config::parse::LONGEST;
use crate::hooks::commit::{regenerate, set_user};
use crate::hooks::tree::{self, Slot, Tree, try_lock};
use crate::httpd::ffi::{self, session_rec};
use crate::httpd::{Level, Request, Table};
use crate::repository::now;
use crate::session::mirror::Detail;
use crate::session::session::{Phase, is_user};
use crate::session::time::MICROS;
use crate::session::{Mirror, Move};

/// The stock picture of a session. It lives in the pool of the first request, as long as the slot it is attached to.
struct View {
    record: *mut session_rec,
    mirror: Mirror,
    /// How often the session had been read when this was shown.
    reads: u32,
    /// Owner and timeout as they were shown.
    user: Option<String>,
    maxage: c_long,
    login: Option<Login>,
}

// SAFETY: the record is used by the thread that serves the request, under the lock of the tree.
unsafe impl Send for View {}

/// mod_auth_form logged somebody in, or out, since the picture was last read back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Login {
    In(String),
    Out(String),
}

fn is_view_of(slot: &mut Slot, z: *mut session_rec) -> bool {
    slot.attachment::<View>().is_some_and(|view| view.record == z)
}

/// The session that a record shows.
pub fn find(tree: &mut Tree, z: *mut session_rec) -> Option<usize> {
    tree.slots.iter_mut().position(|slot| is_view_of(slot, z))
}

/// A record that was handed out before its session was read again, under the lease, is brought up to date.
pub fn refresh(request: Request<'_>, z: *mut session_rec) {
    let Some(Ok(Some(mut tree))) = tree::existing_tree(request).map(|tree| try_lock(tree, request)) else { return };
    let Some(index) = find(&mut tree, z) else { return };
    let reads = tree.slots[index].reads;
    if tree.slots[index].attachment::<View>().is_some_and(|view| view.reads != reads) {
        show(&mut tree, index, request);
    }
}

/// Notices that mod_auth_form logs somebody in or out: it stores the name of the user under its AuthName. `before`: what was there.
pub fn note_login(request: Request<'_>, z: *mut session_rec, key: &CStr, before: Option<&CStr>, value: Option<&CStr>) {
    let is_form = || request.auth_type().is_some_and(|of| of.eq_ignore_ascii_case(b"form"));
    let name = key.to_bytes().strip_suffix(b"-user").filter(|name| !name.is_empty());
    if before == value || name.is_none() || !is_form() || request.auth_name() != name {
        return;
    }
    let login = match (value, before) {
        (Some(user), _) => Login::In(user.to_string_lossy().into_owned()),
        (None, Some(user)) => Login::Out(user.to_string_lossy().into_owned()),
        (None, None) => return,
    };
    let Some(Ok(Some(mut tree))) = tree::existing_tree(request).map(|tree| try_lock(tree, request)) else { return };
    if let Some(index) = find(&mut tree, z)
        && let Some(view) = tree.slots[index].attachment::<View>()
    {
        view.login = Some(login);
    }
}

/// Reads back every picture that was handed out.
pub fn collect(tree: &mut Tree, request: Request<'_>) {
    for index in 0..tree.slots.len() {
        read_back(tree, index, request);
    }
}

pub fn read_back(tree: &mut Tree, index: usize, request: Request<'_>) {
    let slot = &mut tree.slots[index];
    let Some(view) = slot.attachment::<View>() else { return };
    // SAFETY: the record lives in the pool of the first request.
    let (table, maxage, user) = unsafe { ((*view.record).entries, (*view.record).maxage, text((*view.record).remote_user)) };
    let edits = if table.is_null() {
        Vec::new()
    } else {
        // SAFETY: a table of the stock API, used by the thread that serves the request.
        view.mirror.edits(&unsafe { Table::from_raw(table) }.entries())
    };
    let timeout = (maxage != view.maxage).then(|| u64::try_from(maxage).ok().filter(|&seconds| seconds > 0)).flatten();
    let owner = (user != view.user).then(|| user.clone());
    let login = view.login.take();
    (view.maxage, view.user) = (maxage, user);
    for (key, error) in slot.session.apply(edits) {
        request.log(Level::Error, format_args!("ap_session_set: '{}' is not stored: {error}", key.escape_debug()));
    }
    if let Some(seconds) = timeout {
        slot.session.set_timeout(seconds.min(LONGEST));
    }
    if let Some(owner) = owner {
        change_owner(tree, index, request, owner);
    }
    match login {
        Some(Login::In(user)) if tree.slots[index].session.user() == Some(&*user) => change_id(tree, index, request),
        Some(Login::In(user)) => change_owner(tree, index, request, Some(user)),
        Some(Login::Out(user)) if tree.slots[index].session.user() == Some(&*user) => change_owner(tree, index, request, None),
        Some(Login::Out(_)) | None => {}
    }
}

/// A change of privilege: the id from before leads nowhere. What cannot be done was logged.
fn change_owner(tree: &mut Tree, index: usize, request: Request<'_>, user: Option<String>) {
    let user = user.filter(|user| !user.is_empty());
    if user.as_deref().is_none_or(is_user) {
        let _ = set_user(tree, index, request, user);
    } else {
        request.log(Level::Error, format_args!("the user of a session is a name of at most 255 bytes without control characters"));
        change_id(tree, index, request);
    }
}

fn change_id(tree: &mut Tree, index: usize, request: Request<'_>) {
    if matches!(tree.slots[index].session.phase(), Phase::Stored(_)) {
        let _ = regenerate(tree, index, request, Move::Superseded);
    }
}

/// # Safety
/// `text` is null or NUL-terminated.
unsafe fn text(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The record of a session, brought up to date.
pub fn show(tree: &mut Tree, index: usize, request: Request<'_>) -> *mut session_rec {
    read_back(tree, index, request);
    let slot = &mut tree.slots[index];
    let root = request.root();
    let record = match slot.attachment::<View>() {
        Some(view) => view.record,
        None => {
            let record = new_record(root);
            slot.attach(View { record, mirror: Mirror::default(), reads: 0, user: None, maxage: 0, login: None });
            record
        }
    };
    let mirror = Mirror::of(slot.session.values(), Detail::All);
    let timeout = slot.session.timeout();
    let expires = match slot.session.phase() {
        Phase::Stored(expires) => expires,
        _ => now().plus(timeout.saturating_mul(MICROS)),
    };
    let (user, reads) = (slot.session.user().map(str::to_owned), slot.reads);
    let maxage = c_long::try_from(timeout).unwrap_or(c_long::MAX);
    let Some(view) = slot.attachment::<View>() else { return null_mut() };
    // SAFETY: the record and its table live in the pool of the first request, and this thread serves it.
    unsafe {
        if view.mirror != mirror {
            // Strings that were handed out stay: clearing a table frees none.
            ffi::apr_table_clear((*record).entries);
            let table = Table::from_raw((*record).entries);
            for (key, plain) in mirror.entries() {
                table.set(key.as_bytes(), plain);
            }
        }
        if view.user != user || (*record).remote_user.is_null() {
            (*record).remote_user = user.as_deref().map_or(null_mut(), |user| root.pool().text(user).as_ptr().cast_mut());
        }
        (*record).expiry = i64::try_from(expires.0).unwrap_or(i64::MAX);
        (*record).maxage = maxage;
        (*record).dirty = 0;
    }
    (view.mirror, view.reads, view.user, view.maxage) = (mirror, reads, user, maxage);
    record
}
