//! What holds for every input, however odd: for the fuzz targets, which look for one that breaks it, and for `tests/corpora.rs`, which
//! replays those that they kept. Each takes the bytes of an input and panics where a promise is broken.
#![forbid(unsafe_code)]

mod config;
mod cookie;
mod file;
mod mirror;
mod record;

pub use config::config;
pub use cookie::cookie;
pub use file::file;
pub use mirror::mirror;
pub use record::record;
