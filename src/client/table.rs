//! The table of session_api.h, found and called: the one file of the client with unsafe code.
//!
//! What the calls rest on: a [`Session`] exists between `open` and the end of `'r`, which the caller of `open` vouched for, and stays in
//! the thread of its request. The handle, and what the module hands out, live as long as the first request of the tree, so for `'r`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::mem::transmute;
use std::ptr::{NonNull, null, null_mut};

use super::error::{Error, Result, found};
use super::header::{self, flag};
use super::open::Open;

/// `struct session`, of which only its module knows more.
pub enum Opaque {}

type Handle = *mut Opaque;
pub(super) type Table = header::Table<*mut c_void, Handle, c_int, c_int>;
/// A function of the table that takes the session alone.
pub(super) type Ask<T> = unsafe extern "C" fn(Handle) -> T;
/// One that takes a second argument.
pub(super) type AskWith<A, T> = unsafe extern "C" fn(Handle, A) -> T;

unsafe extern "C" {
    /// Of libapr, which httpd has loaded: `APR_RETRIEVE_OPTIONAL_FN`.
    fn apr_dynamic_fn_retrieve(name: *const c_char) -> Option<unsafe extern "C" fn()>;
}

/// The sessions of the httpd that has loaded this code.
///
/// Found in each child once, in `child_init`: nothing is unloaded any more there, so it may lie in a `static` of a module from then on. One
/// that was found in `post_config` is void after the next restart, which may load mod_session_rs to another address.
#[derive(Debug, Clone, Copy)]
pub struct Sessions {
    table: NonNull<Table>,
}

// SAFETY: the table is constant.
unsafe impl Send for Sessions {}
// SAFETY: as above.
unsafe impl Sync for Sessions {}

impl Sessions {
    /// # Errors
    /// [`Error::NotOffered`]: mod_session_rs is not loaded, or it is older than this library.
    pub fn retrieve() -> Result<Sessions> {
        // SAFETY: APR compares the name and does not keep it. Under this name session_api.h declares a function of this type, and the
        // table that it answers is as long as it says.
        unsafe {
            let function = apr_dynamic_fn_retrieve(c"session_api_get".as_ptr()).ok_or(Error::NotOffered)?;
            let get = transmute::<unsafe extern "C" fn(), unsafe extern "C" fn(c_uint) -> *const Table>(function);
            Sessions::of(get(1))
        }
    }

    /// # Safety
    /// `table` is null or as many bytes long as its first field says, and constant as long as it is used.
    unsafe fn of(table: *const Table) -> Result<Sessions> {
        let table = NonNull::new(table.cast_mut()).ok_or(Error::NotOffered)?;
        // SAFETY: the size is there, however short the rest may be.
        let size = unsafe { *table.cast::<usize>().as_ptr() };
        if size < size_of::<Table>() { Err(Error::NotOffered) } else { Ok(Sessions { table }) }
    }

    /// The session of the client, by the cookie and the settings that hold for the request, or a new one. Nothing is stored, and no
    /// cookie sent, before a new session has its first value.
    ///
    /// # Safety
    /// (here and below) `r` is null or the `request_rec *` of a request that is served during `'r`, by this thread; and there was no
    /// restart of httpd since `self` was retrieved.
    ///
    /// # Errors
    /// [`Off`](Error::Off), [`Busy`](Error::Busy), [`Corrupt`](Error::Corrupt), [`Store`](Error::Store), [`Panic`](Error::Panic), and
    /// [`None`](Error::None) if `r` is null.
    pub unsafe fn open<'r>(&self, r: *mut c_void, how: Open) -> Result<Session<'r>> {
        // SAFETY: (here and below) promised by the caller; the handle is written during the call.
        unsafe { self.opened(|table, out| (table.open)(r, how.flags() | flag::CREATE, out)) }
    }

    /// As [`open`](Sessions::open), but never a new session. `None`: the client has none that is usable, and nobody has given a new one a
    /// value in this request.
    ///
    /// # Safety
    /// As [`open`](Sessions::open).
    ///
    /// # Errors
    /// As [`open`](Sessions::open).
    pub unsafe fn find<'r>(&self, r: *mut c_void, how: Open) -> Result<Option<Session<'r>>> {
        found(unsafe { self.opened(|table, out| (table.open)(r, how.flags(), out)) })
    }

    /// A session by its id, within the store, scope and cookie name that hold for the request: for applications that carry the id
    /// themselves. No cookie is sent or cleared for it unless it is the client's own session. `None`: unknown, expired, or no id at all.
    ///
    /// # Safety
    /// As [`open`](Sessions::open).
    ///
    /// # Errors
    /// As [`open`](Sessions::open).
    pub unsafe fn open_by_id<'r>(&self, r: *mut c_void, id: &str, how: Open) -> Result<Option<Session<'r>>> {
        let Ok(id) = CString::new(id) else { return Ok(None) };
        found(unsafe { self.opened(|table, out| (table.open_by_id)(r, id.as_ptr(), how.flags(), out)) })
    }

    /// Whether there is a session with this id that has not expired. Renews and changes nothing.
    ///
    /// # Safety
    /// As [`open`](Sessions::open).
    ///
    /// # Errors
    /// As [`open`](Sessions::open), but for [`Busy`](Error::Busy): it does not wait.
    pub unsafe fn exists(&self, r: *mut c_void, id: &str) -> Result<bool> {
        let Ok(id) = CString::new(id) else { return Ok(false) };
        let status = unsafe { (self.table.as_ref().exists)(r, id.as_ptr()) };
        Ok(found(Error::check(status))?.is_some())
    }

    /// # Safety
    /// The table lives for `'r`, and `open` writes a handle that lives for `'r` if it answers success.
    unsafe fn opened<'r>(&self, open: impl FnOnce(&Table, *mut Handle) -> c_int) -> Result<Session<'r>> {
        // SAFETY: promised by the caller.
        let table = unsafe { self.table.as_ref() };
        let mut handle = null_mut();
        Error::check(open(table, &raw mut handle))?;
        Ok(Session { table, handle: NonNull::new(handle).ok_or(Error::None)? })
    }
}

/// One session of one request. Another open in the same request tree (sub-requests, internal redirects, error documents) leads to the
/// same one, so changes are seen by all, and nothing is closed or freed. It does not outlive its request, and stays in its thread:
///
/// ```compile_fail,E0277
/// fn to_another_thread(session: mod_session_rs::client::Session<'static>) {
///     std::thread::spawn(move || session.save());
/// }
/// ```
pub struct Session<'r> {
    table: &'r Table,
    /// As a raw pointer it keeps the session in its thread.
    handle: NonNull<Opaque>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// What goes to C as it is.
pub(super) trait Number {}
impl Number for c_int {}
impl Number for i64 {}

// SAFETY: (of all blocks) what the head of this file says. Texts and places live during the call, and C copies what it is given.
impl<'r> Session<'r> {
    pub(super) fn ask<T>(&self, function: fn(&Table) -> Ask<T>) -> T {
        unsafe { function(self.table)(self.handle.as_ptr()) }
    }

    pub(super) fn ask_number<A: Number, T>(&self, function: fn(&Table) -> AskWith<A, T>, number: A) -> T {
        unsafe { function(self.table)(self.handle.as_ptr(), number) }
    }

    pub(super) fn ask_text<T>(&self, function: fn(&Table) -> AskWith<*const c_char, T>, text: &CStr) -> T {
        unsafe { function(self.table)(self.handle.as_ptr(), text.as_ptr()) }
    }

    /// A call that answers a status.
    pub(super) fn done(&self, function: fn(&Table) -> Ask<c_int>) -> Result {
        Error::check(self.ask(function))
    }

    /// A fact that is text; `None` for NULL.
    pub(super) fn text(&self, function: fn(&Table) -> Ask<*const c_char>) -> Option<&'r str> {
        let text = self.ask(function);
        if text.is_null() { None } else { unsafe { CStr::from_ptr(text) }.to_str().ok() }
    }

    pub(super) fn add_number(&self, key: &CStr, delta: i64) -> c_int {
        unsafe { (self.table.add)(self.handle.as_ptr(), key.as_ptr(), delta) }
    }

    pub(super) fn type_number(&self, key: &CStr) -> Result<c_int> {
        let mut number = 0;
        Error::check(unsafe { (self.table.type_of)(self.handle.as_ptr(), key.as_ptr(), &raw mut number) })?;
        Ok(number)
    }

    pub(super) fn msgpack(&self, key: &CStr) -> Result<&'r [u8]> {
        let (mut place, mut len) = (null(), 0);
        Error::check(unsafe { (self.table.get_msgpack)(self.handle.as_ptr(), key.as_ptr(), &raw mut place, &raw mut len) })?;
        Ok(if place.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(place.cast(), len) } })
    }

    pub(super) fn set_msgpack(&self, key: &CStr, value: &[u8]) -> c_int {
        unsafe { (self.table.set_msgpack)(self.handle.as_ptr(), key.as_ptr(), value.as_ptr().cast(), value.len()) }
    }

    /// Keys, each with the number of its type.
    pub(super) fn key_numbers(&self) -> Result<Vec<(&'r str, c_int)>> {
        let mut keys: Vec<(&'r CStr, c_int)> = Vec::new();
        Error::check(unsafe { (self.table.each)(self.handle.as_ptr(), Some(collect), (&raw mut keys).cast()) })?;
        Ok(keys.into_iter().filter_map(|(key, number)| Some((key.to_str().ok()?, number))).collect())
    }
}

/// # Safety
/// `keys` is the vector of `key_numbers`, and `key` lives as long as the handle.
unsafe extern "C" fn collect(keys: *mut c_void, key: *const c_char, number: c_int) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { (*keys.cast::<Vec<(&CStr, c_int)>>()).push((CStr::from_ptr(key), number)) };
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_missing_or_too_short_is_not_offered() {
        let words = size_of::<Table>() / size_of::<usize>();
        let offered = |size: usize| {
            let mut table = vec![0usize; words];
            table[0] = size;
            // SAFETY: only the size is read, and that is there.
            unsafe { Sessions::of(table.as_ptr().cast()) }.is_ok()
        };
        assert!(!offered(0));
        assert!(!offered(size_of::<Table>() - 1));
        assert!(offered(size_of::<Table>()));
        assert!(offered(size_of::<Table>() + 8), "a newer module, whose table has grown at its end");
        // SAFETY: null is allowed.
        assert_eq!(unsafe { Sessions::of(null()) }.err(), Some(Error::NotOffered));
    }
}
