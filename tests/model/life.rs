//! One session in the model.

use mod_session_rs::session::{Record, Values};

use crate::contents::{Contents, Verdict};
use crate::end::{End, Rules};
use crate::oracle::{Check, IdNumber, demand};
use crate::visit::Visit;

/// A session, by the order in which sessions began.
pub type Number = usize;

/// Whether its client has come back with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    No,
    /// It has, and that was perhaps not worth a write.
    Perhaps,
    Yes,
}

#[derive(Debug, Clone)]
pub struct Life {
    pub contents: Contents,
    pub user: Option<String>,
    pub timeout: u64,
    pub created: u64,
    pub incarnation: u64,
    pub current: IdNumber,
    /// How often something was stored.
    pub version: u64,
    presented: Presented,
    pub end: End,
    /// The last access, and the earliest that may be told of it.
    pub used: (u64, u64),
    /// When a request that renewed it was last at work.
    used_until: u64,
    /// The touch interval that its end may be late by.
    slack: u64,
}

impl Life {
    pub fn begun(rules: &Rules, visit: &Visit, current: IdNumber, incarnation: u64, now: u64) -> Life {
        let slack = rules.interval(visit.timeout());
        let mut life = Life {
            contents: visit.shown.clone(),
            user: visit.user().cloned(),
            timeout: visit.timeout(),
            created: now,
            incarnation,
            current,
            version: 0,
            presented: if visit.presents { Presented::Yes } else { Presented::No },
            end: End { earliest: now, latest: now },
            used: (now, now),
            used_until: now,
            slack,
        };
        life.end = life.end_after(rules, now, now);
        life
    }

    /// Its end, if it was last used at `used` or later, at `until` at the latest.
    fn end_after(&self, rules: &Rules, used: u64, until: u64) -> End {
        let idle = self.timeout * crate::end::SECOND;
        let mut end = End { earliest: used + idle, latest: until + idle + self.slack }.capped(rules.end_of_life(self.created));
        let end_of_new = end.capped(rules.end_of_new(self.created));
        if self.presented != Presented::Yes {
            end.earliest = end_of_new.earliest;
        }
        if self.presented == Presented::No {
            end.latest = end_of_new.latest;
        }
        end
    }

    /// Whether it lasts at a time, or ended by idleness not longer ago than `spare`.
    pub fn lasts(&self, rules: &Rules, now: u64, spare: u64) -> Verdict {
        if now < rules.end_of_life(self.created) { self.end.is_ahead(now, spare) } else { Verdict::No }
    }

    pub fn saw(&mut self, rules: &Rules, now: u64, spare: u64, alive: bool) {
        if now < rules.end_of_life(self.created) {
            self.end.saw(now, spare, alive);
        }
    }

    pub fn is_over_before(&self, before: u64) -> Verdict {
        Verdict::of(self.end.latest < before, self.end.earliest < before)
    }

    /// The cleaner left it where it was.
    pub fn outlasted(&mut self, before: u64) {
        self.end.earliest = self.end.earliest.max(before);
    }

    /// What a commit would leave of it: its contents and its owner.
    pub fn merged(&self, visit: &Visit) -> (Contents, Option<String>) {
        let mut contents = self.contents.clone();
        visit.edits.iter().for_each(|edit| contents.apply(edit));
        (contents, visit.new_user.clone().unwrap_or_else(|| self.user.clone()))
    }

    /// The changes of a request were stored. `written`: with a renewal; `None`: perhaps.
    pub fn changed(&mut self, rules: &Rules, visit: &Visit, now: u64, written: Option<bool>) -> Check {
        (self.contents, self.user) = self.merged(visit);
        self.version += 1;
        if let Some(timeout) = visit.new_timeout {
            self.timeout = timeout;
        }
        if visit.renews {
            return self.renewed(rules, visit, now, written);
        }
        if visit.new_timeout.is_some() {
            self.slack = self.slack.max(rules.interval(self.timeout));
            self.end = self.end_after(rules, self.used.1.min(now), self.used_until);
        }
        Ok(())
    }

    /// A request renewed it, which was `written` or not worth a write; `None`: one of these.
    pub fn renewed(&mut self, rules: &Rules, visit: &Visit, now: u64, written: Option<bool>) -> Check {
        let interval = rules.interval(self.timeout);
        self.used = match (rules.steady, written) {
            (false, _) => (0, visit.opened.min(now)),
            (true, Some(true)) => (self.used.0.max(visit.opened), self.used.1.max(visit.opened)),
            (true, _) => {
                let unwritten = visit.opened.saturating_sub(interval.max(rules.interval(visit.base_timeout)));
                (self.used.0.max(unwritten), self.used.1.max(visit.opened))
            }
        };
        self.used_until = self.used_until.max(now);
        if visit.presents && self.presented != Presented::Yes {
            self.presented = if written == Some(true) { Presented::Yes } else { Presented::Perhaps };
        }
        if written != Some(false) {
            self.slack = if written.is_some() { interval } else { interval.max(self.slack) };
        }
        let old = self.end;
        let fresh = self.end_after(rules, now, now);
        let needed = self.end_after(rules, visit.opened.min(now), now).earliest;
        self.end = match written {
            Some(true) => fresh,
            Some(false) => End { earliest: old.earliest.max(needed), ..old },
            None => End { earliest: old.earliest.max(needed).min(fresh.earliest), latest: old.latest.max(fresh.latest) },
        };
        let Life { end, timeout, .. } = self;
        demand!(end.earliest <= end.latest, "used at {}, timeout {timeout} s, it will end early: {old:?}", visit.opened);
        Ok(())
    }

    /// What a store shows of it.
    pub fn is_shown_by(&self, record: &Record) -> Check {
        self.are_shown_by(&record.values, record.user.as_deref(), record.timeout)?;
        demand!(record.created.0 == self.created, "created {} instead of {}", record.created.0, self.created);
        demand!(record.incarnation == self.incarnation, "another incarnation");
        Ok(())
    }

    fn are_shown_by(&self, values: &Values, user: Option<&str>, timeout: u64) -> Check {
        demand!(self.contents.is_shown_by(values), "holds {values:?} instead of {:?}", self.contents);
        demand!(user == self.user.as_deref(), "owned by {user:?} instead of {:?}", self.user);
        demand!(timeout == self.timeout, "a timeout of {timeout} instead of {}", self.timeout);
        Ok(())
    }
}
