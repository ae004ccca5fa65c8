//! What the error log is told of a store that fails.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::httpd::{Level, Request};
use crate::store;

use super::tree::now;

/// At most one line a second for each process: a store that fails is asked by every request.
pub fn store_failed(request: Request<'_>, what: &str, error: &store::Error) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let second = now().0 / 1_000_000;
    if LAST.swap(second, Ordering::Relaxed) != second {
        request.log(Level::Error, format_args!("cannot {what} a session: {error}"));
    }
}
