//! Judging durations, and doing things at once.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn pause(n: u64) {
    thread::sleep(ms(n));
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

/// What went wrong in a case.
pub struct Failure {
    pub text: String,
    /// It may be that nothing was wrong but the machine stood still: worth another try.
    pub is_late: bool,
}

/// The panic of what came too late.
struct Late(String);

/// Fails a case if something took too long.
#[track_caller]
pub fn in_time(took: Duration, limit: Duration, what: &str) {
    timely(took < limit, &format!("{what}: {took:?} instead of less than {limit:?}"));
}

/// Fails a case for what a machine that stands still may bring about as well.
#[track_caller]
pub fn timely(is_so: bool, what: &str) {
    if !is_so {
        let place = panic::Location::caller();
        panic_any(Late(format!("{}:{}: {what}", place.file(), place.line())));
    }
}

thread_local! {
    /// Within a case, what the last panic of this thread said, and where.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_CASE: RefCell<bool> = const { RefCell::new(false) };
}

/// Panics of cases are kept for the table instead of being printed.
pub fn keep_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if IS_CASE.with_borrow(|is_case| !is_case) {
            return usual(info);
        }
        let text = text_of(info.payload()).unwrap_or_default();
        let place = info.location().map_or_else(String::new, |place| format!("{}:{}: ", place.file(), place.line()));
        SAID.set(Some(place + &text));
    }));
}

fn text_of(payload: &(dyn Any + Send)) -> Option<String> {
    payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}

/// Runs a case, or a part of it in another thread.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    IS_CASE.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_CASE.set(false);
    let said = SAID.take();
    outcome.map_err(|payload| match payload.downcast::<Failure>() {
        Ok(failure) => *failure, // of another thread
        Err(payload) => match payload.downcast::<Late>() {
            Ok(late) => Failure { text: late.0, is_late: true },
            Err(payload) => Failure { text: said.or_else(|| text_of(&*payload)).unwrap_or_default(), is_late: false },
        },
    })
}

/// Hands the failure of a part on to the case.
fn pass_on<T>(outcome: Result<T, Failure>) -> T {
    outcome.unwrap_or_else(|failure| resume_unwind(Box::new(failure)))
}

/// Does something `number` times at once.
pub fn at_once<T: Send>(number: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..number)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || caught(|| work(n))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("panics are caught")).collect()
    });
    outcomes.into_iter().map(pass_on).collect()
}

/// Does one thing while another goes on, which is asked to end when the first is done.
pub fn while_busy<A: Send, B>(busy: impl FnOnce(&AtomicBool) -> A + Send, work: impl FnOnce() -> B) -> (A, B) {
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    let (busy, done) = thread::scope(|scope| {
        let thread = scope.spawn(|| caught(|| busy(&stop)));
        let done = {
            let _stop = Stop(&stop);
            work()
        };
        (thread.join().expect("panics are caught"), done)
    });
    (pass_on(busy), done)
}

/// Asks again and again until it is so, or `limit` is over.
pub fn soon(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        pause(20);
    }
}

/// Tells for how long the machine stood still at most, or had no time for us.
pub struct Metronome {
    stop: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<Duration>,
}

impl Metronome {
    pub fn start() -> Metronome {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let ((), took) = timed(|| pause(20));
                    longest = longest.max(took.saturating_sub(ms(20)));
                }
                longest
            }
        });
        Metronome { stop, thread }
    }

    pub fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the metronome")
    }
}
