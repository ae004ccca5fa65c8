//! The guard of `make bench-check` fails when something costs more, and only then. What it counts, it counts with valgrind elsewhere; here are
//! the baseline that is committed and its comparison.

#[path = "../benches/check/baseline.rs"]
#[allow(dead_code, reason = "the guard prints more")]
mod baseline;
#[path = "../benches/check/pages.rs"]
#[allow(dead_code, reason = "the guard asks them")]
mod pages;

use baseline::{Baseline, Verdict, failures};
use pages::PAGES;

fn committed() -> Baseline {
    let text = include_str!("../benches/check/baseline");
    let baseline = Baseline::parse(text).unwrap();
    assert_eq!(baseline.text(), text);
    baseline
}

fn limit(row: &str) -> Option<u64> {
    PAGES.iter().find(|page| page.name == row).and_then(|page| page.limit)
}

/// What is counted now, so many per cent of the committed figures in one row.
fn counted(row: usize, per_cent: u64) -> Baseline {
    let mut now = committed();
    now.rows[row].1 = now.rows[row].1 * per_cent / 100;
    now
}

#[test]
fn ten_per_cent_more_in_any_row_fails_and_is_named_and_four_per_cent_pass() {
    let then = committed();
    assert!(failures(&then, &then, limit).is_empty());
    for (number, (name, _)) in then.rows.iter().enumerate() {
        assert_eq!(failures(&counted(number, 110), &then, |_| None), [(name.clone(), Verdict::Worse)]);
        for passes in [50, 96, 104] {
            assert_eq!(failures(&counted(number, passes), &then, |_| None), []);
        }
    }
}

#[test]
fn a_static_file_may_cost_three_thousand_instructions_and_no_more_whatever_the_baseline_says() {
    let name = "static, Session On";
    let then = committed();
    let at = then.rows.iter().position(|(row, _)| row == name).expect("its row");
    let mut now = then.clone();
    for (count, fails) in [(3000, false), (3001, true)] {
        now.rows[at].1 = count;
        let mut as_now = now.clone();
        assert_eq!(failures(&now, &as_now, limit).is_empty(), !fails);
        as_now.versions.insert("rustc".into(), "rustc 1.0".into());
        assert_eq!(failures(&now, &as_now, limit).is_empty(), !fails);
    }
}

#[test]
fn what_other_versions_counted_is_told_and_not_compared() {
    let mut then = committed();
    then.versions.insert("rustc".into(), "rustc 1.0".into());
    let now = counted(3, 110);
    assert_eq!(failures(&now, &then, limit), []);
    let told = then.other_versions(&now);
    assert!(told.len() == 1 && told[0].starts_with("rustc: rustc 1.0 then, "), "{told:?}");
}

#[test]
fn the_baseline_has_every_page_and_a_page_that_it_has_not_fails() {
    let then = committed();
    let names: Vec<_> = then.rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, PAGES.map(|page| page.name));
    let mut without = then.clone();
    let (name, _) = without.rows.remove(2);
    assert_eq!(failures(&then, &without, |_| None), [(name, Verdict::New)]);
}
