//! What was measured and computed, for people.

use std::fmt::Write;

use crate::collisions::{REQUEST, SECTION, SECTIONS, any_two_share, formula, if_held_for_requests, simulation};
use crate::scenes::{CLIENTS, SESSIONS, Visits};
use crate::single::Cost;
use crate::svg::{self, Panel};

const WORKERS: [u64; 7] = [2, 16, 100, 400, 1000, 4000, 10_000];
const SIZES: [u64; 4] = [1, 8, 32, 256];

pub struct Figures {
    pub mechanism: String,
    pub rounds: usize,
    pub costs: Vec<Cost>,
    /// By number of processes: microseconds, p50 and p99.
    pub hand_offs: Vec<(usize, [f64; 2])>,
    /// Of 32, in the round that was the least fair.
    pub served: Vec<u64>,
    pub visits: Visits,
    /// Visits a second of one client by itself.
    pub alone: f64,
    /// By number of mutexes: nanoseconds of a pair, p50 and p99.9, and thousands of pairs a second.
    pub pools: Vec<(usize, [f64; 3])>,
}

pub fn text(figures: &Figures) -> String {
    let mut text = String::from(
        "# Contention\n\nWritten by `make bench-parts`; medians of interleaved rounds. A busy machine makes them worse, never better.\n\n\
         ![hand-off, fairness, size of the pool](contention.svg)\n\n",
    );
    let _ = writeln!(text, "{} rounds, {} processors, mutexes of type `{}`.\n", figures.rounds, processors(), figures.mechanism);
    alone(&mut text, figures);
    hand_off(&mut text, figures);
    sessions(&mut text, figures);
    pool(&mut text, figures);
    collisions(&mut text);
    text
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn alone(text: &mut String, figures: &Figures) {
    *text += "## When nobody else wants it\n\n| | ns |\n|---|---:|\n";
    for (what, nanoseconds) in &figures.costs {
        let _ = writeln!(text, "| {what} | {nanoseconds} |");
    }
}

fn ends(counts: &[u64]) -> (u64, u64) {
    (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0))
}

fn hand_off(text: &mut String, figures: &Figures) {
    *text += "\n## Many want one session\n\nProcesses that hold the lease for 50 µs without sleeping, and want it again at once. From one holder to the next:\n\n\
              | processes | p50, µs | p99, µs |\n|---:|---:|---:|\n";
    for (processes, [half, most]) in &figures.hand_offs {
        let _ = writeln!(text, "| {processes} | {half:.1} | {most:.1} |");
    }
    let (least, most) = ends(&figures.served);
    let _ = writeln!(
        text,
        "\nOf {} processes each was served {least} to {most} times, in the round that was the least fair.",
        figures.served.len()
    );
}

fn sessions(text: &mut String, figures: &Figures) {
    let visits = &figures.visits;
    let best = figures.alone * SESSIONS as f64;
    let (least, most) = ends(&visits.served);
    let _ = writeln!(
        text,
        "\n## {CLIENTS} clients, {SESSIONS} sessions\n\nFour processes for each session, which sleep for 1 ms while they hold it. One by itself makes {:.0} visits a second, so {SESSIONS} \
         sessions could make {best:.0}.\n\n| visits a second | of the best | wait p50, ms | wait p99, ms | served |\n|---:|---:|---:|---:|---:|\n\
         | {:.0} | {:.0} % | {:.2} | {:.2} | {least} to {most} |",
        figures.alone,
        visits.rate,
        visits.rate / best * 100.0,
        visits.waits[0],
        visits.waits[1],
    );
}

fn pool(text: &mut String, figures: &Figures) {
    *text += "\n## The size of the pool\n\nEight processes take and give leases of sessions of their own, and do nothing else, so that they meet as often as they can:\n\n\
              | SessionMutexes | taken and given, p50, ns | p99.9, ns | 1000 a second, all together |\n|---:|---:|---:|---:|\n";
    for (mutexes, [half, most, rate]) in &figures.pools {
        let _ = writeln!(text, "| {mutexes} | {half:.0} | {most:.0} | {rate:.0} |");
    }
}

fn collisions(text: &mut String) {
    let _ = writeln!(
        text,
        "\n## Collisions, computed\n\nTwo sessions may have one mutex of the pool. It is held for moments only, so this is no wait for the other's request. Computed for requests of {} ms \
         that follow each other without a rest, with {SECTIONS} sections of {} µs in each, which is several times what they take. An entry finds the mutex taken with the probability \
         ρ = (workers − 1) · {SECTIONS} · {} µs / {} ms / mutexes, and waits {} µs · ρ / (2 (1 − ρ)) on average; beside it a simulation of the queues. `any two` is the probability that \
         two of the workers have sessions with the same mutex at all; the last column is how many requests would wait for a stranger's whole request if the mutex were held as long.\n",
        REQUEST / 1_000_000,
        SECTION / 1000,
        SECTION / 1000,
        REQUEST / 1_000_000,
        SECTION / 1000,
    );
    *text += "| workers | mutexes | any two | meets, formula | simulated | adds to a request, formula | simulated | if held for requests |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n";
    for workers in WORKERS {
        for mutexes in SIZES {
            let (formula, simulated) = (formula(workers, mutexes), simulation(workers, mutexes));
            let adds = |wait: f64| {
                let nanoseconds = wait * SECTIONS as f64;
                if nanoseconds.is_finite() { format!("{} ns", short(nanoseconds)) } else { "no end".to_owned() }
            };
            let _ = writeln!(
                text,
                "| {workers} | {mutexes} | {} % | {} % | {} % | {} | {} | {} % |",
                percent(any_two_share(workers, mutexes)),
                percent(formula.chance),
                percent(simulated.chance),
                adds(formula.wait),
                adds(simulated.wait),
                percent(if_held_for_requests(workers, mutexes)),
            );
        }
    }
}

fn percent(share: f64) -> String {
    short(share * 100.0)
}

/// Two digits that say something.
fn short(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        _ if number >= 10.0 => format!("{number:.0}"),
        _ if number >= 1.0 => format!("{number:.1}"),
        _ if number >= 0.1 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

pub fn chart(figures: &Figures) -> String {
    let column = |figure: usize| figures.hand_offs.iter().map(|(_, times)| times[figure]).collect();
    let pool = |figure: usize| figures.pools.iter().map(|(_, times)| times[figure]).collect();
    svg::chart(&[
        Panel {
            title: "hand-off of one session among so many processes, µs".into(),
            labels: figures.hand_offs.iter().map(|(processes, _)| processes.to_string()).collect(),
            series: vec![("p99", column(1)), ("p50", column(0))],
            bars: true,
        },
        Panel {
            title: "how often each of 32 processes was served in a second".into(),
            labels: figures.served.iter().map(|_| String::new()).collect(),
            series: vec![("", figures.served.iter().map(|&count| count as f64).collect())],
            bars: true,
        },
        Panel {
            title: "lease taken and given by 8 processes, by SessionMutexes, ns (p50)".into(),
            labels: figures.pools.iter().map(|(mutexes, _)| mutexes.to_string()).collect(),
            series: vec![("", pool(0))],
            bars: false,
        },
    ])
}
