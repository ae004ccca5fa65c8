//! `Require session`, `Require session-user` and `Require session-value`. A session that cannot be read now is no reason to let somebody
//! in, nor to send him to the login: the request is answered 503.

use std::ffi::CStr;

use super::lookup::{Found, look};
use super::notes;
use crate::config::Config;
use crate::hooks::open::OpenError;
use crate::hooks::tree;
use crate::httpd::authz::{self, Requirement, Verdict};
use crate::httpd::expr::Argument;
use crate::httpd::hook::{INTERNAL_SERVER_ERROR, RequestHook, SERVICE_UNAVAILABLE};
use crate::httpd::{Level, Outcome, Place, Request};
use crate::session::session::is_user;
use crate::session::value::check_key;

pub fn register() {
    authz::register::<Present>();
    authz::register::<User>();
    authz::register::<Value>();
    authz::before_core::<Unavailable>();
    authz::before_core::<Login>();
}

/// `Require session`
struct Present;

/// `Require session-user [name ...]`
struct User {
    /// Empty: anybody.
    names: Vec<Argument>,
}

/// `Require session-value key [value ...]`
struct Value {
    key: Argument,
    /// Empty: any.
    values: Vec<Argument>,
}

/// The section of a line has to answer for sessions that cannot be read.
fn noted(place: Place<'_>) {
    place.with_config(|config: &mut Config| config.has_requirement = true);
}

fn arguments(words: &[&str], place: Place<'_>) -> Result<Vec<Argument>, String> {
    words.iter().map(|word| Argument::parse(word, place)).collect()
}

impl Requirement for Present {
    const NAME: &'static CStr = c"session";

    fn parse(words: &[&str], place: Place<'_>) -> Result<Present, String> {
        noted(place);
        match words.first() {
            None => Ok(Present),
            Some(word) => Err(format!("takes no argument, not '{word}': for a user there is session-user, for a value session-value")),
        }
    }

    fn check(&self, request: Request<'_>) -> Verdict {
        decide(Present::NAME, request, |session| session.is_there())
    }
}

impl Requirement for User {
    const NAME: &'static CStr = c"session-user";

    fn parse(words: &[&str], place: Place<'_>) -> Result<User, String> {
        noted(place);
        let names = arguments(words, place)?;
        match names.iter().filter_map(Argument::text).find(|name| name.is_empty() || !is_user(name)) {
            None => Ok(User { names }),
            Some(name) => Err(format!("takes names of at most 255 bytes without control characters, not '{}'", name.escape_debug())),
        }
    }

    fn check(&self, request: Request<'_>) -> Verdict {
        // An expression may look at the session too: it is evaluated before we do.
        let Some(names) = evaluate(&self.names, request) else { return Verdict::Failed };
        decide(User::NAME, request, |session| {
            session.user().is_some_and(|user| self.names.is_empty() || names.iter().any(|name| **name == *user))
        })
    }
}

impl Requirement for Value {
    const NAME: &'static CStr = c"session-value";

    fn parse(words: &[&str], place: Place<'_>) -> Result<Value, String> {
        noted(place);
        let mut words = arguments(words, place)?.into_iter();
        let key = words.next().ok_or("takes a key, and the values that it may have: Require session-value role admin editor")?;
        match key.text().map(check_key) {
            None | Some(Ok(())) => Ok(Value { key, values: words.collect() }),
            Some(Err(error)) => Err(format!("takes a key, not '{}': {error}", key.text().unwrap_or_default().escape_debug())),
        }
    }

    fn check(&self, request: Request<'_>) -> Verdict {
        let (Some(key), Some(values)) = (evaluate([&self.key], request), evaluate(&self.values, request)) else {
            return Verdict::Failed;
        };
        let Ok(key) = std::str::from_utf8(&key[0]) else { return Verdict::Denied }; // nothing has such a key
        decide(Value::NAME, request, |session| match &values[..] {
            [] => session.has(key),
            values => session.text(key).is_some_and(|text| values.iter().any(|value| **value == *text)),
        })
    }
}

/// `None`: one of them cannot be evaluated, which is an error in the configuration.
fn evaluate<'r>(arguments: impl IntoIterator<Item = &'r Argument>, request: Request<'r>) -> Option<Vec<std::borrow::Cow<'r, [u8]>>> {
    let evaluated: Result<Vec<_>, _> = arguments.into_iter().map(|argument| argument.evaluate(request)).collect();
    evaluated.map_err(|why| request.log(Level::Error, format_args!("cannot evaluate an expression of a Require line: {why}"))).ok()
}

fn decide(line: &CStr, request: Request<'_>, is_met: impl FnOnce(&Found<'_>) -> bool) -> Verdict {
    match look(request) {
        Ok(Some(session)) if is_met(&session) => Verdict::Granted,
        Ok(Some(_)) => Verdict::Denied,
        Ok(None) => {
            let (line, uri) = (line.to_string_lossy(), String::from_utf8_lossy(request.uri()));
            request.log(Level::Debug, format_args!("Require {line}: denied, for sessions are off here: {uri}"));
            Verdict::Denied
        }
        Err(error) => {
            notes::note_error(request, error);
            Verdict::Failed
        }
    }
}

struct Unavailable;

impl RequestHook for Unavailable {
    /// mod_authz_core knows one answer to what cannot be decided, 500. So it is asked here, and what was due to a session that cannot be
    /// read becomes 503; nothing else changes. Where it wants a user first it will be asked once more.
    fn run(request: Request<'_>) -> Outcome {
        if !request.dir_config::<Config>().is_some_and(|config| config.has_requirement) {
            return Outcome::Declined;
        }
        match authz::ask_core(request) {
            Some(Outcome::Status(INTERNAL_SERVER_ERROR)) if notes::has_error(request) => Outcome::Status(SERVICE_UNAVAILABLE),
            decided => decided.unwrap_or(Outcome::Declined),
        }
    }
}

struct Login;

impl RequestHook for Login {
    /// mod_auth_form takes a session that cannot be read for none, and would ask somebody to log in who is logged in.
    fn run(request: Request<'_>) -> Outcome {
        let is_form = || request.auth_type().is_some_and(|of| of.eq_ignore_ascii_case(b"form"));
        if !tree::is_ours(request) || !is_form() {
            return Outcome::Declined;
        }
        match look(request) {
            Err(error @ (OpenError::Store | OpenError::Corrupt)) => {
                notes::note_error(request, error);
                Outcome::Status(SERVICE_UNAVAILABLE)
            }
            _ => Outcome::Declined,
        }
    }
}
