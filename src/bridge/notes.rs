//! Request notes: the door for PHP, Lua, Perl and Python. Before a handler runs, the session is shown as notes, under its lease; at
//! commit points the notes are read back, and what differs from what was shown was written by the handler.

use std::ffi::CStr;

use crate::config::Config;
use crate::hooks::commit::{commit_all, invalidate, regenerate, remove};
use crate::hooks::lease::release_all;
use crate::hooks::open::{Hold, OpenError, Touch, open};
use crate::hooks::slot::Slot;
use crate::hooks::tree::{self, Tree, lock, state};
use crate::httpd::hook::{self, RequestHook, SERVICE_UNAVAILABLE};
use crate::httpd::{Level, Outcome, Request, Table};
use crate::session::mirror::{Detail, Edit};
use crate::session::{Mirror, Move};

/// What our notes begin with, that of a value with a dot behind it.
const OURS: &[u8] = b"session";
const VALUE: &[u8] = b"session.";
const UNSET: &CStr = c"session:unset";
const DO: &CStr = c"session:do";

/// What was shown to one request of a tree, and of which session.
struct Shown {
    slot: usize,
    mirror: Mirror,
}

pub fn register() {
    hook::before_handlers::<Publish>();
}

struct Publish;

impl RequestHook for Publish {
    fn run(request: Request<'_>) -> Outcome {
        if !runs_inside(request) {
            if let Some(Ok(mut tree)) = tree::existing_tree(request).map(|tree| lock(tree, request)) {
                leave(&mut tree, request);
            }
            return Outcome::Declined;
        }
        if !request.dir_config::<Config>().is_some_and(Config::notes) || !tree::is_ours(request) {
            return Outcome::Declined;
        }
        // A tree that a panic broke shows nothing.
        let Ok(mut tree) = lock(tree::tree(request), request) else { return Outcome::Declined };
        let refused_before = tree.leases.refused;
        let error = match open(&mut tree, request, Touch::Renew, Hold::Exclusive) {
            Ok(slot) => {
                tree.collect(request); // what the requests before this one wrote is to be seen
                publish(&mut tree, slot, request);
                return Outcome::Declined;
            }
            Err(OpenError::Busy) if !refused_before => {
                request.err_headers_out().set_static(c"Retry-After", b"1");
                return Outcome::Status(SERVICE_UNAVAILABLE);
            }
            Err(error) => error, // busy: the error document of the 503
        };
        note_error(request, error);
        Outcome::Declined
    }
}

const ERROR: &CStr = c"session:error";

/// Notes that the session cannot be read now.
pub fn note_error(request: Request<'_>, error: OpenError) {
    let word: &[u8] = match error {
        OpenError::Busy => b"busy",
        OpenError::Corrupt => b"corrupt",
        OpenError::Store | OpenError::Off => b"store",
    };
    request.notes().set_static(ERROR, word);
}

/// Whether that was noted.
pub fn has_error(request: Request<'_>) -> bool {
    request.notes().get(ERROR).is_some()
}

/// What runs outside, perhaps as a tunnel for hours, holds nothing back. That of a sub-request is a part of a page that goes on.
fn leave(tree: &mut Tree, request: Request<'_>) {
    commit_all(tree, request);
    if request.main().is_none() {
        release_all(tree, request);
    }
}

/// Whether the handler is one that reads notes: not a file, a proxy or another process.
fn runs_inside(request: Request<'_>) -> bool {
    let Some(handler) = request.handler().filter(|handler| !handler.is_empty()) else { return false };
    let outside: [&[u8]; 5] = [b"default-handler", b"cgi-script", b"application/x-httpd-cgi", b"fcgid-script", b"proxy-server"];
    let outside_families: [&[u8]; 3] = [b"httpd/", b"server-", b"proxy:"];
    if request.is_proxied() || outside.contains(&handler) || outside_families.iter().any(|family| handler.starts_with(family)) {
        return false;
    }
    // Without a handler of its own, a file arrives with its media type in this place; PHP's is a handler all the same.
    let media_type = request.content_type().and_then(|full| full.split(|&c| c == b';').next()).map(<[u8]>::trim_ascii);
    media_type != Some(handler) || handler.starts_with(b"application/x-httpd-php")
}

fn publish(tree: &mut Tree, index: usize, request: Request<'_>) {
    let notes = request.notes();
    let faces = &state(request).faces;
    let there = There::look(notes).values;
    if faces.with(|shown: &mut Option<Shown>| shown.is_none()) {
        // What an earlier phase wrote was written, not shown.
        let edits = Mirror::default().edits(&there);
        apply(&mut tree.slots[index], request, edits);
    }
    let slot = &mut tree.slots[index];
    facts(slot, notes);
    let mirror = Mirror::of(slot.session.values(), Detail::Public);
    let mut name = VALUE.to_vec();
    for (key, plain) in mirror.entries() {
        name.truncate(VALUE.len());
        name.extend_from_slice(key);
        if there.is_empty() { notes.set_new(&name, plain) } else { notes.set(&name, plain) }
    }
    faces.with(|shown| *shown = Some(Shown { slot: index, mirror }));
    tree.collect_by(collect);
}

fn facts(slot: &mut Slot, notes: Table<'_>) {
    let flag = |on: bool| if on { b"1" } else { b"0" };
    if !slot.is_new {
        notes.set_static(c"session:ref", slot.reference().as_bytes());
    }
    notes.set_static(c"session:new", flag(slot.is_new));
    notes.set_static(c"session:invalidated", flag(slot.was_invalidated));
    notes.set_static(c"session:created", slot.session.created().0.to_string().as_bytes());
    notes.set_static(c"session:accessed", slot.session.accessed().0.to_string().as_bytes());
    notes.set_static(c"session:timeout", slot.session.timeout().to_string().as_bytes());
    if let Some(user) = slot.session.user() {
        notes.set_static(c"session:user", user.as_bytes());
    }
    // Without cookies the application writes the id into its links.
    if slot.settings.cookie().is_none()
        && let Ok((id, _)) = slot.identify()
    {
        notes.set_static(c"session:id", id.expose().as_bytes());
    }
}

/// Reads back the notes of every request that can still write them: this one and where it came from, and the redirects of the first.
fn collect(tree: &mut Tree, request: Request<'_>) {
    let redirects = std::iter::successors(Some(request.root()), |r| r.next());
    let mut requests: Vec<Request<'_>> = request.and_origins().collect();
    requests.reverse(); // the later write wins
    requests.extend(redirects.filter(|r| !request.and_origins().any(|known| known.is_same(*r))));
    for of_tree in requests {
        collect_one(tree, of_tree);
    }
}

fn collect_one(tree: &mut Tree, request: Request<'_>) {
    let Some(state) = request.state::<tree::State>() else { return };
    let notes = request.notes();
    let compare = |shown: &mut Option<Shown>| {
        shown.as_mut().map(|shown| {
            let there = There::look(notes);
            (shown.slot, shown.mirror.edits(&there.values), there.has_orders)
        })
    };
    let Some((index, mut edits, has_orders)) = state.faces.with(compare) else { return };
    let Some(slot) = tree.slots.get_mut(index) else { return };
    if has_orders {
        for key in take(notes, UNSET).iter().flat_map(|list| named(list, slot)) {
            edits.push(Edit::Unset(key));
        }
        for word in take(notes, DO).iter().flat_map(|list| list.split_whitespace()) {
            edits = carry_out(word, tree, index, request, edits);
        }
    }
    apply(&mut tree.slots[index], request, edits);
}

/// What of the notes is ours, found at one look: APR knows keys by their first four bytes, which all of ours share, so that it compares each
/// one that is asked for with every one of them.
struct There<'n> {
    values: Vec<(&'n [u8], &'n [u8])>,
    /// Something is to be unset or done.
    has_orders: bool,
}

impl<'n> There<'n> {
    fn look(notes: Table<'n>) -> There<'n> {
        let mut values = notes.of_prefix(OURS);
        let mut has_orders = false;
        values.retain_mut(|(name, _)| match name.split_first() {
            Some((b'.', key)) => {
                *name = key;
                true
            }
            _ => {
                has_orders |= [UNSET, DO].iter().any(|order| order.to_bytes()[OURS.len()..].eq_ignore_ascii_case(name));
                false
            }
        });
        There { values, has_orders }
    }
}

fn take(notes: Table<'_>, name: &CStr) -> Option<String> {
    let text = notes.get(name)?.to_string_lossy().into_owned();
    notes.unset(name);
    Some(text)
}

/// The keys that a list names: one key that may hold blanks, or several between blanks and commas.
fn named(list: &str, slot: &Slot) -> Vec<String> {
    if slot.session.values().find(list).is_some() {
        return vec![list.to_owned()];
    }
    list.split([' ', ',', '\t', '\n']).filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// One word of `session:do`; answers the edits that are still to be done. What a handler writes beside `invalidate` or `delete`
/// belongs to the session after it.
fn carry_out(word: &str, tree: &mut Tree, index: usize, request: Request<'_>, edits: Vec<Edit>) -> Vec<Edit> {
    let slot = &mut tree.slots[index];
    let written = |edits: Vec<Edit>| edits.into_iter().filter(|edit| matches!(edit, Edit::Set(..))).collect();
    match word {
        "invalidate" => match invalidate(slot, request) {
            Ok(()) => written(edits),
            Err(_) => {
                slot.expires_at_commit = true; // whoever logged out stays logged out once the store works again
                Vec::new()
            }
        },
        "delete" => match remove(slot, request) {
            Ok(()) => written(edits),
            Err(_) => Vec::new(),
        },
        "expire" => {
            slot.expires_at_commit = true;
            Vec::new()
        }
        "regenerate" => {
            apply(slot, request, edits); // they are stored with it
            let _ = regenerate(tree, index, request, Move::Moved); // the session goes on under its id; the log says why
            Vec::new()
        }
        "revert" => {
            slot.session.revert();
            Vec::new()
        }
        _ => {
            request.log(
                Level::Warning,
                format_args!("session:do knows invalidate, regenerate, expire, delete and revert, not '{}'", word.escape_debug()),
            );
            edits
        }
    }
}

fn apply(slot: &mut Slot, request: Request<'_>, edits: Vec<Edit>) {
    for (key, error) in slot.session.apply(edits) {
        request.log(Level::Error, format_args!("the note session.{} is not stored: {error}", key.escape_debug()));
    }
}
