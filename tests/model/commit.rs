//! What may come of a save, and of a change of the id.

use mod_session_rs::repository::{Error, Regenerated, Saved};
use mod_session_rs::session::{Move, Session};

use crate::contents::Verdict;
use crate::end::{KNOWN, LATE};
use crate::life::{Life, Number};
use crate::oracle::{Asks, Check, Former, IdNumber, Oracle, Place, demand};
use crate::tally::Event;
use crate::visit::{Standing, Visit};

/// Bytes of a record beside its values: times, numbers, the seal.
const FRAMING: usize = 200;

/// The circumstances of an operation.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub now: u64,
    pub timeout: u64,
    pub grace: u64,
    pub max_size: usize,
}

/// An error that is an answer. All others are none that these histories can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Gone,
    TooLarge,
}

pub type Answer<T> = Result<T, Refused>;

pub fn answer<T>(outcome: Result<T, Error>) -> Check<Answer<T>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Gone) => Ok(Err(Refused::Gone)),
        Err(Error::TooLarge) => Ok(Err(Refused::TooLarge)),
        Err(error) => Err(format!("failed: {error}")),
    }
}

/// A session that the changes of a request are about to reach.
struct Target {
    number: Number,
    id: IdNumber,
    certain: bool,
    /// The request does not know the id that it has by now.
    far: bool,
    /// The grace is not over in which it may learn that.
    in_time: bool,
    fits: Verdict,
    empties: bool,
}

impl Oracle {
    pub fn saved(&mut self, visit: &mut Visit, session: &Session, seen: Answer<Saved>, at: &At) -> Check {
        match visit.standing {
            Standing::New | Standing::Removed if visit.has_changes() && !visit.is_empty() => self.created(visit, session, seen, at),
            Standing::Stored(of) if visit.has_changes() => self.changed(visit, of, seen, at),
            Standing::Stored(of) if visit.renews => self.renewed(visit, of, session, seen, at),
            standing => {
                let expected = if standing == Standing::Gone && visit.has_changes() { Err(Refused::Gone) } else { Ok(Saved::Nothing) };
                demand!(seen == expected, "answered {seen:?} instead of {expected:?}");
                Ok(())
            }
        }
    }

    /// The number of the id that a session has, which may be a fresh one.
    fn drawn(&mut self, session: &Session) -> Check<IdNumber> {
        self.meet(session.id().ok_or("a stored session has no id")?)
    }

    fn created(&mut self, visit: &mut Visit, session: &Session, seen: Answer<Saved>, at: &At) -> Check {
        let id = match visit.id {
            Some(id) => id,
            None => self.drawn(session)?,
        };
        visit.id = Some(id);
        let taken = self.places.contains_key(&id);
        let fits = visit.shown.fits(at.max_size, FRAMING + visit.user().map_or(0, String::len));
        match seen {
            Err(Refused::TooLarge) => {
                demand!(fits != Verdict::Yes, "too large, although it fits");
                self.tally.count(Event::TooLarge);
            }
            Err(Refused::Gone) => {
                demand!(taken, "gone, although its id is free");
                visit.standing = Standing::Gone;
            }
            Ok(Saved::Created) => {
                demand!(!taken && fits != Verdict::No, "created; id taken: {taken}; fits: {fits:?}");
                self.tally.count(if visit.standing == Standing::New { Event::Created } else { Event::CreatedAnew });
                let life = Life::begun(&self.rules, visit, id, session.incarnation(), at.now);
                let number = self.begin_life(life)?;
                visit.began(number, self.life(number));
            }
            Ok(other) => return Err(format!("answered {other:?} to a new session")),
        }
        Ok(())
    }

    fn target(&self, visit: &Visit, of: Number, at: &At) -> Check<Option<Target>> {
        let way = self.walk(visit.id.ok_or("a stored session has no id")?, Asks::Request(of, at.now));
        Ok(way.session().map(|number| {
            let (contents, user) = self.life(number).merged(visit);
            let fits = contents.fits(at.max_size, FRAMING + user.as_ref().map_or(0, String::len));
            let empties = contents.is_empty() && user.is_none();
            let fits = if visit.has_changes() && !empties { fits } else { Verdict::Yes };
            Target { number, id: way.id, certain: way.certain, far: visit.id != Some(way.id), in_time: way.in_time, fits, empties }
        }))
    }

    /// Whether a commit reaches its session in time. A request that changes nothing but the id may be taken for either.
    fn takes(&self, visit: &Visit, number: Number, now: u64) -> Verdict {
        let late = self.life(number).lasts(&self.rules, now, LATE);
        if visit.has_changes() { late } else { Verdict::of(self.lives_at(number, now) == Verdict::Yes, late != Verdict::No) }
    }

    /// Judges a refusal; `false`: it was none.
    fn refused<T>(&mut self, visit: &mut Visit, target: Option<&Target>, seen: &Answer<T>, now: u64) -> Check<bool> {
        let takes = target.map_or(Verdict::No, |target| self.takes(visit, target.number, now));
        let spare = if visit.has_changes() { LATE } else { 0 };
        match (seen, target) {
            (Err(Refused::Gone), None) => {}
            (Err(Refused::Gone), Some(target)) => {
                demand!(!target.certain || takes != Verdict::Yes, "gone, although it takes changes: {:?}", self.life(target.number).end);
                if target.certain {
                    self.saw(target.number, now, spare, false);
                }
            }
            (_, None) => return Err("reached a session that is gone".into()),
            (outcome, Some(target)) => {
                demand!(takes != Verdict::No, "reached a session that had ended: {:?}", self.life(target.number).end);
                self.saw(target.number, now, LATE, true);
                if target.in_time {
                    visit.id = Some(target.id);
                }
                let too_large = outcome.is_err();
                if too_large {
                    self.tally.count(Event::TooLarge);
                }
                demand!(target.fits.allows(!too_large), "too large {too_large}, fits {:?}", target.fits);
                return Ok(too_large);
            }
        }
        visit.standing = Standing::Gone;
        self.tally.count(Event::Gone);
        Ok(true)
    }

    fn changed(&mut self, visit: &mut Visit, of: Number, seen: Answer<Saved>, at: &At) -> Check {
        let target = self.target(visit, of, at)?;
        if self.refused(visit, target.as_ref(), &seen, at.now)? {
            return Ok(());
        }
        let Some(target) = target else { return Ok(()) };
        let written = match seen {
            Ok(Saved::Changed { renewed: false }) if !target.in_time => None,
            Ok(Saved::Deleted) if target.empties && target.in_time => None,
            // A renewal is written where it is due, which only who writes knows, or with another timeout.
            Ok(Saved::Changed { renewed }) if !target.empties && target.in_time => {
                let expected = Verdict::of(visit.renews && visit.new_timeout.is_some(), visit.renews);
                demand!(expected.allows(renewed), "answered {seen:?}, renewed {expected:?}");
                Some(renewed)
            }
            other => return Err(format!("answered {other:?}; empty: {}, in time: {}", target.empties, target.in_time)),
        };
        self.stored(visit, &target, written, at)
    }

    /// The changes of a request are stored, or have left nothing to store. `written`: with a renewal; `None`: perhaps.
    fn stored(&mut self, visit: &mut Visit, target: &Target, written: Option<bool>, at: &At) -> Check {
        let life = self.life(target.number);
        let events = [
            (Event::Merged, visit.has_changes() && life.version != visit.version),
            (Event::TakenLate, life.end.latest <= at.now),
            (Event::StoredElsewhere, target.far),
            (Event::StoredBehindGrace, !target.in_time),
            (Event::Renewed, !visit.has_changes()),
            (Event::Emptied, target.empties),
        ];
        events.into_iter().filter(|(_, happened)| *happened).for_each(|(event, _)| self.tally.count(event));
        if target.empties {
            if target.in_time {
                visit.emptied(self.life(target.number));
            } else {
                visit.dismissed();
            }
            self.end_life(target.number);
            return Ok(());
        }
        let rules = self.rules;
        let life = self.life_mut(target.number);
        life.changed(&rules, visit, at.now, written)?;
        if target.in_time {
            visit.saved(life);
        } else {
            visit.dismissed();
        }
        Ok(())
    }

    /// A request that only renews: it need not be told that its session is gone, and need not look if it came back soon.
    fn renewed(&mut self, visit: &mut Visit, of: Number, session: &Session, seen: Answer<Saved>, at: &At) -> Check {
        let target = self.target(visit, of, at)?;
        let lasts = |oracle: &Oracle, number| oracle.lives_at(number, at.now);
        let gone = session.phase() == mod_session_rs::session::session::Phase::Gone;
        match (seen, target) {
            (Ok(Saved::Changed { renewed: false }), Some(target)) if gone && !target.in_time => {
                let rules = self.rules;
                self.life_mut(target.number).renewed(&rules, visit, at.now, None)?;
                visit.dismissed();
            }
            (Ok(Saved::Nothing), Some(target)) if gone => {
                demand!(!target.certain || lasts(self, target.number) != Verdict::Yes, "gone, although it lives");
                if target.certain {
                    self.saw(target.number, at.now, 0, false);
                }
                visit.standing = Standing::Gone;
            }
            (Ok(Saved::Nothing), None) if gone => visit.standing = Standing::Gone,
            (Ok(Saved::Nothing), None) => demand!(session.renews(), "it looked, and did not see that its session is gone"),
            (Ok(Saved::Nothing), Some(target)) => {
                let rules = self.rules;
                // Who did not look does not know what others have stored since, such as a shorter timeout.
                if !session.renews() || self.life(target.number).version == visit.version {
                    self.life_mut(target.number).renewed(&rules, visit, at.now, Some(false))?;
                }
                if !session.renews() {
                    visit.saved(self.life(target.number));
                }
            }
            (Ok(Saved::Changed { renewed: true }), Some(target)) => {
                demand!(target.in_time && lasts(self, target.number) != Verdict::No, "a renewal revived it");
                self.stored(visit, &target, Some(true), at)?;
            }
            (other, _) => return Err(format!("a renewal answered {other:?}")),
        }
        Ok(())
    }

    pub fn regenerated(&mut self, visit: &mut Visit, session: &Session, kind: Move, seen: Answer<Regenerated>, at: &At) -> Check {
        let of = match visit.standing {
            Standing::New | Standing::Removed => {
                demand!(seen == Ok(Regenerated::Drawn), "answered {seen:?}, although nothing is stored");
                visit.id = None;
                return Ok(());
            }
            Standing::Gone => {
                demand!(seen == Err(Refused::Gone), "answered {seen:?}, although it is gone");
                return Ok(());
            }
            Standing::Stored(of) => of,
        };
        let began_at = visit.id;
        // Behind the end of a grace there is nothing that this request could move.
        let target = self.target(visit, of, at)?.filter(|target| target.in_time);
        if self.refused(visit, target.as_ref(), &seen, at.now)? {
            return Ok(());
        }
        let Some(target) = target else { return Ok(()) };
        let moved_before = kind == Move::Moved && began_at != Some(target.id);
        if moved_before && !target.empties {
            demand!(seen == Ok(Regenerated::Joined), "answered {seen:?}, although another request moved it");
            self.tally.count(Event::Joined);
            return self.joined(visit, session, &target, at);
        }
        let as_expected = matches!((seen, target.empties), (Ok(Regenerated::Moved), false) | (Ok(Regenerated::Emptied(_)), true));
        demand!(as_expected, "answered {seen:?}; empty: {}", target.empties);
        let written = (visit.renews && visit.new_timeout.is_some()).then_some(true);
        self.stored(visit, &target, written, at)?;
        if target.empties {
            visit.id = None;
            return Ok(());
        }
        self.tally.count(if kind == Move::Moved { Event::Moved } else { Event::Superseded });
        let new = self.drawn(session)?;
        let grace_ends = if kind == Move::Moved { at.now + at.grace } else { at.now };
        let former = Former { session: target.number, to: new, kind, grace_ends, known_until: grace_ends.max(at.now + KNOWN) };
        self.places.insert(target.id, Place::Former(former));
        visit.id = Some(new);
        self.arrived(target.number, new)
    }

    /// Another request has given the session a new id: this one goes on under it, and stores what it has to store.
    fn joined(&mut self, visit: &mut Visit, session: &Session, target: &Target, at: &At) -> Check {
        if visit.has_changes() {
            let written = (visit.renews && visit.new_timeout.is_some()).then_some(true);
            return self.stored(visit, target, written, at);
        }
        let rules = self.rules;
        if visit.renews {
            let looked = !session.renews();
            self.life_mut(target.number).renewed(&rules, visit, at.now, if looked { None } else { Some(false) })?;
            if looked {
                visit.saved(self.life(target.number));
            }
        }
        Ok(())
    }
}
