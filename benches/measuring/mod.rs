//! What benchmarks of whole servers have in common: load, what it costs, and which of many figures counts. For programs that have
//! `tests/support` as `support`.
#![allow(dead_code, unused_imports, reason = "no program uses all of it")]

mod callgrind;
mod cpu;
mod median;
mod wrk;

pub use callgrind::{Callgrind, instructions};
pub use cpu::cpu_seconds;
pub use median::median;
pub use wrk::{CONNECTIONS, Report, wrk};
