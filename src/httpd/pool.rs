//! APR pools: who owns what, and until when.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;

use super::ffi;
use super::guard::guard;

/// A pool of httpd's. What is allocated in it lives for `'p`.
#[derive(Clone, Copy)]
pub struct Pool<'p> {
    raw: *mut ffi::apr_pool_t,
    owner: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` is a pool that outlives `'p`.
    pub unsafe fn from_raw(raw: *mut ffi::apr_pool_t) -> Pool<'p> {
        Pool { raw, owner: PhantomData }
    }

    pub fn raw(self) -> *mut ffi::apr_pool_t {
        self.raw
    }

    /// Hands a value to the pool, which drops it when it is cleared or destroyed.
    pub fn adopt<T: 'static>(self, value: T) -> &'p T {
        // SAFETY: the box lives until the pool's cleanup, which `'p` does not outlive, and nobody else has the pointer.
        unsafe { &*self.adopt_raw(value) }
    }

    /// As [`Pool::adopt`], for values that are still written to.
    pub fn adopt_raw<T: 'static>(self, value: T) -> *mut T {
        unsafe extern "C" fn drop_it<T>(data: *mut c_void) -> ffi::apr_status_t {
            // SAFETY: `data` comes from Box::into_raw below, and APR runs a cleanup once.
            guard((), || drop(unsafe { Box::from_raw(data.cast::<T>()) }));
            ffi::APR_SUCCESS as ffi::apr_status_t
        }
        let value = Box::into_raw(Box::new(value));
        // SAFETY: the pool is alive; the child cleanup (before exec) does nothing, for the memory is the parent's.
        unsafe { ffi::apr_pool_cleanup_register(self.raw, value.cast(), Some(drop_it::<T>), Some(ffi::apr_pool_cleanup_null)) };
        value
    }

    /// Puts a value without a destructor into the pool.
    pub fn place<T: Copy>(self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= 8) };
        // SAFETY: apr_palloc answers memory of this size, aligned to 8 bytes.
        unsafe {
            let place = ffi::apr_palloc(self.raw, size_of::<T>() as ffi::apr_size_t).cast::<T>();
            place.write(value);
            place
        }
    }

    /// Text that C may keep. A NUL in it ends it there.
    pub fn text(self, text: &str) -> &'p CStr {
        // SAFETY: apr_pstrmemdup copies `len` bytes and adds the NUL.
        unsafe { CStr::from_ptr(ffi::apr_pstrmemdup(self.raw, text.as_ptr().cast::<c_char>(), text.len() as ffi::apr_size_t)) }
    }

    /// An array of texts, as C keeps lists.
    pub fn texts<'t>(self, texts: impl IntoIterator<Item = &'t str>) -> *mut ffi::apr_array_header_t {
        // SAFETY: the array holds pointers, and `apr_array_push` makes room for one more.
        unsafe {
            let array = ffi::apr_array_make(self.raw, 2, size_of::<*const c_char>() as c_int);
            for text in texts {
                ffi::apr_array_push(array).cast::<*const c_char>().write(self.text(text).as_ptr());
            }
            array
        }
    }
}

/// A pool of our own, which ends when it is dropped.
pub struct OwnPool(*mut ffi::apr_pool_t);

impl OwnPool {
    pub fn new() -> OwnPool {
        OwnPool::below_raw(std::ptr::null_mut())
    }

    /// One that ends before another.
    pub fn below(other: &OwnPool) -> OwnPool {
        OwnPool::below_raw(other.0)
    }

    fn below_raw(parent: *mut ffi::apr_pool_t) -> OwnPool {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the parent is alive, or null for the root of all pools, which has a mutex. APR ends the process if there is no memory.
        unsafe { ffi::apr_pool_create_ex(&raw mut raw, parent, None, std::ptr::null_mut()) };
        OwnPool(raw)
    }

    pub fn get(&self) -> Pool<'_> {
        Pool { raw: self.0, owner: PhantomData }
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        // SAFETY: made above, and destroyed once.
        unsafe { ffi::apr_pool_destroy(self.0) };
    }
}
