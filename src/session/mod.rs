//! The domain: what a session is. Pure: no I/O, no httpd, no clock, no randomness of its own.
#![forbid(unsafe_code)]

pub mod alias;
pub mod changes;
pub mod cookie;
pub mod expiry;
pub mod form;
pub mod id;
pub mod mirror;
mod msgpack;
mod packed;
pub mod query;
pub mod record;
pub mod seal;
pub mod secret;
#[allow(clippy::module_inception)]
pub mod session;
pub mod time;
pub mod value;
pub mod values;

pub use alias::{Alias, Move};
pub use cookie::CookieRule;
pub use expiry::Expiry;
pub use id::{Id, Key, Ref, Scope};
pub use mirror::Mirror;
pub use record::{Record, Stored};
pub use secret::Secrets;
pub use session::Session;
pub use time::Timestamp;
pub use value::Value;
pub use values::Values;
