//! What the machine takes from all of us is not waiting for a lease: a process that only beats time notes when it was late. On a
//! machine that builds beside the test, all processes of the test stand still for hundreds of milliseconds now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mod_session_rs::lock::monotonic;

use crate::child::Child;
use crate::ground::Board;

const BEAT: Duration = Duration::from_millis(1);
/// Later than this is told; it also keeps the list short.
const LATE: u64 = 10_000_000;
/// Waits that are worth a second look.
const LONG: u64 = 50_000_000;
const SPANS: usize = 16_384;

/// From when to when, in monotonic nanoseconds.
#[repr(C)]
pub struct Spans {
    count: AtomicU64,
    spans: [[AtomicU64; 2]; SPANS],
}

impl Spans {
    fn note(&self, from: u64, to: u64) {
        let number = usize::try_from(self.count.fetch_add(1, Ordering::AcqRel)).expect("a number");
        let Some([start, end]) = self.spans.get(number) else { return };
        start.store(from, Ordering::Relaxed);
        end.store(to, Ordering::Release);
    }

    fn each(&self) -> impl Iterator<Item = (u64, u64)> {
        let values = self.spans.iter().map(|[start, end]| (start.load(Ordering::Relaxed), end.load(Ordering::Acquire)));
        values.filter(|&(_, end)| end != 0)
    }
}

/// Notes a wait that has just ended.
pub fn waited(board: &Board, since: u64) {
    let now = monotonic();
    board.waits.note(now - since);
    if now - since > LONG {
        board.long_waits.note(since, now);
    }
}

/// Beats until it is dropped.
pub fn start(board: &Board) -> Child {
    Child::fork(board, || {
        loop {
            let before = monotonic();
            std::thread::sleep(BEAT);
            let now = monotonic();
            if now - before > LATE {
                board.standstills.note(before, now);
            }
        }
    })
}

/// The longest wait less the time in which nobody ran, or `LONG`.
pub fn longest_wait(board: &Board) -> Duration {
    let stood_still = |from: u64, to: u64| -> u64 { board.standstills.each().map(|(a, b)| b.min(to).saturating_sub(a.max(from))).sum() };
    let waits = board.long_waits.each().map(|(from, to)| (to - from).saturating_sub(stood_still(from, to)));
    Duration::from_nanos(waits.max().unwrap_or(0).max(LONG.min(board.waits.most().as_nanos().try_into().unwrap_or(LONG))))
}

/// In all.
pub fn stood_still(board: &Board) -> Duration {
    Duration::from_nanos(board.standstills.each().map(|(from, to)| to - from).sum())
}
