//! Server-side sessions for Apache httpd: the map of the crate.
//!
//! Folders are roles, and arrows point inward:
//!
//! * [`session`] - the domain: values, changes, records, cookies. Pure.
//! * [`store`] - where records live. Knows keys and bytes only.
#![cfg_attr(feature = "module", doc = "* [`httpd`] - safe wrappers over httpd and APR. Knows nothing of sessions.")]
#![deny(unsafe_code)]

pub mod session;
pub mod store;
