//! Keeping other requests off a session through the C interface.

use std::time::Duration;

use super::handle::{Handle, in_tree};
use super::{Answer, Status};
use crate::config::LockMode;
use crate::hooks::commit::{self, Cause};
use crate::hooks::lease;
use crate::hooks::open::read_under;
use crate::hooks::tree::Tree;
use crate::httpd::Request;

type Session = *const Handle;

/// # Safety
/// (here and below) The handle is null or lives, as session_api.h demands.
pub unsafe extern "C" fn lock(s: Session, timeout: i64) -> Status {
    let patience = u64::try_from(timeout).ok().map(Duration::from_micros);
    unsafe { in_tree(s, |tree, slot, request| take(tree, slot, request, patience)) }.into()
}

pub unsafe extern "C" fn trylock(s: Session) -> Status {
    unsafe { in_tree(s, |tree, slot, request| take(tree, slot, request, Some(Duration::ZERO))) }.into()
}

fn take(tree: &mut Tree, slot: usize, request: Request<'_>, patience: Option<Duration>) -> Answer {
    let Tree { slots, leases, ended, .. } = tree;
    let slot = &mut slots[slot];
    if slot.settings.lock == LockMode::None {
        return Err(Status::Off);
    }
    if *ended {
        return Err(Status::TooLate); // nothing would give it back before the client has read everything
    }
    // A new session gets its id now: from the first save on others may come for it.
    let (_, key) = slot.identify().map_err(|_| Status::Store)?;
    if slot.is_held(leases) {
        return Ok(());
    }
    let granted = lease::take_by_call(leases, request, &slot.settings.place, &key, patience)?;
    if read_under(leases, slot, request, key, granted)? { Ok(()) } else { Err(Status::Gone) }
}

pub unsafe extern "C" fn unlock(s: Session) -> Status {
    unsafe { in_tree(s, give_up) }.into()
}

/// The session may have another key by now, or none: the lease is that of the key it was read under.
fn give_up(tree: &mut Tree, slot: usize, request: Request<'_>) -> Answer {
    let answer = give_lease_up(tree, slot, request);
    tree.slots[slot].session.let_go();
    answer
}

fn give_lease_up(tree: &mut Tree, slot: usize, request: Request<'_>) -> Answer {
    let Some(key) = tree.slots[slot].leased.filter(|key| tree.leases.holds(key)) else {
        return if tree.slots[slot].settings.lock == LockMode::None { Err(Status::Off) } else { Ok(()) };
    };
    if !tree.ended {
        tree.collect(request);
    }
    let saved = commit::save(&mut tree.slots[slot], request, tree.headers_sent, Cause::Asked);
    tree.leases.drop_one(&key, request);
    tree.leases.over = true;
    Ok(saved?)
}
