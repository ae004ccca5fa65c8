//! Sections with a store of ours: the stock picture of their session. What other modules set through the functions is done to the session at
//! once; what they write on the record itself is read back before anybody else looks, and at commit points.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_long};
use std::ptr::null_mut;

use super::login::{self, Login};
use super::store::new_record;
use crate::config::parse::LONGEST;
use crate::hooks::slot::Slot;
use crate::hooks::tree::Tree;
use crate::httpd::ffi::session_rec;
use crate::httpd::{Level, Request, Table};
use crate::repository::now;
use crate::session::Mirror;
use crate::session::mirror::{Detail, Edit};
use crate::session::session::Phase;
use crate::session::time::MICROS;

/// The stock picture of a session. It lives in the pool of the first request, as long as the slot it is attached to.
struct View {
    record: *mut session_rec,
    mirror: Mirror,
    /// What of the session was shown: see [`age`].
    age: (u32, u32),
    /// Owner and timeout as they were shown.
    user: *mut c_char,
    maxage: c_long,
}

// SAFETY: the record is used by the thread that serves the request, under the lock of the tree.
unsafe impl Send for View {}

/// Changes whenever the session does.
fn age(slot: &Slot) -> (u32, u32) {
    (slot.reads, slot.session.revision())
}

/// The session that a record shows.
pub fn find(tree: &mut Tree, z: *mut session_rec) -> Option<usize> {
    tree.slots.iter_mut().position(|slot| slot.attachment::<View>().is_some_and(|view| view.record == z))
}

/// Brings the record of a session up to date, if the session has changed since it was shown.
pub fn refresh(tree: &mut Tree, index: usize, request: Request<'_>) {
    read_back(tree, index, request);
    let age = age(&tree.slots[index]);
    if tree.slots[index].attachment::<View>().is_some_and(|view| view.age != age) {
        show(tree, index, request);
    }
}

/// Does what `ap_session_set` asks for. `Err`: it cannot be stored, which was logged.
pub fn set(tree: &mut Tree, index: usize, request: Request<'_>, key: &CStr, value: Option<&CStr>) -> Result<(), ()> {
    tree.collect(request); // what was written through other doors came before
    refresh(tree, index, request);
    let name = key.to_str();
    let applied = name.map_err(|_| "it is not UTF-8".to_owned()).and_then(|name| change(&mut tree.slots[index], name, value));
    if let Err(why) = applied {
        request.log(Level::Error, format_args!("ap_session_set: '{}' is not stored: {why}", key.to_string_lossy().escape_debug()));
        return Err(());
    }
    if let (Some(login), Ok(name)) = (login::of(request, key, value), name) {
        if login == Login::Out {
            // mod_auth_form takes these away next: a session with nothing else in it ends now.
            for secret in login::secrets_beside(name) {
                let _ = change(&mut tree.slots[index], &secret, None);
            }
        }
        let again = |slot: &mut Slot| {
            let _ = change(slot, name, value); // it went well before
        };
        login::carry_out(tree, index, request, login, again);
    }
    show(tree, index, request);
    Ok(())
}

fn change(slot: &mut Slot, key: &str, value: Option<&CStr>) -> Result<(), String> {
    let edit = match value {
        Some(value) => Edit::Set(key.to_owned(), value.to_bytes().to_vec()),
        None => Edit::Unset(key.to_owned()),
    };
    slot.session.apply(vec![edit]).first().map_or(Ok(()), |(_, error)| Err(error.to_string()))
}

/// Reads back every picture that was handed out.
pub fn collect(tree: &mut Tree, request: Request<'_>) {
    for index in 0..tree.slots.len() {
        read_back(tree, index, request);
    }
}

/// Reads back what was written on the picture of a session, if there is one.
pub fn read_back(tree: &mut Tree, index: usize, request: Request<'_>) {
    let slot = &mut tree.slots[index];
    let Some(view) = slot.attachment::<View>() else { return };
    // SAFETY: the record lives in the pool of the first request. What stands in it lives: of a part of a page it is read before that ends.
    let (table, maxage, user) = unsafe { ((*view.record).entries, (*view.record).maxage, (*view.record).remote_user.cast_mut()) };
    let edits = if table.is_null() {
        Vec::new()
    } else {
        // SAFETY: a table of the stock API, used by the thread that serves the request.
        view.mirror.edits(&unsafe { Table::from_raw(table) }.entries())
    };
    let timeout = (maxage != view.maxage).then(|| u64::try_from(maxage).ok().filter(|&seconds| seconds > 0)).flatten();
    // SAFETY: as above.
    let owner = (user != view.user).then(|| unsafe { text(user) });
    view.maxage = maxage;
    if owner.is_some() {
        let copy = owner.as_ref().and_then(Option::as_ref).map_or(null_mut(), |user| request.root().pool().text(user).as_ptr().cast_mut());
        view.user = copy;
        // SAFETY: as above; from now on it does not matter how long the text of the module lives.
        unsafe { (*view.record).remote_user = copy };
    }
    for (key, error) in slot.session.apply(edits) {
        request.log(Level::Error, format_args!("ap_session_set: '{}' is not stored: {error}", key.escape_debug()));
    }
    if let Some(seconds) = timeout {
        slot.session.set_timeout(seconds.min(LONGEST));
    }
    if let Some(owner) = owner {
        login::change_owner(tree, index, request, owner);
    }
}

/// Takes over what was written with memory of a part of a page, which ends now.
pub fn take_over(tree: &mut Tree, request: Request<'_>) {
    for index in 0..tree.slots.len() {
        read_back(tree, index, request);
        if let Some(view) = tree.slots[index].attachment::<View>() {
            // SAFETY: as in `read_back`. The entries are made anew, for they may be texts of the part.
            let entries = unsafe { Table::from_raw((*view.record).entries) };
            fill(entries, &view.mirror);
        }
    }
}

fn fill(entries: Table<'_>, mirror: &Mirror) {
    // Texts that were handed out stay: clearing a table frees none.
    entries.clear();
    for (key, plain) in mirror.entries() {
        entries.set_new(key, plain);
    }
}

/// # Safety
/// `text` is null or NUL-terminated.
unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The record of a session, brought up to date.
pub fn show(tree: &mut Tree, index: usize, request: Request<'_>) -> *mut session_rec {
    read_back(tree, index, request);
    let slot = &mut tree.slots[index];
    let root = request.root();
    if slot.attachment::<View>().is_none() {
        let record = new_record(root);
        slot.attach(View { record, mirror: Mirror::default(), age: (0, 0), user: null_mut(), maxage: 0 });
    }
    let mirror = Mirror::of(slot.session.values(), Detail::All);
    let timeout = slot.session.timeout();
    let expires = match slot.session.phase() {
        Phase::Stored(expires) => expires,
        _ => now().plus(timeout.saturating_mul(MICROS)),
    };
    let (user, age) = (slot.session.user().map(str::to_owned), age(slot));
    let Some(view) = slot.attachment::<View>() else { return null_mut() };
    // SAFETY: the record and its table live in the pool of the first request, and this thread serves it.
    unsafe {
        let record = &mut *view.record;
        if view.mirror != mirror {
            fill(Table::from_raw(record.entries), &mirror);
        }
        if text(view.user) != user {
            view.user = user.as_deref().map_or(null_mut(), |user| root.pool().text(user).as_ptr().cast_mut());
        }
        view.maxage = c_long::try_from(timeout).unwrap_or(c_long::MAX);
        record.remote_user = view.user;
        record.maxage = view.maxage;
        record.expiry = i64::try_from(expires.0).unwrap_or(i64::MAX);
        record.dirty = 0;
    }
    (view.mirror, view.age) = (mirror, age);
    view.record
}
