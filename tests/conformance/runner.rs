//! Runs the cases against each subject, and prints the table.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::subject::{Address, Needs, STORES, Store, Subject};
use crate::support::Mpm;
use crate::table;
use crate::watch::{Failure, Metronome, caught, keep_panics, ms};

/// One promise, and how it is tried.
#[derive(Clone, Copy)]
pub struct Case {
    pub id: &'static str,
    /// The name of the function: a sentence.
    pub name: &'static str,
    pub needs: Needs,
    pub run: fn(&Subject),
}

impl Case {
    pub fn sentence(&self) -> String {
        self.name.replace('_', " ")
    }
}

/// The cases of a file: id, what it needs, function.
macro_rules! cases {
    ($($id:ident $needs:ident $run:ident),+ $(,)?) => {
        pub const CASES: &[crate::runner::Case] = &[$(crate::runner::Case {
            id: stringify!($id),
            name: stringify!($run),
            needs: crate::subject::Needs::$needs,
            run: $run,
        }),+];
    };
}
pub(crate) use cases;

/// Cases mostly wait, so several at once are quicker on any machine.
const THREADS: usize = 6;
/// Beyond this a machine that stood still may be why something was late.
const STANDSTILL: Duration = ms(60);
const ATTEMPTS: usize = 4;

#[derive(Default)]
struct Wanted {
    list: bool,
    exact: bool,
    mpm: Option<String>,
    store: Option<String>,
    parts: Vec<String>,
    without: Vec<String>,
}

impl Wanted {
    /// Takes the arguments of the test programs of cargo as well; what means nothing here is passed over.
    fn read(mut words: impl Iterator<Item = String>) -> Wanted {
        let mut wanted = Wanted::default();
        while let Some(word) = words.next() {
            let (option, mut value) = match word.split_once('=') {
                Some((option, value)) if option.starts_with('-') => (option.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            let mut value = || value.take().or_else(|| words.next());
            match option.as_str() {
                "--list" => wanted.list = true,
                "--exact" => wanted.exact = true,
                "--mpm" => wanted.mpm = value(),
                "--store" => wanted.store = value(),
                "--skip" => wanted.without.extend(value()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(value()),
                other if other.starts_with('-') => {}
                part => wanted.parts.push(part.to_owned()),
            }
        }
        wanted
    }

    fn matches(&self, case: &Case, part: &str) -> bool {
        let is_id = case.id.eq_ignore_ascii_case(part);
        // K1 is a case of its own, not K10 to K13 beside it.
        let looks_like_id = part.len() <= 3 && part.ends_with(|c: char| c.is_ascii_digit());
        is_id || case.name == part || (!self.exact && !looks_like_id && (case.sentence().contains(part) || case.name.contains(part)))
    }

    fn cases(&self, all: &[Case]) -> Vec<Case> {
        let wanted = |case: &&Case| self.parts.is_empty() || self.parts.iter().any(|part| self.matches(case, part));
        let unwanted = |case: &Case| self.without.iter().any(|part| self.matches(case, part));
        all.iter().filter(wanted).filter(|case| !unwanted(case)).copied().collect()
    }

    fn subjects(&self) -> Vec<Subject> {
        if let Ok(url) = env::var("MSRS_CONFORMANCE_URL") {
            let address =
                Address::parse(&url).unwrap_or_else(|| panic!("MSRS_CONFORMANCE_URL is not like http://127.0.0.1:8000/page: {url}"));
            return vec![Subject::Other(address)];
        }
        let has = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name));
        let stores = STORES.iter().filter(|store| has(&self.store, store.name));
        let everywhere = self.mpm.is_some() || table::wanted().is_some();
        let of = |store: &'static Store| if everywhere { &Mpm::ALL } else { store.mpms() }.iter().map(move |mpm| (store, *mpm));
        let all = stores.flat_map(of).filter(|(_, mpm)| has(&self.mpm, &format!("{mpm:?}")));
        all.map(|(store, mpm)| Subject::Ours(store, mpm)).collect()
    }
}

/// What came of a case on a subject.
pub enum Outcome {
    Kept,
    NotAsked,
    Broken(String),
}

/// The outcomes of all cases on one subject.
pub struct Column {
    pub subject: Subject,
    pub outcomes: Vec<Outcome>,
}

pub fn run(all: &[Case]) -> ExitCode {
    let wanted = Wanted::read(env::args().skip(1));
    let cases = wanted.cases(all);
    if wanted.list {
        cases.iter().for_each(|case| println!("{:4} {}", case.id, case.sentence()));
        return ExitCode::SUCCESS;
    }
    let subjects = wanted.subjects();
    if cases.is_empty() || subjects.is_empty() {
        println!("no such case, store or MPM");
        return ExitCode::SUCCESS; // the words are for another test of cargo, perhaps
    }
    keep_panics();
    let is_all = subjects.len() >= STORES.len() && cases.len() == all.len();
    let column = |subject: Subject| Column { outcomes: run_on(&subject, &cases), subject };
    let columns: Vec<_> = subjects.into_iter().map(column).collect();
    let kept = table::print(&cases, &columns);
    let documented = !is_all || table::document(&cases, &columns, kept);
    if kept && documented { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_on(subject: &Subject, cases: &[Case]) -> Vec<Outcome> {
    let started = Instant::now();
    let outcomes: Vec<_> = cases.iter().map(|_| Mutex::new(Outcome::NotAsked)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let row = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(row) else { return };
            if subject.offers(case.needs) {
                let outcome = attempt(subject, case);
                *outcomes[row].lock().unwrap_or_else(PoisonError::into_inner) = outcome;
            }
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    eprintln!("{}: {} cases in {:.1?}", subject.name(), cases.len(), started.elapsed());
    outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// What was late while the machine stood still is tried again; what was wrong is not.
fn attempt(subject: &Subject, case: &Case) -> Outcome {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let metronome = Metronome::start();
        let result = caught(|| (case.run)(subject));
        let still = metronome.stop();
        match result {
            Ok(()) => return Outcome::Kept,
            Err(Failure { text, is_late: true }) if still > STANDSTILL && attempts < ATTEMPTS => {
                eprintln!("{} on {} once more, for the machine stood still for {still:.1?}: {text}", case.id, subject.name());
            }
            Err(failure) => return Outcome::Broken(failure.text),
        }
    }
}
