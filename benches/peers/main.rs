//! `make bench`: what a session costs, side by side with every peer and with the floor, in one run.
//!
//! Load generator and servers share the machine, and others may use it too. So each round loads all pages in another order, what counts
//! is how a page differs from the page without a session on the same server in the same round, and of that the median. Instructions and
//! system calls are counted in runs of their own.
//!
//! `cargo bench --bench peers -- --rounds 3 --seconds 1 file redis-read` is a short look at the rows whose names begin so; it prints what
//! a full run writes to `docs/benchmarks.md` and `docs/benchmarks.svg`.

mod chart;
mod counts;
mod goals;
mod load;
mod machine;
#[path = "../measuring/mod.rs"]
mod measuring;
mod places;
mod report;
mod results;
mod rows;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use load::load;
use results::Results;
use rows::{Place, ROWS, Row};
use support::Httpd;

/// A page without a session is loaded once more in a round for so many others: all are compared to it.
const ROWS_FOR_A_BASE: usize = 7;

/// Each page is loaded so often in a round: what else happens on the machine for a second or two meets half of a figure.
const LOADS: usize = 2;

struct Options {
    rounds: usize,
    seconds: u64,
    words: Vec<String>,
    is_full: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Options {
        let mut options = Options { rounds: 9, seconds: 1, words: Vec::new(), is_full: true };
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|number| number.parse::<u64>().ok()).filter(|&n| n > 0);
            match &*word {
                "--bench" => continue, // cargo's own
                "--rounds" => options.rounds = number().expect("--rounds NUMBER") as usize,
                "--seconds" => options.seconds = number().expect("--seconds NUMBER"),
                _ => options.words.push(word),
            }
            options.is_full = false;
        }
        options
    }

    /// What is wanted, what it is compared to, and of that only what this machine can have.
    fn rows(&self) -> Vec<&'static Row> {
        if let Some(word) = self.words.iter().find(|word| !ROWS.iter().any(|row| row.is_meant_by(word))) {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            panic!("no row {word}; there are: {}", names.join(" "));
        }
        let is_wanted = |row: &Row| self.words.is_empty() || self.words.iter().any(|word| row.is_meant_by(word));
        let needed = |row: &&Row| ROWS.iter().any(|other| is_wanted(other) && (other.name == row.name || other.base == row.name));
        ROWS.iter().filter(needed).filter(|row| row.place.missing().is_none()).collect()
    }
}

fn main() {
    let options = Options::parse(std::env::args().skip(1));
    let rows = options.rows();
    let of = |place: Place| rows.iter().copied().filter(|row| row.place == place).collect::<Vec<_>>();
    let places: Vec<_> = Place::ALL.into_iter().filter(|&place| !of(place).is_empty()).collect();
    let mut results = Results::default();
    for &place in &places {
        eprintln!("{place:?}: system calls and instructions");
        let mine = of(place);
        for ((row, calls), instructions) in mine.iter().zip(counts::system_calls(place, &mine)).zip(counts::instructions(place, &mine)) {
            results.count(row, calls, instructions);
        }
    }
    let servers: Vec<(Place, Httpd)> = places.iter().map(|&place| (place, place.setup(place.mpm()).workers(16).start())).collect();
    let server = |row: &Row| &servers.iter().find(|(place, _)| *place == row.place).expect("a server").1;
    for row in rows.iter().filter(|row| row.counts) {
        eprintln!("{}: lost updates", row.name);
        results.lose(row, counts::lost_updates(server(row), row));
    }
    for round in 0..=options.rounds {
        for row in order(&rows, round) {
            eprintln!("round {round} of {}: {}", options.rounds, row.name);
            // The first one warms up.
            if round == 0 {
                load(server(row), row, 1);
            } else {
                results.add(row, round - 1, load(server(row), row, options.seconds));
            }
        }
    }
    let text = report::document(&results, &machine::describe(&servers), options.rounds, options.seconds);
    println!("{text}");
    if options.is_full {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        fs::write(docs.join("benchmarks.md"), text).expect("docs/benchmarks.md");
        fs::write(docs.join("benchmarks.svg"), chart::draw(&results)).expect("docs/benchmarks.svg");
        eprintln!("written: docs/benchmarks.md and docs/benchmarks.svg");
    }
}

/// All rows, each base so often as it is needed, shuffled.
fn order(rows: &[&'static Row], round: usize) -> Vec<&'static Row> {
    let times = |row: &Row| match row.is_base() {
        true => 1 + rows.iter().filter(|other| other.base == row.name).count() / ROWS_FOR_A_BASE,
        false => 1,
    };
    let loads = if round == 0 { 1 } else { LOADS };
    let mut all: Vec<_> = rows.iter().flat_map(|&row| std::iter::repeat_n(row, loads * times(row))).collect();
    fastrand::Rng::with_seed(round as u64).shuffle(&mut all);
    all
}
