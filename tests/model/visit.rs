//! One request in the model: what it read, and what it did since.

use mod_session_rs::session::session::{ChangeError, Phase};
use mod_session_rs::session::{Session, Timestamp};

use crate::contents::{Contents, Edit, Verdict};
use crate::life::{Life, Number};
use crate::oracle::{Check, IdNumber, demand};

/// How a request stands to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    New,
    Stored(Number),
    /// It took the storage away, and may bring it back.
    Removed,
    /// Somebody else ended it.
    Gone,
}

#[derive(Debug, Clone)]
pub struct Visit {
    pub standing: Standing,
    pub id: Option<IdNumber>,
    base: Contents,
    base_user: Option<String>,
    pub base_timeout: u64,
    /// What the application sees.
    pub shown: Contents,
    pub edits: Vec<Edit>,
    pub new_user: Option<Option<String>>,
    pub new_timeout: Option<u64>,
    pub renews: bool,
    /// It began with an id that a client presented.
    pub presents: bool,
    pub opened: u64,
    created: u64,
    /// That of the session when it was read.
    pub version: u64,
    accessed: u64,
    max_size: usize,
}

impl Visit {
    pub fn blank(now: u64, timeout: u64, max_size: usize) -> Visit {
        Visit {
            standing: Standing::New,
            id: None,
            base: Contents::default(),
            base_user: None,
            base_timeout: timeout,
            shown: Contents::default(),
            edits: Vec::new(),
            new_user: None,
            new_timeout: None,
            renews: false,
            presents: false,
            opened: now,
            created: now,
            version: 0,
            accessed: now,
            max_size,
        }
    }

    /// `accessed`: what was told of the access before.
    pub fn of(number: Number, life: &Life, now: u64, accessed: Timestamp, max_size: usize) -> Visit {
        let mut visit = Visit::blank(now, life.timeout, max_size);
        visit.read(life);
        Visit { standing: Standing::Stored(number), id: Some(life.current), presents: true, accessed: accessed.0, ..visit }
    }

    pub fn user(&self) -> Option<&String> {
        self.new_user.as_ref().unwrap_or(&self.base_user).as_ref()
    }

    pub fn timeout(&self) -> u64 {
        self.new_timeout.unwrap_or(self.base_timeout)
    }

    pub fn has_changes(&self) -> bool {
        !self.edits.is_empty() || self.new_user.is_some() || self.new_timeout.is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.user().is_none()
    }

    /// What the application did, and what it was told.
    pub fn edited(&mut self, edit: &Edit, answer: Result<(), ChangeError>) -> Check {
        let refusal = self.shown.refusal(edit);
        let mut after = self.shown.clone();
        after.apply(edit);
        let grows = match edit {
            Edit::Set(..) => true,
            Edit::Add(..) => after.len() > self.shown.len(),
            Edit::Unset(_) | Edit::Clear => false,
        };
        let fits = if grows { after.fits(self.max_size, 0) } else { Verdict::Yes };
        let expected = match refusal {
            Some(error) => answer == Err(error),
            None => matches!(answer, Ok(()) | Err(ChangeError::TooLarge)) && fits.allows(answer.is_ok()),
        };
        demand!(expected, "{edit:?} answered {answer:?}; to be refused for {refusal:?}, fits {fits:?}");
        if answer.is_ok() {
            self.shown = after;
            self.edits.iter_mut().for_each(|earlier| earlier.respell(edit));
            self.edits.push(edit.clone());
        }
        Ok(())
    }

    pub fn revert(&mut self) {
        self.shown = self.base.clone();
        self.drop_changes();
    }

    fn drop_changes(&mut self) {
        self.edits.clear();
        (self.new_user, self.new_timeout) = (None, None);
    }

    fn read(&mut self, life: &Life) {
        self.base = life.contents.clone();
        self.shown = life.contents.clone();
        self.base_user.clone_from(&life.user);
        (self.base_timeout, self.created, self.version) = (life.timeout, life.created, life.version);
    }

    /// It has read what is stored now; its changes stay on top.
    pub fn reloaded(&mut self, life: &Life) {
        self.read(life);
        self.id = Some(life.current);
        for edit in &self.edits {
            self.shown.apply(edit);
        }
    }

    /// Its changes are stored, on top of those of others.
    pub fn saved(&mut self, life: &Life) {
        self.drop_changes();
        self.renews = false;
        self.read(life);
        self.id = Some(life.current);
    }

    pub fn began(&mut self, number: Number, life: &Life) {
        self.saved(life);
        self.standing = Standing::Stored(number);
        self.accessed = life.created;
    }

    /// It took the storage away; what it shows stays.
    pub fn removed(&mut self) {
        self.base_user = self.user().cloned();
        self.base_timeout = self.timeout();
        self.base = self.shown.clone();
        self.drop_changes();
        self.standing = Standing::Removed;
    }

    /// Its changes are stored where it learns nothing of.
    pub fn dismissed(&mut self) {
        self.revert();
        self.standing = Standing::Gone;
    }

    /// Its changes left nothing of a session.
    pub fn emptied(&mut self, of: &Life) {
        let timeout = self.new_timeout.unwrap_or(of.timeout);
        self.saved(of);
        (self.base, self.base_user, self.base_timeout) = (Contents::default(), None, timeout);
        self.revert();
        self.standing = Standing::Removed;
    }

    /// What the application sees is what it should see.
    pub fn is_shown_by(&self, session: &Session, id: Option<IdNumber>) -> Check {
        let standing = match session.phase() {
            Phase::New => matches!(self.standing, Standing::New),
            Phase::Stored(_) => matches!(self.standing, Standing::Stored(_)),
            Phase::Removed => matches!(self.standing, Standing::Removed),
            Phase::Gone => matches!(self.standing, Standing::Gone),
        };
        demand!(standing, "{:?} instead of {:?}", session.phase(), self.standing);
        demand!(id == self.id, "id {id:?} instead of {:?}", self.id);
        demand!(self.shown.is_shown_by(session.values()), "shows {:?} instead of {:?}", session.values(), self.shown);
        demand!(session.user() == self.user().map(String::as_str), "owner {:?} instead of {:?}", session.user(), self.user());
        demand!(session.timeout() == self.timeout(), "timeout {} instead of {}", session.timeout(), self.timeout());
        demand!(session.has_changes() == self.has_changes(), "has changes: {}", session.has_changes());
        demand!(session.renews() == self.renews, "renews: {}", session.renews());
        // A time in the future counts as now.
        let (created, accessed) = (self.created.min(self.opened), self.accessed.min(self.opened));
        demand!(session.created().0 == created, "created {} instead of {created}", session.created().0);
        demand!(session.accessed().0 == accessed, "accessed {} instead of {accessed}", session.accessed().0);
        Ok(())
    }
}
