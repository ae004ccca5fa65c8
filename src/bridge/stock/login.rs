//! Changes of privilege through the stock interface: mod_auth_form logs somebody in or out, or a module writes the owner. The id from before
//! leads nowhere. Neither has a way to hear that it could not be done, so nothing of the request is stored then.

use std::ffi::CStr;

use crate::hooks::commit::{SaveError, regenerate, set_user};
use crate::hooks::open::start_anew;
use crate::hooks::slot::Slot;
use crate::hooks::tree::Tree;
use crate::httpd::{Level, Request};
use crate::session::Move;
use crate::session::session::{Phase, is_user};

#[derive(Debug, PartialEq, Eq)]
pub enum Login {
    In(String),
    Out,
}

/// What mod_auth_form means by a value: it keeps the name of the user under its `AuthName`, and sets it at a login and a log-out only.
pub fn of(request: Request<'_>, key: &CStr, value: Option<&CStr>) -> Option<Login> {
    let name = key.to_bytes().strip_suffix(b"-user").filter(|name| !name.is_empty())?;
    if request.auth_name() != Some(name) {
        return None;
    }
    Some(value.map_or(Login::Out, |user| Login::In(user.to_string_lossy().into_owned())))
}

/// The keys of what mod_auth_form keeps beside the name of a user: the password, and a hash that stands for both.
pub fn secrets_beside(key: &str) -> [String; 2] {
    let realm = key.strip_suffix("user").unwrap_or(key);
    ["pw", "site"].map(|end| format!("{realm}{end}"))
}

/// `again` changes a session as the one was changed that the login is about.
pub fn carry_out(tree: &mut Tree, index: usize, request: Request<'_>, login: Login, again: impl FnOnce(&mut Slot)) {
    let user = match login {
        Login::In(user) => Some(user),
        Login::Out => None,
    };
    let is_same = tree.slots[index].session.user() == user.as_deref();
    let done = match user {
        None if is_same => Ok(()),
        Some(_) if is_same => change_id(tree, index, request),
        user => try_owner(tree, index, request, user.clone()).or_else(|error| match error {
            // Somebody else logged in with the same id, or out, while this request was on its way.
            SaveError::Gone => {
                start_anew(&mut tree.slots[index]);
                again(&mut tree.slots[index]);
                try_owner(tree, index, request, user)
            }
            error => Err(error),
        }),
    };
    settle(tree, index, request, done);
}

/// A module has written another owner.
pub fn change_owner(tree: &mut Tree, index: usize, request: Request<'_>, user: Option<String>) {
    let done = try_owner(tree, index, request, user.filter(|user| !user.is_empty()));
    settle(tree, index, request, done);
}

fn try_owner(tree: &mut Tree, index: usize, request: Request<'_>, user: Option<String>) -> Result<(), SaveError> {
    if user.as_deref().is_none_or(is_user) {
        return set_user(tree, index, request, user);
    }
    request
        .log(Level::Error, format_args!("the user of a session is a name of at most 255 bytes without control characters: nobody is set"));
    set_user(tree, index, request, None).and_then(|()| change_id(tree, index, request))
}

fn change_id(tree: &mut Tree, index: usize, request: Request<'_>) -> Result<(), SaveError> {
    match tree.slots[index].session.phase() {
        Phase::Stored(_) => regenerate(tree, index, request, Move::Superseded),
        _ => Ok(()), // nobody knows its id
    }
}

/// Why it could not be done was logged.
fn settle(tree: &mut Tree, index: usize, request: Request<'_>, done: Result<(), SaveError>) {
    let slot = &mut tree.slots[index];
    if done.is_err() {
        let text = "a login, a log-out or another owner is not stored, nor anything else of this request, for the id cannot be changed";
        request.log(Level::Error, format_args!("session {}: {text}", slot.reference()));
        slot.is_barred = true;
    }
}
