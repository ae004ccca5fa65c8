//! One session as the requests of a tree see it: the record as last read or written, and the changes since.

use super::changes::Changes;
use super::expiry::Expiry;
use super::id::{Id, Key};
use super::record::Record;
use super::time::Timestamp;
use super::value::KeyError;
use super::values::Values;

pub use loaded::{Kept, Loaded};

/// How the session stands to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is stored yet.
    New,
    /// The store holds it, with this expiry.
    Stored(Timestamp),
    /// This request took the storage away; a save creates it anew under the same id.
    Removed,
    /// Somebody else deleted, invalidated or outlived it meanwhile: nothing revives it.
    Gone,
}

/// What a commit has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Nothing,
    Create,
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the session would grow beyond SessionMaxSize")]
    TooLarge,
    #[error("the value is not an integer")]
    NotAnInteger,
}

/// What a commit makes of the newest record.
#[derive(Debug, PartialEq)]
pub struct Merged {
    pub record: Record,
    pub expires: Timestamp,
    /// A renewal was due, and is in it.
    pub renews: bool,
}

/// Bytes of the longest name of a user.
pub const MAX_USER: usize = 255;

/// Whether a text can name the owner of a session; nobody is the empty text.
#[must_use]
pub fn is_user(name: &str) -> bool {
    name.len() <= MAX_USER && !name.chars().any(char::is_control)
}

#[derive(Debug)]
pub struct Session {
    identity: Option<(Id, Key)>,
    phase: Phase,
    /// As last read or written.
    base: Record,
    /// The values with the changes of this request; `None`: none yet, they are those of `base`.
    changed: Option<Values>,
    changes: Changes,
    new_timeout: Option<u64>,
    /// Set by this request; `Some(None)`: to nobody.
    new_user: Option<Option<String>>,
    renews: bool,
    /// It was found by its id, which the client has thereby presented. One that began blank was not, however often it is opened in
    /// the tree that made it.
    presents: bool,
    opened: Timestamp,
    max_size: usize,
    /// How often it was changed or read again: pictures of it may be old.
    revision: u32,
    /// What `base` was read from, as long as it is that but for the access.
    loaded: Option<Loaded>,
}

impl Session {
    /// A session that nothing is stored of.
    #[must_use]
    pub fn blank(now: Timestamp, timeout: u64, max_size: usize) -> Session {
        let base = Record { incarnation: 0, created: now, accessed: now, timeout, presented: false, user: None, values: Values::default() };
        Session::new(None, Phase::New, base, now, max_size)
    }

    /// A session as the store holds it.
    #[must_use]
    pub fn stored(id: Id, key: Key, record: Record, expires: Timestamp, now: Timestamp, max_size: usize) -> Session {
        Session::new(Some((id, key)), Phase::Stored(expires), record, now, max_size)
    }

    fn new(identity: Option<(Id, Key)>, phase: Phase, base: Record, opened: Timestamp, max_size: usize) -> Session {
        Session {
            presents: identity.is_some(),
            identity,
            phase,
            base,
            changed: None,
            changes: Changes::default(),
            new_timeout: None,
            new_user: None,
            renews: false,
            opened,
            max_size,
            revision: 0,
            loaded: None,
        }
    }

    /// Another number whenever values, owner or timeout may have changed.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }

    fn revise(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        self.identity.as_ref().map(|(id, _)| id)
    }

    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.identity.as_ref().map(|(_, key)| key)
    }

    /// Gives a session its id: a new one before the first save, for those who ask; another one to a session that has moved.
    pub fn identify(&mut self, id: Id, key: Key) {
        self.identity = Some((id, key));
    }

    /// A session that is not stored draws another id when it is needed.
    pub fn forget_id(&mut self) {
        self.identity = None;
    }

    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.base.incarnation
    }

    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.base.created.not_after(self.opened)
    }

    /// The access before this one.
    #[must_use]
    pub fn accessed(&self) -> Timestamp {
        self.base.accessed.not_after(self.opened)
    }

    #[must_use]
    pub fn timeout(&self) -> u64 {
        self.new_timeout.unwrap_or(self.base.timeout)
    }

    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.new_user.as_ref().unwrap_or(&self.base.user).as_deref()
    }

    #[must_use]
    pub fn values(&self) -> &Values {
        self.changed.as_ref().unwrap_or(&self.base.values)
    }

    fn values_mut(&mut self) -> &mut Values {
        self.revise();
        self.changed.get_or_insert_with(|| self.base.values.clone())
    }

    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.new_timeout.is_some() || self.new_user.is_some()
    }

    /// Whether there is nothing that is worth a record and a cookie.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().is_empty() && self.user().is_none()
    }

    #[must_use]
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// An open that renews the session.
    pub fn renew(&mut self) {
        self.renews = true;
    }

    /// Whether this request's renewal of a record has to be written.
    #[must_use]
    pub fn touch_due(&self, record: &Record, expires: Timestamp, rules: &Expiry, now: Timestamp) -> bool {
        rules.touch_due(record, expires, self.presents, now)
    }

    /// Drops the changes since the last load or save.
    pub fn revert(&mut self) {
        self.revise();
        self.changed = None;
        self.changes = Changes::default();
        (self.new_timeout, self.new_user) = (None, None);
    }

    /// What a commit at `now` has to do.
    #[must_use]
    pub fn intent(&self, rules: &Expiry, now: Timestamp) -> Intent {
        match self.phase {
            Phase::New | Phase::Removed if self.has_changes() && !self.is_empty() => Intent::Create,
            Phase::Stored(expires) if self.has_changes() || (self.renews && self.touch_due(&self.base, expires, rules, now)) => {
                Intent::Update
            }
            _ => Intent::Nothing,
        }
    }

    /// The record of a session that is stored for the first time, or anew.
    #[must_use]
    pub fn record_to_create(&self, incarnation: u64, now: Timestamp) -> Record {
        Record {
            incarnation,
            created: now,
            accessed: now,
            timeout: self.timeout(),
            presented: self.presents,
            user: self.user().map(str::to_owned),
            values: self.values().clone(),
        }
    }

    /// Our changes on the newest record; `None`: that is another session or past its life.
    #[must_use]
    pub fn merged(&self, mut newest: Record, expires: Timestamp, rules: &Expiry, now: Timestamp) -> Option<Merged> {
        if newest.incarnation != self.base.incarnation || !rules.takes_commit(&newest, expires, self.has_changes(), now) {
            return None;
        }
        // Where it is not due, the expiry stays where it is also if something is written: it is in time still.
        let renews = self.renews && (self.new_timeout.is_some() || self.touch_due(&newest, expires, rules, now));
        match &self.changed {
            Some(changed) if newest.values.is_copy_of(&self.base.values) && !self.changes.reached_an_end() => {
                // By their looks, for no NaN equals itself.
                debug_assert_eq!(format!("{changed:?}"), format!("{:?}", self.changes.applied(&newest.values)));
                newest.values = changed.clone();
            }
            _ => self.changes.apply(&mut newest.values),
        }
        if renews {
            // The clock may have been set back since this request began.
            newest.accessed = newest.accessed.not_after(now).max(self.opened.not_after(now));
        }
        // Where that moves the end of the session, a renewal is due.
        newest.presented |= self.presents && self.renews;
        let timeout_before = newest.timeout;
        newest.timeout = self.new_timeout.unwrap_or(newest.timeout);
        if let Some(user) = &self.new_user {
            newest.user.clone_from(user);
        }
        let expires = match (renews, self.new_timeout) {
            (true, _) => rules.at_write(&newest, now),
            (false, Some(_)) => rules.at_new_timeout(&newest, timeout_before, expires, now),
            (false, None) => expires,
        };
        Some(Merged { record: newest, expires, renews })
    }

    /// The store holds `record` now.
    pub fn saved(&mut self, record: Record, expires: Timestamp) {
        let accessed_before = self.base.accessed;
        let existed = matches!(self.phase, Phase::Stored(_));
        self.revert();
        self.renews = false;
        self.phase = Phase::Stored(expires);
        self.base = record;
        self.loaded = None;
        if existed {
            // `accessed` stays the access before this request, however often it saves.
            self.base.accessed = accessed_before;
        }
    }

    /// Takes over what the store holds by now; our changes stay on top of it, and `accessed` that before this request.
    pub fn reloaded(&mut self, record: Record, expires: Timestamp) {
        self.revise();
        self.changed = Some(self.changes.applied_anew(&record.values));
        self.phase = Phase::Stored(expires);
        self.base = Record { accessed: self.base.accessed, ..record };
        self.loaded = None;
    }

    /// The storage is gone, and what there was to save with it. What the session shows now is what a revert comes back to.
    pub fn removed(&mut self) {
        self.phase = Phase::Removed;
        self.loaded = None;
        self.changes = Changes::default();
        if let Some(values) = self.changed.take() {
            self.base.values = values;
        }
        self.base.user = self.new_user.take().unwrap_or_else(|| self.base.user.take());
        self.base.timeout = self.new_timeout.take().unwrap_or(self.base.timeout);
    }

    pub fn gone(&mut self) {
        self.phase = Phase::Gone;
    }
}

mod edits;
mod loaded;
#[cfg(test)]
mod tests;
