//! What doors without types and case do to a session: text under keys of any spelling.

use super::{ChangeError, Session};
use crate::session::mirror::Edit;
use crate::session::value::Value;

impl Session {
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
