//! What outlives a restart: plain data in the process pool. The module itself may be unloaded and loaded again, another version of it
//! too, so nothing of it is kept: no functions, no destructors, and a layout has its version in the key.

use std::ffi::CStr;

use super::ffi;

/// # Safety
/// The type is plain data with a fixed layout (`repr(C)`); what it points to outlives restarts.
pub unsafe trait Plain: Copy + 'static {}

/// What was kept under a key.
pub fn retained<T: Plain>(key: &CStr) -> Option<T> {
    // SAFETY: under a key lies what `retain` put there, with the same type.
    unsafe { ffi::ap_retained_data_get(key.as_ptr()).cast::<T>().as_ref().copied() }
}

/// Keeps a value until the server ends.
pub fn retain<T: Plain>(key: &CStr, value: T) {
    // SAFETY: httpd allocates as much as asked for in the process pool, aligned for any type.
    unsafe { ffi::ap_retained_data_create(key.as_ptr(), size_of::<T>() as ffi::apr_size_t).cast::<T>().write(value) };
}
