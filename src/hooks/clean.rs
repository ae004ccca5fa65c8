//! Cleaning: what expired is removed beside the requests, by one child at a time, a slice of a pass at each call of mod_watchdog.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{Config, StorePlace};
use crate::httpd::hook::ConfigHook;
use crate::httpd::watchdog::{self, Job, Refused};
use crate::httpd::{Level, Pool, Server, is_first_reading};
use crate::repository;
use crate::session::expiry::GRACE;
use crate::session::{Key, Stored, Timestamp};
use crate::store::directory::Kind;
use crate::store::{Blob, Sweep};

use super::events::expired;
use super::locks::{Locks, locks};
use super::start::places;
use super::stores::store;

/// A child that stops waits for the slice at work.
const SLICE: Duration = Duration::from_millis(50);
/// After each slice, so many times as long as it took: cleaning has a fifth of one processor and of the disk at most.
const REST: u32 = 4;

pub struct Schedule;

impl ConfigHook for Schedule {
    /// Never fails: without cleaning the server works, and on a restart a failure would end it.
    fn run(pool: Pool<'_>, server: Server<'_>) -> Result<(), ()> {
        let Some(config) = server.dir_config::<Config>().filter(|_| !is_first_reading()) else { return Ok(()) };
        let (interval, frequency) = (config.server.cleanup_interval(), config.server.cleanup_frequency());
        let mut places = places(server);
        places.retain(|place| !place.location.cleans_itself());
        if places.is_empty() || (interval.is_none() && frequency.is_none()) {
            return Ok(());
        }
        // htsession cleans what it can open beside the server.
        let opens = |place: &Arc<StorePlace>| matches!(place.location.directory(), Some((_, Kind::File | Kind::Dbm)));
        let instead = if places.iter().all(opens) { ", or set SessionCleanupInterval 0 and run 'htsession gc' from cron" } else { "" };
        let cleaner = Cleaner::new(places, interval, Box::new(|| locks().is_some_and(Locks::is_cleaning_wanted)));
        match watchdog::run_in_one_child(pool, server, c"session-cleaner", cleaner) {
            Ok(()) => {}
            Err(Refused::NotLoaded) => server.log(
                Level::Warning,
                format_args!(
                    "SessionCleanupInterval: expired sessions stay where they are, for mod_watchdog is not loaded: load it \
                     (LoadModule watchdog_module modules/mod_watchdog.so){instead}"
                ),
            ),
            Err(Refused::Status(status)) => server.log(
                Level::Warning,
                format_args!(
                    "SessionCleanupInterval: expired sessions stay where they are, for mod_watchdog answers status {status}: mend that{instead}"
                ),
            ),
        }
        Ok(())
    }
}

/// Whether somebody wants a pass before the next one is due. Asked at each tick between passes; to answer `true` starts one.
pub type Wanted = Box<dyn Fn() -> bool + Send + Sync>;

pub struct Cleaner {
    places: Vec<Arc<StorePlace>>,
    /// `None`: passes when wanted only.
    interval: Option<Duration>,
    /// Passes are due at whole intervals since then: a child that takes the cleaning over knows the time of the next one without
    /// knowing that of the last.
    start: Instant,
    wanted: Wanted,
    state: Mutex<State>,
}

enum State {
    /// No tick has come to this child yet.
    Fresh,
    Idle {
        due: Option<Instant>,
    },
    Passing(Pass),
}

/// A pass over all directories.
struct Pass {
    /// The directory it has come to.
    place: usize,
    began: Instant,
    before: Timestamp,
    /// What was done in that directory so far, and where to go on.
    done: Sweep,
    rests_until: Instant,
}

impl Pass {
    fn at(place: usize) -> Pass {
        let now = Instant::now();
        Pass { place, began: now, before: repository::now().minus(GRACE), done: Sweep::default(), rests_until: now }
    }
}

impl Cleaner {
    pub fn new(places: Vec<Arc<StorePlace>>, interval: Option<Duration>, wanted: Wanted) -> Cleaner {
        Cleaner { places, interval, start: Instant::now(), wanted, state: Mutex::new(State::Fresh) }
    }

    fn idle(&self, now: Instant) -> State {
        State::Idle { due: self.interval.and_then(|interval| next_due(self.start, interval, now)) }
    }

    fn is_time(&self, due: Option<Instant>, now: Instant) -> bool {
        // Asked in any case: what was wanted before a pass is not wanted again after it.
        let wanted = (self.wanted)();
        wanted || due.is_some_and(|due| due <= now)
    }

    /// Goes on with a pass for one slice.
    fn clean(&self, server: Server<'_>, mut pass: Pass) -> State {
        let place = &self.places[pass.place];
        let started = Instant::now();
        let mut deleted = |key: &Key, blob: &Blob| {
            // An alias is no session, and what cannot be read is nobody's.
            if let Ok(Stored::Session(record)) = Stored::decode(&blob.bytes) {
                expired(server, &key.reference(), record.user.as_deref());
            }
        };
        match store(place).sweep(pass.before, SLICE, pass.done.next.take().unwrap_or_default(), &mut deleted) {
            Ok(slice) => {
                pass.done.add(slice);
                if pass.done.next.is_none() {
                    report(server, place, &pass);
                }
            }
            Err(error) => server.log(Level::Warning, format_args!("cannot clean {}: {error}", &place.location)),
        }
        let now = Instant::now();
        if pass.done.next.is_none() {
            if pass.place + 1 == self.places.len() {
                return self.idle(now);
            }
            pass = Pass::at(pass.place + 1);
        }
        pass.rests_until = now + REST * (now - started);
        State::Passing(pass)
    }
}

impl Job for Cleaner {
    fn tick(&self, server: Server<'_>) {
        let now = Instant::now();
        // A panic leaves the state that stands here meanwhile: its pass is over, and the next one is not.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, self.idle(now)) {
            State::Idle { due } if self.is_time(due, now) => self.clean(server, Pass::at(0)),
            State::Passing(pass) if pass.rests_until <= now => self.clean(server, pass),
            State::Fresh => self.idle(now),
            waiting => waiting,
        };
    }
}

/// The first whole number of intervals since `start` that lies behind `now`.
fn next_due(start: Instant, interval: Duration, now: Instant) -> Option<Instant> {
    let intervals = now.duration_since(start).as_micros() / interval.as_micros().max(1) + 1;
    let since = intervals.checked_mul(interval.as_micros().max(1))?;
    start.checked_add(Duration::from_micros(u64::try_from(since).ok()?))
}

/// One line for each directory of a pass, and one for each kind of what an administrator should look at.
fn report(server: Server<'_>, place: &StorePlace, pass: &Pass) {
    let (dir, done) = (&place.location, &pass.done);
    server.log(
        Level::Info,
        format_args!("cleaned {dir}: deleted {} of {} sessions in {:.1} s", done.deleted, done.seen, pass.began.elapsed().as_secs_f64()),
    );
    if let Some(path) = &done.foreign {
        server.log(Level::Warning, format_args!("cleaning {dir}: what is not of the store is left alone, first: {}", path.display()));
    }
    if let Some(first) = &done.damage {
        server.log(Level::Warning, format_args!("cleaning {dir}: {} damaged records were put aside, first: {first}", done.corrupt));
    }
    if let Some(first) = &done.failure {
        server.log(Level::Warning, format_args!("cleaning {dir}: {} could not be looked at, first: {first}", done.failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_due_at_whole_intervals_since_the_start() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let due = |seconds: u64| next_due(start, minute, start + Duration::from_secs(seconds)).unwrap() - start;
        assert_eq!([0, 59, 60, 61, 3599].map(due), [60, 60, 120, 120, 3600].map(Duration::from_secs));
        assert_eq!(next_due(start, Duration::MAX, start), None, "never, which is no overflow");
    }
}
