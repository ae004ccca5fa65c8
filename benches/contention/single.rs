//! What leases cost one process, under APR's global mutexes of the default mechanism, as in httpd.

use std::thread;
use std::time::{Duration, Instant};

use mod_session_rs::lock::{Exclusion, Geometry, Leases, Refused, Wait};

use crate::apr::Mutexes;
use crate::ground::{Ground, PROCESSES, wait};

const LABEL: &[u8] = b"GET /shop/cart";
const HASH: u64 = 1 << 40;
/// Of which one time is taken.
const CALLS: u32 = 1000;

/// What it is, and nanoseconds.
pub type Cost = (&'static str, u64);

pub fn costs(rounds: usize) -> Vec<Cost> {
    let ground = Ground::new(Geometry::new(32, 1200, 32, PROCESSES));
    let leases = ground.attach();
    let mutexes = &ground.mutexes;
    let section = nanoseconds(rounds, || mutexes.under(0, &mut || ()).expect("a mutex"));
    let free = pair(rounds, &leases);
    // Hashes that spread as keys do.
    let others: Vec<_> = (1..=1000_u64).map(|n| leases.acquire(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), LABEL, &wait(0))).collect();
    let beside = pair(rounds, &leases);
    others.into_iter().for_each(|lease| leases.release(&lease.expect("a lease")).expect("which was ours"));
    let [at_once, full] = refusals(rounds, &leases);
    vec![
        ("an empty section under a mutex of the pool", section),
        ("a lease taken and given, nothing else held", free),
        ("a lease taken and given, 1000 others held", beside),
        ("refused: held, and no time to wait", at_once),
        ("refused: eight wait, and no more may", full),
    ]
}

fn pair(rounds: usize, leases: &Leases<'_, &Mutexes>) -> u64 {
    nanoseconds(rounds, || {
        let lease = leases.acquire(HASH, LABEL, &wait(30_000)).expect("a lease");
        leases.release(&lease).expect("which was ours");
    })
}

fn refusals(rounds: usize, leases: &Leases<'_, &Mutexes>) -> [u64; 2] {
    let held = leases.acquire(HASH, LABEL, &wait(0)).expect("a lease");
    thread::sleep(Duration::from_millis(30)); // from now on who comes looks whether the holder lives
    let at_once = nanoseconds(rounds, || assert!(matches!(leases.acquire(HASH, LABEL, &wait(0)), Err(Refused::Timeout(_)))));
    let narrow = || Wait { queue: 8, ..wait(30_000) };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| leases.acquire(HASH, LABEL, &narrow()).map(|lease| leases.release(&lease)));
        }
        while mod_session_rs::lock::survey::in_use(leases.memory())[0].waiting < 8 {
            thread::yield_now();
        }
        let full = nanoseconds(rounds, || assert!(matches!(leases.acquire(HASH, LABEL, &narrow()), Err(Refused::QueueFull(_)))));
        leases.release(&held).expect("which was ours");
        [at_once, full]
    })
}

/// Of one call.
fn nanoseconds(rounds: usize, mut what: impl FnMut()) -> u64 {
    let rounds = (0..31 * rounds).map(|_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| what());
        u64::try_from(started.elapsed().as_nanos()).expect("a short time") / u64::from(CALLS)
    });
    let mut values: Vec<_> = rounds.collect();
    values.sort_unstable();
    values[values.len() / 2]
}
