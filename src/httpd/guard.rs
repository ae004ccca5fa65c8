//! The panic boundary.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Level, Server};

/// Runs what C called and answers `on_panic` if it panics: unwinding through C frames would take the whole child down.
///
/// State that was being changed is marked by the poisoned mutex it lies under, so `AssertUnwindSafe` hides nothing.
pub fn guard<T>(on_panic: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // A payload whose destructor panics would unwind again.
        std::mem::forget(payload);
        on_panic
    })
}

/// Panics are reported to the error log, with their place, instead of to standard error. For children.
pub fn report_panics_to(server: Server<'static>) {
    std::panic::set_hook(Box::new(move |info| {
        server.log(Level::Error, format_args!("a defect of mod_session_rs, please report it: {info}"));
    }));
}
