//! The stock mod_session and ours, asked the same under the same configuration, must answer the same: status, headers, body, error log and
//! table of mod_session_dbd. What differs on purpose is in [`improvements`], and nothing is there that does not differ.
//!
//! [`site`] and [`forms`] are the configuration, [`pair`] the two servers and the client of both, [`cases`] the scripts, [`normal`] makes times and random
//! ids comparable, [`compare`] compares, [`document`] is docs/differences.md. [`words`] is about configurations that are refused.
//!
//! `MSRS_DIFFERENTIAL=form cargo test --test differential every_answer` asks only the cases whose section or name holds that.

#[path = "differential/cases/mod.rs"]
mod cases;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/document.rs"]
mod document;
#[path = "differential/forms.rs"]
mod forms;
#[path = "differential/improvements/mod.rs"]
mod improvements;
#[path = "differential/normal.rs"]
mod normal;
#[path = "differential/pair.rs"]
mod pair;
#[path = "differential/site.rs"]
mod site;
mod support;
#[path = "differential/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::env;

use compare::Found;
use improvements::IMPROVEMENTS;
use pair::Pair;
use support::{Mpm, mpm_tests};

fn every_answer_is_that_of_the_stock_module_but_for_the_improvements(mpm: Mpm) {
    let only = env::var("MSRS_DIFFERENTIAL").unwrap_or_default();
    let mut pair = Pair::start(mpm);
    cases::all().for_each(|case| pair.run(case, &only));
    let found = BTreeSet::from_iter(pair.differences());
    let intended: BTreeSet<_> = IMPROVEMENTS.iter().flat_map(|improvement| improvement.rows).flat_map(Found::all_of).collect();
    let unexplained = told(found.difference(&intended));
    assert!(unexplained.is_empty(), "what nobody meant to differ:\n\n{unexplained}");
    let gone = told(intended.difference(&found).filter(|row| row.case.contains(&only)));
    assert!(gone.is_empty(), "improvements that are none any more:\n\n{gone}");
}

fn told<'f>(differences: impl Iterator<Item = &'f Found>) -> String {
    differences.map(|found| format!("{found}\n")).collect()
}

mpm_tests!(every_answer_is_that_of_the_stock_module_but_for_the_improvements);
