//! How often two workers with different sessions meet at one mutex of the pool, by a formula and by a simulation of the queues.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nanoseconds of a section under a mutex: generous, and the same for the whole table, so that the document does not change from run
/// to run.
pub const SECTION: u64 = 1000;
/// Of a request: its lease is taken and given.
pub const SECTIONS: u64 = 2;
/// Nanoseconds of a request. All workers serve one after the other without a rest.
pub const REQUEST: u64 = 10_000_000;
/// Entries into a section that are simulated.
const ENTRIES: u64 = 1_000_000;
const SEED: u64 = 20_261_122;

#[derive(Debug, Clone, Copy)]
pub struct Meeting {
    /// The share of entries that find another worker inside.
    pub chance: f64,
    /// Nanoseconds that an entry waits, over all entries. Infinite where more enter than can leave.
    pub wait: f64,
}

/// The others keep each mutex busy for this share of the time, and who comes at a random moment finds it so; the wait is that of a
/// queue with random arrivals and equal services (M/D/1).
pub fn formula(workers: u64, mutexes: u64) -> Meeting {
    let load = (workers - 1) as f64 * (SECTIONS * SECTION) as f64 / REQUEST as f64 / mutexes as f64;
    if load >= 1.0 {
        return Meeting { chance: 1.0, wait: f64::INFINITY };
    }
    Meeting { chance: load, wait: load * SECTION as f64 / (2.0 * (1.0 - load)) }
}

/// Workers that come again and again, each after a time of chance, and wait in the order in which they came.
pub fn simulation(workers: u64, mutexes: u64) -> Meeting {
    let mut random = fastrand::Rng::with_seed(SEED);
    let pause = (REQUEST / SECTIONS - SECTION) as f64;
    let mut rest = || (-(1.0 - random.f64()).ln() * pause) as u64;
    let mut arrivals: BinaryHeap<_> = (0..workers).map(|worker| Reverse((rest(), worker))).collect();
    let mut sessions = fastrand::Rng::with_seed(SEED + 1);
    // The mutex of the session that a worker serves, and how many sections are left.
    let mut at = vec![(0, 0); usize::try_from(workers).expect("a number")];
    let mut free = vec![0; usize::try_from(mutexes).expect("a number")];
    let (mut met, mut waited, mut counted) = (0, 0, 0);
    for entry in 0..ENTRIES + 10 * workers {
        let Some(Reverse((now, worker))) = arrivals.pop() else { break };
        let (mutex, left) = &mut at[worker as usize];
        if *left == 0 {
            (*mutex, *left) = (sessions.usize(..free.len()), SECTIONS);
        }
        *left -= 1;
        let start = now.max(free[*mutex]);
        free[*mutex] = start + SECTION;
        arrivals.push(Reverse((start + SECTION + rest(), worker)));
        if entry >= 10 * workers {
            // From here on the queues are as they stay.
            (met, waited, counted) = (met + u64::from(start > now), waited + (start - now), counted + 1);
        }
    }
    Meeting { chance: met as f64 / counted as f64, wait: waited as f64 / counted as f64 }
}

/// That of all workers, each with a session of its own, any two have the same mutex.
pub fn any_two_share(workers: u64, mutexes: u64) -> f64 {
    1.0 - (0..workers.min(mutexes + 1)).map(|n| 1.0 - n as f64 / mutexes as f64).product::<f64>()
}

/// That a request finds its mutex taken where mutexes are held for whole requests, as mod_python's are.
pub fn if_held_for_requests(workers: u64, mutexes: u64) -> f64 {
    1.0 - (1.0 - 1.0 / mutexes as f64).powf((workers - 1) as f64)
}
