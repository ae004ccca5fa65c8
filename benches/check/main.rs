//! `make bench-check`: instructions that sessions cost a request, compared with `benches/check/baseline`. They do not mind what else the
//! machine does, so 5 % more is more.
//!
//! `cargo bench --bench check -- [ROW...] [--write] [--keep FOLDER]`: rows by parts of their names; `--write` writes the baseline anew;
//! `--keep` keeps what callgrind knows of each page, for `callgrind_annotate FOLDER/ROW`.

#[path = "../measuring/mod.rs"]
mod measuring;
#[path = "../../tests/support/mod.rs"]
mod support;

mod baseline;
mod meter;
mod pages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::time::Instant;

use baseline::{Baseline, PER_CENT, Verdict, failures};
use meter::Meter;
use pages::{PAGES, Page};
use support::apxs::Installed;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/check/baseline");

#[derive(Default)]
struct Options {
    rows: Vec<String>,
    write: bool,
    keep: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        match word.as_str() {
            "--write" => options.write = true,
            "--keep" => options.keep = Some(words.next().expect("--keep FOLDER").into()),
            _ => options.rows.push(word),
        }
    }
    assert!(!options.write || options.rows.is_empty(), "--write writes all rows");
    options
}

fn main() {
    let options = options();
    let started = Instant::now();
    let now = measure(&options);
    let seconds = started.elapsed().as_secs();
    let then = if options.write { now.clone() } else { read_baseline() };
    print(&now, &then);
    println!("\n{seconds} s; hello itself takes {}, which is httpd's", now.row("hello").unwrap_or(0));
    if options.write {
        fs::write(BASELINE, now.text()).expect("the baseline");
        println!("written to benches/check/baseline");
    }
    let others = then.other_versions(&now);
    if !others.is_empty() {
        println!("\nnot compared, since the baseline was counted with others (make bench-baseline):\n    {}", others.join("\n    "));
    }
    let failures = failures(&now, &then, limit);
    if !failures.is_empty() {
        let names: Vec<_> = failures.into_iter().map(|(name, _)| name).collect();
        println!("\nmore than {PER_CENT} % worse, over a limit, or unknown: {}", names.join("; "));
        println!("If that is meant: make bench-baseline, and say why in the message of the commit.");
        exit(1);
    }
}

fn limit(row: &str) -> Option<u64> {
    PAGES.iter().find(|page| page.name == row).and_then(|page| page.limit)
}

/// All chosen pages and those that they are compared with, in one server.
fn measure(options: &Options) -> Baseline {
    let chosen = |page: &Page| options.rows.is_empty() || options.rows.iter().any(|row| page.name.contains(row.as_str()));
    let needed = |page: &Page| chosen(page) || PAGES.iter().any(|other| chosen(other) && other.above == Some(page.name));
    if let Some(folder) = &options.keep {
        fs::create_dir_all(folder).expect("a folder for the counts");
    }
    let mut meter = Meter::start();
    let mut counts = BTreeMap::new();
    let mut rows = Vec::new();
    for page in PAGES.iter().filter(|page| needed(page)) {
        let count = meter.count(page, options.keep.as_deref());
        counts.insert(page.name, count);
        rows.push((page.name.to_owned(), count - page.above.map_or(0, |above| counts[above])));
    }
    Baseline { versions: versions(), rows }
}

fn print(now: &Baseline, then: &Baseline) {
    println!("\ninstructions of a request above hello, or above the same file without sessions; sessions of 1 kB\n");
    println!("{:<30}{:>12}{:>12}{:>10}{:>10}", "", "now", "baseline", "change", "limit");
    let comparable = then.other_versions(now).is_empty();
    for (name, count) in &now.rows {
        let verdict = Verdict::judge(*count, then.row(name), limit(name));
        let before = then.row(name).map_or_else(String::new, |then| then.to_string());
        let change = then.row(name).map_or_else(String::new, |then| format!("{:+.1} %", (*count as f64 / then as f64 - 1.0) * 100.0));
        let limit = limit(name).map_or_else(String::new, |limit| limit.to_string());
        println!("{name:<30}{count:>12}{before:>12}{change:>10}{limit:>10}  {}", verdict.text(comparable));
    }
}

fn read_baseline() -> Baseline {
    let text = fs::read_to_string(BASELINE).unwrap_or_default();
    Baseline::parse(&text).unwrap_or_else(|why| panic!("{BASELINE}: {why}"))
}

/// All that the numbers depend on besides our own code and what Cargo.lock names.
fn versions() -> BTreeMap<String, String> {
    let httpd = &Installed::get().program;
    let asked: [(&str, &Path, &str); 4] = [
        ("httpd", httpd, "-v"),
        ("libc", Path::new("ldd"), "--version"),
        ("rustc", Path::new("rustc"), "--version"),
        ("valgrind", Path::new("valgrind"), "--version"),
    ];
    let ask = |(name, program, option): (&str, &Path, &str)| {
        let output = Command::new(program).arg(option).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = said.lines().next().unwrap_or_default().trim();
        // What stands before it are the patches of a distribution, which change no count.
        let version = if name == "libc" { first.rsplit(' ').next().unwrap_or(first) } else { first };
        (name.to_owned(), version.to_owned())
    };
    asked.into_iter().map(ask).chain([("machine".to_owned(), std::env::consts::ARCH.to_owned())]).collect()
}
