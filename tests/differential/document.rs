//! docs/differences.md: the improvements for people who come from the stock module.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::cases;
use crate::compare::Found;
use crate::improvements::{IMPROVEMENTS, Improvement, Row};

const BEGIN: &str = "<!-- The rest is written by tests/differential/document.rs. -->\n";

fn cell(text: &str) -> String {
    if text == "-" { "nothing".into() } else { format!("`{}`", text.replace('|', "\\|")) }
}

fn row(row: &Row) -> String {
    let Row { on, case, requests, what, stock, ours } = row;
    let requests: Vec<_> = requests.iter().map(usize::to_string).collect();
    format!("| {case} | {} | {} | {what} | {} | {} |\n", on.join(", "), requests.join(", "), cell(stock), cell(ours))
}

fn section(improvement: &Improvement) -> String {
    let rows: String = improvement.rows.iter().map(row).collect();
    let head = "| case | sections | requests | what | stock mod_session | mod_session_rs |\n|---|---|---|---|---|---|\n";
    format!("\n## {}\n\n{}\n\n{head}{rows}", improvement.title, improvement.why)
}

#[test]
fn the_document_shows_the_improvements() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let text = fs::read_to_string(&file).expect("docs/differences.md");
    let (head, rest) = text.split_once(BEGIN).expect("the line before which people write");
    let sections: String = IMPROVEMENTS.iter().map(section).collect();
    if rest != sections {
        let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differences.md");
        fs::write(&written, format!("{head}{BEGIN}{sections}")).expect("the document as it should be");
        panic!("docs/differences.md is not what the table says; {} is", written.display());
    }
}

#[test]
fn every_improvement_is_of_a_case_and_told_once() {
    let known: BTreeSet<String> = cases::all().flat_map(|case| case.on.iter().map(|section| format!("{section}: {}", case.name))).collect();
    let mut seen = BTreeSet::new();
    for found in IMPROVEMENTS.iter().flat_map(|improvement| improvement.rows).flat_map(Found::all_of) {
        assert!(known.contains(&found.case), "there is no case {}", found.case);
        assert!(seen.insert((found.case.clone(), found.request, found.what.clone())), "twice: {found}");
    }
}

#[test]
fn no_two_cases_have_the_same_name() {
    let mut seen = BTreeSet::new();
    for case in cases::all() {
        for section in case.on {
            assert!(seen.insert((section, case.name)), "twice: {section}: {}", case.name);
        }
    }
}
