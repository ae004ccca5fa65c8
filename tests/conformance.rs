//! The conformance suite: what sessions have to do, asked over HTTP, of each store on each MPM, or of any other server with the same page.
//!
//! ```text
//! cargo test --features faults --test conformance -- [--list] [--mpm event] [--store file] [K1 | logout | ...]
//! MSRS_CONFORMANCE_URL=http://127.0.0.1:8000/page cargo test --test conformance
//! ```
//!
//! The page is described in tests/c/mod_conform.c; tests/conformance/page.py is one that needs nothing of ours. Of another server only what
//! can be seen over HTTP is asked; a `-` in the table is a case that needs power over the server, or a feature that was not built.
//!
//! Who does what: [`runner`] runs the cases; [`table`] shows what came of it, and writes docs/conformance.md; [`subject`] is a store on an MPM or another server, and starts servers;
//! [`visitor`] is a browser; [`watch`] judges durations and does things at once. The other files are the cases, one for each group.

mod support;

#[path = "conformance/ancestors.rs"]
mod ancestors;
#[path = "conformance/concurrency.rs"]
mod concurrency;
#[path = "conformance/cookie.rs"]
mod cookie;
#[path = "conformance/damage.rs"]
mod damage;
#[path = "conformance/data.rs"]
mod data;
#[path = "conformance/expiry.rs"]
mod expiry;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/identity.rs"]
mod identity;
#[path = "conformance/locks.rs"]
mod locks;
#[path = "conformance/observation.rs"]
mod observation;
#[path = "conformance/protocols.rs"]
mod protocols;
#[path = "conformance/rotation.rs"]
mod rotation;
#[path = "conformance/runner.rs"]
mod runner;
#[path = "conformance/stores.rs"]
mod stores;
#[path = "conformance/strict.rs"]
mod strict;
#[path = "conformance/subject.rs"]
mod subject;
#[path = "conformance/table.rs"]
mod table;
#[path = "conformance/visitor.rs"]
mod visitor;
#[path = "conformance/watch.rs"]
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let groups = [
        cookie::CASES,
        strict::CASES,
        expiry::CASES,
        data::CASES,
        damage::CASES,
        rotation::CASES,
        concurrency::CASES,
        protocols::CASES,
        faults::CASES,
        observation::CASES,
        ancestors::CASES,
        identity::CASES,
        locks::CASES,
        stores::CASES,
    ];
    runner::run(&groups.concat())
}
