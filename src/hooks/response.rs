//! The commit points of a response: its first brigade, the end of each sub-request, its end, and, where none of them came by, the
//! end of the first request. And the points where leases are given up: the end, and before that whatever the client may be waited for.

use std::sync::atomic::Ordering;

use crate::config::Config;
use crate::httpd::filter::{self, Passing, Watcher};
use crate::httpd::hook::RequestEvent;
use crate::httpd::{Level, Request};

use crate::session::session::Phase;

use super::caching;
use super::commit::{commit_all, cookie};
use super::lease::{end, release_all};
use super::locks::locks;
use super::tree::{Broken, State, abandon, existing_tree, lock, state, try_lock};

pub struct CommitPoints;

impl Watcher for CommitPoints {
    /// The name that the stock module gives its filter: administrators know it.
    const NAME: &'static std::ffi::CStr = c"MOD_SESSION_OUT";

    fn pass(request: Request<'_>, passing: Passing) {
        if passing.first && request.main().is_none() && hides_ids(request) {
            caching::hide_referrer(request);
        }
        if passing.first
            && request.main().is_none()
            && let Some(state) = request.root().state::<State>()
        {
            state.has_begun.store(true, Ordering::Relaxed);
        }
        let Some(tree) = existing_tree(request) else { return };
        let Ok(mut tree) = lock(tree, request) else {
            return abandon(tree); // after a panic nothing is saved; it was logged where it happened
        };
        if passing.may_block || (passing.last && request.main().is_none()) {
            tree.leases.end_with_commit();
        }
        if passing.first || passing.last || (passing.may_block && !tree.leases.is_empty()) {
            commit_all(&mut tree, request);
        }
        if passing.may_block {
            end(&mut tree, request);
        }
        if passing.first && request.main().is_none() && !tree.headers_sent {
            tree.headers_sent = true;
            let root = request.root();
            let (mut sets_cookie, mut is_used, mut shows_id) = (false, false, false);
            for slot in &mut tree.slots {
                let header = cookie(slot, root.is_https());
                if header.is_some() {
                    slot.client_has = slot.session.id().filter(|_| matches!(slot.session.phase(), Phase::Stored(_))).cloned();
                }
                if let Some(header) = header {
                    // A fast redirect (mod_dir) gives the request that answers a table of its own; an error on top of it answers
                    // with that of the first request. Behind an internal redirect an error answers with it in another place.
                    let table = root.err_headers_out();
                    table.add(c"Set-Cookie", &header);
                    if !request.err_headers_out().is_same(table) && !request.headers_out().is_same(table) {
                        request.err_headers_out().add(c"Set-Cookie", &header);
                    }
                    sets_cookie = true;
                }
                is_used |= slot.is_used;
                shows_id |= slot.settings.cookie().is_none() && matches!(slot.session.phase(), Phase::Stored(_));
                if slot.session.phase() == Phase::New {
                    // It could not be stored, which was said; without a cookie it never can.
                    slot.session.revert();
                }
            }
            caching::protect(request, sets_cookie || shows_id, is_used);
        }
        if passing.last && request.main().is_none() {
            tree.ended = true;
            release_all(&mut tree, request);
            for slot in &mut tree.slots {
                // What could not be stored was told; it must not be stored behind the back of whoever was told so.
                slot.session.revert();
            }
        }
    }
}

/// Whether the pages here have links with ids.
fn hides_ids(request: Request<'_>) -> bool {
    request
        .dir_config::<Config>()
        .is_some_and(|config| config.own_store().is_some() && config.is_on(request.uri()) && !config.uses_cookies())
}

pub struct InsertFilter;

impl RequestEvent for InsertFilter {
    /// Every main request is watched, for a sub-request may begin a session where the page itself has none.
    fn run(request: Request<'_>) {
        let is_on = request.dir_config::<Config>().is_some_and(|config| config.is_on(request.uri()));
        if is_on {
            state(request).is_serving.store(true, Ordering::Relaxed);
        }
        // What a sub-request sends may keep the client waiting too, and with it the lease of the page.
        let holds = || existing_tree(request).is_some_and(|tree| lock(tree, request).is_ok_and(|tree| !tree.leases.is_empty()));
        if is_on || request.main().is_none() || holds() {
            filter::add::<CommitPoints>(request);
        }
    }
}

/// A handler put its request aside: what it holds, it would hold for as long as it pleases.
pub struct Suspended;

impl RequestEvent for Suspended {
    fn run(request: Request<'_>) {
        if let Some(Ok(mut tree)) = existing_tree(request).map(|tree| lock(tree, request)) {
            if !tree.leases.is_empty() {
                commit_all(&mut tree, request);
            }
            end(&mut tree, request);
        }
    }
}

/// Before the first request of a tree is destroyed: for responses that never reach a content filter, such as tunnels. A tree in use is
/// one that a signal interrupted, which ends the process (prefork): what it was doing is not stored.
pub struct LastResort;

impl RequestEvent for LastResort {
    fn run(request: Request<'_>) {
        let Some(tree) = existing_tree(request) else { return };
        let mut tree = match try_lock(tree, request) {
            Ok(Some(tree)) => tree,
            Ok(None) => return,
            Err(Broken) => return abandon(tree),
        };
        tree.headers_sent = true;
        commit_all(&mut tree, request);
        release_all(&mut tree, request);
        if let Some(locks) = locks() {
            locks.maybe_clean();
        }
        for slot in &tree.slots {
            if slot.session.has_changes() {
                request.log(Level::Debug, format_args!("session {}: changes are dropped with the request", slot.reference()));
            }
        }
    }
}
