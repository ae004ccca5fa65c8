//! Values through the C interface.

use std::ffi::{c_char, c_int, c_void};

use super::handle::{Handle, bytes, change, fact, inside, key, put};
use super::{Answer, Status};
use crate::client::header::Type;
use crate::session::Value;
use crate::session::value::ValueError;

type Session = *const Handle;
type Key = *const c_char;

impl Type {
    fn of_value(value: &Value) -> Type {
        match value {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Text(_) => Type::Text,
            Value::Bytes(_) => Type::Bytes,
            Value::List(_) => Type::List,
            Value::Map(_) => Type::Map,
        }
    }
}

/// The value of a key, as `pick` takes it.
///
/// # Safety
/// As for every function of the table: the handle is null or lives, the key is null or NUL-terminated.
unsafe fn get<T>(s: Session, k: Key, pick: impl FnOnce(&Value) -> Option<T>) -> Answer<T> {
    // SAFETY: (here and below) promised by the caller, as session_api.h demands.
    unsafe {
        inside(s, |inside| {
            let value = inside.slot.session.values().get(key(k)?).ok_or(Status::None)?;
            pick(value).ok_or(Status::BadType)
        })
    }
}

unsafe fn set(s: Session, k: Key, value: Answer<Value>) -> Status {
    unsafe { change(s, |inside| Ok(inside.slot.session.set(key(k)?, value?)?)) }
}

pub unsafe extern "C" fn type_of(s: Session, k: Key, out: *mut Type) -> Status {
    unsafe { get(s, k, |value| Some(Type::of_value(value))).and_then(|value| put(out, value)) }.into()
}

pub unsafe extern "C" fn get_text(s: Session, k: Key, out: *mut *const c_char) -> Status {
    let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
    unsafe { get(s, k, text).and_then(|text| inside(s, |inside| inside.lend_text(&text))).and_then(|text| put(out, text)) }.into()
}

pub unsafe extern "C" fn get_int(s: Session, k: Key, out: *mut i64) -> Status {
    let int = |value: &Value| if let Value::Int(number) = value { Some(*number) } else { None };
    unsafe { get(s, k, int).and_then(|number| put(out, number)) }.into()
}

pub unsafe extern "C" fn get_float(s: Session, k: Key, out: *mut f64) -> Status {
    let float = |value: &Value| if let Value::Float(number) = value { Some(*number) } else { None };
    unsafe { get(s, k, float).and_then(|number| put(out, number)) }.into()
}

pub unsafe extern "C" fn get_bool(s: Session, k: Key, out: *mut c_int) -> Status {
    let flag = |value: &Value| if let Value::Bool(flag) = value { Some(c_int::from(*flag)) } else { None };
    unsafe { get(s, k, flag).and_then(|flag| put(out, flag)) }.into()
}

pub unsafe extern "C" fn get_bytes(s: Session, k: Key, out: *mut *const c_void, len: *mut usize) -> Status {
    let bytes = |value: &Value| if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None };
    unsafe { get(s, k, bytes).and_then(|bytes| lend(s, bytes, out, len)) }.into()
}

pub unsafe extern "C" fn get_msgpack(s: Session, k: Key, out: *mut *const c_void, len: *mut usize) -> Status {
    unsafe { get(s, k, |value| Some(value.to_msgpack())).and_then(|bytes| lend(s, bytes, out, len)) }.into()
}

unsafe fn lend(s: Session, bytes: Vec<u8>, out: *mut *const c_void, len: *mut usize) -> Answer {
    let count = bytes.len();
    unsafe {
        let place = inside(s, |inside| Ok(inside.lend(bytes)))?;
        put(len, count)?;
        put(out, place)
    }
}

pub unsafe extern "C" fn set_null(s: Session, k: Key) -> Status {
    unsafe { set(s, k, Ok(Value::Null)) }
}

pub unsafe extern "C" fn set_text(s: Session, k: Key, text: *const c_char) -> Status {
    // A text has the same rules as a key here: NUL-terminated UTF-8.
    let text = unsafe { key(text) }.map(|text| Value::Text(text.to_owned())).map_err(|_| Status::BadType);
    unsafe { set(s, k, text) }
}

pub unsafe extern "C" fn set_int(s: Session, k: Key, number: i64) -> Status {
    unsafe { set(s, k, Ok(Value::Int(number))) }
}

pub unsafe extern "C" fn set_float(s: Session, k: Key, number: f64) -> Status {
    unsafe { set(s, k, Ok(Value::Float(number))) }
}

pub unsafe extern "C" fn set_bool(s: Session, k: Key, flag: c_int) -> Status {
    unsafe { set(s, k, Ok(Value::Bool(flag != 0))) }
}

pub unsafe extern "C" fn set_bytes(s: Session, k: Key, data: *const c_void, len: usize) -> Status {
    unsafe { set(s, k, bytes(data, len).map(|bytes| Value::Bytes(bytes.to_vec()))) }
}

pub unsafe extern "C" fn set_msgpack(s: Session, k: Key, data: *const c_void, len: usize) -> Status {
    let value = unsafe { bytes(data, len) }.and_then(|bytes| {
        Value::from_msgpack(bytes).map_err(|error| match error {
            ValueError::Depth => Status::TooLarge,
            ValueError::Format(_) => Status::BadType,
        })
    });
    unsafe { set(s, k, value) }
}

pub unsafe extern "C" fn add(s: Session, k: Key, delta: i64) -> Status {
    unsafe { change(s, |inside| Ok(inside.slot.session.add(key(k)?, delta)?)) }
}

pub unsafe extern "C" fn unset(s: Session, k: Key) -> Status {
    unsafe { change(s, |inside| Ok(inside.slot.session.unset(key(k)?)?)) }
}

pub unsafe extern "C" fn clear(s: Session) -> Status {
    unsafe {
        change(s, |inside| {
            inside.slot.session.clear();
            Ok(())
        })
    }
}

type Visit = unsafe extern "C" fn(*mut c_void, *const c_char, Type) -> c_int;

/// Shows what there is when the call begins: `visit` may use the session, and change it.
pub unsafe extern "C" fn each(s: Session, visit: Option<Visit>, ctx: *mut c_void) -> Status {
    let keys = unsafe {
        inside(s, |inside| {
            let keys: Vec<_> = inside.slot.session.values().iter().map(|(key, value)| (key.to_owned(), Type::of_value(value))).collect();
            keys.into_iter().map(|(key, of_type)| Ok((inside.lend_text(&key)?, of_type))).collect::<Answer<Vec<_>>>()
        })
    };
    match (keys, visit) {
        (Ok(keys), Some(visit)) => {
            for (key, of_type) in keys {
                // SAFETY: the callback of the caller, with the context it gave.
                if unsafe { visit(ctx, key, of_type) } == 0 {
                    break;
                }
            }
            Status::Ok
        }
        (Err(status), _) => status,
        (Ok(_), None) => Status::BadType,
    }
}

pub unsafe extern "C" fn len(s: Session) -> usize {
    unsafe { fact(s, 0, |inside| Ok(inside.slot.session.values().len())) }
}
