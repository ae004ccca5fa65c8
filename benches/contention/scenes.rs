//! Processes that want leases, and what it costs them.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mod_session_rs::lock::{Geometry, Wait, monotonic};

use crate::child::Child;
use crate::ground::{Ground, PATIENT, PROCESSES, until, wait};
use crate::rush::Rush;

/// A short section of a handler that computes.
const HOLD: Duration = Duration::from_micros(50);
/// A handler that waits for something.
pub const SLEEP: Duration = Duration::from_millis(1);
/// As `SessionMutexes` has it without being told.
const POOL: usize = 32;
pub const CLIENTS: usize = PROCESSES;
pub const SESSIONS: usize = 16;

/// How long, and how often for a median.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub time: Duration,
}

/// Microseconds from one holder to the next, half of them and all but one in a hundred; then how often each process was served.
pub fn hand_off(processes: usize, time: Duration) -> ([f64; 2], Vec<u64>) {
    let ground = Ground::new(Geometry::new(1, 64, PROCESSES, PROCESSES));
    let rush = Rush::start(&ground, processes, HOLD);
    sleep(time);
    let served = rush.served();
    rush.end();
    let board = ground.board();
    board.assert_no_violation();
    ([0.5, 0.99].map(|share| board.hand_offs.quantile(share).as_secs_f64() * 1e6), served)
}

/// What came of 64 clients, four for each of 16 sessions.
pub struct Visits {
    /// A second, of all clients.
    pub rate: f64,
    /// Milliseconds.
    pub waits: [f64; 2],
    pub served: Vec<u64>,
}

pub fn many_sessions(clients: usize, time: Duration) -> Visits {
    let ground = Ground::new(Geometry::new(POOL, 128, PROCESSES, PROCESSES));
    let visit = |place: usize| {
        let leases = ground.attach();
        let board = ground.board();
        let hash = spread(place % SESSIONS);
        let patient = Wait { queue: PROCESSES, ..wait(PATIENT) };
        begin_together(&ground, place);
        while !board.has_ended() {
            let asked = monotonic();
            let lease = leases.acquire(hash, b"GET /visit", &patient).expect("a lease");
            board.waits.note(monotonic() - asked);
            sleep(SLEEP);
            leases.release(&lease).expect("which was ours");
            board.served[place].fetch_add(1, Ordering::Relaxed);
        }
    };
    let (served, seconds) = run(&ground, clients, time, &visit);
    let waits = [0.5, 0.99].map(|share| ground.board().waits.quantile(share).as_secs_f64() * 1e3);
    Visits { rate: served.iter().sum::<u64>() as f64 / seconds, waits, served }
}

pub fn all_clients(time: Duration) -> Visits {
    many_sessions(CLIENTS, time)
}

/// Eight processes take and give leases of sessions of their own all the time: nanoseconds of a pair, half of them and all but one in
/// a thousand; and thousands of pairs a second.
pub fn pool(mutexes: usize, time: Duration) -> [f64; 3] {
    const WORKERS: usize = 8;
    const MOST: usize = 1 << 20;
    let ground = Ground::new(Geometry::new(mutexes, 1200, 8, PROCESSES));
    let work = |place: usize| {
        let leases = ground.attach();
        let board = ground.board();
        let mut took = Vec::with_capacity(MOST);
        begin_together(&ground, place);
        while !board.has_ended() {
            let asked = monotonic();
            let lease = leases.acquire(spread(place), b"GET /own", &wait(PATIENT)).expect("a lease");
            leases.release(&lease).expect("which was ours");
            if took.len() < MOST {
                took.push(monotonic() - asked);
            }
            board.served[place].fetch_add(1, Ordering::Relaxed);
        }
        took.into_iter().for_each(|nanoseconds| board.waits.note(nanoseconds));
    };
    let (served, seconds) = run(&ground, WORKERS, time, &work);
    let [half, most] = [0.5, 0.999].map(|share| ground.board().waits.quantile(share).as_nanos() as f64);
    [half, most, served.iter().sum::<u64>() as f64 / seconds / 1000.0]
}

/// As keys spread.
fn spread(session: usize) -> u64 {
    (session as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn begin_together(ground: &Ground, place: usize) {
    ground.board().served[place].store(u64::MAX, Ordering::Release);
    while !ground.board().has_begun() {
        sleep(Duration::from_micros(200));
    }
}

/// How often each was served, and within which time.
fn run(ground: &Ground, processes: usize, time: Duration, work: &dyn Fn(usize)) -> (Vec<u64>, f64) {
    let board = ground.board();
    let children: Vec<_> = (0..processes).map(|place| Child::fork(board, || work(place))).collect();
    let served = &board.served[..processes];
    until("all are there", || served.iter().all(|count| count.load(Ordering::Acquire) == u64::MAX));
    served.iter().for_each(|count| count.store(0, Ordering::Release));
    board.begun.store(1, Ordering::Release);
    let started = Instant::now();
    sleep(time);
    let counts = served.iter().map(|count| count.load(Ordering::Acquire)).collect();
    let seconds = started.elapsed().as_secs_f64();
    board.ended.store(1, Ordering::Release);
    children.into_iter().for_each(Child::reap);
    board.assert_no_violation();
    (counts, seconds)
}
