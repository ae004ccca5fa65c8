//! Processes that want one lease all the time and never sleep while they hold it: at every instant one of them runs or would run. If
//! all sleep, somebody was not woken.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mod_session_rs::lock::monotonic;

use crate::child::Child;
use crate::ground::{Ground, PATIENT, until, wait};
use crate::judge::{Inside, counted};
use crate::kernel::state;

pub struct Rush<'g> {
    ground: &'g Ground,
    children: Vec<Child>,
}

impl<'g> Rush<'g> {
    /// All begin at once, when all are there.
    pub fn start(ground: &'g Ground, processes: usize, hold: Duration) -> Rush<'g> {
        let board = ground.board();
        let children = (0..processes).map(|place| Child::fork(board, || work(ground, place, hold))).collect();
        until("all are there", || board.served[..processes].iter().all(|count| count.load(Ordering::Acquire) == u64::MAX));
        board.served[..processes].iter().for_each(|count| count.store(0, Ordering::Release));
        board.begun.store(1, Ordering::Release);
        Rush { ground, children }
    }

    /// Lets them run for this long, and counts how often all of them slept. One look at all of them takes a while, in which the lease
    /// may pass from one that was not looked at yet to one that was: so that counts only if a second look, later, finds the same and
    /// nobody had the lease in between. A machine that is busy does not count: who would run if it had a processor does not sleep.
    pub fn stalls_within(&self, time: Duration) -> usize {
        let board = self.ground.board();
        let (started, mut stalls, mut slept_at) = (Instant::now(), 0, None);
        while started.elapsed() < time {
            std::thread::sleep(Duration::from_millis(1));
            let before = counted(board);
            let sleep = self.children.iter().all(|child| state(child.number()) == Some('S'));
            if !sleep || counted(board) != before {
                slept_at = None;
            } else if slept_at == Some(before) {
                stalls += 1;
                slept_at = None;
            } else {
                slept_at = Some(before);
            }
        }
        stalls
    }

    /// How often each was served so far, at one instant.
    pub fn served(&self) -> Vec<u64> {
        self.ground.board().served[..self.children.len()].iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Waits until each was served so often.
    pub fn until_each_was_served(&self, times: u64) {
        until("each was served", || self.served().iter().all(|&count| count >= times));
    }

    pub fn end(self) {
        self.ground.board().ended.store(1, Ordering::Release);
        self.children.into_iter().for_each(Child::reap);
    }
}

fn work(ground: &Ground, place: usize, hold: Duration) {
    let (leases, board) = (ground.attach(), ground.board());
    board.served[place].store(u64::MAX, Ordering::Release);
    while !board.has_begun() {
        std::thread::sleep(Duration::from_millis(1));
    }
    while !board.has_ended() {
        let lease = match leases.acquire(1, b"GET /rush", &wait(PATIENT)) {
            Ok(lease) => lease,
            Err(refused) => return board.complain(&format!("{place} was refused: {refused:?}")),
        };
        let now = monotonic();
        let given_back = board.given_back.swap(0, Ordering::AcqRel);
        if given_back != 0 {
            board.hand_offs.note(now.saturating_sub(given_back));
        }
        let inside = Inside::enter(board, 0, place as u64 + 1);
        while monotonic() - now < u64::try_from(hold.as_nanos()).expect("a short time") {
            std::hint::spin_loop();
        }
        inside.leave();
        board.served[place].fetch_add(1, Ordering::AcqRel);
        board.given_back.store(monotonic(), Ordering::Release);
        if leases.release(&lease).is_err() {
            board.complain(&format!("the lease of {place} was taken over while it lived"));
        }
    }
}
