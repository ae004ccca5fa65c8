//! The table that C gets: `struct session_api`, field by field.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::handle::Handle;
use super::values::Type;
use super::{Status, facts, life, locking, values};
use crate::httpd::ffi::request_rec;

type Request = *mut request_rec;
type Session = *const Handle;
type Text = *const c_char;
type Visit = unsafe extern "C" fn(*mut c_void, Text, Type) -> c_int;

macro_rules! table {
    ($($name:ident: ($($arg:ty),*) -> $answer:ty = $function:expr;)*) => {
        #[repr(C)]
        pub struct Table {
            size: usize,
            $($name: unsafe extern "C" fn($($arg),*) -> $answer,)*
        }

        static TABLE: Table = Table { size: size_of::<Table>(), $($name: $function,)* };
    };
}

table! {
    open: (Request, c_uint, *mut Session) -> Status = life::open;
    open_by_id: (Request, Text, c_uint, *mut Session) -> Status = life::open_by_id;
    exists: (Request, Text) -> Status = life::exists;
    type_of: (Session, Text, *mut Type) -> Status = values::type_of;
    get_text: (Session, Text, *mut Text) -> Status = values::get_text;
    get_int: (Session, Text, *mut i64) -> Status = values::get_int;
    get_float: (Session, Text, *mut f64) -> Status = values::get_float;
    get_bool: (Session, Text, *mut c_int) -> Status = values::get_bool;
    get_bytes: (Session, Text, *mut *const c_void, *mut usize) -> Status = values::get_bytes;
    get_msgpack: (Session, Text, *mut *const c_void, *mut usize) -> Status = values::get_msgpack;
    set_null: (Session, Text) -> Status = values::set_null;
    set_text: (Session, Text, Text) -> Status = values::set_text;
    set_int: (Session, Text, i64) -> Status = values::set_int;
    set_float: (Session, Text, f64) -> Status = values::set_float;
    set_bool: (Session, Text, c_int) -> Status = values::set_bool;
    set_bytes: (Session, Text, *const c_void, usize) -> Status = values::set_bytes;
    set_msgpack: (Session, Text, *const c_void, usize) -> Status = values::set_msgpack;
    add: (Session, Text, i64) -> Status = values::add;
    unset: (Session, Text) -> Status = values::unset;
    clear: (Session) -> Status = values::clear;
    each: (Session, Option<Visit>, *mut c_void) -> Status = values::each;
    len: (Session) -> usize = values::len;
    load: (Session) -> Status = life::load;
    save: (Session) -> Status = life::save;
    revert: (Session) -> Status = life::revert;
    remove: (Session) -> Status = life::remove;
    invalidate: (Session) -> Status = life::invalidate;
    regenerate: (Session, c_int) -> Status = life::regenerate;
    expire: (Session) -> Status = life::expire;
    touch: (Session) -> Status = life::touch;
    lock: (Session, i64) -> Status = locking::lock;
    trylock: (Session) -> Status = locking::trylock;
    unlock: (Session) -> Status = locking::unlock;
    set_timeout: (Session, i64) -> Status = life::set_timeout;
    set_user: (Session, Text) -> Status = life::set_user;
    id: (Session) -> Text = facts::id;
    reference: (Session) -> Text = facts::reference;
    cookie_name: (Session) -> Text = facts::cookie_name;
    user: (Session) -> Text = facts::user;
    is_new: (Session) -> c_int = facts::is_new;
    was_invalidated: (Session) -> c_int = facts::was_invalidated;
    created: (Session) -> i64 = facts::created;
    accessed: (Session) -> i64 = facts::accessed;
    timeout: (Session) -> i64 = facts::timeout;
    http_status: (c_int) -> c_int = facts::http_status;
}

/// The only version so far; `NULL` for any other.
pub extern "C" fn get(version: c_uint) -> *const Table {
    if version == 1 { &raw const TABLE } else { std::ptr::null() }
}
