//! Processes that read and write one store are killed with SIGKILL at any moment, thousands of times. Whatever a process was
//! told is done stays done, and nobody is ever shown half a record.
//!
//! Who does what: [`storm`] starts, kills and restarts the processes; [`worker`] is what runs in them; [`ledger`] is where they note
//! what was acknowledged, so that it survives them; [`payload`] makes records that are verified byte for byte without the store's
//! checksum; [`judge`] compares what a store shows with the ledger.
//!
//! `MSRS_CRASH_OPERATIONS=20000000 cargo test --test crash` runs longer.
#![cfg(feature = "dbm")]

#[path = "crash/judge.rs"]
mod judge;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/memory.rs"]
mod memory;
#[path = "crash/payload.rs"]
mod payload;
#[path = "crash/storm.rs"]
mod storm;
#[path = "crash/worker.rs"]
mod worker;

use std::time::Duration;

use judge::Subject;
use mod_session_rs::store::dbm::Survey;
use storm::{Progress, Storm};

/// What the main run has to reach.
const OPERATIONS: u64 = 1_000_000;
/// What ends a run that does not get there: far more than it takes.
const DEADLINE: Duration = Duration::from_secs(300);

#[test]
fn a_killed_process_never_damages_or_loses_an_acknowledged_change() {
    if worker::ran_here() {
        return;
    }
    let wanted = std::env::var("MSRS_CRASH_OPERATIONS").map_or(OPERATIONS, |text| text.parse().expect("a number"));
    let factor = u32::try_from(wanted.div_ceil(OPERATIONS)).expect("a number of operations that ends");
    // A storm that hardly killed, deleted or cleaned would prove little, however many operations it saw.
    let enough = |Progress { seen, kills, halves }: &Progress| {
        let worked = seen.operations() >= wanted && seen.loads > wanted / 10 && seen.updates > wanted / 10;
        worked && *kills > 300 && *halves > 50 && seen.creates > 20 && seen.deletes > 20 && seen.swept > 5
    };
    let mut storm = Storm::start(Subject::File, &[]);
    let complaint = storm.rage(DEADLINE * factor, enough);
    let summary = storm.end();
    storm::print(&format!("the store under SIGKILL: {summary}"));
    assert_eq!(complaint, None, "in {summary}");
    storm.inspect();
    assert!(enough(&summary.progress), "only {summary}");
    assert!(summary.longest_stall() < Duration::from_secs(15), "{summary}");
}

/// How many die in the dbm store at least.
const KILLS: u64 = 1000;

/// Between its steps, in a transaction, and while it writes the pages of a commit.
#[test]
fn a_killed_process_never_harms_the_dbm_store_and_the_next_writer_goes_on() {
    if worker::ran_here() {
        return;
    }
    let enough = |Progress { seen, kills, halves }: &Progress| {
        let worked = seen.loads > 10_000 && seen.updates > 10_000 && seen.creates > 20 && seen.deletes > 20 && seen.swept > 5;
        worked && *kills >= KILLS && *halves > 50
    };
    let mut storm = Storm::start(Subject::Dbm, &[]);
    let complaint = storm.rage(DEADLINE, enough);
    let summary = storm.end();
    storm::print(&format!("the dbm store under SIGKILL: {summary}"));
    assert_eq!(complaint, None, "in {summary}");
    storm.inspect();
    assert_eq!(storm.survey(), Survey::default(), "records and index disagree");
    assert!(enough(&summary.progress), "only {summary}");
    // Who dies in a transaction keeps nobody waiting.
    assert!(summary.longest_stall() < Duration::from_secs(5), "{summary}");
}

/// The same check with the store's checksum switched off: it must find torn records, else the run above shows nothing.
#[cfg(feature = "faults")]
#[test]
fn the_same_storm_without_the_checksum_is_caught() {
    a_torn_record_is_caught("the store", Subject::File, &[("MSRS_FAULT_NO_CHECKSUM", "1")]);
}

/// Rages until a torn record is found, and fails where there is none in a minute.
#[cfg(feature = "faults")]
fn a_torn_record_is_caught(name: &str, subject: Subject, environment: &[(&str, &str)]) {
    if worker::ran_here() {
        return;
    }
    let mut storm = Storm::start(subject, environment);
    let mut torn = None;
    let patience = Duration::from_secs(60);
    while torn.is_none() && storm.age() < patience {
        let complaint = storm.rage(patience.saturating_sub(storm.age()), |_| false);
        torn = complaint.filter(|complaint| complaint.starts_with(judge::TORN));
    }
    let summary = storm.end();
    storm::print(&format!("{name} without its checksum: {summary}; caught: {}", torn.as_deref().unwrap_or("nothing")));
    assert!(torn.is_some(), "no torn record was caught in {summary}");
}

/// Beside kills at any moment, the module kills its own process between two writes, so that each window is hit.
#[cfg(feature = "faults")]
#[test]
fn a_process_that_dies_within_a_write_to_memory_damages_and_loses_nothing() {
    if worker::ran_here() {
        return;
    }
    let enough = |Progress { seen, kills, halves }: &Progress| {
        let worked = seen.operations() >= OPERATIONS / 2 && seen.updates > OPERATIONS / 10;
        worked && *kills > 300 && *halves > 500 && seen.creates > 20 && seen.deletes > 20 && seen.swept > 5
    };
    let mut storm = Storm::start(Subject::Memory, &[(storm::DEATHS, "600")]);
    let complaint = storm.rage(DEADLINE, enough);
    let summary = storm.end();
    storm::print(&format!("the memory store under SIGKILL: {summary}"));
    assert_eq!(complaint, None, "in {summary}");
    storm.inspect();
    assert_eq!(storm.damaged(), 0, "records were found damaged");
    assert!(enough(&summary.progress), "only {summary}");
    assert!(summary.longest_stall() < Duration::from_secs(15), "{summary}");
}

/// The same without the check: torn records must be found, else the run above shows nothing.
#[cfg(feature = "faults")]
#[test]
fn the_same_storm_on_memory_without_the_checksum_is_caught() {
    a_torn_record_is_caught("memory", Subject::Memory, &[(storm::DEATHS, "600"), ("MSRS_FAULT_NO_CHECKSUM", "1")]);
}
