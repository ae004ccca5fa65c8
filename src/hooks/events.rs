//! Lifecycle events: a line in the error log, and the hook of session_api.h for modules that follow sessions.

use std::ffi::CStr;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use once_cell::sync::OnceCell;

use crate::httpd::{Level, Request, Server};
use crate::session::Ref;

use super::tree::existing_tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Stored for the first time.
    Created,
    /// Its expiry was moved, or it goes on under another id, whose reference is told.
    Renewed,
    /// Its record was removed after its time; the cleaner says so.
    Expired,
    /// Ended by the application.
    Destroyed,
    /// Somebody came with an id that the session no longer has.
    Superseded,
}

impl Event {
    const fn name(self) -> &'static CStr {
        match self {
            Event::Created => c"created",
            Event::Renewed => c"renewed",
            Event::Expired => c"expired",
            Event::Destroyed => c"destroyed",
            Event::Superseded => c"superseded",
        }
    }
}

/// The fields of the log line, always all and in this order.
struct Line<'e> {
    event: Event,
    session: &'e Ref,
    was: Option<&'e Ref>,
    user: Option<&'e str>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.event.name().to_str().expect("ASCII");
        write!(f, "session event={name} ref={} was=", self.session)?;
        match self.was {
            Some(was) => write!(f, "{was}")?,
            None => f.write_str("-")?,
        }
        match self.user {
            Some(user) => write!(f, " user=\"{}\"", user.escape_debug()),
            None => f.write_str(" user=-"),
        }
    }
}

/// What happened within a request. `was`: the reference it had before, if that has changed.
pub fn happened(request: Request<'_>, event: Event, session: &Ref, was: Option<&Ref>, user: Option<&str>) {
    let line = Line { event, session, was, user };
    let (level, remark) = match event {
        Event::Superseded => (Level::Notice, ": superseded id used, the client gets a new session"),
        Event::Renewed if was.is_none() => (Level::Debug, ""), // as often as sessions are used
        _ => (Level::Info, ""),
    };
    request.log(level, format_args!("{line}{remark}"));
    if let Some(tree) = existing_tree(request) {
        tree.events.add(event, session);
    }
}

/// What the cleaner did.
pub fn expired(server: Server<'_>, session: &Ref, user: Option<&str>) {
    let line = Line { event: Event::Expired, session, was: None, user };
    server.log(Level::Info, format_args!("{line}"));
    announce(None, Event::Expired, session);
}

/// Who wants to be told, beside the log: the face that knows the hook of session_api.h.
pub type Listener = fn(Option<Request<'_>>, &CStr, &Ref);

static LISTENER: OnceCell<Listener> = OnceCell::new();

pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// What is to be announced.
#[derive(Default)]
pub struct Events(Mutex<Vec<(Event, Ref)>>);

impl Events {
    fn add(&self, event: Event, session: &Ref) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((event, session.clone()));
    }

    /// Announces what there is. Nothing is locked meanwhile.
    pub fn announce(&self, request: Request<'_>) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (event, session) in waiting {
            announce(Some(request), event, &session);
        }
    }
}

fn announce(request: Option<Request<'_>>, event: Event, session: &Ref) {
    if let Some(listener) = LISTENER.get() {
        listener(request, event.name(), session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_all_fields_in_a_fixed_order() {
        let [one, two] = ["0123456789ab", "ba9876543210"].map(|text| Ref::parse(text).unwrap());
        let line = |was, user| Line { event: Event::Renewed, session: &one, was, user }.to_string();
        assert_eq!(line(None, None), "session event=renewed ref=0123456789ab was=- user=-");
        assert_eq!(line(Some(&two), Some("a\"\nb")), "session event=renewed ref=0123456789ab was=ba9876543210 user=\"a\\\"\\nb\"");
    }
}
