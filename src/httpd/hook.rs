//! Registration of hooks: one generic trampoline for each kind, so that no other code is `extern "C"`.

use std::ffi::{c_int, c_void};
use std::ptr::null;

use super::{Pool, Request, Server, ffi, guard};

/// What a request hook answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Declined,
    /// The request ends with this HTTP status.
    Status(c_int),
}

impl Outcome {
    fn raw(self) -> c_int {
        match self {
            Outcome::Ok => ffi::OK as c_int,
            Outcome::Declined => ffi::DECLINED as c_int,
            Outcome::Status(status) => status,
        }
    }

    pub(super) fn of(raw: c_int) -> Outcome {
        match raw {
            raw if raw == ffi::OK as c_int => Outcome::Ok,
            raw if raw == ffi::DECLINED as c_int => Outcome::Declined,
            status => Outcome::Status(status),
        }
    }
}

pub const INTERNAL_SERVER_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;
pub const SERVICE_UNAVAILABLE: c_int = ffi::HTTP_SERVICE_UNAVAILABLE as c_int;

pub trait RequestHook {
    fn run(request: Request<'_>) -> Outcome;
}

/// What cannot fail: the answer of such a hook is not looked at.
pub trait RequestEvent {
    fn run(request: Request<'_>);
}

pub trait ChildHook {
    fn run(pool: Pool<'_>, server: Server<'_>);
}

/// A hook before the configuration is read; an error ends the start.
pub trait EarlyHook {
    /// # Errors
    /// What is wrong was logged.
    fn run(pool: Pool<'_>) -> Result<(), ()>;
}

/// A hook at the end of the reading of the configuration; an error ends the start.
pub trait ConfigHook {
    /// # Errors
    /// What is wrong was logged.
    fn run(pool: Pool<'_>, server: Server<'_>) -> Result<(), ()>;
}

pub(super) unsafe extern "C" fn request<H: RequestHook>(r: *mut ffi::request_rec) -> c_int {
    // SAFETY: httpd passes a request that lives through the call.
    guard(INTERNAL_SERVER_ERROR, || H::run(unsafe { Request::from_raw(r) }).raw())
}

unsafe extern "C" fn event<H: RequestEvent>(r: *mut ffi::request_rec) {
    // SAFETY: as above.
    guard((), || H::run(unsafe { Request::from_raw(r) }));
}

unsafe extern "C" fn child<H: ChildHook>(pool: *mut ffi::apr_pool_t, server: *mut ffi::server_rec) {
    // SAFETY: the pool of the child, and its main server.
    guard((), || H::run(unsafe { Pool::from_raw(pool) }, unsafe { Server::from_raw(server) }));
}

unsafe extern "C" fn config<H: ConfigHook>(
    conf: *mut ffi::apr_pool_t,
    _log: *mut ffi::apr_pool_t,
    _temp: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> c_int {
    guard(INTERNAL_SERVER_ERROR, || {
        // SAFETY: the pool of the configuration, and the main server.
        let (pool, server) = unsafe { (Pool::from_raw(conf), Server::from_raw(server)) };
        H::run(pool, server).map_or(INTERNAL_SERVER_ERROR, |()| ffi::OK as c_int)
    })
}

unsafe extern "C" fn early<H: EarlyHook>(conf: *mut ffi::apr_pool_t, _log: *mut ffi::apr_pool_t, _temp: *mut ffi::apr_pool_t) -> c_int {
    // SAFETY: the pool of the configuration.
    guard(INTERNAL_SERVER_ERROR, || H::run(unsafe { Pool::from_raw(conf) }).map_or(INTERNAL_SERVER_ERROR, |()| ffi::OK as c_int))
}

/// Runs `E` when a request is about to be destroyed, in whatever thread does that.
pub fn before_destroyed<E: RequestEvent>(request: Request<'_>) {
    unsafe extern "C" fn run<E: RequestEvent>(r: *mut c_void) -> ffi::apr_status_t {
        // SAFETY: a pre-cleanup of the request's own pool, in which the request lies.
        guard((), || E::run(unsafe { Request::from_raw(r.cast()) }));
        ffi::APR_SUCCESS as ffi::apr_status_t
    }
    // SAFETY: the pool is that of the request.
    unsafe { ffi::apr_pool_pre_cleanup_register(request.pool().raw(), request.raw().cast(), Some(run::<E>)) };
}

/// Before the handlers of other modules, whatever their order.
pub fn before_handlers<H: RequestHook>() {
    // SAFETY: called while hooks are registered; so in all functions below.
    unsafe { ffi::ap_hook_handler(Some(request::<H>), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int) }
}

/// Where output filters are added: to a response, and to that of an error.
pub fn on_insert_filters<H: RequestEvent>() {
    insert_filters::<H>(ffi::APR_HOOK_MIDDLE as c_int);
}

/// As [`on_insert_filters`], just before it: among filters of one kind, what is added earlier sees a response earlier.
pub fn on_insert_filters_early<H: RequestEvent>() {
    insert_filters::<H>(ffi::APR_HOOK_MIDDLE as c_int - 1);
}

fn insert_filters<H: RequestEvent>(order: c_int) {
    unsafe {
        ffi::ap_hook_insert_filter(Some(event::<H>), null(), null(), order);
        ffi::ap_hook_insert_error_filter(Some(event::<H>), null(), null(), order);
    }
}

/// Where a request is put aside, to be gone on with by whatever thread (event).
pub fn on_suspend<E: RequestEvent>() {
    unsafe extern "C" fn run<E: RequestEvent>(_connection: *mut ffi::conn_rec, r: *mut ffi::request_rec) {
        if !r.is_null() {
            // SAFETY: httpd passes the request that the connection serves.
            guard((), || E::run(unsafe { Request::from_raw(r) }));
        }
    }
    unsafe { ffi::ap_hook_suspend_connection(Some(run::<E>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

pub fn on_fixups<H: RequestHook>() {
    unsafe { ffi::ap_hook_fixups(Some(request::<H>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

pub fn on_pre_config<H: EarlyHook>() {
    unsafe { ffi::ap_hook_pre_config(Some(early::<H>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

pub fn on_check_config<H: ConfigHook>() {
    unsafe { ffi::ap_hook_check_config(Some(config::<H>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

pub fn on_post_config<H: ConfigHook>() {
    unsafe { ffi::ap_hook_post_config(Some(config::<H>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

pub fn on_child_init<H: ChildHook>() {
    unsafe { ffi::ap_hook_child_init(Some(child::<H>), null(), null(), ffi::APR_HOOK_MIDDLE as c_int) }
}

/// Around all others: before the first, and after the last.
pub fn around_child_init<F: ChildHook, L: ChildHook>() {
    unsafe {
        ffi::ap_hook_child_init(Some(child::<F>), null(), null(), ffi::APR_HOOK_REALLY_FIRST as c_int);
        ffi::ap_hook_child_init(Some(child::<L>), null(), null(), ffi::APR_HOOK_REALLY_LAST as c_int);
    }
}
