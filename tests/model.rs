//! Histories of operations against a model: a map and a clock.
//!
//! The model is written from what the module promises, not from how it keeps that. Where the promise leaves something open - the touch
//! interval by which a session may end late, the exact size of a record - it accepts either and goes on from what it saw.
//!
//! Who does what: [`oracle`] is the model, with [`life`] a session in it, [`end`] what is known of its end, [`visit`] a request under way
//! and [`contents`] its values; [`commit`] and [`finding`] judge answers. [`history`] does the operations, which [`choice`] picks; [`job`]
//! asks the repository and the model, [`interrupted`] lets requests in between the steps of others, [`world`] moves the clock. Over HTTP,
//! [`over_http`] runs scripts one after another against [`site`] and [`page`], and [`crowd`] many at once.
//!
//! `MSRS_MODEL_OPERATIONS=1000000 cargo test --release --test model in_a_process` and `MSRS_MODEL_OPERATIONS=20000 ... over_http` run
//! longer; `MSRS_MODEL_SEED=n` repeats a history.

#[path = "model/choice.rs"]
mod choice;
#[path = "model/commit.rs"]
mod commit;
#[path = "model/contents.rs"]
mod contents;
#[path = "model/crowd.rs"]
mod crowd;
#[path = "model/end.rs"]
mod end;
#[path = "model/finding.rs"]
mod finding;
#[path = "model/history.rs"]
mod history;
#[path = "model/in_process.rs"]
mod in_process;
#[path = "model/interrupted.rs"]
mod interrupted;
#[path = "model/job.rs"]
mod job;
#[path = "model/life.rs"]
mod life;
#[path = "model/oracle.rs"]
mod oracle;
#[path = "model/over_http.rs"]
mod over_http;
#[path = "model/page.rs"]
mod page;
#[path = "model/script.rs"]
mod script;
#[path = "model/site.rs"]
mod site;
mod support;
#[path = "model/tally.rs"]
mod tally;
#[path = "model/visit.rs"]
mod visit;
#[path = "model/world.rs"]
mod world;

use std::io::Write;
use std::time::Instant;

use tally::Tally;

const OPERATIONS: u64 = 80_000;
const REQUESTS: u64 = 8_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The seed, told also by a test that passes.
fn seed(what: &str) -> u64 {
    let seed = number("MSRS_MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 48));
    print(&format!("{what}: MSRS_MODEL_SEED={seed}"));
    seed
}

fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn no_operation_in_a_process_differs_from_the_model() {
    let (first, wanted) = (seed("in a process"), number("MSRS_MODEL_OPERATIONS").unwrap_or(OPERATIONS));
    let (mut done, started, mut tally) = (0, Instant::now(), Tally::default());
    for seed in (0..).map(|n| first.wrapping_add(n)) {
        match in_process::run(seed, wanted - done) {
            Ok((operations, happened)) => {
                done += operations;
                tally.add(&happened);
            }
            Err(difference) => panic!("{difference}\nafter {done} operations without; MSRS_MODEL_SEED={seed} repeats it"),
        }
        if done >= wanted {
            break;
        }
    }
    print(&format!("in a process: {done} operations in {:?}: {tally}", started.elapsed()));
    let never = tally.rarer_than(wanted / 20_000);
    assert!(never.is_empty(), "hardly ever or never happened: {never:?}, MSRS_MODEL_SEED={first}");
}

#[test]
fn no_request_over_http_differs_from_the_model() {
    let (seed, wanted) = (seed("over HTTP"), number("MSRS_MODEL_OPERATIONS").unwrap_or(REQUESTS));
    let started = Instant::now();
    match over_http::run(seed, wanted) {
        Ok(requests) => print(&format!("over HTTP: {requests} requests in {:?}", started.elapsed())),
        Err(difference) => panic!("{difference}\nMSRS_MODEL_SEED={seed} repeats the scripts"),
    }
}
