//! Histories of operations against a model.

#[path = "model/choice.rs"]
mod choice;
#[path = "model/commit.rs"]
mod commit;
#[path = "model/contents.rs"]
mod contents;
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
#[path = "model/tally.rs"]
mod tally;
#[path = "model/visit.rs"]
mod visit;
#[path = "model/world.rs"]
mod world;

use std::io::Write;
use std::time::Instant;

const OPERATIONS: u64 = 80_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn no_operation_in_a_process_differs_from_the_model() {
    let seed = number("MSRS_MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 48));
    let wanted = number("MSRS_MODEL_OPERATIONS").unwrap_or(OPERATIONS);
    print(&format!("in process: seed {seed}"));
    let (mut done, started, mut tally) = (0, Instant::now(), tally::Tally::default());
    for history in 0.. {
        let seed = seed.wrapping_add(history);
        match in_process::run(seed, wanted - done) {
            Ok((operations, happened)) => {
                done += operations;
                tally.add(&happened);
            }
            Err(difference) => {
                panic!("{difference}\nafter {done} operations of other histories; repeat this one with MSRS_MODEL_SEED={seed}")
            }
        }
        if done >= wanted {
            break;
        }
    }
    print(&format!("in process: {done} operations, {:?}: {tally}", started.elapsed()));
}
