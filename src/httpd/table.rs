//! APR tables: keys without case, values without NUL, and possibly several entries for one key.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;

use super::ffi;

#[derive(Clone, Copy)]
pub struct Table<'p> {
    raw: *mut ffi::apr_table_t,
    owner: PhantomData<&'p ()>,
}

impl<'p> Table<'p> {
    /// # Safety
    /// `raw` is a table that outlives `'p` and is used by this thread only.
    pub unsafe fn from_raw(raw: *mut ffi::apr_table_t) -> Table<'p> {
        Table { raw, owner: PhantomData }
    }

    pub fn is_same(self, other: Table<'_>) -> bool {
        self.raw == other.raw
    }

    pub fn raw(self) -> *mut ffi::apr_table_t {
        self.raw
    }

    /// A copy in the pool of the table. What C strings cannot hold (a NUL) has none.
    fn copy(self, bytes: &[u8]) -> Option<*const c_char> {
        // SAFETY: apr_table_elts shows the pool that the table lives in; the copy gets its NUL from APR.
        let copy =
            || unsafe { ffi::apr_pstrmemdup((*ffi::apr_table_elts(self.raw)).pool, bytes.as_ptr().cast(), bytes.len() as ffi::apr_size_t) };
        (!bytes.contains(&0)).then(|| copy().cast_const())
    }

    /// Replaces all entries of a key. What C strings cannot hold (a NUL) is not set.
    pub fn set(self, key: &[u8], value: &[u8]) {
        if let (Some(key), Some(value)) = (self.copy(key), self.copy(value)) {
            // SAFETY: both are NUL-terminated and live as long as the table.
            unsafe { ffi::apr_table_setn(self.raw, key, value) }
        }
    }

    /// As [`Table::set`], for a key that is not there, which is not looked for.
    pub fn set_new(self, key: &[u8], value: &[u8]) {
        if let (Some(key), Some(value)) = (self.copy(key), self.copy(value)) {
            // SAFETY: as above.
            unsafe { ffi::apr_table_addn(self.raw, key, value) }
        }
    }

    /// As [`Table::set`], without a copy of the key.
    pub fn set_static(self, key: &'static CStr, value: &[u8]) {
        if let Some(value) = self.copy(value) {
            // SAFETY: as above.
            unsafe { ffi::apr_table_setn(self.raw, key.as_ptr(), value) }
        }
    }

    /// Adds an entry beside those that are there.
    pub fn add(self, key: &CStr, value: &str) {
        if let Ok(value) = CString::new(value) {
            // SAFETY: the key is a NUL-terminated static or lives in the pool of the table; the value is copied.
            unsafe { ffi::apr_table_add(self.raw, key.as_ptr(), value.as_ptr()) }
        }
    }

    pub fn clear(self) {
        // SAFETY: a live table.
        unsafe { ffi::apr_table_clear(self.raw) }
    }

    pub fn unset(self, key: &CStr) {
        // SAFETY: a NUL-terminated key.
        unsafe { ffi::apr_table_unset(self.raw, key.as_ptr()) }
    }

    /// All entries of a key, as one header field.
    pub fn joined(self, key: &CStr) -> Option<String> {
        self.get(key)?; // most often there is none, which APR knows at once
        let values: Vec<_> = self.of_key(key).into_iter().map(String::from_utf8_lossy).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The values of all entries of a key, in their order.
    pub fn of_key(self, key: &CStr) -> Vec<&'p [u8]> {
        self.collect(key.to_bytes().first(), |name, value| name.eq_ignore_ascii_case(key.to_bytes()).then(|| value.to_bytes()))
    }

    pub fn get(self, key: &CStr) -> Option<&'p CStr> {
        // SAFETY: values of a table are NUL-terminated and live in its pool.
        unsafe {
            let value = ffi::apr_table_get(self.raw, key.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }

    /// A copy of the entries, in their order: other code may change the table while they are looked at.
    pub fn entries(self) -> Vec<(&'p [u8], &'p [u8])> {
        self.collect(None, |key, value| Some((key, value.to_bytes())))
    }

    /// The entries whose keys begin with a prefix, with what is behind it.
    pub fn of_prefix(self, prefix: &[u8]) -> Vec<(&'p [u8], &'p [u8])> {
        self.collect(prefix.first(), |name, value| {
            let (begin, key) = name.split_at_checked(prefix.len())?;
            // Nearly always in the same case, which is sooner seen.
            (begin == prefix || begin.eq_ignore_ascii_case(prefix)).then(|| (key, value.to_bytes()))
        })
    }

    /// What `take` makes of each entry whose key has this first byte, in either case: most have another. It must not change the table.
    fn collect<T>(self, first: Option<&u8>, take: impl Fn(&'p [u8], &'p CStr) -> Option<T>) -> Vec<T> {
        // SAFETY: apr_table_elts shows `nelts` entries; strings live in the table's pool, which is not freed before the request.
        unsafe {
            let array = &*ffi::apr_table_elts(self.raw);
            let entries = array.elts.cast::<ffi::apr_table_entry_t>();
            (0..usize::try_from(array.nelts).unwrap_or(0))
                .map(|i| &*entries.add(i))
                .filter(|entry| !entry.key.is_null() && !entry.val.is_null())
                .filter(|entry| first.is_none_or(|first| first.eq_ignore_ascii_case(&*entry.key.cast::<u8>())))
                .filter_map(|entry| take(CStr::from_ptr(entry.key).to_bytes(), CStr::from_ptr(entry.val)))
                .collect()
        }
    }
}
