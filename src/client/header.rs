//! `c_shim/session_api.h` in Rust: the table, field by field, and its numbers. Who offers the table fills in this struct, and who calls
//! it reads it, each with types of its own for what the pointers point to.

use std::ffi::{c_char, c_int, c_uint, c_void};

type Text = *const c_char;
type Bytes = *const c_void;
type Visit<Type> = unsafe extern "C" fn(*mut c_void, Text, Type) -> c_int;

/// `struct session_api`. `Request` and `Session` are pointers; `Status` and `Type` are numbers where another module writes them, for it
/// may be newer and know more of them.
#[repr(C)]
pub struct Table<Request, Session, Status, Type> {
    pub size: usize,
    pub open: unsafe extern "C" fn(Request, c_uint, *mut Session) -> Status,
    pub open_by_id: unsafe extern "C" fn(Request, Text, c_uint, *mut Session) -> Status,
    pub exists: unsafe extern "C" fn(Request, Text) -> Status,
    pub type_of: unsafe extern "C" fn(Session, Text, *mut Type) -> Status,
    pub get_text: unsafe extern "C" fn(Session, Text, *mut Text) -> Status,
    pub get_int: unsafe extern "C" fn(Session, Text, *mut i64) -> Status,
    pub get_float: unsafe extern "C" fn(Session, Text, *mut f64) -> Status,
    pub get_bool: unsafe extern "C" fn(Session, Text, *mut c_int) -> Status,
    pub get_bytes: unsafe extern "C" fn(Session, Text, *mut Bytes, *mut usize) -> Status,
    pub get_msgpack: unsafe extern "C" fn(Session, Text, *mut Bytes, *mut usize) -> Status,
    pub set_null: unsafe extern "C" fn(Session, Text) -> Status,
    pub set_text: unsafe extern "C" fn(Session, Text, Text) -> Status,
    pub set_int: unsafe extern "C" fn(Session, Text, i64) -> Status,
    pub set_float: unsafe extern "C" fn(Session, Text, f64) -> Status,
    pub set_bool: unsafe extern "C" fn(Session, Text, c_int) -> Status,
    pub set_bytes: unsafe extern "C" fn(Session, Text, Bytes, usize) -> Status,
    pub set_msgpack: unsafe extern "C" fn(Session, Text, Bytes, usize) -> Status,
    pub add: unsafe extern "C" fn(Session, Text, i64) -> Status,
    pub unset: unsafe extern "C" fn(Session, Text) -> Status,
    pub clear: unsafe extern "C" fn(Session) -> Status,
    pub each: unsafe extern "C" fn(Session, Option<Visit<Type>>, *mut c_void) -> Status,
    pub len: unsafe extern "C" fn(Session) -> usize,
    pub load: unsafe extern "C" fn(Session) -> Status,
    pub save: unsafe extern "C" fn(Session) -> Status,
    pub revert: unsafe extern "C" fn(Session) -> Status,
    pub remove: unsafe extern "C" fn(Session) -> Status,
    pub invalidate: unsafe extern "C" fn(Session) -> Status,
    pub regenerate: unsafe extern "C" fn(Session, c_int) -> Status,
    pub expire: unsafe extern "C" fn(Session) -> Status,
    pub touch: unsafe extern "C" fn(Session) -> Status,
    pub lock: unsafe extern "C" fn(Session, i64) -> Status,
    pub trylock: unsafe extern "C" fn(Session) -> Status,
    pub unlock: unsafe extern "C" fn(Session) -> Status,
    pub set_timeout: unsafe extern "C" fn(Session, i64) -> Status,
    pub set_user: unsafe extern "C" fn(Session, Text) -> Status,
    pub id: unsafe extern "C" fn(Session) -> Text,
    pub reference: unsafe extern "C" fn(Session) -> Text,
    pub cookie_name: unsafe extern "C" fn(Session) -> Text,
    pub user: unsafe extern "C" fn(Session) -> Text,
    pub is_new: unsafe extern "C" fn(Session) -> c_int,
    pub was_invalidated: unsafe extern "C" fn(Session) -> c_int,
    pub created: unsafe extern "C" fn(Session) -> i64,
    pub accessed: unsafe extern "C" fn(Session) -> i64,
    pub timeout: unsafe extern "C" fn(Session) -> i64,
    /// Takes any number: who asks may know statuses that the answering module does not.
    pub http_status: unsafe extern "C" fn(c_int) -> c_int,
}

/// `session_status`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok,
    None,
    Gone,
    Busy,
    Off,
    TooLate,
    TooLarge,
    BadKey,
    BadType,
    Corrupt,
    Store,
    Panic,
}

impl Status {
    const ALL: [Status; 12] = [
        Status::Ok,
        Status::None,
        Status::Gone,
        Status::Busy,
        Status::Off,
        Status::TooLate,
        Status::TooLarge,
        Status::BadKey,
        Status::BadType,
        Status::Corrupt,
        Status::Store,
        Status::Panic,
    ];

    pub fn of(number: c_int) -> Option<Status> {
        Status::ALL.into_iter().find(|status| *status as c_int == number)
    }
}

/// The type of a value (`session_type`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Null,
    Bool,
    /// 64 bits, signed.
    Int,
    /// 64 bits.
    Float,
    /// UTF-8.
    Text,
    Bytes,
    List,
    /// Its keys are text.
    Map,
}

impl Type {
    const ALL: [Type; 8] = [Type::Null, Type::Bool, Type::Int, Type::Float, Type::Text, Type::Bytes, Type::List, Type::Map];

    pub(crate) fn of(number: c_int) -> Option<Type> {
        Type::ALL.into_iter().find(|of_type| *of_type as c_int == number)
    }
}

/// The flags of `open` and `open_by_id`.
pub mod flag {
    use super::c_uint;

    pub const CREATE: c_uint = 1;
    pub const READ_ONLY: c_uint = 2;
    pub const NO_LOCK: c_uint = 4;
    pub const NO_TOUCH: c_uint = 8;
}
