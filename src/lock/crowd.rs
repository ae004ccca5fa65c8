//! How many threads of the whole server wait for leases. Each process counts its own; a process that was killed no longer counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Unavailable;
use super::layout::Memory;
use super::leases::Refused;
use super::process::Process;

/// The counters of all processes, and which one is ours.
pub(super) struct Crowd<'m> {
    memory: Memory<'m>,
    own: Option<&'m AtomicU64>,
}

/// One thread that waits, until it is dropped.
#[derive(Debug)]
pub struct Waiting<'c>(&'c AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<'m> Crowd<'m> {
    /// Finds a place for a process: a free one, or that of a dead process.
    pub fn join(memory: Memory<'m>, me: Process) -> Crowd<'m> {
        let own = (0..memory.geometry.processes).map(|number| memory.process(number)).find_map(|[who, count]| {
            let found = who.load(Ordering::Acquire);
            if found != 0 && unpacked(found).is_alive() {
                return None;
            }
            who.compare_exchange(found, packed(me), Ordering::AcqRel, Ordering::Relaxed).ok()?;
            count.store(0, Ordering::Release); // what the dead left; nobody takes the place of the living
            Some(count)
        });
        Crowd { memory, own }
    }

    /// One more waits, if at most `most` do then.
    ///
    /// # Errors
    /// As many wait as may.
    pub fn enter(&self, most: usize) -> Result<Waiting<'m>, Refused> {
        let Some(own) = self.own else {
            return Err(
                Unavailable("there are more processes than ServerLimit named at the last full start: restart the server".into()).into()
            );
        };
        loop {
            own.fetch_add(1, Ordering::AcqRel);
            let waiting = Waiting(own);
            if self.count() <= most || self.count_living() <= most {
                return Ok(waiting);
            }
            drop(waiting);
            // Two that come at once see each other, and neither shall lose the last place to that.
            let others = self.count_living();
            if others >= most {
                return Err(Refused::Crowded(others));
            }
            std::hint::spin_loop();
        }
    }

    fn count(&self) -> usize {
        (0..self.memory.geometry.processes).map(|number| value(self.memory.process(number)[1])).sum()
    }

    /// As `count`, for sure: looks who of those that count is alive.
    fn count_living(&self) -> usize {
        let all = (0..self.memory.geometry.processes).map(|number| self.memory.process(number));
        let counting = all.filter(|[who, count]| value(count) > 0 && unpacked(who.load(Ordering::Acquire)).is_alive());
        counting.map(|[_, count]| value(count)).sum()
    }
}

/// A process in one word, so that its place changes hands in one step. pids have 22 bits, and clock ticks 42 for a thousand years.
const START_BITS: u32 = 42;

fn packed(process: Process) -> u64 {
    (u64::from(process.pid) << START_BITS) | (process.start & ((1 << START_BITS) - 1))
}

fn unpacked(who: u64) -> Process {
    Process { pid: u32::try_from(who >> START_BITS).unwrap_or(0), start: who & ((1 << START_BITS) - 1) }
}

fn value(count: &AtomicU64) -> usize {
    usize::try_from(count.load(Ordering::Acquire)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::leases::tests::memory;
    use super::*;

    #[test]
    fn the_dead_do_not_count_and_leave_their_place() {
        let memory = memory(1, 4, 8, 2);
        let [dead, count] = memory.process(0);
        dead.store(packed(Process { pid: 1 << 21, start: 7 }), Ordering::Relaxed);
        count.store(5, Ordering::Relaxed);
        let me = Process::current();
        let [mine, own] = memory.process(1);
        mine.store(packed(me), Ordering::Relaxed);
        let crowd = Crowd { memory, own: Some(own) };
        let first = crowd.enter(2).expect("the dead do not wait");
        let second = crowd.enter(2).expect("two of two");
        assert_eq!(crowd.enter(2).err(), Some(Refused::Crowded(2)));
        drop(first);
        let third = crowd.enter(2).expect("a place came free");
        drop((second, third));
        assert_eq!((crowd.count(), crowd.count_living()), (5, 0));
        assert!(Crowd::join(memory, me).own.is_some());
        assert_eq!((unpacked(value(dead) as u64), crowd.count()), (me, 0), "the place of the dead");
        assert!(Crowd::join(memory, me).own.is_none(), "no place, and so nobody of it waits");
    }
}
