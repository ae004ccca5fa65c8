//! session_api.h as C reads it, against what Rust has made of it.

use std::mem::offset_of;

use crate::client::header::{self, Status, Type, flag};
use crate::httpd::ffi::{self, request_rec, session, session_api};

/// With the types that bindgen finds in the header.
type Table = header::Table<*mut request_rec, *mut session, ffi::session_status, ffi::session_type>;

/// Compiles only if a function has the same type in both.
fn same<F>(_: fn(&session_api) -> Option<F>, _: fn(&Table) -> F) {}

macro_rules! fields {
    ($($c:ident = $rust:ident),*) => {[$((stringify!($rust), offset_of!(session_api, $c), offset_of!(Table, $rust))),*]};
    ($($name:ident),*) => {{
        $(same(|header| header.$name, |table| table.$name);)*
        fields!($($name = $name),*)
    }};
}

#[test]
fn the_table_in_rust_is_that_of_the_header() {
    let fields = fields!(
        open,
        open_by_id,
        exists,
        type_of,
        get_text,
        get_int,
        get_float,
        get_bool,
        get_bytes,
        get_msgpack,
        set_null,
        set_text,
        set_int,
        set_float,
        set_bool,
        set_bytes,
        set_msgpack,
        add,
        unset,
        clear,
        each,
        len,
        load,
        save,
        revert,
        remove,
        invalidate,
        regenerate,
        expire,
        touch,
        lock,
        trylock,
        unlock,
        set_timeout,
        set_user,
        id,
        cookie_name,
        user,
        is_new,
        was_invalidated,
        created,
        accessed,
        timeout
    );
    same(|header| header.ref_, |table| table.reference);
    let others = fields!(size = size, ref_ = reference, http_status = http_status);
    assert_eq!(size_of::<session_api>(), size_of::<Table>());
    assert_eq!((fields.len() + others.len()) * size_of::<usize>(), size_of::<Table>(), "all fields are compared");
    for (name, header, rust) in fields.into_iter().chain(others) {
        assert_eq!(header, rust, "{name}");
    }
}

#[test]
fn the_numbers_in_rust_are_those_of_the_header() {
    macro_rules! number {
        ($kind:ident: $($c:ident = $rust:ident),*) => {$(assert_eq!(ffi::$c as i64, $kind::$rust as i64, stringify!($c));)*};
    }
    number!(Status: session_status_SESSION_OK = Ok, session_status_SESSION_NONE = None, session_status_SESSION_GONE = Gone,
        session_status_SESSION_BUSY = Busy, session_status_SESSION_OFF = Off, session_status_SESSION_TOO_LATE = TooLate,
        session_status_SESSION_TOO_LARGE = TooLarge, session_status_SESSION_BAD_KEY = BadKey, session_status_SESSION_BAD_TYPE = BadType,
        session_status_SESSION_CORRUPT = Corrupt, session_status_SESSION_STORE = Store, session_status_SESSION_PANIC = Panic);
    number!(Type: session_type_SESSION_NULL = Null, session_type_SESSION_BOOL = Bool, session_type_SESSION_INT = Int,
        session_type_SESSION_FLOAT = Float, session_type_SESSION_TEXT = Text, session_type_SESSION_BYTES = Bytes,
        session_type_SESSION_LIST = List, session_type_SESSION_MAP = Map);
    number!(flag: SESSION_CREATE = CREATE, SESSION_READ_ONLY = READ_ONLY, SESSION_NO_LOCK = NO_LOCK, SESSION_NO_TOUCH = NO_TOUCH);
}
