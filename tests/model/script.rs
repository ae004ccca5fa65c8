//! What a request is told to do, as the test handler reads it from the query string.

use std::fmt::Write;

use fastrand::Rng;
use mod_session_rs::session::Value;

use crate::choice;
use crate::contents::Edit;
use crate::page::hex;

#[derive(Debug, Clone)]
pub enum Op {
    Edit(Edit),
    Timeout(u64),
    User(Option<String>),
    Get(String),
    Each,
    Len,
    AskUser,
    AskTimeout,
    IsNew,
    WasInvalidated,
    Save,
    Load,
    Revert,
    Remove,
    Invalidate,
    Regenerate { privilege: bool },
    Expire,
}

impl Op {
    pub fn any(rng: &mut Rng) -> Op {
        match rng.u32(..60) {
            0..24 => Op::Edit(choice::edit(rng)),
            24..34 => Op::Get(choice::key(rng)),
            34..38 => Op::Each,
            38 => Op::Len,
            39 => Op::AskUser,
            40 => Op::AskTimeout,
            41 => Op::IsNew,
            42 => Op::WasInvalidated,
            43 => Op::Timeout(rng.u64(1000..9000)),
            44..46 => Op::User(choice::user(rng)),
            46..49 => Op::Save,
            49..51 => Op::Load,
            51 => Op::Revert,
            52 => Op::Remove,
            53 => Op::Invalidate,
            54..57 => Op::Regenerate { privilege: false },
            57 => Op::Regenerate { privilege: true },
            58 => Op::Expire,
            _ => Op::Edit(Edit::Clear),
        }
    }

    pub fn query(&self) -> String {
        match self {
            Op::Edit(edit) => query_of(edit),
            Op::Timeout(seconds) => format!("set_timeout={seconds}"),
            Op::User(user) => format!("set_user={}", user.as_deref().unwrap_or_default()),
            Op::Get(key) => format!("get_msgpack={}", escaped(key)),
            Op::Each => "each".into(),
            Op::Len => "len".into(),
            Op::AskUser => "user".into(),
            Op::AskTimeout => "timeout".into(),
            Op::IsNew => "is_new".into(),
            Op::WasInvalidated => "was_invalidated".into(),
            Op::Save => "save".into(),
            Op::Load => "load".into(),
            Op::Revert => "revert".into(),
            Op::Remove => "remove".into(),
            Op::Invalidate => "invalidate".into(),
            Op::Regenerate { privilege } => format!("regenerate={}", u8::from(*privilege)),
            Op::Expire => "expire".into(),
        }
    }
}

fn query_of(edit: &Edit) -> String {
    let (key, value) = match edit {
        Edit::Clear => return "clear".into(),
        Edit::Unset(key) => return format!("unset={}", escaped(key)),
        Edit::Add(key, delta) => return format!("add={}:{delta}", escaped(key)),
        Edit::Set(key, value) => (escaped(key), value),
    };
    match value {
        Value::Null => format!("set_null={key}"),
        Value::Bool(flag) => format!("set_bool={key}:{}", u8::from(*flag)),
        Value::Int(number) => format!("set_int={key}:{number}"),
        Value::Float(number) => format!("set_float={key}:{number}"),
        Value::Text(text) => format!("set_text={key}:{}", escaped(text)),
        Value::Bytes(_) | Value::List(_) | Value::Map(_) => format!("set_msgpack={key}:{}", hex(value)),
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = if byte.is_ascii_alphanumeric() { write!(escaped, "{}", char::from(byte)) } else { write!(escaped, "%{byte:02X}") };
        escaped
    })
}
