//! A process that asks for one lease, tells what came of it, and gives it back when it may.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mod_session_rs::lock::{Wait, monotonic};
use rustix::process::Signal;

use crate::child::Child;
use crate::ground::{Board, Ground, until};
use crate::judge::Inside;
use crate::kernel::state;

/// All actors want this one.
pub const HASH: u64 = 1;

pub struct Actor<'g> {
    ground: &'g Ground,
    number: usize,
    pub child: Child,
}

impl<'g> Actor<'g> {
    /// Every actor of a test has its own number, from 1.
    pub fn start(ground: &'g Ground, number: usize, label: &str, wait: &Wait<'_>) -> Actor<'g> {
        Actor::start_after(ground, number, label, wait, || ())
    }

    /// Does something before it asks, but after it has attached.
    pub fn start_after(ground: &'g Ground, number: usize, label: &str, wait: &Wait<'_>, prepare: impl FnOnce()) -> Actor<'g> {
        let board = ground.board();
        let part = &board.actors[number];
        let work = || {
            let leases = ground.attach();
            prepare();
            let answer = leases.acquire(HASH, label.as_bytes(), wait);
            let now = monotonic();
            let inside = answer.is_ok().then(|| Inside::enter(board, 0, number as u64));
            part.answer.set(&answer.as_ref().map_or_else(|refused| format!("{refused:?}"), |_| "held".into()));
            part.answered.store(now, Ordering::Release);
            let Ok(lease) = answer else { return };
            while part.may_go.load(Ordering::Acquire) == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
            if let Some(inside) = inside {
                inside.leave();
            }
            if leases.release(&lease).is_err() {
                board.complain(&format!("the lease of {number} was taken over"));
            }
            part.gone.store(1, Ordering::Release);
        };
        Actor { ground, number, child: Child::fork(board, work) }
    }

    fn board(&self) -> &Board {
        self.ground.board()
    }

    /// When it was answered, if it was.
    pub fn answered(&self) -> Option<u64> {
        Some(self.board().actors[self.number].answered.load(Ordering::Acquire)).filter(|&when| when != 0)
    }

    pub fn answer(&self) -> String {
        until("an actor has its answer", || self.answered().is_some());
        self.board().actors[self.number].answer.get()
    }

    pub fn let_go(&self) {
        self.board().actors[self.number].may_go.store(1, Ordering::Release);
        until("an actor gave its lease back", || self.board().actors[self.number].gone.load(Ordering::Acquire) != 0);
    }

    pub fn kill(&self) {
        self.child.kill(self.board(), self.number);
    }

    pub fn stop(&self) {
        self.child.signal(Signal::STOP);
        until("an actor is stopped", || state(self.pid()) == Some('T'));
    }

    pub fn pid(&self) -> u32 {
        self.child.number()
    }
}

/// How many live and wait for the lease.
pub fn waiting(ground: &Ground) -> usize {
    mod_session_rs::lock::survey::in_use(ground.memory()).first().map_or(0, |lease| lease.waiting)
}
