//! The leases of a request tree: when they are taken, and when they are given up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::elsewhere::{Wanted, keep_others_off};
use super::locks::{Locks, locks};
use super::report::failure;
use super::tree::{State, Tree};
use crate::config::{Config, LockMode, StorePlace};
use crate::httpd::{Level, Request};
use crate::lock::{Lease, Refused, Wait};
use crate::session::Key;
use crate::store;

/// Why a lease was not granted; the log knows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGranted {
    Busy,
    /// The store failed, which keeps the other servers off that share it.
    Store,
}

/// What one request tree holds.
#[derive(Default)]
pub struct Holdings {
    held: Vec<Held>,
    /// One was not granted: further opens of this tree, such as that of an error document, do not wait for it once more.
    pub refused: bool,
    /// The client may be waited for, or the application said `unlock`: no open takes one from here on.
    pub over: bool,
}

/// A lease, given back when it is dropped.
struct Held {
    key: Key,
    /// Taken by an open, of which a tree holds one.
    by_open: bool,
    locks: &'static Locks,
    /// `None`: given back.
    lease: Option<Lease>,
    /// That of all servers that share the store, if it may be more than one.
    shared: Option<Box<dyn store::lease::Lease>>,
}

/// What was granted and belongs to no tree yet.
pub struct Granted(Held);

impl Held {
    /// `false`: it had been taken over. A child that a handler forked has a copy of what its parent holds, and gives nothing back.
    fn give_back(&mut self) -> bool {
        let (lease, shared) = (self.lease.take(), self.shared.take());
        if !self.locks.here.is_here() {
            std::mem::forget(shared);
            return true;
        }
        // That of all servers first: the next request here shall find it free, or wait its turn.
        let was_held = shared.is_none_or(|mut shared| shared.give_back());
        lease.is_none_or(|lease| self.locks.leases.release(&lease).is_ok()) && was_held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Holdings {
    pub fn holds(&self, key: &Key) -> bool {
        self.held.iter().any(|held| held.key == *key)
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn keep(&mut self, granted: Granted) {
        self.held.push(granted.0);
    }

    /// The session has moved: whoever waits for its old id finds that out.
    pub fn exchange(&mut self, old: Option<Key>, granted: Granted) {
        self.held.retain(|held| Some(held.key) != old);
        self.held.push(granted.0);
    }

    /// The commit that comes is the last thing done under what the tree holds.
    pub fn end_with_commit(&mut self) {
        self.held.iter_mut().filter_map(|held| held.shared.as_mut()).for_each(|shared| shared.ends_with_next_write());
    }

    pub fn drop_one(&mut self, key: &Key, request: Request<'_>) {
        if let Some(at) = self.held.iter().position(|held| held.key == *key) {
            give_back(self.held.remove(at), request);
        }
    }
}

/// Gives one back; what changed under it was stored.
fn give_back(mut held: Held, request: Request<'_>) {
    if !held.give_back() {
        let session = held.key.reference();
        request.log(
            Level::Warning,
            format_args!("session {session}: its lease was taken over while this request held it; what it changed was merged"),
        );
    }
}

/// Whether a read-write open by a request is to take a lease: it comes from a content handler, and the tree has none.
pub fn is_due(tree: &Tree, request: Request<'_>) -> bool {
    let mode = request.dir_config::<Config>().and_then(|config| config.lock).unwrap_or_default();
    mode == LockMode::Request && !tree.leases.held.iter().any(|held| held.by_open) && is_before_commit(tree, request)
}

/// Whether a content handler is at work that comes to a commit, soon.
pub fn is_before_commit(tree: &Tree, request: Request<'_>) -> bool {
    !tree.ended
        && !tree.leases.over
        && request.state::<State>().is_some_and(|state| state.is_serving.load(Ordering::Relaxed))
        && !is_tunnel(request.root())
}

/// Whether a request becomes a connection of its own, perhaps for hours. A header alone must not switch a lock off: what counts is the
/// whole handshake of RFC 6455, which no form and no body comes with.
fn is_tunnel(request: Request<'_>) -> bool {
    let header = |name| request.headers_in().get(name).map(|value| value.to_bytes().trim_ascii().to_ascii_lowercase());
    let upgrades = |value: Vec<u8>| value.split(|&c| c == b',').any(|token| token.trim_ascii() == b"upgrade");
    request.method() == b"CONNECT"
        || (request.method() == b"GET"
            && header(c"Upgrade").is_some_and(|value| value == b"websocket")
            && header(c"Connection").is_some_and(upgrades)
            && header(c"Sec-WebSocket-Version").is_some_and(|value| value == b"13")
            && header(c"Sec-WebSocket-Key").is_some_and(|value| value.len() == 24)
            && header(c"Content-Length").is_none()
            && header(c"Transfer-Encoding").is_none())
}

/// Takes the lease of a session for an open; `None`: the tree has it. Once that was refused, the opens of this tree are refused at once.
///
/// # Errors
/// It was not granted.
pub fn take_by_open(leases: &mut Holdings, request: Request<'_>, place: &StorePlace, key: &Key) -> Result<Option<Granted>, NotGranted> {
    if leases.holds(key) {
        return Ok(None);
    }
    let granted = if leases.refused { Err(NotGranted::Busy) } else { take(request, place, key, None, (true, false)) };
    leases.refused |= matches!(granted, Err(NotGranted::Busy));
    granted.map(Some)
}

/// Takes the lease of a session for `lock` of the application; `None`: the tree has it. `patience` is that of `SessionLockTimeout` if it is not given.
///
/// # Errors
/// It was not granted.
pub fn take_by_call(
    leases: &Holdings,
    request: Request<'_>,
    place: &StorePlace,
    key: &Key,
    patience: Option<Duration>,
) -> Result<Option<Granted>, NotGranted> {
    if leases.holds(key) { Ok(None) } else { take(request, place, key, patience, (false, false)).map(Some) }
}

/// Takes the lease of an id that nobody has had yet, if the tree holds that of the id the session has: it is about to move.
pub fn beside(leases: &Holdings, held: Option<Key>, request: Request<'_>, place: &StorePlace, new: &Key) -> Option<Granted> {
    let by_open = leases.held.iter().find(|of| Some(of.key) == held)?.by_open;
    take(request, place, new, Some(Duration::ZERO), (by_open, true)).ok()
}

/// `is_new`: nobody has had the id yet.
fn take(
    request: Request<'_>,
    place: &StorePlace,
    key: &Key,
    patience: Option<Duration>,
    (by_open, is_new): (bool, bool),
) -> Result<Granted, NotGranted> {
    let started = Instant::now();
    let Some(locks) = locks() else {
        failure(request, format_args!("no table of leases: the log of the start says why; SessionLock access does without"));
        return Err(NotGranted::Busy);
    };
    let timeout = patience.unwrap_or(locks.timeout);
    let is_pointless = || request.is_client_gone();
    let wait = Wait { timeout, queue: locks.queue, crowd: locks.crowd, is_pointless: &is_pointless };
    let label = label(request.root());
    let granted = locks.leases.acquire(hash(key), &label, &wait);
    let lease = granted.map_err(|refused| {
        report(request, key, refused, patience.is_some(), locks);
        NotGranted::Busy
    })?;
    let mut held = Held { key: *key, by_open, locks, lease: Some(lease), shared: None };
    // Of a session that is about to move nobody has the new id, and nothing is to be loaded.
    let wanted = Wanted { place, key, label: &label, then_loads: !is_new, by_call: patience.is_some() };
    held.shared = keep_others_off(request, &wanted, locks, &wait, started).map_err(|(why, refused)| {
        refused.into_iter().for_each(|refused| report(request, key, refused, patience.is_some(), locks));
        why
    })?;
    Ok(Granted(held))
}

/// The first eight bytes of the key.
fn hash(key: &Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Method and path of what the client asked for; a query, or a password before the host, is nobody's business.
fn label(root: Request<'_>) -> Vec<u8> {
    [root.method(), b" ", root.path()].concat()
}

fn report(request: Request<'_>, key: &Key, refused: Refused, by_call: bool, locks: &Locks) {
    let session = key.reference();
    match refused {
        // Whoever names a time of its own expects that it may pass.
        Refused::Timeout(_) if by_call => {}
        Refused::Timeout(Some(holder)) => request.log(
            Level::Warning,
            format_args!(
                "session {session}: not granted in {:?} (SessionLockTimeout), held by {holder}; a handler that takes so long may unlock() \
                 early, or do with SessionLock access",
                locks.timeout
            ),
        ),
        Refused::Timeout(None) => {
            request.log(Level::Warning, format_args!("session {session}: not granted in {:?} (SessionLockTimeout)", locks.timeout));
        }
        Refused::QueueFull(holder) => {
            let holder = holder.map(|holder| format!(", held by {holder}")).unwrap_or_default();
            failure(
                request,
                format_args!("session {session}: as many requests wait for it as SessionLockWaiters ({}) allows{holder}", locks.queue),
            );
        }
        Refused::Crowded(waiting) => failure(
            request,
            format_args!(
                "session {session}: {waiting} requests wait for sessions, and no more than {} may, half of MaxRequestWorkers: raise that, or \
                 use SessionLock access where nothing is to be locked",
                locks.crowd
            ),
        ),
        Refused::TableFull => {
            failure(
                request,
                format_args!("session {session}: the table of leases is full; raise ServerLimit or SessionMutexes, and restart"),
            );
        }
        Refused::Pointless => request.log(Level::Debug, format_args!("session {session}: the client hung up while it waited")),
        Refused::Unavailable(why) => failure(request, format_args!("session {session}: {why}")),
    }
}

/// Gives every lease back, and no open takes one from here on: httpd may wait for the client, or somebody else works on. What changed
/// was stored.
pub fn end(tree: &mut Tree, request: Request<'_>) {
    tree.leases.over = true;
    release_all(tree, request);
}

/// Gives every lease back, and what stores keep for changes; what changed was stored.
pub fn release_all(tree: &mut Tree, request: Request<'_>) {
    tree.slots.iter_mut().for_each(|slot| slot.session.let_go());
    tree.leases.held.drain(..).for_each(|held| give_back(held, request));
}
