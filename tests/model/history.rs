//! A history of operations: several clients, their requests under way, a clock. By chance, which repeats with its seed.

use std::collections::VecDeque;

use fastrand::Rng;
use mod_session_rs::repository::{Repository, Terms};
use mod_session_rs::session::{Session, Timestamp};
use mod_session_rs::store::file::FileStore;

use crate::choice::{self, Act, Mood, once_in};
use crate::job::{Flight, Job, Work};
use crate::life::Number;
use crate::oracle::{Check, IdNumber, Oracle, demand};
use crate::visit::{Standing, Visit};

const CLIENTS: usize = 4;
const MOST_FLIGHTS: usize = 8;
const MOST_IDS: usize = 14;
const LOGGED: usize = 60;

pub struct History<'s> {
    pub store: &'s FileStore,
    pub rng: Rng,
    pub oracle: Oracle,
    pub terms: Terms,
    pub now: u64,
    pub operations: u64,
    flights: Vec<Flight>,
    /// The ids that each client knows, the newest last.
    clients: [Vec<IdNumber>; CLIENTS],
    mood: Mood,
    /// In this mood, rather this session than others.
    favourite: Option<Number>,
    /// What is looked at next.
    pub watched: Option<IdNumber>,
    /// The last operations.
    pub log: VecDeque<String>,
    /// Another operation is under way.
    pub meanwhile: bool,
}

impl<'s> History<'s> {
    pub fn new(store: &'s FileStore, rng: Rng, oracle: Oracle, terms: Terms, now: u64) -> History<'s> {
        let (flights, clients, log) = (Vec::new(), Default::default(), VecDeque::new());
        History {
            store,
            rng,
            oracle,
            terms,
            now,
            operations: 0,
            flights,
            clients,
            mood: Mood::Usual,
            favourite: None,
            watched: None,
            log,
            meanwhile: false,
        }
    }

    pub fn note(&mut self, text: &str) {
        if self.log.len() == LOGGED {
            self.log.pop_front();
        }
        let indent = if self.meanwhile { "    meanwhile " } else { "" };
        self.log.push_back(format!("{indent}{} at {}: {text}", self.operations, self.now));
    }

    /// The next operation: done, if it needs no store; else what there is to do. `focus`: rather on this session than on others.
    pub fn next(&mut self, focus: Option<Number>) -> Check<Option<Job>> {
        self.operations += 1;
        if once_in(&mut self.rng, 60) {
            self.mood = choice::mood(&mut self.rng);
            self.favourite = self.oracle.lives.len().checked_sub(self.rng.usize(1..12));
        }
        let focus = focus.or(self.favourite);
        let watched = self.watched.take();
        let work = match self.act() {
            _ if watched.is_some() => watched.map(|number| Work::Look { id: self.oracle.ids()[number].0.clone(), number }),
            Act::Blank if self.flights.len() < MOST_FLIGHTS => {
                self.begin_without_id();
                None
            }
            Act::Begin if self.flights.len() < MOST_FLIGHTS => {
                let (client, number) = self.presented(focus)?;
                let id = self.oracle.ids()[number].0.clone();
                Some(Work::Open { id, number, client, renews: !once_in(&mut self.rng, 4) })
            }
            Act::Look => {
                let (_, number) = self.presented(focus)?;
                Some(Work::Look { id: self.oracle.ids()[number].0.clone(), number })
            }
            Act::Sweep => Some(Work::Sweep),
            Act::Clock => {
                self.move_clock();
                None
            }
            Act::Terms => {
                self.change_terms();
                None
            }
            act => match self.take_flight(focus) {
                Some(flight) => self.work(act, flight)?,
                None => None,
            },
        };
        Ok(work.map(|work| Job { work, terms: self.terms.clone(), now: self.now }))
    }

    fn act(&mut self) -> Act {
        match choice::act(&mut self.rng, self.mood) {
            // To the operation that is under way, this would be a clock that is set back.
            Act::Clock | Act::Sweep if self.meanwhile && self.oracle.rules.steady => Act::Save,
            act => act,
        }
    }

    fn begin_without_id(&mut self) {
        let client = self.rng.usize(..CLIENTS);
        let session = Session::blank(Timestamp(self.now), self.terms.timeout, self.terms.max_size);
        let visit = Visit::blank(self.now, self.terms.timeout, self.terms.max_size);
        self.note(&format!("client {client} begins without an id"));
        self.flights.push(Flight { session, visit, client });
    }

    fn work(&mut self, act: Act, mut flight: Flight) -> Check<Option<Work>> {
        Ok(Some(match act {
            Act::Regenerate(kind) => Work::Regenerate(flight, kind),
            Act::Remove => Work::Remove(flight),
            Act::Invalidate => Work::Invalidate(flight),
            Act::Reload => Work::Reload(flight),
            Act::Save => Work::Save { flight, ends: false },
            Act::Finish | Act::Begin | Act::Blank => Work::Save { flight, ends: true },
            Act::Abandon => return Ok(None),
            _ => {
                let done = self.work_in_memory(act, &mut flight)?;
                self.note(&format!("client {}, {:?}: {done}", flight.client, flight.visit.standing));
                self.put_back(flight)?;
                return Ok(None);
            }
        }))
    }

    /// What an application does to what it sees. Answers what that was.
    fn work_in_memory(&mut self, act: Act, Flight { session, visit, .. }: &mut Flight) -> Check<String> {
        Ok(match act {
            Act::Edit => {
                let edit = choice::edit(&mut self.rng);
                let answer = edit.apply_to(session);
                visit.edited(&edit, answer)?;
                format!("{edit:?} -> {answer:?}")
            }
            Act::Empty => {
                for edit in visit.shown.removals() {
                    visit.edited(&edit, edit.apply_to(session))?;
                }
                session.set_user(None);
                visit.new_user = Some(None);
                "removes every value and the owner".into()
            }
            Act::User => {
                let user = choice::user(&mut self.rng);
                session.set_user(user.clone());
                visit.new_user = Some(user);
                format!("owner {:?}", visit.user())
            }
            Act::Timeout => {
                let timeout = choice::timeout(&mut self.rng);
                session.set_timeout(timeout);
                visit.new_timeout = Some(timeout);
                format!("timeout {timeout}")
            }
            Act::Revert => {
                session.revert();
                visit.revert();
                "reverts".into()
            }
            Act::Renew => {
                session.renew();
                visit.renews = true;
                "renews".into()
            }
            _ => {
                let sessions = Repository { store: self.store, terms: &self.terms };
                let (id, key) = sessions.identify(session).map_err(|error| error.to_string())?;
                let number = match visit.id {
                    Some(number) => number,
                    None => self.oracle.meet(&id)?,
                };
                visit.id = Some(number);
                demand!(self.oracle.ids()[number].1 == key, "identified under another key");
                format!("has the id {number}")
            }
        })
    }

    fn take_flight(&mut self, focus: Option<Number>) -> Option<Flight> {
        let is_near = |flight: &Flight| matches!(flight.visit.standing, Standing::Stored(number) if Some(number) == focus);
        let near: Vec<_> = (0..self.flights.len()).filter(|&index| is_near(&self.flights[index])).collect();
        let index = match self.rng.choice(near) {
            Some(index) if !once_in(&mut self.rng, 4) => index,
            _ => self.rng.choice(0..self.flights.len())?,
        };
        Some(self.flights.swap_remove(index))
    }

    /// A client, and the id that it presents: its newest, an older one, one of others, or one that it makes up.
    fn presented(&mut self, focus: Option<Number>) -> Check<(usize, IdNumber)> {
        let client = self.rng.usize(..CLIENTS);
        let (known, met) = (&self.clients[client], self.oracle.ids().len());
        let current = focus.and_then(|number| self.oracle.lives[number].as_ref()).map(|life| life.current);
        let number = match self.rng.u32(..100) {
            0..40 if current.is_some() => current,
            0..70 => known.last().copied(),
            70..88 => self.rng.choice(known).copied(),
            88..94 if met > 0 => Some(self.rng.usize(met.saturating_sub(40)..met)),
            _ => None,
        };
        match number {
            Some(number) => Ok((client, number)),
            None => Ok((client, self.oracle.meet(&choice::id(&mut self.rng))?)),
        }
    }

    /// The application goes on with what it sees.
    pub fn put_back(&mut self, mut flight: Flight) -> Check {
        self.check(&mut flight)?;
        self.flights.push(flight);
        Ok(())
    }

    /// What a request sees must be what it should see. Its client learns the id.
    pub fn check(&mut self, flight: &mut Flight) -> Check {
        let id = flight.session.id().and_then(|id| self.oracle.number(id));
        if flight.visit.standing == Standing::Gone {
            flight.visit.id = id; // it leads nowhere, however far it was followed
        }
        flight.visit.is_shown_by(&flight.session, id)?;
        if let (Standing::Stored(number), Some(id)) = (flight.visit.standing, id) {
            let life = self.oracle.lives[number].as_ref();
            demand!(life.is_none_or(|life| life.incarnation == flight.session.incarnation()), "another incarnation");
            let known = &mut self.clients[flight.client];
            if known.last() != Some(&id) {
                known.retain(|other| *other != id);
                known.push(id);
                known.drain(..known.len().saturating_sub(MOST_IDS));
            }
        }
        Ok(())
    }
}
