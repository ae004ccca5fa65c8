//! Values of ours in httpd's configuration vectors, by type: a wrong type is `None`, never undefined behaviour.

use std::any::Any;
use std::ffi::c_void;
use std::ptr::null_mut;

use super::record::module;
use super::{Pool, ffi};

/// What lies behind our index of a vector of a request.
type Slot = Box<dyn Any + Send + Sync>;

/// What the directives of a section say.
pub trait SectionConfig: Default + Any + Send + Sync {
    /// A struct of C that other modules may read: it comes first behind our index.
    type Public: Copy + 'static;
    fn public(&self, pool: Pool<'_>) -> Self::Public;
}

/// What lies behind our index of a vector of a section.
#[repr(C)]
pub struct Section<P> {
    public: P,
    own: Slot,
}

impl<P: Copy + 'static> Section<P> {
    pub fn make<C: SectionConfig<Public = P>>(pool: Pool<'_>, config: C) -> *mut Section<P> {
        pool.adopt_raw(Section { public: config.public(pool), own: Box::new(config) })
    }

    pub fn get<C: SectionConfig<Public = P>>(&self) -> Option<&C> {
        self.own.downcast_ref()
    }

    /// Runs `change`, and shows to others what came of it.
    pub fn change<C: SectionConfig<Public = P>, A>(&mut self, pool: Pool<'_>, change: impl FnOnce(&mut C) -> A) -> Option<A> {
        let config = self.own.downcast_mut::<C>()?;
        let answer = change(config);
        self.public = config.public(pool);
        Some(answer)
    }
}

/// # Safety
/// `vector` is a configuration vector of a section (or null) that lives for `'p`, with sections of `C` only under our index.
pub unsafe fn of_section<'p, C: SectionConfig>(vector: *const ffi::ap_conf_vector_t) -> Option<&'p C> {
    if vector.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    unsafe { ffi::ap_get_module_config(vector, module()).cast::<Section<C::Public>>().as_ref()?.get() }
}

fn boxed<T: Any + Send + Sync>(pool: Pool<'_>, value: T) -> *mut Slot {
    let slot: Slot = Box::new(value);
    pool.adopt_raw(slot)
}

/// # Safety
/// `slot` is null or comes from [`boxed`], and its pool is alive for `'p`.
unsafe fn downcast<'p, T: 'static>(slot: *const Slot) -> Option<&'p T> {
    // SAFETY: promised by the caller.
    unsafe { slot.as_ref()?.downcast_ref() }
}

/// # Safety
/// `vector` is the configuration vector of a request (or null) that lives for `'p`, with values of ours from [`set`] only.
pub unsafe fn get<'p, T: 'static>(vector: *const ffi::ap_conf_vector_t) -> Option<&'p T> {
    if vector.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    unsafe { downcast(ffi::ap_get_module_config(vector, module()).cast::<Slot>()) }
}

/// # Safety
/// As [`get`]; the pool lives as long as the vector.
pub unsafe fn set<'p, T: Any + Send + Sync>(vector: *mut ffi::ap_conf_vector_t, pool: Pool<'p>, value: T) -> &'p T {
    unsafe extern "C" fn forget(vector: *mut c_void) -> ffi::apr_status_t {
        // SAFETY: the vector lies in the pool that is being destroyed. Cleanups that run later find nothing in it.
        unsafe { ffi::ap_set_module_config(vector.cast(), module(), null_mut()) };
        ffi::APR_SUCCESS as ffi::apr_status_t
    }
    let slot = boxed(pool, value);
    // SAFETY: promised by the caller; the slot was just made with a T. The cleanup runs before the one that drops the value.
    unsafe {
        ffi::ap_set_module_config(vector, module(), slot.cast());
        ffi::apr_pool_cleanup_register(pool.raw(), vector.cast(), Some(forget), Some(ffi::apr_pool_cleanup_null));
        downcast(slot).expect("it was just made")
    }
}
