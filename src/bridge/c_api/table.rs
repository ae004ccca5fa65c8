//! The table that C gets, filled in.

use std::ffi::c_uint;

use super::handle::Handle;
use super::{facts, life, locking, values};
use crate::client::header::{self, Status, Type};
use crate::httpd::ffi::request_rec;

type Table = header::Table<*mut request_rec, *const Handle, Status, Type>;

static TABLE: Table = Table {
    size: size_of::<Table>(),
    open: life::open,
    open_by_id: life::open_by_id,
    exists: life::exists,
    type_of: values::type_of,
    get_text: values::get_text,
    get_int: values::get_int,
    get_float: values::get_float,
    get_bool: values::get_bool,
    get_bytes: values::get_bytes,
    get_msgpack: values::get_msgpack,
    set_null: values::set_null,
    set_text: values::set_text,
    set_int: values::set_int,
    set_float: values::set_float,
    set_bool: values::set_bool,
    set_bytes: values::set_bytes,
    set_msgpack: values::set_msgpack,
    add: values::add,
    unset: values::unset,
    clear: values::clear,
    each: values::each,
    len: values::len,
    load: life::load,
    save: life::save,
    revert: life::revert,
    remove: life::remove,
    invalidate: life::invalidate,
    regenerate: life::regenerate,
    expire: life::expire,
    touch: life::touch,
    lock: locking::lock,
    trylock: locking::trylock,
    unlock: locking::unlock,
    set_timeout: life::set_timeout,
    set_user: life::set_user,
    id: facts::id,
    reference: facts::reference,
    cookie_name: facts::cookie_name,
    user: facts::user,
    is_new: facts::is_new,
    was_invalidated: facts::was_invalidated,
    created: facts::created,
    accessed: facts::accessed,
    timeout: facts::timeout,
    http_status: facts::http_status,
};

/// The only version so far; `NULL` for any other.
pub extern "C" fn get(version: c_uint) -> *const Table {
    if version == 1 { &raw const TABLE } else { std::ptr::null() }
}
