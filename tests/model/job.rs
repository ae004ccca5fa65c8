//! What an operation asks of the repository, and what the model says of the answer.

use std::time::Duration;

use mod_session_rs::repository::{Error, Lookup, Purpose, Regenerated, Repository, Saved, Terms};
use mod_session_rs::session::{Id, Key, Move, Session, Timestamp};
use mod_session_rs::store::{self, Cursor, Store};

use crate::choice::once_in;
use crate::commit::{At, answer};
use crate::end::LATE;
use crate::history::History;
use crate::life::Number;
use crate::oracle::{Check, IdNumber};
use crate::visit::{Standing, Visit};

/// A request under way, and what the model thinks of it.
pub struct Flight {
    pub session: Session,
    pub visit: Visit,
    pub client: usize,
}

pub enum Work {
    Open { id: Id, number: IdNumber, client: usize, renews: bool },
    Look { id: Id, number: IdNumber },
    Save { flight: Flight, ends: bool },
    Regenerate(Flight, Move),
    Remove(Flight),
    Invalidate(Flight),
    Reload(Flight),
    Sweep,
}

/// Work, with the circumstances under which it begins.
pub struct Job {
    pub work: Work,
    pub terms: Terms,
    pub now: u64,
}

#[derive(Debug)]
pub enum Outcome {
    Opened(Result<Option<Box<Session>>, Error>),
    Looked(store::Result<Lookup>),
    Saved(Result<Saved, Error>),
    Regenerated(Result<Regenerated, Error>),
    Ended(Result<Option<Key>, Error>),
    Reloaded(Result<(), Error>),
    Swept(store::Result<Vec<Key>>),
}

impl Outcome {
    fn brief(&self) -> String {
        match self {
            Outcome::Opened(Ok(None)) => "none".into(),
            Outcome::Opened(Ok(Some(_))) | Outcome::Looked(Ok(Lookup::Live(_))) => "a session".into(),
            Outcome::Swept(Ok(removed)) => format!("{} removed", removed.len()),
            other => format!("{other:?}"),
        }
    }
}

impl Job {
    /// The session that it is about.
    pub fn focus(&self, history: &History<'_>) -> Option<Number> {
        match &self.work {
            Work::Open { number, .. } | Work::Look { number, .. } => history.oracle.session_of(*number),
            Work::Sweep => None,
            Work::Save { flight, .. }
            | Work::Regenerate(flight, _)
            | Work::Remove(flight)
            | Work::Invalidate(flight)
            | Work::Reload(flight) => match flight.visit.standing {
                Standing::Stored(number) => Some(number),
                _ => None,
            },
        }
    }

    pub fn describe(&self) -> String {
        let of = |what: &str, flight: &Flight| {
            let Visit { standing, id, .. } = &flight.visit;
            format!("client {}, {standing:?} under {id:?}: {what}", flight.client)
        };
        match &self.work {
            Work::Open { number, client, renews, .. } => {
                format!("client {client} presents {number}{}", if *renews { "" } else { ", no touch" })
            }
            Work::Look { number, .. } => format!("a look at {number}"),
            Work::Save { flight, ends } => of(if *ends { "saves and ends" } else { "saves" }, flight),
            Work::Regenerate(flight, kind) => of(&format!("{kind:?}, grace {}", self.terms.grace), flight),
            Work::Remove(flight) => of("removes", flight),
            Work::Invalidate(flight) => of("invalidates", flight),
            Work::Reload(flight) => of("reloads", flight),
            Work::Sweep => "the cleaner".into(),
        }
    }

    pub fn perform(&mut self, store: &dyn Store) -> Outcome {
        let now = Timestamp(self.now);
        let sessions = Repository { store, terms: &self.terms };
        match &mut self.work {
            Work::Open { id, renews: true, .. } => Outcome::Opened(sessions.open(id, now).map(|found| found.map(Box::new))),
            Work::Open { id, .. } => Outcome::Opened(sessions.find(id, now).map_err(Error::from).map(|found| match found {
                Lookup::Live(live) => Some(Box::new(live.into_session(self.terms.max_size, now))),
                _ => None,
            })),
            Work::Look { id, .. } => Outcome::Looked(sessions.find(id, now)),
            Work::Save { flight, .. } => Outcome::Saved(sessions.save(&mut flight.session, now)),
            Work::Regenerate(flight, kind) => Outcome::Regenerated(sessions.regenerate(&mut flight.session, *kind, now)),
            Work::Remove(flight) => Outcome::Ended(sessions.remove(&mut flight.session)),
            Work::Invalidate(flight) => Outcome::Ended(sessions.invalidate(&mut flight.session, now)),
            Work::Reload(flight) => Outcome::Reloaded(sessions.reload(&mut flight.session, Purpose::Change, now)),
            Work::Sweep => Outcome::Swept(sweep(store, now.minus(LATE))),
        }
    }
}

fn sweep(store: &dyn Store, before: Timestamp) -> store::Result<Vec<Key>> {
    let mut removed = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(from) = next {
        next = store.sweep(before, Duration::from_secs(60), from, &mut |key, _| removed.push(*key))?.next;
    }
    Ok(removed)
}

impl History<'_> {
    /// Compares the outcome of a job with the model, which then holds what the store should hold.
    pub fn settle(&mut self, job: Job, said: &str, outcome: Outcome) -> Check {
        self.note(&format!("{said} -> {}", outcome.brief()));
        let Job { work, terms, now } = job;
        let at = At { now, timeout: terms.timeout, grace: terms.grace, max_size: terms.max_size };
        let oracle = &mut self.oracle;
        let flight = match (work, outcome) {
            (Work::Open { number, client, renews, .. }, Outcome::Opened(found)) => {
                let found = found.map_err(|error| error.to_string())?;
                let stays = found.is_some() || once_in(&mut self.rng, 3);
                let mut visit = oracle.opened(number, found.as_deref(), &at)?;
                visit.renews = renews && found.is_some();
                let session = found.map_or_else(|| Session::blank(Timestamp(now), terms.timeout, terms.max_size), |found| *found);
                let mut flight = Flight { session, visit, client };
                if !stays {
                    return self.check(&mut flight);
                }
                flight
            }
            (Work::Look { number, .. }, Outcome::Looked(found)) => {
                return oracle.looked_up(number, &found.map_err(|error| error.to_string())?, now);
            }
            (Work::Sweep, Outcome::Swept(removed)) => return oracle.swept(&removed.map_err(|error| error.to_string())?, now),
            (Work::Save { mut flight, ends }, Outcome::Saved(saved)) => {
                oracle.saved(&mut flight.visit, &flight.session, answer(saved)?, &at)?;
                if ends {
                    return self.check(&mut flight);
                }
                flight
            }
            (Work::Regenerate(mut flight, kind), Outcome::Regenerated(moved)) => {
                oracle.regenerated(&mut flight.visit, &flight.session, kind, answer(moved)?, &at)?;
                flight
            }
            (Work::Remove(mut flight), Outcome::Ended(ended)) => {
                oracle.removed(&mut flight.visit, answer(ended)?)?;
                flight
            }
            (Work::Invalidate(mut flight), Outcome::Ended(ended)) => {
                oracle.invalidated(&mut flight.visit, answer(ended)?, &at)?;
                flight
            }
            (Work::Reload(mut flight), Outcome::Reloaded(read)) => {
                oracle.reloaded(&mut flight.visit, answer(read)?, &at)?;
                flight
            }
            _ => unreachable!("each work has its outcome"),
        };
        self.put_back(flight)
    }
}
