//! Tells whether two processes are in one session at a time, without asking the table of leases or the kernel: who enters signs a cell,
//! and may only sign over nobody or over one that was doomed to be killed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ground::Board;

/// Of one session.
#[repr(C)]
pub struct Cells {
    /// The life that is inside; 0: none.
    owner: AtomicU64,
    /// Read, and written one greater a while later: two at once lose an increment.
    counter: AtomicU64,
    /// The counter as the last who left knew it.
    noted: AtomicU64,
}

/// Inside a session.
pub struct Inside<'b> {
    board: &'b Board,
    session: usize,
    life: u64,
    counted: u64,
}

impl<'b> Inside<'b> {
    pub fn enter(board: &'b Board, session: usize, life: u64) -> Inside<'b> {
        let cells = &board.sessions[session];
        let before = cells.owner.load(Ordering::SeqCst);
        let is_over = before == 0 || board.doomed[usize::try_from(before).expect("a life")].load(Ordering::SeqCst) != 0;
        if !is_over {
            board.complain(&format!("{life} entered session {session} while {before} was inside, alive"));
        } else if cells.owner.compare_exchange(before, life, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            board.complain(&format!("{life} and another entered session {session} at once"));
        }
        let (counted, noted) = (cells.counter.load(Ordering::Relaxed), cells.noted.load(Ordering::Relaxed));
        // Who was killed inside may have counted without noting it.
        if counted != noted && !(before != 0 && counted == noted + 1) {
            board.complain(&format!("{life} found {counted} in session {session} instead of {noted}"));
        }
        cells.noted.store(counted, Ordering::Relaxed);
        Inside { board, session, life, counted }
    }

    pub fn leave(self) {
        let cells = &self.board.sessions[self.session];
        cells.counter.store(self.counted + 1, Ordering::Relaxed);
        cells.noted.store(self.counted + 1, Ordering::Relaxed);
        if cells.owner.compare_exchange(self.life, 0, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.board.complain(&format!("another entered session {} while {} was inside", self.session, self.life));
        }
    }
}

/// How often all sessions were left.
pub fn counted(board: &Board) -> u64 {
    board.sessions.iter().map(|cells| cells.counter.load(Ordering::SeqCst)).sum()
}
