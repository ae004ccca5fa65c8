//! A process that dies at one certain instruction: it is stepped there with ptrace, and killed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mod_session_rs::lock::monotonic;

use crate::actor::{Actor, HASH, waiting};
use crate::child::Child;
use crate::ground::{Ground, until, wait};
use crate::judge::Inside;

/// In the middle of what it dies.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Nobody holds the lease.
    Taking,
    /// Another one holds it, and one waits.
    Queueing,
    /// Two wait.
    Releasing,
}

/// Lets it happen, then sees that all others have the lease one after the other. After so many instructions or fewer, if there are no
/// more; `None`: the kernel lets nobody be stepped.
pub fn dies_after(ground: &Ground, act: Act, instructions: usize) -> Option<(usize, Duration)> {
    let board = ground.board();
    let holder = matches!(act, Act::Queueing).then(|| Actor::start(ground, 5, "GET /holder", &wait(0)));
    if let Some(holder) = &holder {
        assert_eq!(holder.answer(), "held");
    }
    let victim = Child::fork(board, || victim(ground, act));
    victim.until_stopped();
    let waiters = match act {
        Act::Taking => 0,
        Act::Queueing => 1,
        Act::Releasing => 2,
    };
    let mut others: Vec<_> = (0..waiters)
        .map(|n| {
            let waiter = Actor::start(ground, 2 + n, "GET /waiter", &wait(crate::ground::PATIENT));
            until("it waits", || waiting(ground) == n + 1);
            waiter
        })
        .collect();
    let mut done = 0;
    while done < instructions && board.actors[1].gone.load(Ordering::Acquire) == 0 {
        if !victim.step() {
            return None;
        }
        done += 1;
    }
    victim.kill(board, 1);
    let died = monotonic();
    if let Some(holder) = holder {
        holder.let_go();
    }
    others.push(Actor::start(ground, 4, "GET /last", &wait(crate::ground::PATIENT)));
    let mut delay = 0;
    for other in others {
        assert_eq!(other.answer(), "held", "{act:?}, {done} instructions");
        delay = delay.max(other.answered().expect("an answer").saturating_sub(died));
        other.let_go();
    }
    board.assert_no_violation();
    let rest = mod_session_rs::lock::survey::in_use(ground.memory());
    assert!(rest.is_empty(), "{act:?}, {done} instructions: {rest:?}");
    Some((done, Duration::from_nanos(delay)))
}

fn victim(ground: &Ground, act: Act) {
    let (leases, board) = (ground.attach(), ground.board());
    let lease = matches!(act, Act::Releasing).then(|| leases.acquire(HASH, b"GET /victim", &wait(0)).expect("a lease"));
    // The first call finds the clock, in tens of thousands of instructions that concern nobody.
    let _ = monotonic();
    // SAFETY: no pointers; from here on the parent says how far it goes.
    unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        libc::raise(libc::SIGSTOP);
    }
    let got = match lease {
        Some(lease) => {
            leases.release(&lease).expect("which was ours");
            None
        }
        // Who waits for the lease would wait for ever: the holder does not go before the victim dies.
        None => leases.acquire(HASH, b"GET /victim", &wait(if matches!(act, Act::Taking) { 10_000 } else { 3 })).ok(),
    };
    let _inside = got.map(|_| Inside::enter(board, 0, 1));
    board.actors[1].gone.store(1, Ordering::Release);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
