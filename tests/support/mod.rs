//! What every integration test stands on: real httpd servers in rooms of their own.
//!
//! ```ignore
//! mod support;
//! use support::{Httpd, Mpm, mpm_tests};
//!
//! fn a_value_comes_back(mpm: Mpm) {
//!     let httpd = Httpd::start(mpm, "SessionDir @DIR@");
//!     let mut client = httpd.client();
//!     client.get("/capi?open=create&set_int=n:1");
//!     assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
//! }
//! mpm_tests!(a_value_comes_back);
//! ```
//!
//! A server that logs a warning or an error nobody declared with `expect_log` fails its test when it is dropped.
//!
//! `MSRS_MODULE=/path/to/mod_session.so cargo test` loads that module instead of the one just built: the stock one, to see
//! where behaviour differs, or an instrumented build. `APXS` names another apxs and by it another httpd.
#![allow(dead_code)]

pub mod apxs;
mod client;
pub mod crates;
mod httpd;
#[cfg(feature = "tool")]
pub mod locks;
mod log;
pub mod members;
pub mod memory;
pub mod process;
pub mod redis;
pub mod sessions;
mod setup;
pub mod small_disk;
pub mod sql;
pub mod syncs;

#[allow(unused_imports)]
pub use self::{
    client::{Client, Pending, Response},
    httpd::{Httpd, free_port},
    setup::Setup,
};

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    Prefork,
    Worker,
    Event,
}

impl Mpm {
    pub const ALL: [Mpm; 3] = [Mpm::Prefork, Mpm::Worker, Mpm::Event];

    fn module(self) -> &'static str {
        match self {
            Mpm::Prefork => "mpm_prefork",
            Mpm::Worker => "mpm_worker",
            Mpm::Event => "mpm_event",
        }
    }
}

/// Asks until it is answered, and fails the test that waits in vain.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    poll(Duration::from_secs(60), ask).unwrap_or_else(|| panic!("waited 60 s in vain: {what}"))
}

fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Some(answer) => return Some(answer),
            None if Instant::now() >= deadline => return None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Runs what judges durations, or counts on something to happen within one. Where the machine stood still, it is tried again: what is
/// broken fails each time. Never for what is exact whatever the time.
pub fn by_the_clock(scenario: impl Fn()) {
    for _ in 1..3 {
        if catch_unwind(AssertUnwindSafe(&scenario)).is_ok() {
            return;
        }
        println!("once more, after a rest");
        thread::sleep(Duration::from_secs(1));
    }
    scenario();
}

/// Makes of each `fn(Mpm)` a module of its name with a test for each MPM. `mpm_tests!(by_the_clock: ...)`: see [`by_the_clock`].
#[allow(unused_macros)]
macro_rules! mpm_tests {
    (by_the_clock: $($scenario:ident),+ $(,)?) => {$(
        $crate::support::mpm_tests!(@ $scenario, |mpm| crate::support::by_the_clock(|| super::$scenario(mpm)));
    )+};
    ($($scenario:ident),+ $(,)?) => {$(
        $crate::support::mpm_tests!(@ $scenario, super::$scenario);
    )+};
    (@ $scenario:ident, $run:expr) => {
        mod $scenario {
            use crate::support::Mpm;

            fn run(mpm: Mpm) {
                let run: fn(Mpm) = $run;
                run(mpm);
            }

            #[test]
            fn prefork() {
                run(Mpm::Prefork);
            }

            #[test]
            fn worker() {
                run(Mpm::Worker);
            }

            #[test]
            fn event() {
                run(Mpm::Event);
            }
        }
    };
}
#[allow(unused_imports)]
pub(crate) use mpm_tests;
