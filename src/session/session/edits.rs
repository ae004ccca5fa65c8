//! What is done to a session: by doors with types and case, and by those that know text under keys of any spelling only.

use super::{ChangeError, Session};
use crate::session::mirror::Edit;
use crate::session::value::{KeyError, Value, check_key};

impl Session {
    /// # Errors
    /// A key that is malformed or differs from an existing one only in case, or too much data. Nothing is changed then.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), ChangeError> {
        self.values().check(key)?;
        let replaced = self.values().get(key).map_or(0, |old| key.len() + 2 + old.weight());
        if self.values().weight() - replaced + key.len() + 2 + value.weight() > self.max_size {
            return Err(ChangeError::TooLarge);
        }
        self.values_mut().set(key, value.clone());
        self.changes.set(key, value);
        Ok(())
    }

    /// # Errors
    /// As [`Session::set`], or the value there is not an integer.
    pub fn add(&mut self, key: &str, delta: i64) -> Result<(), ChangeError> {
        let before = match self.values().get(key) {
            None => 0,
            Some(Value::Int(number)) => *number,
            Some(_) => return Err(ChangeError::NotAnInteger),
        };
        let sum = Value::Int(before.saturating_add(delta));
        self.values().check(key)?;
        if self.values().get(key).is_none() && self.values().weight() + key.len() + 2 + sum.weight() > self.max_size {
            return Err(ChangeError::TooLarge);
        }
        self.values_mut().set(key, sum);
        self.changes.add(key, delta);
        if before.checked_add(delta).is_none() {
            self.changes.reach_an_end();
        }
        Ok(())
    }

    /// Removes a value; one that is not there is no error.
    ///
    /// # Errors
    /// The key is malformed.
    pub fn unset(&mut self, key: &str) -> Result<(), KeyError> {
        check_key(key)?;
        if self.values().find(key).is_some_and(|(spelled, _)| spelled != key) {
            return Err(KeyError::CaseConflict);
        }
        self.values_mut().remove(key);
        self.changes.unset(key);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.values_mut().clear();
        self.changes.clear();
    }

    pub fn set_timeout(&mut self, seconds: u64) {
        self.revise();
        self.new_timeout = Some(seconds);
    }

    /// Sets the owner; `None`: nobody.
    pub fn set_user(&mut self, user: Option<String>) {
        self.revise();
        self.new_user = Some(user);
    }

    /// Takes a change of the owner back.
    pub fn revert_user(&mut self) {
        self.revise();
        self.new_user = None;
    }

    /// Sets what a door without types and case delivers: the existing key keeps its spelling, and its type if the text fits.
    ///
    /// # Errors
    /// As [`Session::set`].
    fn set_plain(&mut self, key: &str, bytes: Vec<u8>) -> Result<(), ChangeError> {
        match self.values().find(key).map(|(spelled, value)| (spelled.to_owned(), value.rewritten(bytes.clone()))) {
            Some((spelled, value)) => self.set(&spelled, value),
            None => self.set(key, Value::from_plain(bytes)),
        }
    }

    /// Removes a key in any spelling.
    fn unset_plain(&mut self, key: &str) {
        if let Some(spelled) = self.values().find(key).map(|(spelled, _)| spelled.to_owned()) {
            self.values_mut().remove(&spelled);
            self.changes.unset(&spelled);
        }
    }

    /// Does what somebody did to a picture of the values; answers what could not be done.
    pub fn apply(&mut self, edits: Vec<Edit>) -> Vec<(String, ChangeError)> {
        let mut refused = Vec::new();
        for edit in edits {
            match edit {
                Edit::Unset(key) => self.unset_plain(&key),
                Edit::Set(key, plain) => {
                    if let Err(error) = self.set_plain(&key, plain) {
                        refused.push((key, error));
                    }
                }
            }
        }
        refused
    }
}
