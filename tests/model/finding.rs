//! What may come of opening, reading again and ending a session.

use mod_session_rs::repository::Lookup;
use mod_session_rs::session::{Key, Session};

use crate::commit::{Answer, At, Refused};
use crate::contents::Verdict;
use crate::life::Number;
use crate::oracle::{Asks, Check, Found, IdNumber, Oracle, Way, demand};
use crate::tally::Event;
use crate::visit::{Standing, Visit};

impl Oracle {
    /// What an id should lead to, and whether it does.
    fn presented(&mut self, id: IdNumber, now: u64, seen: bool) -> Check<Option<Number>> {
        let way = self.walk(id, Asks::Client(now));
        match way.found {
            Found::Superseded(_) => self.tally.count(Event::RefusedFormerId),
            Found::Session(_) | Found::Nothing => {}
        }
        let Some(number) = way.session() else {
            demand!(!seen, "an id that leads to no session led to one");
            return Ok(None);
        };
        let lives = self.lives_at(number, now);
        demand!(lives.allows(seen) || (!seen && !way.certain), "alive {seen}, expected {lives:?}: {:?}", self.life(number).end);
        if way.certain || seen {
            self.saw(number, now, 0, seen);
        }
        if seen && way.id != id {
            self.tally.count(Event::FoundByFormerId);
        }
        Ok(seen.then_some(number))
    }

    /// A client presented an id.
    pub fn opened(&mut self, id: IdNumber, seen: Option<&Session>, at: &At) -> Check<Visit> {
        match (self.presented(id, at.now, seen.is_some())?, seen) {
            (Some(number), Some(session)) => {
                let life = self.life(number);
                let (accessed, (earliest, last)) = (session.accessed(), life.used);
                let told = !self.rules.steady || (earliest..=last).contains(&accessed.0);
                demand!(told, "accessed at {} instead of {earliest} to {last}", accessed.0);
                let visit = Visit::of(number, life, at.now, accessed, at.max_size);
                self.tally.count(Event::Opened);
                Ok(visit)
            }
            _ => Ok(Visit::blank(at.now, at.timeout, at.max_size)),
        }
    }

    /// Somebody looked what an id leads to.
    pub fn looked_up(&mut self, id: IdNumber, seen: &Lookup, now: u64) -> Check {
        let live = if let Lookup::Live(live) = seen { Some(live) } else { None };
        if let (Some(number), Some(live)) = (self.presented(id, now, live.is_some())?, live) {
            let life = self.life(number);
            demand!(self.number(&live.id) == Some(life.current), "found under another id");
            demand!(live.key == self.ids()[life.current].1, "found under another key");
            return life.is_shown_by(&live.record);
        }
        let Way { found, certain, .. } = self.walk(id, Asks::Client(now));
        match (seen, found) {
            (Lookup::Nothing, _) if !certain => Ok(()),
            (Lookup::Nothing, Found::Nothing | Found::Session(_)) => Ok(()),
            (Lookup::Superseded(shown), Found::Superseded(at)) if *shown == self.ids()[at].1.reference() => Ok(()),
            _ => Err(format!("{seen:?} instead of {found:?}")),
        }
    }

    pub fn reloaded(&mut self, visit: &mut Visit, seen: Answer<()>, at: &At) -> Check {
        let of = match visit.standing {
            Standing::New | Standing::Removed => {
                demand!(seen == Ok(()), "answered {seen:?}, although there is nothing to read");
                return Ok(());
            }
            Standing::Gone => {
                demand!(seen == Err(Refused::Gone), "answered {seen:?}, although it is gone");
                return Ok(());
            }
            Standing::Stored(of) => of,
        };
        let way = self.walk(visit.id.ok_or("a stored session has no id")?, Asks::Request(of, at.now));
        let lives = way.session().filter(|_| way.in_time).map_or(Verdict::No, |number| self.lives_at(number, at.now));
        demand!(lives.allows(seen.is_ok()) || (seen.is_err() && !way.certain), "answered {seen:?}, alive {lives:?}");
        demand!(seen != Err(Refused::TooLarge), "too large to be read");
        if let Some(number) = way.session().filter(|_| way.in_time && (way.certain || seen.is_ok())) {
            self.saw(number, at.now, 0, seen.is_ok());
        }
        match (seen, way.session()) {
            (Ok(()), Some(number)) => {
                visit.reloaded(self.life(number));
                self.tally.count(Event::Reloaded);
            }
            _ => visit.standing = Standing::Gone,
        }
        Ok(())
    }

    /// Its storage was taken away; the session stays usable.
    pub fn removed(&mut self, visit: &mut Visit, seen: Answer<Option<Key>>) -> Check {
        let ended = match visit.standing {
            Standing::New | Standing::Removed => {
                demand!(seen == Ok(None), "answered {seen:?}, although nothing is stored");
                return Ok(());
            }
            Standing::Gone => false,
            Standing::Stored(of) => self.ended(visit, of, seen.ok().flatten())?,
        };
        demand!(ended == seen.is_ok() && !matches!(seen, Ok(None)), "answered {seen:?}, ended {ended}");
        if ended {
            self.tally.count(Event::Removed);
            visit.removed();
        } else {
            visit.standing = Standing::Gone;
        }
        Ok(())
    }

    /// Storage and values went, and what follows is another session.
    pub fn invalidated(&mut self, visit: &mut Visit, seen: Answer<Option<Key>>, at: &At) -> Check {
        let Ok(place) = seen else { return Err(format!("answered {seen:?}")) };
        match visit.standing {
            Standing::Stored(of) => {
                self.ended(visit, of, place)?;
            }
            _ => demand!(place.is_none(), "ended something, although nothing is stored"),
        }
        self.tally.count(Event::Invalidated);
        *visit = Visit::blank(at.now, at.timeout, at.max_size);
        Ok(())
    }

    /// Ends the session of a request, wherever it is, as was seen; `false`: it was gone.
    fn ended(&mut self, visit: &mut Visit, of: Number, place: Option<Key>) -> Check<bool> {
        let way = self.walk(visit.id.ok_or("a stored session has no id")?, Asks::End(of));
        let expected = way.session().map(|number| self.ids()[self.life(number).current].1);
        demand!(place == expected || (place.is_none() && !way.certain), "ended at {place:?} instead of {expected:?}");
        if let (Some(number), Some(_)) = (way.session(), place) {
            if visit.id != Some(self.life(number).current) {
                self.tally.count(Event::EndedElsewhere);
            }
            visit.id = Some(way.id);
            self.end_life(number);
        }
        Ok(place.is_some())
    }
}
