//! `make bench-parts`: what each part of a session costs by itself, without httpd. `cargo bench --bench parts -- store/memory` measures what
//! has this in its name; `MSRS_CROWD=1000000` adds stores with so many sessions to those with a thousand and 30 000.

#![allow(dead_code, reason = "the modules of the test do more than is measured here")]

#[path = "../../tests/lease/apr.rs"]
mod apr;
#[path = "../../tests/lease/child.rs"]
mod child;
#[path = "../../tests/lease/figures.rs"]
mod figures;
#[path = "../../tests/lease/ground.rs"]
mod ground;
#[path = "../../tests/lease/judge.rs"]
mod judge;
#[path = "../../tests/lease/metronome.rs"]
mod metronome;

mod cookie;
mod lock;
mod record;
mod store;

use std::time::Duration;

use criterion::Criterion;
use mod_session_rs::session::{Id, Key, Record, Scope, Timestamp, Value, Values};

/// Bytes of the values of a session.
pub const SIZES: [(&str, usize); 3] = [("100 B", 100), ("1 kB", 1000), ("16 kB", 16_000)];
pub const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const HOUR: u64 = 3_600_000_000;

pub fn scope() -> Scope {
    Scope { name: "www.example.org".into(), cookie: "sid".into() }
}

pub fn id(n: u64) -> Id {
    let mut bytes = [7; 24];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    Id::from_random(bytes)
}

pub fn key(n: u64) -> Key {
    Key::derive(&scope(), &id(n))
}

pub fn later() -> Timestamp {
    NOW.plus(100 * HOUR)
}

/// A counter, and ten texts that make up the rest.
pub fn record(size: usize) -> Record {
    let mut values = Values::default();
    values.set("n", Value::Int(1));
    for number in 0..10 {
        values.set(&format!("text{number}"), Value::Text("x".repeat((size / 10).saturating_sub(7))));
    }
    Record { incarnation: 1, created: NOW, accessed: NOW, timeout: 360_000, presented: true, user: None, values }
}

fn main() {
    // What others do on the machine is no news, so a part is measured for a second and told by its median.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .without_plots()
        .configure_from_args();
    cookie::measure(&mut criterion);
    record::measure(&mut criterion);
    lock::measure(&mut criterion);
    store::measure(&mut criterion);
    criterion.final_summary();
}
