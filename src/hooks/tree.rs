//! What a request tree knows of its sessions. Sub-requests, internal redirects and error documents share the tree of the first
//! request, so a second open meets the first one's session.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use once_cell::sync::OnceCell;

use crate::config::{Config, Settings};
use crate::httpd::{Request, hook};
use crate::session::Id;

use super::events::Events;
use super::lease::Holdings;
use super::open::OpenError;
use super::response::LastResort;
use super::slot::Slot;

/// What we keep with each request that asked for a session.
#[derive(Default)]
pub struct State {
    /// Of the first request of a tree.
    tree: OnceCell<Locked>,
    /// The handler of this request may run by now: who opens a session from here on uses it for the response.
    pub is_serving: AtomicBool,
    /// The first brigade has passed; in the first request.
    pub has_begun: AtomicBool,
    /// What faces keep for one request of the tree.
    pub faces: Faces,
}

#[derive(Default)]
pub struct Faces(Mutex<Vec<Box<dyn Any + Send>>>);

impl Faces {
    /// Runs `body` on what a face keeps, found by its type.
    pub fn with<T: Any + Send, R>(&self, body: impl FnOnce(&mut Option<T>) -> R) -> R {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match all.iter().position(|kept| kept.is::<Option<T>>()) {
            Some(index) => index,
            None => {
                all.push(Box::new(None::<T>));
                all.len() - 1
            }
        };
        body(all[index].downcast_mut().expect("found by its type"))
    }
}

impl Drop for State {
    /// prefork ends a child from within a signal handler, which destroys the requests: a tree that the interrupted code is at work on
    /// is left as it is. The process ends with it, and its leases go with the process.
    fn drop(&mut self) {
        if matches!(self.faces.0.try_lock(), Err(TryLockError::WouldBlock)) {
            std::mem::forget(std::mem::take(&mut self.faces));
        }
        if let Some(tree) = self.tree.take()
            && matches!(tree.tree.try_lock(), Err(TryLockError::WouldBlock))
        {
            std::mem::forget(tree);
        }
    }
}

/// Reads back what other code wrote on a picture of the sessions, at commit points.
pub type Collector = fn(&mut Tree, Request<'_>);

#[derive(Default)]
pub struct Tree {
    /// Large, and found before it is clear where they go.
    #[expect(clippy::vec_box)]
    pub slots: Vec<Box<Slot>>,
    /// The first brigade has passed: no cookie can be set any more.
    pub headers_sent: bool,
    /// The response has ended: what other code wrote on its pictures was read back.
    pub ended: bool,
    pub leases: Holdings,
    /// Where a mere look failed, and how: it is not tried, and told, once more.
    pub failed_look: Option<(Origin, OpenError)>,
    collectors: Vec<Collector>,
}

/// A tree under its lock.
pub struct Locked {
    tree: Mutex<Tree>,
    /// What is to be announced once it is unlocked.
    pub events: Events,
}

/// A panic happened while the tree was locked: its sessions are not saved.
#[derive(Debug)]
pub struct Broken;

pub fn state(request: Request<'_>) -> &State {
    request.state::<State>().unwrap_or_else(|| request.set_state(State::default()))
}

/// The tree of a request, made on first use.
pub fn tree(request: Request<'_>) -> &Locked {
    let root = request.root();
    let state = state(root);
    state.tree.get_or_init(|| {
        hook::before_destroyed::<LastResort>(root);
        let headers_sent = state.has_begun.load(Ordering::Relaxed) || request.and_origins().any(Request::has_begun);
        Locked { tree: Mutex::new(Tree { headers_sent, ..Tree::default() }), events: Events::default() }
    })
}

/// The tree of a request, if anybody asked for a session in it.
pub fn existing_tree(request: Request<'_>) -> Option<&Locked> {
    request.root().state::<State>()?.tree.get()
}

/// A tree that is locked. What happened meanwhile is announced once it is not: whoever is told may use the sessions of the request, and
/// take his time.
pub struct Guard<'t> {
    /// `None`: being dropped.
    tree: Option<MutexGuard<'t, Tree>>,
    events: &'t Events,
    request: Request<'t>,
}

impl Deref for Guard<'_> {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        self.tree.as_deref().expect("locked")
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Tree {
        self.tree.as_deref_mut().expect("locked")
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.tree = None;
        if !std::thread::panicking() {
            self.events.announce(self.request);
        }
    }
}

/// Waits for the tree; other threads of a handler are inside for moments only, or wait for a lease themselves.
pub fn lock<'t>(of: &'t Locked, request: Request<'t>) -> Result<Guard<'t>, Broken> {
    of.tree.lock().map(|tree| Guard { tree: Some(tree), events: &of.events, request }).map_err(|_| Broken)
}

/// After a panic: what the tree holds back from others is given up; the rest is not trusted.
pub fn abandon(of: &Locked) {
    if let Err(poisoned) = of.tree.lock() {
        let mut tree = poisoned.into_inner();
        tree.leases = Holdings::default();
        tree.slots.iter_mut().for_each(|slot| slot.session.let_go());
    }
}

/// For calls of a handler: `None` if another thread is inside.
pub fn try_lock<'t>(of: &'t Locked, request: Request<'t>) -> Result<Option<Guard<'t>>, Broken> {
    match of.tree.try_lock() {
        Ok(tree) => Ok(Some(Guard { tree: Some(tree), events: &of.events, request })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Poisoned(_)) => Err(Broken),
    }
}

impl Tree {
    /// A face wants to be asked at commit points. It may say so often.
    pub fn collect_by(&mut self, collector: Collector) {
        if !self.collectors.iter().any(|known| std::ptr::fn_addr_eq(*known, collector)) {
            self.collectors.push(collector);
        }
    }

    pub fn collect(&mut self, request: Request<'_>) {
        for collector in self.collectors.clone() {
            collector(self, request);
        }
    }

    /// The slot of the session that the configuration of a request means.
    pub fn find(&self, settings: &Settings) -> Option<usize> {
        self.slots.iter().position(|slot| !slot.by_id && slot.is_of(settings))
    }

    /// That of the client too, if it has this id.
    pub fn find_by_id(&self, settings: &Settings, id: &Id) -> Option<usize> {
        self.slots.iter().position(|slot| slot.is_of(settings) && slot.session.id() == Some(id))
    }

    /// Takes a slot in. A session has one only: what was opened by its id before is what the client presents now.
    pub fn enter(&mut self, slot: Box<Slot>) -> usize {
        let known = self
            .slots
            .iter()
            .position(|of| of.is_of(&slot.settings) && of.session.key().is_some() && of.session.key() == slot.session.key());
        match known {
            Some(index) => {
                let of = &mut self.slots[index];
                of.by_id &= slot.by_id;
                of.send_again |= slot.send_again;
                if of.presented.is_none() {
                    (of.presented, of.client_has) = (slot.presented, slot.client_has);
                }
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }
}

/// Whether sessions of ours are on for a request.
pub fn is_ours(request: Request<'_>) -> bool {
    request.dir_config::<Config>().is_some_and(|config| config.is_on(request.uri()) && config.own_store().is_some())
}

/// What holds for a request, if sessions of ours are on.
pub fn settings(request: Request<'_>) -> Option<Settings> {
    let config = request.dir_config::<Config>().filter(|_| is_ours(request))?;
    let mut settings = config.settings(request.server().name())?;
    settings.place = settings.place.of_server(request.server());
    Some(settings)
}

/// What the settings of a request come from: equal origins mean equal settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    config: usize,
    server: usize,
}

/// The origin of the settings of a request.
pub fn origin(request: Request<'_>) -> Origin {
    let config = request.dir_config::<Config>().map_or(0, |config| std::ptr::from_ref(config).addr());
    Origin { config, server: request.server().raw().addr() }
}
