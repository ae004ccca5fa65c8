//! Taking, waiting for and giving back leases.
//!
//! A free lease is taken under the mutex of its stripe. Who finds it held joins its queue and sleeps on a futex; who gives it back hands
//! it to the first of the queue. A process that was killed is noticed by those who wait, each of which looks at the holder every few
//! milliseconds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::crowd::{Crowd, Waiting};
use super::entry::{Entry, Token};
use super::layout::{Memory, Stripe};
use super::process::Process;
use super::{Exclusion, Unavailable, monotonic};

/// So often those who wait look whether the holder lives. Microseconds of work each.
const SLICE: u64 = 25_000_000;
/// Who has held for less was alive a moment ago.
const FRESH: u64 = 20_000_000;

/// What a thread holds. It is given back with [`Leases::release`], by any thread of the process.
#[derive(Debug)]
pub struct Lease {
    stripe: usize,
    entry: usize,
    token: Token,
}

/// How long to wait, and in what company.
pub struct Wait<'w> {
    /// Zero: not at all.
    pub timeout: Duration,
    /// So many wait for one lease at most.
    pub queue: usize,
    /// So many threads of the server wait at most.
    pub crowd: usize,
    /// Asked now and then: whether nobody wants the lease any more.
    pub is_pointless: &'w dyn Fn() -> bool,
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub age: Duration,
    pub label: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {} ({}) for {:.1} s", self.pid, self.label, self.age.as_secs_f64())
    }
}

/// The place of a waiter. Dropped, by an error or a panic, it is given up; should the lease still come to it, nobody has that.
struct Place<'m> {
    entry: Entry<'m>,
    cell: usize,
    token: Token,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.entry.is_place_of(self.cell, self.token) && !self.entry.give_up(self.cell) {
            self.entry.abandon(self.token);
            self.entry.leave(self.cell);
        }
    }
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    Timeout(Option<Holder>),
    /// As many wait for it as may.
    QueueFull(Option<Holder>),
    /// As many threads of the server wait as may.
    Crowded(usize),
    /// There are more leases than the table was made for.
    TableFull,
    Pointless,
    Unavailable(Unavailable),
}

impl From<Unavailable> for Refused {
    fn from(why: Unavailable) -> Refused {
        Refused::Unavailable(why)
    }
}

/// It was taken over: the process that held it was thought dead.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost;

pub struct Leases<'m, E> {
    memory: Memory<'m>,
    exclusion: E,
    me: Process,
    crowd: Crowd<'m>,
}

/// What a first look under the mutex found.
enum Found {
    Mine(usize),
    Queued(usize, usize),
    Held(usize),
    QueueFull(usize),
    TableFull,
}

impl<'m, E: Exclusion> Leases<'m, E> {
    /// Attaches this process. Threads share it; a forked child needs its own.
    pub fn attach(memory: Memory<'m>, exclusion: E) -> Leases<'m, E> {
        let me = Process::current();
        Leases { memory, exclusion, me, crowd: Crowd::join(memory, me) }
    }

    pub fn memory(&self) -> Memory<'m> {
        self.memory
    }

    fn under<T>(&self, stripe: usize, section: impl FnOnce(Stripe<'m>) -> T) -> Result<T, Unavailable> {
        let (mut section, mut answer) = (Some(section), None);
        self.exclusion.under(stripe, &mut || answer = section.take().map(|section| section(self.memory.stripe(stripe))))?;
        answer.ok_or_else(|| Unavailable("the section did not run".into()))
    }

    /// Counts a thread among those that wait, for something else than a lease of ours, until the answer is dropped.
    ///
    /// # Errors
    /// As many wait as may.
    pub fn wait_elsewhere(&self, crowd: usize) -> Result<Waiting<'m>, Refused> {
        self.crowd.enter(crowd)
    }

    /// Takes the lease of `hash`, under a label that shows who has it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn acquire(&self, hash: u64, label: &[u8], wait: &Wait<'_>) -> Result<Lease, Refused> {
        let hash = hash.max(1); // 0 is nothing
        let number = usize::try_from(hash % self.memory.geometry.stripes as u64).expect("below their number");
        let stripe = self.memory.stripe(number);
        let started = monotonic();
        let count = stripe.counter().fetch_add(1, Ordering::Relaxed);
        let token = Token::new(self.me.pid, count);
        let lease = |entry| {
            stripe.entry(entry).label(label);
            Lease { stripe: number, entry, token }
        };
        let (mut buried, mut reclaimed) = (false, false);
        let mut waiting = None;
        loop {
            // Who has no place among those who wait cannot queue.
            let places = if waiting.is_some() { wait.queue.min(self.memory.geometry.waiters) } else { 0 };
            let now = if waiting.is_some() { monotonic() } else { started };
            match self.under(number, |stripe| self.look(stripe, hash, token, now, places))? {
                Found::Mine(entry) => return Ok(lease(entry)),
                Found::Held(entry) if wait.timeout.is_zero() => return Err(Refused::Timeout(holder(stripe.entry(entry)))),
                Found::Held(entry) if wait.queue == 0 => return Err(Refused::QueueFull(holder(stripe.entry(entry)))),
                Found::Held(_) => waiting = Some(self.crowd.enter(wait.crowd)?),
                Found::Queued(entry, cell) => {
                    return self.queue(number, entry, cell, token, started, wait).map(|()| lease(entry));
                }
                // The dead are looked for without the mutex, which strangers wait for. A dead holder makes all wait who would be served.
                Found::QueueFull(entry) if !buried && has_dead(stripe.entry(entry)) => {
                    self.heal(number, stripe.entry(entry))?;
                    buried = true;
                }
                Found::QueueFull(entry) => return Err(Refused::QueueFull(holder(stripe.entry(entry)))),
                Found::TableFull if !reclaimed => {
                    self.reclaim(number)?;
                    reclaimed = true;
                }
                Found::TableFull => return Err(Refused::TableFull),
            }
        }
    }

    /// Under the mutex: takes the lease if it is free, else joins its queue if that has a place.
    fn look(&self, stripe: Stripe<'m>, hash: u64, token: Token, now: u64, places: usize) -> Found {
        let Some(number) = place(stripe, hash) else { return Found::TableFull };
        let entry = stripe.entry(number);
        let stale = entry.is_abandoned() || (now.saturating_sub(entry.since()) > FRESH && entry.is_orphaned());
        if stale || (entry.token().is_none() && !entry.is_queue_empty()) {
            settle(entry, now);
        }
        if entry.token().is_none() {
            stripe.hashes()[number].store(hash, Ordering::Relaxed);
            entry.take(token, self.me.start, now);
            return Found::Mine(number);
        }
        match entry.enqueue(token, self.me.start, places) {
            Some(cell) => Found::Queued(number, cell),
            None if places == 0 => Found::Held(number),
            None => Found::QueueFull(number),
        }
    }

    fn queue(&self, stripe: usize, number: usize, cell: usize, token: Token, started: u64, wait: &Wait<'_>) -> Result<(), Refused> {
        let entry = self.memory.stripe(stripe).entry(number);
        let place = Place { entry, cell, token };
        let deadline = started.saturating_add(u64::try_from(wait.timeout.as_nanos()).unwrap_or(u64::MAX));
        while !entry.is_held_by(token) {
            let now = monotonic();
            if !entry.is_place_of(cell, token) {
                return Err(Unavailable("its place in the queue was lost".into()).into());
            } else if now < deadline && !(wait.is_pointless)() {
                entry.sleep(cell, SLICE.min(deadline - now));
            } else if entry.give_up(cell) {
                std::mem::forget(place);
                let holder = holder(entry);
                return Err(if now >= deadline { Refused::Timeout(holder) } else { Refused::Pointless });
            }
            if entry.is_held_by(token) {
                break;
            }
            if entry.is_chosen(cell) {
                // Whoever chose this waiter is about to hand the lease over, or died before that.
                self.under(stripe, |_| entry.recall())?;
            }
            if entry.is_orphaned() {
                self.heal(stripe, entry)?;
            }
        }
        std::mem::forget(place);
        entry.leave(cell);
        Ok(())
    }

    /// Whoever died at an entry, as it was seen without the mutex, makes room.
    fn heal(&self, stripe: usize, entry: Entry<'m>) -> Result<(), Unavailable> {
        self.under(stripe, |_| {
            entry.bury();
            if entry.is_orphaned() {
                settle(entry, monotonic());
            }
        })
    }

    /// Frees the entries of a stripe that nobody living holds or waits for.
    fn reclaim(&self, number: usize) -> Result<(), Unavailable> {
        let stripe = self.memory.stripe(number);
        for entry in 0..self.memory.geometry.leases {
            let may_go = |entry: Entry<'_>| entry.token().is_none() || entry.is_orphaned();
            if may_go(stripe.entry(entry)) {
                self.under(number, |stripe| {
                    let of = stripe.entry(entry);
                    if may_go(of) {
                        settle(of, monotonic());
                    }
                    if of.token().is_none() {
                        stripe.hashes()[entry].store(0, Ordering::Relaxed);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Gives a lease back; the first of its queue has it then.
    ///
    /// # Errors
    /// It had been taken over.
    pub fn release(&self, lease: &Lease) -> Result<(), Lost> {
        let released = self.under(lease.stripe, |stripe| {
            let entry = stripe.entry(lease.entry);
            if !entry.is_held_by(lease.token) {
                return Err(Lost);
            }
            if entry.is_queue_empty() || !entry.hand_on(monotonic()) {
                entry.clear();
                stripe.hashes()[lease.entry].store(0, Ordering::Relaxed);
            }
            Ok(())
        });
        released.unwrap_or_else(|_| {
            let entry = self.memory.stripe(lease.stripe).entry(lease.entry);
            if entry.is_held_by(lease.token) {
                entry.abandon(lease.token);
            }
            Ok(())
        })
    }
}

pub(super) fn holder(entry: Entry<'_>) -> Option<Holder> {
    let process = entry.holder()?;
    let age = Duration::from_nanos(monotonic().saturating_sub(entry.since()));
    Some(Holder { pid: process.pid, age, label: entry.label_text() })
}

fn has_dead(entry: Entry<'_>) -> bool {
    entry.is_orphaned() || entry.waiters().iter().any(|process| !process.is_alive())
}

/// Under the mutex: the holder is gone. The first living one of the queue has the lease then, or nobody.
fn settle(entry: Entry<'_>, now: u64) {
    if !entry.is_queue_empty() {
        entry.bury();
        entry.recall();
        if entry.hand_on(now) {
            return;
        }
    }
    entry.clear();
}

/// Under the mutex: the entry of a hash, or else one that is free.
fn place(stripe: Stripe<'_>, hash: u64) -> Option<usize> {
    let hashes = stripe.hashes();
    let used = usize::try_from(stripe.used().load(Ordering::Relaxed)).unwrap_or(0).min(hashes.len());
    let mut free = None;
    for (number, of) in hashes[..used].iter().enumerate() {
        match of.load(Ordering::Relaxed) {
            found if found == hash => return Some(number),
            0 => free = free.or(Some(number)),
            _ => {}
        }
    }
    if free.is_none() && used < hashes.len() {
        stripe.used().store(used as u64 + 1, Ordering::Relaxed);
        free = Some(used);
    }
    free
}

#[cfg(test)]
pub(super) mod tests;
