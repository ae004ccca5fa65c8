//! Group commit. Who wants something written while another thread of the process has the turn to write, or waits for it, says so here, and the next
//! to have a turn writes all of it in one transaction, which costs little more than one change; with a wait for the disk, nothing more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The threads of a process that want something written, of the kind `W`, and what came of it, of the kind `D`.
pub struct Group<W, D> {
    state: Mutex<State<W, D>>,
}

struct State<W, D> {
    /// Somebody writes for all, or is about to. Whoever is neither answered nor waiting is being written.
    is_led: bool,
    /// The first to come first.
    waiting: Vec<Arc<Waiting<W, D>>>,
}

struct Waiting<W, D> {
    wanted: W,
    answer: OnceLock<Answer<D>>,
    /// There is an answer, or nobody leads.
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<D> {
    Done(D),
    /// Nothing was done. It may be done without the others.
    Alone,
    /// Nothing was done: the turn did not come in time.
    Locked,
}

/// What becomes of who joined a group.
pub enum Joined<'g, W, D> {
    Leads(Lead<'g, W, D>),
    Answered(Answer<D>),
}

/// Writes for all until it is dropped.
pub struct Lead<'g, W, D> {
    group: &'g Group<W, D>,
    own: Own<W, D>,
    others: Vec<Arc<Waiting<W, D>>>,
}

/// What the leader wants himself.
enum Own<W, D> {
    AtOnce(W),
    /// Another was to write it.
    Waited(Arc<Waiting<W, D>>),
}

impl<W, D> Default for Group<W, D> {
    fn default() -> Group<W, D> {
        Group { state: Mutex::new(State { is_led: false, waiting: Vec::new() }) }
    }
}

impl<W, D: Copy> Group<W, D> {
    /// Waits until another has written what is wanted, or it falls to the caller to write for all. Whom nobody has begun to write gives up after
    /// `patience`.
    pub fn join(&self, wanted: W, patience: Duration) -> Joined<'_, W, D> {
        let mut state = self.state();
        if !state.is_led {
            return Joined::Leads(self.lead(state, Own::AtOnce(wanted)));
        }
        let waiting = Arc::new(Waiting { wanted, answer: OnceLock::new(), changed: Condvar::new() });
        state.waiting.push(Arc::clone(&waiting));
        let since = Instant::now();
        loop {
            if let Some(answer) = waiting.answer.get() {
                return Joined::Answered(*answer);
            }
            let place = state.waiting.iter().position(|other| Arc::ptr_eq(other, &waiting));
            if let (Some(place), false) = (place, state.is_led) {
                state.waiting.remove(place);
                return Joined::Leads(self.lead(state, Own::Waited(waiting)));
            }
            let left = patience.saturating_sub(since.elapsed());
            state = match place {
                Some(place) if left.is_zero() => {
                    state.waiting.remove(place);
                    return Joined::Answered(Answer::Locked);
                }
                Some(_) => waiting.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => waiting.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl<W, D> Group<W, D> {
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State<W, D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lead(&self, mut state: MutexGuard<'_, State<W, D>>, own: Own<W, D>) -> Lead<'_, W, D> {
        state.is_led = true;
        Lead { group: self, own, others: Vec::new() }
    }
}

impl<W, D> Lead<'_, W, D> {
    pub fn own(&self) -> &W {
        match &self.own {
            Own::AtOnce(wanted) => wanted,
            Own::Waited(waiting) => &waiting.wanted,
        }
    }

    /// Takes in who waits by now, in their order, as long as `fits` says so of what they want.
    pub fn gather(&mut self, mut fits: impl FnMut(&W) -> bool) {
        let mut state = self.group.state();
        let end = state.waiting.iter().position(|waiting| !fits(&waiting.wanted)).unwrap_or(state.waiting.len());
        self.others.extend(state.waiting.drain(..end));
    }

    pub fn others(&self) -> impl ExactSizeIterator<Item = &W> {
        self.others.iter().map(|waiting| &waiting.wanted)
    }

    /// Tells the others what became of what they wanted, in their order, and lets the next lead.
    pub fn end(self, answers: impl IntoIterator<Item = Answer<D>>) {
        for (waiting, answer) in self.others.iter().zip(answers) {
            let _ = waiting.answer.set(answer);
        }
    }
}

impl<W, D> Drop for Lead<'_, W, D> {
    fn drop(&mut self) {
        let mut state = self.group.state();
        state.is_led = false;
        for waiting in &self.others {
            let _ = waiting.answer.set(Answer::Alone); // if there is none
        }
        let next = state.waiting.first().cloned();
        drop(state);
        self.others.iter().chain(&next).for_each(|waiting| waiting.changed.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{scope, sleep};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn answered(joined: Joined<'_, u32, u32>) -> Answer<u32> {
        match joined {
            Joined::Answered(answer) => answer,
            Joined::Leads(lead) => panic!("{} was to be written by another", lead.own()),
        }
    }

    fn lead(group: &Group<u32, u32>, wanted: u32) -> Lead<'_, u32, u32> {
        match group.join(wanted, LONG) {
            Joined::Leads(lead) => lead,
            Joined::Answered(answer) => panic!("nobody else is there to answer {answer:?}"),
        }
    }

    fn end(lead: Lead<'_, u32, u32>) {
        let answers: Vec<_> = lead.others().map(|wanted| Answer::Done(wanted * 10)).collect();
        lead.end(answers);
    }

    /// Until so many wait.
    fn wait_for(group: &Group<u32, u32>, waiting: usize) {
        let since = Instant::now();
        while group.waiting() < waiting {
            assert!(since.elapsed() < LONG);
            sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn those_that_fit_are_taken_in_and_each_learns_what_became_of_his_own() {
        let group = Group::default();
        scope(|scope| {
            let mut leader = lead(&group, 0);
            for n in 1..=100 {
                let group = &group;
                scope.spawn(move || match group.join(n, LONG) {
                    Joined::Answered(answer) => assert_eq!(answer, Answer::Done(n * 10)),
                    // One of the rest goes on, for those that are left.
                    Joined::Leads(mut lead) => {
                        assert_eq!(*lead.own(), n);
                        lead.gather(|_| true);
                        assert_eq!(lead.others().len(), 100 - 64 - 1);
                        end(lead);
                    }
                });
            }
            wait_for(&group, 100);
            let mut room = 64;
            leader.gather(|_| {
                room -= 1;
                room >= 0
            });
            assert_eq!(leader.others().len(), 64);
            end(leader);
        });
    }

    #[test]
    fn those_whose_leader_comes_to_grief_are_to_do_it_alone() {
        let group = Group::default();
        scope(|scope| {
            let leader = lead(&group, 0);
            let other = scope.spawn(|| answered(group.join(1, LONG)));
            wait_for(&group, 1);
            let panics = std::panic::AssertUnwindSafe(move || {
                let mut leader = leader;
                leader.gather(|_| true);
                panic!("on purpose");
            });
            assert!(std::panic::catch_unwind(panics).is_err());
            assert_eq!(other.join().unwrap(), Answer::Alone);
        });
        drop(lead(&group, 2));
    }

    #[test]
    fn whom_nobody_begins_to_write_gives_up_and_who_is_being_written_waits() {
        const PATIENCE: Duration = Duration::from_secs(2);
        let group = Group::default();
        scope(|scope| {
            let mut leader = lead(&group, 0);
            let taken = scope.spawn(|| answered(group.join(1, PATIENCE)));
            wait_for(&group, 1);
            leader.gather(|_| true);
            let since = Instant::now();
            assert_eq!(answered(group.join(2, PATIENCE)), Answer::Locked);
            assert!(since.elapsed() >= PATIENCE);
            sleep(PATIENCE / 4);
            assert!(!taken.is_finished());
            leader.end([Answer::Done(7)]);
            assert_eq!(taken.join().unwrap(), Answer::Done(7));
        });
        drop(lead(&group, 3));
    }

    #[test]
    fn nobody_is_forgotten_or_written_twice() {
        let group = Group::<u32, u32>::default();
        let written = Mutex::new(vec![]);
        scope(|scope| {
            for thread in 0..8 {
                let (group, written) = (&group, &written);
                scope.spawn(move || {
                    for n in thread * 2000..(thread + 1) * 2000 {
                        match group.join(n, LONG) {
                            Joined::Leads(mut lead) => {
                                lead.gather(|_| true);
                                let all: Vec<u32> = lead.others().copied().collect();
                                let mut written = written.try_lock().expect("one at a time leads");
                                written.extend(&all);
                                written.push(*lead.own());
                                drop(written);
                                lead.end(all.into_iter().map(Answer::Done));
                            }
                            Joined::Answered(answer) => assert_eq!(answer, Answer::Done(n)),
                        }
                    }
                });
            }
        });
        let mut written = written.into_inner().unwrap();
        written.sort_unstable();
        assert_eq!(written, (0..16_000).collect::<Vec<_>>());
    }
}
