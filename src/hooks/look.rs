//! Looking at the session of a request without opening it, as `Require` lines and expressions do.

use std::sync::Arc;

use super::open::{Hold, OpenError, is_serving, slot_of};
use super::tree::{Tree, origin};
use crate::config::{Carrier, Settings};
use crate::httpd::Request;

/// The slot of the session that the configuration of a request means. Nothing is held or renewed, and caches need not know.
pub fn look(tree: &mut Tree, request: Request<'_>) -> Result<usize, OpenError> {
    let here = origin(request);
    if let Some((_, error)) = tree.failed_look.filter(|(place, _)| *place == here) {
        return Err(error);
    }
    let index = slot_of(tree, request, false, Hold::Shared).inspect_err(|&error| {
        // The configuration of a sub-request may end before the tree, and another come to lie in its place.
        tree.failed_look = request.main().is_none().then_some((here, error));
    })?;
    if request.prev().is_some() && !is_serving(request) && !tree.ended {
        tree.collect(request); // what the request before it wrote is to be seen
    }
    Ok(index)
}

/// Whether what is found under the one settings is found under the others, and goes on in the same way. Those of an early look need not
/// be those of the request: `<If>` is evaluated before its directory is known.
pub fn means_same(one: &Settings, other: &Settings) -> bool {
    let same_carrier = match (&one.carrier, &other.carrier) {
        (Carrier::Cookie(rule, keys), Carrier::Cookie(other, others)) => {
            rule == other && keys.as_ref().map(Arc::as_ptr) == others.as_ref().map(Arc::as_ptr)
        }
        (Carrier::Query(name), Carrier::Query(other)) => name == other,
        _ => false,
    };
    same_carrier && one.place.is(&other.place) && one.terms == other.terms && one.invalidate_corrupt == other.invalidate_corrupt
}
