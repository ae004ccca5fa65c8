//! Keeping leases: one thread of a process renews what its requests hold for longer than moments.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Shared;
use super::lease::{Claim, millis};
use super::scripts::RENEW;

/// Starts a thread that takes no signals of the process.
pub type Spawn = fn(Box<dyn FnOnce() + Send>) -> std::io::Result<()>;

#[derive(Default)]
pub struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    held: Vec<Entry>,
    is_running: bool,
}

#[derive(Clone)]
struct Entry {
    claim: Arc<Claim>,
    renewed: Instant,
    is_lost: Arc<AtomicBool>,
}

impl Registry {
    fn with<T>(&self, body: impl FnOnce(&mut State) -> T) -> T {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on it is renewed. What is answered says whether that did not succeed once.
    pub fn enter(&self, claim: &Arc<Claim>) -> Arc<AtomicBool> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let entry = Entry { claim: Arc::clone(claim), renewed: Instant::now(), is_lost: Arc::clone(&is_lost) };
        self.with(|state| state.held.push(entry));
        is_lost
    }

    pub fn forget(&self, claim: &Arc<Claim>) {
        self.with(|state| state.held.retain(|entry| !Arc::ptr_eq(&entry.claim, claim)));
    }

    fn due(&self, renewal: Duration) -> Vec<Entry> {
        self.with(|state| state.held.iter().filter(|entry| entry.renewed.elapsed() >= renewal).cloned().collect())
    }

    /// `false`: it was given back meanwhile.
    fn renewed(&self, claim: &Arc<Claim>) -> bool {
        self.with(|state| {
            let entry = state.held.iter_mut().find(|entry| Arc::ptr_eq(&entry.claim, claim));
            entry.map(|entry| entry.renewed = Instant::now()).is_some()
        })
    }
}

/// Sees to it that the thread runs.
pub fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let is_running = shared.leases.registry.with(|state| std::mem::replace(&mut state.is_running, true));
    let Some(spawn) = shared.leases.host.spawn.filter(|_| !is_running) else { return Ok(()) };
    let (weak, tick) = (Arc::downgrade(shared), shared.leases.host.timing.renewal / 3);
    let run = move || {
        loop {
            std::thread::sleep(tick);
            let Some(shared) = Weak::upgrade(&weak) else { return };
            renew(&shared);
        }
    };
    spawn(Box::new(run)).inspect_err(|_| shared.leases.registry.with(|state| state.is_running = false))
}

/// Renews what is due. What cannot be is tried again at the next tick; what was away by then, somebody else may have had.
fn renew(shared: &Shared) {
    let (registry, timing) = (&shared.leases.registry, &shared.leases.host.timing);
    for Entry { claim, is_lost, .. } in registry.due(timing.renewal) {
        let answer = shared.pool.run(|link, _| {
            let mut call = RENEW.key(&claim.lease);
            call.arg(&claim.value).arg(millis(timing.lifetime)).invoke::<u8>(&mut link.connection)
        });
        let Ok(answer) = answer else { continue };
        if answer != 1 {
            is_lost.store(true, Ordering::Relaxed);
        }
        if !registry.renewed(&claim) && answer == 2 {
            let _ = claim.release(shared); // given back at this moment, it must not come back
        }
    }
}
