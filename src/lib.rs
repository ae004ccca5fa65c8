//! Server-side sessions for Apache httpd: the map of the crate.
//!
//! Folders are roles, and arrows point inward:
//!
//! * [`session`] - the domain: values, changes, records, cookies. Pure.
//! * [`store`] - where records live. Knows keys and bytes only. Needs `session`, `here`, `lmdb`, `robust`, `room`.
//! * [`repository`] - finding, saving, moving and ending sessions in a store. Needs `session` and `store`.
//! * [`lock`] - leases and the pool of mutexes. Knows hashes and deadlines only. Needs `httpd`.
//! * `here` - whether code runs in the process that began it. Knows nothing of sessions.
//! * `lmdb` - opening LMDB, where that is unsafe. Knows nothing of sessions.
//! * `robust` - a mutex of several processes, in a file. Knows nothing of sessions. Needs `room`.
//! * `room` - room on the disk for a file that is going to be mapped. Knows nothing of sessions.
//! * `httpd` - safe wrappers over httpd and APR. Knows nothing of sessions.
//! * `config` - what the directives say. Needs `httpd`, `session`, `store`, `repository`.
//! * `hooks` - what happens when: start, open, commit. Needs all of the above.
//! * `bridge` - faces to other code: notes, stock API, C API, `Require` lines, expressions. Needs all of the above.
//! * `module` - the record that httpd loads: the table of contents.
//! * [`client`] - the Rust interface for other modules, which calls the C API of the one that is loaded. Needs `session`.
//!
//! With `default-features = false` only [`session`], [`store`], [`repository`], [`lock`] and [`client`] remain, and nothing is exported to C.
#![deny(unsafe_code)]

#[cfg(test)]
extern crate self as mod_session_rs;

#[cfg(feature = "module")]
mod bridge;
pub mod client;
#[cfg(feature = "module")]
mod config;
mod faults;
mod here;
#[cfg(feature = "module")]
mod hooks;
#[cfg(feature = "module")]
mod httpd;
#[cfg(feature = "dbm")]
mod lmdb;
pub mod lock;
#[cfg(feature = "module")]
mod module;
pub mod repository;
#[cfg(feature = "dbm")]
mod robust;
mod room;
pub mod session;
pub mod store;
#[cfg(test)]
mod testing;
