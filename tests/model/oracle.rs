//! The model: a map of ids to sessions, and what the contract says of them. It knows nothing of records, files or steps of a store.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mod_session_rs::session::{Id, Key, Move, Scope};

use crate::contents::Verdict;
use crate::end::{LATE, Rules};
use crate::life::{Life, Number};
use crate::tally::{Event, Tally};

/// What differs from the model.
pub type Check<T = ()> = Result<T, String>;

/// An id, by the order in which ids were met: those themselves belong into no log.
pub type IdNumber = usize;

macro_rules! demand {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use demand;

/// A panic is a difference too, to be told with what led to it.
pub fn caught(run: impl FnOnce() -> Check) -> Check {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", said.unwrap_or("of some kind")))
    })
}

#[derive(Debug, Clone, Copy)]
pub enum Place {
    Session(Number),
    /// The session had this id before.
    Former(Former),
}

#[derive(Debug, Clone, Copy)]
pub struct Former {
    pub session: Number,
    pub to: IdNumber,
    pub kind: Move,
    pub grace_ends: u64,
    pub known_until: u64,
}

/// Who follows an id to its session.
#[derive(Debug, Clone, Copy)]
pub enum Asks {
    /// A client that presents it.
    Client(u64),
    /// A request that began with the session.
    Request(Number, u64),
    /// One that ends it, which is never wrong.
    End(Number),
}

#[derive(Debug, Clone, Copy)]
pub enum Found {
    Session(Number),
    /// The id that leads no further.
    Superseded(IdNumber),
    Nothing,
}

pub struct Way {
    pub found: Found,
    /// The id that the follower has by now.
    pub id: IdNumber,
    /// `false`: a step on the way was cleaned away while it was gone.
    pub certain: bool,
    /// `false`: the grace of a step was over. What a request changes arrives, but it learns nothing.
    pub in_time: bool,
}

impl Way {
    pub fn session(&self) -> Option<Number> {
        if let Found::Session(number) = self.found { Some(number) } else { None }
    }
}

pub struct Oracle {
    pub rules: Rules,
    scope: Scope,
    ids: Vec<(Id, Key)>,
    numbers: HashMap<String, IdNumber>,
    keys: HashSet<Key>,
    pub places: HashMap<IdNumber, Place>,
    /// What was cleaned away during the operation that is under way.
    lately: HashMap<IdNumber, Place>,
    /// `None`: it has ended.
    pub lives: Vec<Option<Life>>,
    incarnations: HashSet<u64>,
    /// What was cleaned away before anybody met its id, and up to which end: of a move that is under way.
    strays: HashMap<Key, u64>,
    pub tally: Tally,
}

impl Oracle {
    pub fn new(rules: Rules, scope: Scope) -> Oracle {
        Oracle {
            rules,
            scope,
            ids: Vec::new(),
            numbers: HashMap::new(),
            keys: HashSet::new(),
            places: HashMap::new(),
            lately: HashMap::new(),
            lives: Vec::new(),
            incarnations: HashSet::new(),
            strays: HashMap::new(),
            tally: Tally::default(),
        }
    }

    pub fn life(&self, number: Number) -> &Life {
        self.lives[number].as_ref().expect("what an id leads to has not ended")
    }

    pub fn life_mut(&mut self, number: Number) -> &mut Life {
        self.lives[number].as_mut().expect("what an id leads to has not ended")
    }

    pub fn ids(&self) -> &[(Id, Key)] {
        &self.ids
    }

    /// The session that an id leads or led to.
    pub fn session_of(&self, id: IdNumber) -> Option<Number> {
        self.places.get(&id).map(|place| match place {
            Place::Session(number) => *number,
            Place::Former(former) => former.session,
        })
    }

    pub fn number(&self, id: &Id) -> Option<IdNumber> {
        self.numbers.get(id.expose()).copied()
    }

    /// Takes in an id that nobody has met: made up by a client, or drawn for a session.
    pub fn meet(&mut self, id: &Id) -> Check<IdNumber> {
        let number = self.ids.len();
        let before = self.numbers.insert(id.expose().to_owned(), number);
        demand!(before.is_none(), "an id that was known before was given to a new session: number {before:?}");
        let key = Key::derive(&self.scope, id);
        self.keys.insert(key);
        self.ids.push((id.clone(), key));
        Ok(number)
    }

    /// From here on an operation sees all that was done before.
    pub fn begin(&mut self) -> Check {
        self.lately.clear();
        demand!(self.strays.is_empty(), "the cleaner removed what no id leads to");
        Ok(())
    }

    /// A session has got this id. The timeout that it got with it may have been over long ago, so that the cleaner was there first.
    pub fn arrived(&mut self, number: Number, id: IdNumber) -> Check {
        self.places.insert(id, Place::Session(number));
        self.life_mut(number).current = id;
        if let Some(before) = self.strays.remove(&self.ids[id].1) {
            demand!(self.life(number).is_over_before(before) != Verdict::No, "the cleaner removed a session that has just moved");
            self.end_life(number);
        }
        Ok(())
    }

    /// Where an id leads: over 64 others at most to who presents it, and never to a session that began later.
    pub fn walk(&self, from: IdNumber, asks: Asks) -> Way {
        let mut of = match asks {
            Asks::Client(_) => None,
            Asks::Request(number, _) | Asks::End(number) => Some(number),
        };
        let mut way = Way { found: Found::Nothing, id: from, certain: true, in_time: true };
        let most = if matches!(asks, Asks::Client(_)) { 64 } else { usize::MAX };
        let (mut at, mut told) = (from, true);
        for _ in 0..=most {
            let place = match (self.places.get(&at), self.lately.get(&at)) {
                (Some(place), _) => place,
                (None, Some(place @ Place::Former(_))) => {
                    way.certain = false;
                    place
                }
                _ => return way,
            };
            let (Place::Session(session) | Place::Former(Former { session, .. })) = *place;
            if *of.get_or_insert(session) != session {
                return way;
            }
            let former = match place {
                Place::Session(number) => {
                    way.found = Found::Session(*number);
                    return way;
                }
                Place::Former(former) => former,
            };
            let leads_on = match asks {
                Asks::Client(now) => former.kind == Move::Moved && now < former.grace_ends,
                Asks::Request(..) => former.kind == Move::Moved,
                Asks::End(_) => true,
            };
            if !leads_on {
                way.found = Found::Superseded(at);
                return way;
            }
            if let Asks::Request(_, now) = asks {
                way.in_time &= now < former.grace_ends;
            }
            // Who gives up the rights of an id is not told the next one.
            told &= former.kind == Move::Moved;
            at = former.to;
            if told {
                way.id = at;
            }
        }
        way
    }

    /// Whether a session is one, to who presents its id.
    pub fn lives_at(&self, number: Number, now: u64) -> Verdict {
        self.life(number).lasts(&self.rules, now, 0)
    }

    pub fn saw(&mut self, number: Number, now: u64, spare: u64, alive: bool) {
        let rules = self.rules;
        self.life_mut(number).saw(&rules, now, spare, alive);
    }

    pub fn begin_life(&mut self, life: Life) -> Check<Number> {
        let number = self.lives.len();
        demand!(self.incarnations.insert(life.incarnation), "a new session has the incarnation of an earlier one");
        self.places.insert(life.current, Place::Session(number));
        self.lives.push(Some(life));
        Ok(number)
    }

    pub fn end_life(&mut self, number: Number) {
        if let Some(life) = self.lives[number].take() {
            self.places.remove(&life.current);
        }
    }

    /// The cleaner has removed these.
    pub fn swept(&mut self, removed: &[Key], now: u64) -> Check {
        let before = now.saturating_sub(LATE);
        let (mut removed, strays): (HashSet<_>, HashSet<_>) = removed.iter().partition(|key| self.keys.contains(*key));
        self.strays.extend(strays.into_iter().map(|key| (key, before)));
        let places: Vec<_> = self.places.iter().map(|(id, place)| (*id, *place)).collect();
        for (id, place) in places {
            let went = removed.remove(&self.ids[id].1);
            let due = match place {
                Place::Former(former) => Verdict::of(former.known_until < before, former.known_until < before),
                Place::Session(number) => self.life(number).is_over_before(before),
            };
            demand!(due.allows(went), "id {id}, {place:?}: removed by the cleaner {went}, to be removed {due:?}");
            match place {
                Place::Former(_) if went => {
                    self.tally.count(Event::SweptId);
                    self.lately.extend(self.places.remove(&id).map(|place| (id, place)));
                }
                Place::Session(number) if went => {
                    self.tally.count(Event::SweptSession);
                    self.end_life(number);
                }
                Place::Session(number) => self.life_mut(number).outlasted(before),
                Place::Former(_) => {}
            }
        }
        demand!(removed.is_empty(), "the cleaner removed what was not there");
        Ok(())
    }
}
