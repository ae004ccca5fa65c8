//! Requests.

use std::any::Any;
use std::ffi::CStr;
use std::marker::PhantomData;

use super::config::SectionConfig;
use super::{Pool, Server, Table, config, ffi};

/// A request that httpd serves, for as long as the current call.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: *mut ffi::request_rec,
    owner: PhantomData<&'r ()>,
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` is a request that lives for `'r`, and this thread serves it.
    pub unsafe fn from_raw(raw: *mut ffi::request_rec) -> Request<'r> {
        Request { raw, owner: PhantomData }
    }

    pub fn raw(self) -> *mut ffi::request_rec {
        self.raw
    }

    fn other(raw: *mut ffi::request_rec) -> Option<Request<'r>> {
        (!raw.is_null()).then_some(Request { raw, owner: PhantomData })
    }

    /// The request that a sub-request serves.
    pub fn main(self) -> Option<Request<'r>> {
        // SAFETY: (here and below) fields of a live request; requests it points to live at least as long.
        Request::other(unsafe { (*self.raw).main })
    }

    /// The request that was redirected internally to this one.
    pub fn prev(self) -> Option<Request<'r>> {
        Request::other(unsafe { (*self.raw).prev })
    }

    /// The request that this one was redirected to.
    pub fn next(self) -> Option<Request<'r>> {
        Request::other(unsafe { (*self.raw).next })
    }

    /// This request and those that led to it, up to the first one of its tree.
    pub fn and_origins(self) -> impl Iterator<Item = Request<'r>> {
        std::iter::successors(Some(self), |r| r.main().or(r.prev()))
    }

    /// The first request of the tree.
    pub fn root(self) -> Request<'r> {
        self.and_origins().last().unwrap_or(self)
    }

    pub fn is_same(self, other: Request<'_>) -> bool {
        self.raw == other.raw
    }

    pub fn pool(self) -> Pool<'r> {
        unsafe { Pool::from_raw((*self.raw).pool) }
    }

    pub fn server(self) -> Server<'r> {
        unsafe { Server::from_raw((*self.raw).server) }
    }

    pub fn notes(self) -> Table<'r> {
        unsafe { Table::from_raw((*self.raw).notes) }
    }

    pub fn headers_in(self) -> Table<'r> {
        unsafe { Table::from_raw((*self.raw).headers_in) }
    }

    pub fn headers_out(self) -> Table<'r> {
        unsafe { Table::from_raw((*self.raw).headers_out) }
    }

    pub fn err_headers_out(self) -> Table<'r> {
        unsafe { Table::from_raw((*self.raw).err_headers_out) }
    }

    pub fn subprocess_env(self) -> Table<'r> {
        unsafe { Table::from_raw((*self.raw).subprocess_env) }
    }

    pub fn uri(self) -> &'r [u8] {
        unsafe { bytes((*self.raw).uri) }.unwrap_or_default()
    }

    pub fn method(self) -> &'r [u8] {
        unsafe { bytes((*self.raw).method) }.unwrap_or_default()
    }

    /// The path as the client wrote it.
    pub fn path(self) -> &'r [u8] {
        unsafe { bytes((*self.raw).parsed_uri.path) }.unwrap_or_default()
    }

    /// Whether the headers of its response have gone.
    pub fn has_begun(self) -> bool {
        unsafe { (*self.raw).sent_bodyct != 0 }
    }

    /// The query string as the client wrote it.
    pub fn query(self) -> &'r [u8] {
        unsafe { bytes((*self.raw).parsed_uri.query) }.unwrap_or_default()
    }

    /// Whether the client has hung up, or httpd has closed its connection. What it sent and nobody has read yet stays.
    pub fn is_client_gone(self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        unsafe {
            let connection = (*self.raw).connection;
            // That of a stream is its own; the socket is that of the connection which carries it.
            let carrier = if (*connection).master.is_null() { connection } else { (*connection).master };
            if (*connection).aborted != 0 || (*carrier).aborted != 0 {
                return true;
            }
            let socket = ffi::ap_get_conn_socket(carrier);
            if socket.is_null() {
                return false; // not a connection that could be asked
            }
            let mut fd: ffi::apr_os_sock_t = -1;
            if ffi::apr_os_sock_get(&raw mut fd, socket) != 0 || fd < 0 {
                return true; // a child that must end closes the connections of those who still work
            }
            // SAFETY: a socket of httpd's, open or not; nothing is read from it.
            let fd = std::os::fd::BorrowedFd::borrow_raw(fd);
            let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
            let mut asked = [PollFd::new(&fd, PollFlags::RDHUP)];
            poll(&mut asked, Some(&Timespec::default())).is_ok() && asked[0].revents().intersects(gone)
        }
    }

    pub fn handler(self) -> Option<&'r [u8]> {
        unsafe { bytes((*self.raw).handler) }
    }

    pub fn content_type(self) -> Option<&'r [u8]> {
        unsafe { bytes((*self.raw).content_type) }
    }

    /// `AuthType`.
    pub fn auth_type(self) -> Option<&'r [u8]> {
        unsafe { bytes(ffi::ap_auth_type(self.raw)) }
    }

    /// `AuthName`.
    pub fn auth_name(self) -> Option<&'r [u8]> {
        unsafe { bytes(ffi::ap_auth_name(self.raw)) }
    }

    pub fn is_proxied(self) -> bool {
        unsafe { (*self.raw).proxyreq != 0 }
    }

    pub fn is_https(self) -> bool {
        unsafe { bytes(ffi::ap_run_http_scheme(self.raw)) == Some(b"https") }
    }

    /// What our directives say for this request.
    pub fn dir_config<C: SectionConfig>(self) -> Option<&'r C> {
        unsafe { config::of_section((*self.raw).per_dir_config) }
    }

    /// What we keep with this request.
    pub fn state<T: 'static>(self) -> Option<&'r T> {
        unsafe { config::get((*self.raw).request_config) }
    }

    pub fn set_state<T: Any + Send + Sync>(self, value: T) -> &'r T {
        unsafe { config::set((*self.raw).request_config, self.pool(), value) }
    }
}

/// # Safety
/// `text` is null or NUL-terminated, and lives for `'r`.
unsafe fn bytes<'r>(text: *const std::ffi::c_char) -> Option<&'r [u8]> {
    // SAFETY: promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
