//! The table of cases and subjects, for the terminal and for docs/conformance.md.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runner::{Case, Column, Outcome};
use crate::subject::{STORES, Store, Subject};
use crate::support::Mpm;

/// Where the table of a run of every store on every MPM is to be written (`make test-all`).
pub fn wanted() -> Option<PathBuf> {
    std::env::var_os("MSRS_CONFORMANCE_TABLE").map(PathBuf::from)
}

/// Prints what came of it. `false`: something was broken.
pub fn print(cases: &[Case], columns: &[Column]) -> bool {
    let names: Vec<_> = columns.iter().map(|column| column.subject.name()).collect();
    let width = cases.iter().map(|case| case.name.chars().count()).max().unwrap_or(0);
    let cells = |texts: Vec<&str>| -> String {
        names.iter().zip(texts).map(|(name, text)| format!("  {text:width$}", width = name.len())).collect()
    };
    println!("\n{:5}{:width$}{}", "", "", cells(names.iter().map(String::as_str).collect()));
    for (row, case) in cases.iter().enumerate() {
        let marks = columns.iter().map(|column| match column.outcomes[row] {
            Outcome::Kept => "ok",
            Outcome::NotAsked => "-",
            Outcome::Broken(_) => "FAILED",
        });
        println!("{:5}{:width$}{}", case.id, case.sentence(), cells(marks.collect()).trim_end());
    }
    let mut broken = 0;
    for (row, case) in cases.iter().enumerate() {
        for (name, column) in names.iter().zip(columns) {
            if let Outcome::Broken(why) = &column.outcomes[row] {
                broken += 1;
                println!("\n{} on {name}: {}\n{why}", case.id, case.sentence());
            }
        }
    }
    let asked = columns.iter().flat_map(|column| &column.outcomes).filter(|outcome| !matches!(outcome, Outcome::NotAsked)).count();
    println!("\n{} of {asked} kept", asked - broken);
    broken == 0
}

/// Writes the document if it is wanted; else says whether the one that there is has these cases and stores.
pub fn document(cases: &[Case], columns: &[Column], kept: bool) -> bool {
    if let Some(file) = wanted().filter(|_| kept) {
        fs::write(&file, text(cases, columns)).expect("the table can be written");
        return true;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let old = fs::read_to_string(&file).unwrap_or_default();
    let rows = cases.iter().map(|case| format!("| {} | {} |", case.id, case.sentence()));
    let missing: Vec<_> = rows.chain([head()]).filter(|line| !old.contains(line.as_str())).collect();
    let extra = old.lines().filter(|line| line.starts_with("| ")).count() != cases.len() + 1;
    if extra || !missing.is_empty() {
        println!("docs/conformance.md is of other cases or stores, and make test-all writes it anew; not there: {missing:?}");
    }
    !extra && missing.is_empty()
}

fn head() -> String {
    STORES.iter().fold("| | |".to_owned(), |head, store| format!("{head} {} |", store.name))
}

fn text(cases: &[Case], columns: &[Column]) -> String {
    let mut text = format!(
        "# Conformance\n\nWhat sessions have to do, asked over HTTP, of every store on every MPM (event, worker, prefork). `make test-all` asks and \
         writes this table; `make test` asks the file store on all, the others on event. `ok`: kept on all three. `-`: not asked, because the case \
         looks at what this store has not (files, mostly) or is about something else.\n\n{}\n|{}\n",
        head(),
        "---|".repeat(STORES.len() + 2)
    );
    for (row, case) in cases.iter().enumerate() {
        let marks = STORES.iter().map(|store| mark(columns, row, store));
        text += &format!("| {} | {} | {} |\n", case.id, case.sentence(), marks.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Nothing that was broken is written.
fn mark(columns: &[Column], row: usize, wanted: &Store) -> String {
    let mpms = |is: fn(&Outcome) -> bool| -> Vec<Mpm> {
        let of_store = columns.iter().filter(|column| is(&column.outcomes[row]));
        let subjects = of_store.filter_map(|column| match &column.subject {
            Subject::Ours(store, mpm) if store.name == wanted.name => Some(*mpm),
            _ => None,
        });
        subjects.collect()
    };
    let kept = mpms(|outcome| matches!(outcome, Outcome::Kept));
    match kept.len() {
        0 => "-".into(),
        n if n == Mpm::ALL.len() => "ok".into(),
        _ => kept.iter().map(|mpm| format!("{mpm:?}").to_lowercase()).collect::<Vec<_>>().join(" "),
    }
}
