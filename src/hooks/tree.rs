//! What a request tree knows of its sessions. Sub-requests, internal redirects and error documents share the tree of the first
//! request, so a second open meets the first one's session.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use once_cell::sync::OnceCell;

use crate::config::{Config, Settings};
use crate::httpd::{Request, hook};
use crate::repository::Error;
use crate::session::{Id, Key, Ref, Session};

use super::events::{Event, Events, happened};
use super::lease::Holdings;
use super::response::LastResort;
use super::stores::repository;

/// What we keep with each request that asked for a session.
#[derive(Default)]
pub struct State {
    /// Of the first request of a tree.
    tree: OnceCell<Mutex<Tree>>,
    /// The handler of this request may run by now: who opens a session from here on uses it for the response.
    pub is_serving: AtomicBool,
    /// The first brigade has passed; in the first request.
    pub has_begun: AtomicBool,
    /// What is to be announced once the tree is unlocked; in the first request.
    pub events: Events,
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
        if let Some(tree) = self.tree.take()
            && matches!(tree.try_lock(), Err(TryLockError::WouldBlock))
        {
            std::mem::forget(tree);
        }
    }
}

/// Reads back what other code wrote on a picture of the sessions, at commit points.
pub type Collector = fn(&mut Tree, Request<'_>);

#[derive(Default)]
pub struct Tree {
    pub slots: Vec<Slot>,
    /// The first brigade has passed: no cookie can be set any more.
    pub headers_sent: bool,
    /// The response has ended: what other code wrote on its pictures was read back.
    pub ended: bool,
    pub leases: Holdings,
    collectors: Vec<Collector>,
}

/// One session of a tree: of one store, scope and cookie name.
pub struct Slot {
    pub settings: Settings,
    pub session: Session,
    /// The id that the client presented and the store knew.
    pub presented: Option<Id>,
    /// The configuration that it was last opened under: most trees have one.
    pub opened_under: Option<Origin>,
    /// The id that the client will come back with, as far as the headers have told: at first the one it presented.
    pub client_has: Option<Id>,
    /// Opened by an id that the application named: cookies have nothing to do with it.
    pub by_id: bool,
    pub is_new: bool,
    pub was_invalidated: bool,
    /// The response was made with what an existing session holds.
    pub is_used: bool,
    /// The client's cookie is to go, unless a new one is sent.
    pub forget_cookie: bool,
    /// The client's cookie was signed by an older key.
    pub send_again: bool,
    /// The key under whose lease it was read last, which the tree may still hold.
    pub leased: Option<Key>,
    /// How often it was read again: pictures of it may be old.
    pub reads: u32,
    /// The expiry was moved: a cookie with an age is sent again.
    pub renewed: bool,
    /// Storage and cookie go at the next commit point.
    pub expires_at_commit: bool,
    /// What faces keep with the session.
    attachments: Vec<Box<dyn Any + Send>>,
}

/// A panic happened while the tree was locked: its sessions are not saved.
#[derive(Debug)]
pub struct Broken;

pub fn state(request: Request<'_>) -> &State {
    request.state::<State>().unwrap_or_else(|| request.set_state(State::default()))
}

/// The tree of a request, made on first use.
pub fn tree(request: Request<'_>) -> &Mutex<Tree> {
    let root = request.root();
    let state = state(root);
    state.tree.get_or_init(|| {
        hook::before_destroyed::<LastResort>(root);
        let headers_sent = state.has_begun.load(Ordering::Relaxed) || request.and_origins().any(Request::has_begun);
        Mutex::new(Tree { headers_sent, ..Tree::default() })
    })
}

/// The tree of a request, if anybody asked for a session in it.
pub fn existing_tree(request: Request<'_>) -> Option<&Mutex<Tree>> {
    request.root().state::<State>()?.tree.get()
}

/// A tree that is locked. What happened meanwhile is announced once it is not: whoever is told may use the sessions of the request, and
/// take his time.
pub struct Guard<'t> {
    /// `None`: being dropped.
    tree: Option<MutexGuard<'t, Tree>>,
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
        if !std::thread::panicking()
            && let Some(state) = self.request.root().state::<State>()
        {
            state.events.announce(self.request);
        }
    }
}

/// Waits for the tree; other threads of a handler are inside for moments only, or wait for a lease themselves.
pub fn lock<'t>(tree: &'t Mutex<Tree>, request: Request<'t>) -> Result<Guard<'t>, Broken> {
    tree.lock().map(|tree| Guard { tree: Some(tree), request }).map_err(|_| Broken)
}

/// After a panic: what the tree holds back from others is given up; the rest is not trusted.
pub fn abandon(tree: &Mutex<Tree>) {
    if let Err(poisoned) = tree.lock() {
        poisoned.into_inner().leases = Holdings::default();
    }
}

/// For calls of a handler: `None` if another thread is inside.
pub fn try_lock<'t>(tree: &'t Mutex<Tree>, request: Request<'t>) -> Result<Option<Guard<'t>>, Broken> {
    match tree.try_lock() {
        Ok(tree) => Ok(Some(Guard { tree: Some(tree), request })),
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
    pub fn enter(&mut self, slot: Slot) -> usize {
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

impl Slot {
    pub fn new(settings: Settings, session: Session) -> Slot {
        Slot {
            settings,
            session,
            presented: None,
            client_has: None,
            opened_under: None,
            by_id: false,
            is_new: false,
            was_invalidated: false,
            is_used: false,
            forget_cookie: false,
            send_again: false,
            leased: None,
            reads: 0,
            renewed: false,
            expires_at_commit: false,
            attachments: Vec::new(),
        }
    }

    fn is_of(&self, settings: &Settings) -> bool {
        self.settings.place.is(&settings.place) && self.settings.terms.scope == settings.terms.scope
    }

    /// Whether it was read under a lease that the tree holds still.
    pub fn is_held(&self, leases: &Holdings) -> bool {
        self.leased.is_some_and(|key| leases.holds(&key) && self.session.key() == Some(&key))
    }

    /// Whether its id travels by cookie.
    pub fn needs_cookie(&self) -> bool {
        !self.by_id && self.settings.cookie().is_some()
    }

    /// Whether the client will come back with its id, if no further cookie is sent.
    pub fn is_known_to_client(&self) -> bool {
        !self.needs_cookie() || self.session.id().is_some_and(|id| self.client_has.as_ref() == Some(id))
    }

    /// Tells those who follow sessions. `was`: the reference it had before, if that has changed.
    pub fn happened(&self, request: Request<'_>, event: Event, was: Option<&Ref>) {
        if let Some(key) = self.session.key() {
            happened(request, event, &key.reference(), was, self.session.user());
        }
    }

    /// What a face attached before.
    pub fn attachment<T: Any>(&mut self) -> Option<&mut T> {
        self.attachments.iter_mut().find_map(|attached| attached.downcast_mut())
    }

    pub fn attach<T: Any + Send>(&mut self, value: T) {
        self.attachments.push(Box::new(value));
    }

    /// Its id and key; a new session draws them now.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn identify(&mut self) -> Result<(Id, Key), Error> {
        repository(&self.settings).identify(&mut self.session)
    }

    /// The reference, or a dash for a session that is not stored.
    pub fn reference(&self) -> String {
        self.session.key().map_or_else(|| "-".to_owned(), |key| key.reference().to_string())
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
