//! The Rust interface for other modules of httpd: the functions of `c_shim/session_api.h` with Rust's types, errors and lifetimes.
//!
//! A module depends on this library without its default features, and needs neither headers of httpd nor bindgen for it:
//!
//! ```toml
//! mod_session_rs = { version = "0.1", default-features = false }
//! ```
//!
//! It finds the functions when a child begins, and opens the session of a request:
//!
//! ```no_run
//! use std::ffi::c_void;
//! use std::sync::OnceLock;
//!
//! use mod_session_rs::client::{Error, Open, Sessions};
//!
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Cart {
//!     items: Vec<String>,
//!     voucher: Option<String>,
//! }
//!
//! static SESSIONS: OnceLock<Sessions> = OnceLock::new();
//!
//! /// For the hook `child_init`.
//! fn child_init() {
//!     match Sessions::retrieve() {
//!         Ok(sessions) => drop(SESSIONS.set(sessions)),
//!         Err(error) => eprintln!("mod_cart: {error}"),
//!     }
//! }
//!
//! /// For a handler: `r` is its `request_rec *`, an error its `http_status()`.
//! unsafe fn put_into_cart(r: *mut c_void, item: &str) -> Result<Cart, Error> {
//!     let sessions = SESSIONS.get().ok_or(Error::NotOffered)?;
//!     // SAFETY: the request lives as long as its handler runs, and this is its thread.
//!     let session = unsafe { sessions.open(r, Open::new()) }?;
//!     let mut cart: Cart = session.get("cart")?.unwrap_or_default();
//!     cart.items.push(item.to_owned());
//!     session.set("cart", &cart)?;
//!     session.add("hits", 1)?;
//!     Ok(cart)
//! }
//! ```
//!
//! What is changed is stored before the response headers leave; nothing is closed. Other requests of the session wait meanwhile, unless
//! the site says otherwise (`SessionLock`).
//!
//! # Values
//!
//! A session holds values of eight [`Type`]s, the same for C, Lua, PHP and all others. What serde makes of a type of Rust decides which one it
//! becomes, and what it may be read as:
//!
//! | in Rust | in the session | |
//! |---|---|---|
//! | `()`, `None` | null | `Some(x)` is as `x` |
//! | `bool` | boolean | |
//! | integers | integer | `u64` beyond `i64::MAX` is refused; read as any type of integer that holds it, or as a float |
//! | `i128`, `u128` | 16 bytes, the most significant first | whatever their value is |
//! | `f32`, `f64` | float | never read as an integer |
//! | `char`, `&str`, `String` | text | |
//! | `serde_bytes::Bytes` and its like | bytes | |
//! | `Vec<u8>`, `[u8; N]` | list of integers | what serde makes of them; `serde_bytes` is shorter |
//! | `Vec`, tuples, tuple structs, sets | list | |
//! | structs | map with the names of the fields | a field that is not there is an error, but for `Option` and `#[serde(default)]` |
//! | maps | map | with text keys; others are refused |
//! | newtype structs | as what they hold | |
//! | unit structs | empty list | |
//! | enums: `Unit` | text | |
//! | enums: `New(x)`, `Tuple(x, y)`, `Struct { x }` | map of one member: the name with `x`, a list, a map | |
//!
//! Refused is [`Error::BadType`], and what is nested deeper than 32 levels [`Error::TooLarge`]. Types that serde writes differently for humans
//! (addresses, UUIDs) have their short form.

mod error;
mod facts;
pub(crate) mod header;
mod life;
mod locking;
mod open;
mod table;
mod values;

pub use error::{Error, Result};
pub use header::Type;
pub use life::Privilege;
pub use open::Open;
pub use table::{Session, Sessions};
