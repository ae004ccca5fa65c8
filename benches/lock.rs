//! `make bench`: what leases cost, under APR's global mutexes of the default mechanism, as in httpd.
//!
//! A machine with other work to do only ever makes these slower, so each is measured several times and the median counts.

#![allow(dead_code, reason = "the modules of the test do more than is measured here")]

#[path = "../tests/lease/apr.rs"]
mod apr;
#[path = "../tests/lease/child.rs"]
mod child;
#[path = "../tests/lease/figures.rs"]
mod figures;
#[path = "../tests/lease/ground.rs"]
mod ground;
#[path = "../tests/lease/judge.rs"]
mod judge;
#[path = "../tests/lease/kernel.rs"]
mod kernel;
#[path = "../tests/lease/metronome.rs"]
mod metronome;
#[path = "../tests/lease/rush.rs"]
mod rush;

use std::thread;
use std::time::{Duration, Instant};

use apr::Mutexes;
use ground::{Ground, PROCESSES, wait};
use mod_session_rs::lock::{Exclusion, Geometry, Leases, Refused, Wait};
use rush::Rush;

const ROUNDS: usize = 7;
const HOLD: Duration = Duration::from_micros(50);
const LABEL: &[u8] = b"GET /shop/cart";
const HASH: u64 = 1 << 40;

fn main() {
    let ground = Ground::new(Geometry::new(32, 1200, 32, PROCESSES));
    println!("\nleases under APR's mutexes of type {}; medians\n", ground.mutexes.mechanism());
    println!("{:<52}{:>14}{:>14}", "", "measured", "goal");
    single(&ground);
    for processes in [8, 32] {
        hand_off(processes);
    }
}

fn row(what: &str, measured: &str, goal: &str) {
    println!("{what:<52}{measured:>14}{goal:>14}");
}

/// What one process pays.
fn single(ground: &Ground) {
    let leases = ground.attach();
    let mutexes = &ground.mutexes;
    let bare = nanoseconds(|| {
        mutexes.under(0, &mut || ()).expect("a mutex");
        mutexes.under(0, &mut || ()).expect("a mutex");
    });
    row("two empty sections under a mutex", &format!("{bare} ns"), "");
    row("acquire and release, nothing else held", &format!("{} ns", pair(&leases)), "<= 400 ns");
    // Hashes that spread as keys do.
    let others: Vec<_> = (1..=1000_u64).map(|n| leases.acquire(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), LABEL, &wait(0))).collect();
    row("acquire and release, 1000 others held", &format!("{} ns", pair(&leases)), "<= 400 ns");
    others.into_iter().for_each(|lease| leases.release(&lease.expect("a lease")).expect("which was ours"));
    refusals(&leases);
}

fn pair(leases: &Leases<'_, &Mutexes>) -> u64 {
    nanoseconds(|| {
        let lease = leases.acquire(HASH, LABEL, &wait(30_000)).expect("a lease");
        leases.release(&lease).expect("which was ours");
    })
}

fn refusals(leases: &Leases<'_, &Mutexes>) {
    let held = leases.acquire(HASH, LABEL, &wait(0)).expect("a lease");
    thread::sleep(Duration::from_millis(30)); // from now on who comes looks whether the holder lives
    let at_once = nanoseconds(|| assert!(matches!(leases.acquire(HASH, LABEL, &wait(0)), Err(Refused::Timeout(_)))));
    row("refused: held, and no time to wait", &us(at_once), "");
    let narrow = || Wait { queue: 8, ..wait(30_000) };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| leases.acquire(HASH, LABEL, &narrow()).map(|lease| leases.release(&lease)));
        }
        while mod_session_rs::lock::survey::in_use(leases.memory())[0].waiting < 8 {
            thread::yield_now();
        }
        let full = nanoseconds(|| assert!(matches!(leases.acquire(HASH, LABEL, &narrow()), Err(Refused::QueueFull(_)))));
        row("refused: eight wait, and no more may", &us(full), "");
        leases.release(&held).expect("which was ours");
    });
}

/// Several processes want one lease all the time.
fn hand_off(processes: usize) {
    let rounds: Vec<(Duration, Duration, Vec<u64>)> = (0..ROUNDS)
        .map(|_| {
            let ground = Ground::new(Geometry::new(1, 64, 32, PROCESSES));
            let rush = Rush::start(&ground, processes, HOLD);
            thread::sleep(Duration::from_secs(1));
            let served = rush.served();
            rush.end();
            ground.board().assert_no_violation();
            (ground.board().hand_offs.quantile(0.5), ground.board().hand_offs.quantile(0.99), served)
        })
        .collect();
    let middle = |values: Vec<Duration>| format!("{:.1} us", median(values).as_secs_f64() * 1e6);
    row(&format!("hand-off among {processes}, p50"), &middle(rounds.iter().map(|round| round.0).collect()), "<= 20 us");
    row(&format!("hand-off among {processes}, p99"), &middle(rounds.iter().map(|round| round.1).collect()), "");
    let ranges = rounds.iter().map(|(.., served)| (served.iter().min().copied().unwrap_or(0), served.iter().max().copied().unwrap_or(0)));
    let (least, most) = median(ranges.collect());
    row(&format!("served within 1 s, of {processes}"), &format!("{least}..{most}"), "within 5 %");
}

/// Of one call.
fn nanoseconds(mut what: impl FnMut()) -> u64 {
    const CALLS: u32 = 1000;
    let rounds = (0..31 * ROUNDS).map(|_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| what());
        u64::try_from(started.elapsed().as_nanos()).expect("a short time") / u64::from(CALLS)
    });
    median(rounds.collect())
}

fn us(nanoseconds: u64) -> String {
    format!("{}.{} us", nanoseconds / 1000, nanoseconds % 1000 / 100)
}

fn median<T: Ord>(mut values: Vec<T>) -> T {
    values.sort();
    values.swap_remove(values.len() / 2)
}
