//! What the error log is told of a store that fails.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::httpd::{Level, Request};
use crate::repository::now;
use crate::store;

/// Whether this process has not said anything of the kind in this second: what fails is asked for by every request.
fn is_time() -> bool {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let second = now().0 / 1_000_000;
    LAST.swap(second, Ordering::Relaxed) != second
}

/// At most one line a second.
pub fn failure(request: Request<'_>, text: std::fmt::Arguments<'_>) {
    if is_time() {
        request.log(Level::Error, text);
    }
}

pub fn store_failed(request: Request<'_>, what: &str, error: &store::Error) {
    failure(request, format_args!("cannot {what} a session: {error}"));
}
