//! The module record.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::config::{Section, SectionConfig};
use super::{Pool, ffi, guard};

/// What a module is: its record, its configuration, its hooks.
pub trait Module: 'static {
    /// What the directives of one section say.
    type Config: SectionConfig;

    fn address() -> *mut ffi::module;
    /// The configuration of a section within another.
    fn merge(outer: &Self::Config, inner: &Self::Config) -> Self::Config;
    fn register_hooks();
}

/// Where httpd wrote our index. Set before anything else of ours runs, and again after a restart.
static MODULE: AtomicPtr<ffi::module> = AtomicPtr::new(null_mut());

pub(super) fn module() -> *const ffi::module {
    MODULE.load(Ordering::Relaxed)
}

pub(super) fn module_index() -> c_int {
    let module = module();
    // SAFETY: the record is a static of ours; httpd writes the index before it calls us.
    if module.is_null() { -1 } else { unsafe { (*module).module_index } }
}

/// The record of module `M`, to be exported under the name that `LoadModule` gives.
pub const fn record<M: Module>(file: &'static CStr, commands: *const ffi::command_rec) -> ffi::module {
    ffi::module {
        version: ffi::MODULE_MAGIC_NUMBER_MAJOR as c_int,
        minor_version: ffi::MODULE_MAGIC_NUMBER_MINOR as c_int,
        module_index: -1,
        name: file.as_ptr(),
        dynamic_load_handle: null_mut(),
        next: null_mut(),
        magic: ffi::MODULE_MAGIC_COOKIE as std::ffi::c_ulong,
        rewrite_args: None,
        create_dir_config: Some(create::<M>),
        merge_dir_config: Some(merge::<M>),
        create_server_config: None,
        merge_server_config: None,
        cmds: commands,
        register_hooks: Some(register::<M>),
        flags: 0,
    }
}

unsafe extern "C" fn create<M: Module>(pool: *mut ffi::apr_pool_t, _dir: *mut c_char) -> *mut c_void {
    // SAFETY: httpd passes the pool of the configuration.
    let pool = unsafe { Pool::from_raw(pool) };
    guard(null_mut(), || Section::make(pool, M::Config::default()).cast())
}

unsafe extern "C" fn merge<M: Module>(pool: *mut ffi::apr_pool_t, outer: *mut c_void, inner: *mut c_void) -> *mut c_void {
    guard(inner, || {
        // SAFETY: both come from `create` or `merge`; the pool is httpd's.
        let (pool, outer, inner) = unsafe {
            (
                Pool::from_raw(pool),
                outer.cast::<Section<<M::Config as SectionConfig>::Public>>().as_ref().and_then(Section::get),
                inner.cast::<Section<<M::Config as SectionConfig>::Public>>().as_ref().and_then(Section::get),
            )
        };
        match (outer, inner) {
            (Some(outer), Some(inner)) => Section::make(pool, M::merge(outer, inner)).cast(),
            _ => null_mut(),
        }
    })
}

unsafe extern "C" fn register<M: Module>(_pool: *mut ffi::apr_pool_t) {
    MODULE.store(M::address(), Ordering::Relaxed);
    guard((), M::register_hooks);
}
