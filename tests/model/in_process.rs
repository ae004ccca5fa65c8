//! A million operations on a file store, by requests that run into each other between the steps of what they do.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use mod_session_rs::repository::Repository;
use mod_session_rs::session::{Scope, Timestamp};
use mod_session_rs::store::Store;
use mod_session_rs::store::directory;
use mod_session_rs::store::file::FileStore;

use crate::contents::Verdict;
use crate::end::LATE;
use crate::history::History;
use crate::interrupted::Interrupted;
use crate::life::Number;
use crate::oracle::{Check, Oracle, Place, caught, demand};
use crate::tally::{Event, Tally};
use crate::world;

/// Operations of one history, which begins with an empty store.
const HISTORY: u64 = 4000;
/// After so many the whole store is compared.
const AUDIT: u64 = 400;
const BEGIN: u64 = 1_700_000_000_000_000;

/// One history. The error is a difference, with the operations before it.
pub fn run(seed: u64, most: u64) -> Result<(u64, Tally), String> {
    let place = match Path::new("/dev/shm") {
        memory if memory.is_dir() => tempfile::tempdir_in(memory),
        _ => tempfile::tempdir(),
    };
    let place = place.expect("a temporary directory");
    let path = place.path().join("sessions");
    directory::make(&path, None).expect("the directory of the store");
    directory::claim(&path, directory::Kind::File).expect("its marker");
    let store = FileStore::new(path);

    let mut rng = Rng::with_seed(seed);
    let rules = world::rules(&mut rng);
    let scope = Scope { name: "example.org".into(), cookie: "sid".into() };
    let terms = world::terms(&rules, scope.clone());
    let history = Mutex::new(History::new(&store, rng, Oracle::new(rules, scope), terms, BEGIN));
    let all = caught(|| go(&history, most.min(HISTORY)));
    let history = history.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Err(difference) = all else { return Ok((history.operations, history.oracle.tally)) };
    let log: Vec<_> = history.log.into_iter().collect();
    Err(format!("{}\n{rules:?}\n{difference} (operation {})", log.join("\n"), history.operations))
}

fn go(history: &Mutex<History<'_>>, most: u64) -> Check {
    let mut audited = 0;
    loop {
        step(history)?;
        let mut history = lock(history);
        if history.operations >= audited + AUDIT || history.operations >= most {
            audited = history.operations;
            history.audit()?;
        }
        if history.operations >= most {
            return Ok(());
        }
    }
}

fn lock<'h, 's>(history: &'h Mutex<History<'s>>) -> MutexGuard<'h, History<'s>> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One operation, perhaps interrupted by others: it does at each of its steps what is right after them.
fn step(history: &Mutex<History<'_>>) -> Check {
    let mut before = lock(history);
    before.oracle.begin()?;
    let Some(mut job) = before.next(None)? else { return Ok(()) };
    let (store, focus) = (before.store, job.focus(&before));
    let mask = match before.rng.u32(..10) {
        0..6 => 0,
        6..9 => 1 << before.rng.u32(..5),
        _ => before.rng.u32(..) & before.rng.u32(..),
    };
    let said = job.describe();
    if mask != 0 {
        before.note(&format!("{said} ..."));
    }
    drop(before);

    let difference = Mutex::new(Ok(()));
    let meanwhile = || {
        let mut history = lock(history);
        history.meanwhile = true;
        history.oracle.tally.count(Event::Interrupted);
        let done = history.some_operations(focus);
        history.meanwhile = false;
        let mut difference = difference.lock().unwrap_or_else(PoisonError::into_inner);
        *difference = difference.clone().and(done);
    };
    let outcome = job.perform(&Interrupted::new(store, &meanwhile, mask));
    difference.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    lock(history).settle(job, &said, outcome)
}

impl History<'_> {
    fn some_operations(&mut self, focus: Option<Number>) -> Check {
        for _ in 0..self.rng.u32(1..4) {
            if let Some(mut job) = self.next(focus)? {
                let (said, outcome) = (job.describe(), job.perform(self.store));
                self.settle(job, &said, outcome)?;
            }
        }
        Ok(())
    }

    /// Compares the whole store with the model: what is there, and what each id leads to.
    fn audit(&mut self) -> Check {
        let mut there = HashSet::new();
        let mut visit = |key: &_, _| there.insert(*key);
        self.store.each(&mut visit).map_err(|error| error.to_string())?;
        for (id, place) in &self.oracle.places {
            let long_gone = |number| self.oracle.life(number).is_over_before(self.now.saturating_sub(LATE)) != Verdict::No;
            let found = there.remove(&self.oracle.ids()[*id].1);
            demand!(found || matches!(place, Place::Session(number) if long_gone(*number)), "nothing is stored for id {id}: {place:?}");
        }
        demand!(there.is_empty(), "{there:?} are stored, and nothing leads there");
        let (terms, now) = (self.terms.clone(), self.now);
        let sessions = Repository { store: self.store, terms: &terms };
        for number in 0..self.oracle.ids().len() {
            let id = self.oracle.ids()[number].0.clone();
            let found = sessions.find(&id, Timestamp(now)).map_err(|error| error.to_string())?;
            self.oracle.looked_up(number, &found, now).map_err(|difference| format!("id {number}: {difference}"))?;
        }
        Ok(())
    }
}
