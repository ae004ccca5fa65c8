//! Safe wrappers over httpd and APR. With the exported faces in `bridge` the only home of `unsafe`; knows nothing of sessions.
//!
//! The rules (docs/safety.md): a wrapper borrows what httpd owns for as long as httpd promises it; fields are read through the raw
//! pointer, never through a long-lived `&mut`, since other modules alias them; every entry from C passes [`guard`].
#![allow(unsafe_code)]

pub mod authz;
pub mod config;
pub mod conftree;
pub mod dbd;
pub mod directive;
pub mod expr;
pub mod ffi;
pub mod filter;
mod guard;
pub mod hook;
mod log;
pub mod mpm;
pub mod mutex;
mod optional;
mod pool;
pub mod probe;
mod record;
mod request;
pub mod retained;
mod server;
pub mod shared;
mod table;
pub mod thread;
pub mod watchdog;

pub use directive::{Contexts, Directive, Place, Setter};
pub use guard::{guard, report_panics_to};
pub use hook::Outcome;
pub use log::Level;
pub use optional::{offer, tell};
pub use pool::Pool;
pub use record::{Module, record};
pub use request::Request;
pub use server::{Server, Workers, is_exiting, is_first_reading, is_loaded, is_restart, workers};
pub use table::Table;
