//! What a session holds, as a plain map, and what is done to it.

use std::collections::BTreeMap;

use mod_session_rs::session::session::ChangeError;
use mod_session_rs::session::value::KeyError;
use mod_session_rs::session::{Session, Value, Values};

#[derive(Debug, Clone)]
pub enum Edit {
    Set(String, Value),
    Unset(String),
    Clear,
    Add(String, i64),
}

impl Edit {
    pub fn apply_to(&self, session: &mut Session) -> Result<(), ChangeError> {
        match self {
            Edit::Set(key, value) => session.set(key, value.clone()),
            Edit::Add(key, delta) => session.add(key, *delta),
            Edit::Unset(key) => session.unset(key).map_err(ChangeError::from),
            Edit::Clear => {
                session.clear();
                Ok(())
            }
        }
    }

    fn key_mut(&mut self) -> Option<&mut String> {
        match self {
            Edit::Set(key, _) | Edit::Unset(key) | Edit::Add(key, _) => Some(key),
            Edit::Clear => None,
        }
    }

    /// A later edit has spelled the key as it was seen by then: if nobody else has it any more, that spelling counts.
    pub fn respell(&mut self, later: &Edit) {
        let mut later = later.clone();
        if let (Some(key), Some(spelled)) = (self.key_mut(), later.key_mut())
            && key.eq_ignore_ascii_case(spelled)
        {
            key.clone_from(spelled);
        }
    }
}

/// What the contract leaves open is decided by what is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    Either,
}

impl Verdict {
    pub fn of(surely: bool, possibly: bool) -> Verdict {
        match (surely, possibly) {
            (true, _) => Verdict::Yes,
            (false, true) => Verdict::Either,
            (false, false) => Verdict::No,
        }
    }

    pub fn allows(self, seen: bool) -> bool {
        self == Verdict::Either || (self == Verdict::Yes) == seen
    }
}

/// By key in small letters: the key as it is spelled, and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents(BTreeMap<String, (String, Value)>);

impl Contents {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&key.to_ascii_lowercase()).filter(|(spelled, _)| spelled == key).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.values().map(|(key, value)| (key.as_str(), value))
    }

    pub fn removals(&self) -> Vec<Edit> {
        self.0.values().map(|(key, _)| Edit::Unset(key.clone())).collect()
    }

    /// Done to whatever is there: this is how a commit changes the newest record.
    pub fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Clear => self.0.clear(),
            Edit::Unset(key) => {
                self.0.remove(&key.to_ascii_lowercase());
            }
            Edit::Set(key, value) => self.put(key, value.clone()),
            Edit::Add(key, delta) => {
                let before = match self.0.get(&key.to_ascii_lowercase()) {
                    Some((_, Value::Int(number))) => *number,
                    _ => 0,
                };
                self.put(key, Value::Int(before.saturating_add(*delta)));
            }
        }
    }

    /// A key that is there keeps its spelling.
    fn put(&mut self, key: &str, value: Value) {
        self.0.entry(key.to_ascii_lowercase()).or_insert_with(|| (key.to_owned(), Value::Null)).1 = value;
    }

    /// What keeps an application from doing this to what it sees, apart from its size.
    pub fn refusal(&self, edit: &Edit) -> Option<ChangeError> {
        let (Edit::Set(key, _) | Edit::Unset(key) | Edit::Add(key, _)) = edit else { return None };
        if !(1..=128).contains(&key.len()) {
            return Some(KeyError::Length.into());
        }
        if key.chars().any(char::is_control) {
            return Some(KeyError::Control.into());
        }
        match self.0.get(&key.to_ascii_lowercase()) {
            Some((spelled, _)) if spelled != key => Some(KeyError::CaseConflict.into()),
            Some((_, value)) if matches!(edit, Edit::Add(..)) && !matches!(value, Value::Int(_)) => Some(ChangeError::NotAnInteger),
            _ => None,
        }
    }

    /// Whether this fits, with so many bytes beside it. A format may be more or less thrifty.
    pub fn fits(&self, most: usize, framing: usize) -> Verdict {
        let (mut least, mut most_needed) = (0, framing);
        for (key, value) in self.0.values() {
            least += key.len() + least_size(value);
            most_needed += key.len() + 5 + most_size(value);
        }
        Verdict::of(most_needed <= most, least <= most)
    }

    pub fn is_shown_by(&self, values: &Values) -> bool {
        values.len() == self.len() && self.iter().eq(values.iter())
    }
}

fn least_size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(least_size).sum(),
        Value::Map(items) => items.iter().map(|(key, value)| key.len() + least_size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 1,
    }
}

fn most_size(value: &Value) -> usize {
    let inside = match value {
        Value::List(items) => items.iter().map(most_size).sum(),
        Value::Map(items) => items.iter().map(|(key, value)| key.len() + 5 + most_size(value)).sum(),
        _ => least_size(value),
    };
    inside + 9
}
