//! What C holds as `session *`.

use std::ffi::{CStr, c_char, c_void};

use super::super::stock::own;
use super::{Answer, Status};
use crate::hooks::slot::Slot;
use crate::hooks::tree::{Locked, Tree, try_lock};
use crate::httpd::ffi::request_rec;
use crate::httpd::{Request, guard};

/// One for each session of a request tree, in the pool of the first request.
pub struct Handle {
    root: *mut request_rec,
    tree: *const Locked,
    slot: usize,
}

/// What the tree keeps for the handle of a slot.
struct Lent {
    handle: *const Handle,
    /// An open without SESSION_READ_ONLY happened.
    writable: bool,
    /// What was handed out. Not in an APR pool: those belong to the thread of the request, and a handler may have others.
    memory: Vec<Box<[u8]>>,
}

// SAFETY: the pointer is only handed back to C; the rest is plain data under the lock of the tree.
unsafe impl Send for Lent {}

/// The slot of a handle, locked: what a call works on.
pub struct Inside<'t> {
    pub slot: &'t mut Slot,
    pub headers_sent: bool,
    pub request: Request<'t>,
}

fn lent(slot: &mut Slot) -> &mut Lent {
    slot.attachment().expect("attached when the handle was made")
}

/// # Errors
/// The session was opened read-only.
fn writable(slot: &mut Slot) -> Answer {
    if lent(slot).writable { Ok(()) } else { Err(Status::Off) }
}

impl Inside<'_> {
    /// Memory that lives as long as the handle.
    pub fn lend(&mut self, bytes: Vec<u8>) -> *const c_void {
        let memory = bytes.into_boxed_slice();
        let place = memory.as_ptr().cast();
        lent(self.slot).memory.push(memory);
        place
    }

    /// Text that lives as long as the handle.
    ///
    /// # Errors
    /// C cannot hold it: there is a NUL in it.
    pub fn lend_text(&mut self, text: &str) -> Answer<*const c_char> {
        if text.contains('\0') {
            return Err(Status::BadType);
        }
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        Ok(self.lend(bytes).cast())
    }
}

/// The handle of a slot, the same one each time.
pub fn handle(tree: &mut Tree, slot: usize, root: Request<'_>, of: *const Locked, writable: bool) -> *const Handle {
    if let Some(lent) = tree.slots[slot].attachment::<Lent>() {
        lent.writable |= writable;
        return lent.handle;
    }
    let handle: *const Handle = root.pool().adopt(Handle { root: root.raw(), tree: of, slot });
    tree.slots[slot].attach(Lent { handle, writable, memory: Vec::new() });
    handle
}

/// Runs `body` in the tree of a handle, with the number of its slot: the tree locked, panics caught. NULL is no session; a second
/// thread finds it busy.
///
/// # Safety
/// `handle` is null or was handed out for a request tree that lives.
pub unsafe fn in_tree<T>(handle: *const Handle, body: impl FnOnce(&mut Tree, usize, Request<'_>) -> Answer<T>) -> Answer<T> {
    guard(Err(Status::Panic), || {
        // SAFETY: promised by the caller; a handle lives in the pool of the first request, as the tree does.
        let (handle, tree) = unsafe {
            let handle = handle.as_ref().ok_or(Status::None)?;
            (handle, &*handle.tree)
        };
        // SAFETY: the first request lives as long as its tree.
        let request = unsafe { Request::from_raw(handle.root) };
        let mut tree = try_lock(tree, request).map_err(|_| Status::Panic)?.ok_or(Status::Busy)?;
        if handle.slot >= tree.slots.len() {
            return Err(Status::None);
        }
        own::read_back(&mut tree, handle.slot, request); // what was written on the stock record came before
        body(&mut tree, handle.slot, request)
    })
}

/// As [`in_tree`], for what concerns the one session.
///
/// # Safety
/// As [`in_tree`].
pub unsafe fn inside<T>(handle: *const Handle, body: impl FnOnce(&mut Inside<'_>) -> Answer<T>) -> Answer<T> {
    // SAFETY: promised by the caller.
    unsafe {
        in_tree(handle, |tree, slot, request| {
            let headers_sent = tree.headers_sent;
            body(&mut Inside { slot: &mut tree.slots[slot], headers_sent, request })
        })
    }
}

/// As [`inside`], in a session that may be changed.
///
/// # Safety
/// As [`inside`].
pub unsafe fn change(handle: *const Handle, body: impl FnOnce(&mut Inside<'_>) -> Answer) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        inside(handle, |inside| {
            writable(inside.slot)?;
            body(inside)
        })
    }
    .into()
}

/// As [`change`], for what concerns the leases of the tree too.
///
/// # Safety
/// As [`in_tree`].
pub unsafe fn change_in_tree(handle: *const Handle, body: impl FnOnce(&mut Tree, usize, Request<'_>) -> Answer) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        in_tree(handle, |tree, slot, request| {
            writable(&mut tree.slots[slot])?;
            body(tree, slot, request)
        })
    }
    .into()
}

/// As [`inside`], for calls that answer a value and not a status.
///
/// # Safety
/// As [`inside`].
pub unsafe fn fact<T>(handle: *const Handle, otherwise: T, body: impl FnOnce(&mut Inside<'_>) -> Answer<T>) -> T {
    // SAFETY: promised by the caller.
    unsafe { inside(handle, body) }.unwrap_or(otherwise)
}

/// Locks the tree of a request for an open.
pub fn with_tree<T>(tree: &Locked, request: Request<'_>, body: impl FnOnce(&mut Tree) -> Answer<T>) -> Answer<T> {
    match try_lock(tree, request) {
        Ok(Some(mut tree)) => body(&mut tree),
        Ok(None) => Err(Status::Busy),
        Err(_) => Err(Status::Panic),
    }
}

/// A key that C passed.
///
/// # Safety
/// `key` is null or NUL-terminated, and lives for `'k`.
pub unsafe fn key<'k>(key: *const c_char) -> Answer<&'k str> {
    if key.is_null() {
        return Err(Status::BadKey);
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(key) }.to_str().map_err(|_| Status::BadKey)
}

/// Bytes that C passed; nothing may be at NULL.
///
/// # Safety
/// `data` is null or has `len` bytes that live for `'d`.
pub unsafe fn bytes<'d>(data: *const c_void, len: usize) -> Answer<&'d [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Status::BadType),
        // SAFETY: promised by the caller.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) }),
    }
}

/// Writes an answer where C wants it.
///
/// # Safety
/// `out` is null or a place for a `T`.
pub unsafe fn put<T>(out: *mut T, value: T) -> Answer {
    if out.is_null() {
        return Err(Status::BadType);
    }
    // SAFETY: promised by the caller.
    unsafe { out.write(value) };
    Ok(())
}
