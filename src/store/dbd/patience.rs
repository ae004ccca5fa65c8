//! How long is tried, and how long is rested.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::database::Failure;

/// A row changes for microseconds. Who finds another version for this long gives up.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a statement that failed is tried again.
const RESTS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(30), Duration::from_millis(120)];
/// What is tried again, and how often it was. Not after [`PATIENCE`]: some failures take seconds, as that of a locked SQLite database.
pub struct Tries {
    began: Instant,
    rests: std::slice::Iter<'static, Duration>,
    /// One of them may have been done, whatever was answered.
    pub unsure: bool,
}

impl Tries {
    pub fn new() -> Tries {
        Tries { began: Instant::now(), rests: RESTS.iter(), unsure: false }
    }

    /// Rests, if it may be tried again.
    pub fn again(&mut self, failure: &Failure) -> bool {
        let Some(rest) = self.rests.next().filter(|_| self.began.elapsed() < PATIENCE) else { return false };
        match failure {
            Failure::Away(_) => return false,
            // A connection that broke, or what the database means: the next connections tell, and time changes nothing.
            Failure::Unprepared(_) => {}
            Failure::Failed(_) => {
                self.unsure = true;
                sleep(*rest);
            }
        }
        true
    }
}

/// Rests a little longer with each conflict, and never as long as others.
pub struct Turns {
    began: Instant,
    round: u32,
}

impl Turns {
    pub fn new() -> Turns {
        Turns { began: Instant::now(), round: 0 }
    }

    /// `false`: the patience is at its end.
    pub fn rest(&mut self, number: i64) -> bool {
        self.round += 1;
        if self.round > 2 {
            let most = 100u64 << self.round.min(8);
            sleep(Duration::from_micros(number.unsigned_abs() % most));
        }
        self.began.elapsed() < PATIENCE
    }
}
