//! The domain: what a session is. Pure: no I/O, no httpd, no clock, no randomness of its own.
#![forbid(unsafe_code)]

pub mod changes;
pub mod cookie;
pub mod expiry;
pub mod id;
pub mod mirror;
pub mod record;
#[allow(clippy::module_inception)]
pub mod session;
pub mod time;
pub mod value;
pub mod values;

pub use cookie::CookieRule;
pub use expiry::Expiry;
pub use id::{Id, Key, Ref, Scope};
pub use mirror::Mirror;
pub use record::Record;
pub use session::Session;
pub use time::Timestamp;
pub use value::Value;
pub use values::Values;
