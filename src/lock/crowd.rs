//! How many threads of the whole server wait for leases. Each process counts its own; a process that was killed no longer counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::Memory;
use super::process::Process;

/// The counters of all processes, and which one is ours.
pub(super) struct Crowd<'m> {
    memory: Memory<'m>,
    own: Option<&'m AtomicU64>,
}

/// One thread that waits, until it is dropped.
pub(super) struct Waiting<'c>(Option<&'c AtomicU64>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl<'m> Crowd<'m> {
    /// Finds a place for a process: a free one, or that of a dead process.
    pub fn join(memory: Memory<'m>, me: Process) -> Crowd<'m> {
        let own = (0..memory.geometry.processes).map(|number| memory.process(number)).find_map(|[pid, start, count]| {
            let found = pid.load(Ordering::Acquire);
            if found != 0 && process(found, start).is_alive() {
                return None;
            }
            pid.compare_exchange(found, u64::from(me.pid), Ordering::AcqRel, Ordering::Relaxed).ok()?;
            start.store(me.start, Ordering::Release);
            count.store(0, Ordering::Release);
            Some(count)
        });
        Crowd { memory, own }
    }

    /// One more waits, if at most `most` do then.
    ///
    /// # Errors
    /// How many wait already.
    pub fn enter(&self, most: usize) -> Result<Waiting<'m>, usize> {
        let Some(own) = self.own else { return Err(0) }; // more processes than the server may have
        loop {
            own.fetch_add(1, Ordering::AcqRel);
            let waiting = Waiting(Some(own));
            if self.count() <= most || self.count_living() <= most {
                return Ok(waiting);
            }
            drop(waiting);
            // Two that come at once see each other, and neither shall lose the last place to that.
            let others = self.count_living();
            if others >= most {
                return Err(others);
            }
            std::hint::spin_loop();
        }
    }

    fn count(&self) -> usize {
        (0..self.memory.geometry.processes).map(|number| value(self.memory.process(number)[2])).sum()
    }

    /// As `count`, for sure: looks who of those that count is alive.
    fn count_living(&self) -> usize {
        let all = (0..self.memory.geometry.processes).map(|number| self.memory.process(number));
        let counting = all.filter(|[pid, start, count]| value(count) > 0 && process(pid.load(Ordering::Acquire), start).is_alive());
        counting.map(|[.., count]| value(count)).sum()
    }
}

fn process(pid: u64, start: &AtomicU64) -> Process {
    Process { pid: u32::try_from(pid).unwrap_or(0), start: start.load(Ordering::Acquire) }
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
        let dead = Process { pid: 1 << 22, start: 7 };
        let [pid, start, count] = memory.process(0);
        pid.store(u64::from(dead.pid), Ordering::Relaxed);
        start.store(dead.start, Ordering::Relaxed);
        count.store(5, Ordering::Relaxed);
        let mine = memory.process(1);
        mine[0].store(u64::from(std::process::id()), Ordering::Relaxed);
        mine[1].store(Process::current().start, Ordering::Relaxed);
        let crowd = Crowd { memory, own: Some(mine[2]) };
        let first = crowd.enter(2).ok().expect("the dead do not wait");
        let second = crowd.enter(2).ok().expect("two of two");
        assert_eq!(crowd.enter(2).err(), Some(2));
        drop(first);
        let third = crowd.enter(2).ok().expect("a place came free");
        drop((second, third));
        assert_eq!(crowd.count_living(), 0);
        let me = Process::current();
        let joined = Crowd::join(memory, me);
        assert_eq!(value(memory.process(0)[0]), me.pid as usize, "the place of the dead");
        assert!(joined.own.is_some());
        assert_eq!(crowd.count(), 0);
    }
}
