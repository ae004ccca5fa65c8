//! `make bench-parts`: what happens when many want one lease or one mutex, measured and, for more workers than a machine has, computed.
//! Writes docs/contention.md and docs/contention.svg; `cargo bench --bench contention -- --look` measures shortly and writes nothing.
//!
//! A machine with other work to do only ever makes these slower, so each is measured several times and the median counts.

#![allow(dead_code, reason = "the modules of the test do more than is measured here")]

#[path = "../../tests/lease/apr.rs"]
mod apr;
#[path = "../../tests/lease/child.rs"]
mod child;
#[path = "../../tests/lease/figures.rs"]
mod figures;
#[path = "../../tests/lease/ground.rs"]
mod ground;
#[path = "../../tests/lease/judge.rs"]
mod judge;
#[path = "../../tests/lease/kernel.rs"]
mod kernel;
#[path = "../measuring/median.rs"]
mod median;
#[path = "../../tests/lease/metronome.rs"]
mod metronome;
#[path = "../../tests/lease/rush.rs"]
mod rush;

mod collisions;
mod document;
mod scenes;
mod single;
mod svg;

use std::fs;
use std::path::Path;
use std::time::Duration;

use document::Figures;
use ground::Ground;
use median::median;
use mod_session_rs::lock::Geometry;
use scenes::{Effort, Visits};

const WAITERS: [usize; 5] = [2, 4, 8, 16, 32];
const POOLS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

fn main() {
    let look = std::env::args().any(|word| word == "--look");
    let effort =
        if look { Effort { rounds: 1, time: Duration::from_millis(300) } } else { Effort { rounds: 7, time: Duration::from_secs(1) } };
    let figures = measure(effort);
    let text = document::text(&figures);
    println!("{text}");
    if !look {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        fs::write(docs.join("contention.md"), text).expect("docs/contention.md");
        fs::write(docs.join("contention.svg"), document::chart(&figures)).expect("docs/contention.svg");
    }
}

fn measure(effort: Effort) -> Figures {
    // Rounds of all sizes in turn, so that a busy minute does not speak for one of them.
    let mut hand_offs = WAITERS.map(|_| Vec::new());
    let mut served = Vec::new();
    let mut pools = POOLS.map(|_| Vec::new());
    let mut visits: Vec<Visits> = Vec::new();
    let mut alone = Vec::new();
    for _ in 0..effort.rounds {
        for (rounds, waiters) in hand_offs.iter_mut().zip(WAITERS) {
            let (times, counts) = scenes::hand_off(waiters, effort.time);
            rounds.push(times);
            served = if waiters == WAITERS[4] { less_fair(served, counts) } else { served };
        }
        for (rounds, mutexes) in pools.iter_mut().zip(POOLS) {
            rounds.push(scenes::pool(mutexes, effort.time / 2));
        }
        visits.push(scenes::all_clients(effort.time));
        alone.push([scenes::many_sessions(1, effort.time / 2).rate]);
    }
    visits.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let middle = visits.swap_remove(visits.len() / 2);
    Figures {
        mechanism: Ground::new(Geometry::new(1, 1, 1, 1)).mutexes.mechanism(),
        rounds: effort.rounds,
        costs: single::costs(effort.rounds),
        hand_offs: WAITERS.into_iter().zip(hand_offs.map(medians)).collect(),
        served: {
            served.sort_unstable();
            served
        },
        visits: middle,
        alone: medians(alone)[0],
        pools: POOLS.into_iter().zip(pools.map(medians)).collect(),
    }
}

/// The round that shows the largest difference is the one that is told.
fn less_fair(told: Vec<u64>, counts: Vec<u64>) -> Vec<u64> {
    let spread = |counts: &[u64]| {
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        most as f64 / least.max(1) as f64
    };
    if told.is_empty() || spread(&counts) > spread(&told) { counts } else { told }
}

fn medians<const N: usize>(rounds: Vec<[f64; N]>) -> [f64; N] {
    std::array::from_fn(|figure| median(rounds.iter().map(|round| round[figure])))
}
