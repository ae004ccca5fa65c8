//! What the project promises itself, and whether it holds.

use crate::results::Results;

pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

pub struct Goal {
    pub what: String,
    pub limit: Limit,
    pub unit: &'static str,
    /// `None`: not measured in this run.
    pub measured: Option<f64>,
    /// What a page without a session would make of a goal beside a peer.
    pub of_hello: Option<f64>,
}

impl Goal {
    pub fn is_met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.limit {
            Limit::AtMost(limit) => measured <= limit,
            Limit::AtLeast(limit) => measured >= limit,
        })
    }
}

/// strace is attached a moment before the first request and hears of a few calls beside them.
const OF_NOBODY: f64 = 0.05;

pub fn goals(results: &Results) -> Vec<Goal> {
    let mut all = Vec::new();
    let mut at_most = |what: &str, limit: f64, unit, measured| {
        all.push(Goal { what: what.into(), limit: Limit::AtMost(limit), unit, measured, of_hello: None });
    };
    for (what, row, limit) in [
        ("file, read-modify-write under its lock: CPU above hello", "file", 12.0),
        ("file, read only: CPU above hello", "file-read", 5.0),
        ("memory, read only: CPU above hello", "memory-read", 2.5),
        ("memory, read-modify-write under its lock: CPU above hello", "memory", 4.0),
    ] {
        at_most(what, limit, "µs", results.cpu_us(row));
    }
    for (what, row, limit) in [
        ("file, read-modify-write under its lock: system calls above hello", "file", 13.0),
        ("file, read only: system calls above hello", "file-read", 5.0),
        ("memory, read only: system calls above hello", "memory-read", 0.0),
        ("memory, read-modify-write under its lock: system calls above hello", "memory", 0.0),
        ("a static file: system calls above Session Off", "static", 0.0),
    ] {
        at_most(what, limit, "calls", results.calls(row).map(|calls| if calls.abs() < OF_NOBODY { 0.0 } else { calls }));
    }
    at_most("a static file: instructions above Session Off", 3000.0, "instructions", results.instructions("static"));
    let of_floor = |figure: fn(&Results, &str) -> Option<f64>| Some(figure(results, "dbm")? / figure(results, "floor-lmdb")?);
    at_most("dbm: CPU above hello, as a part of its floor's", 1.25, "times", of_floor(Results::cpu_us));
    at_most("dbm: system calls above hello, as a part of its floor's", 1.25, "times", of_floor(Results::calls));
    for (what, row, limit) in [
        ("notes with ten values: CPU above the C interface", "file-notes", 3.0),
        ("signed: CPU above unsigned", "file-signed", 1.0),
        ("sealed: CPU above unsealed", "file-sealed", 3.0),
    ] {
        at_most(what, limit, "µs", results.cpu_us_above(row, "file"));
    }
    let mut at_least = |what: &str, limit: f64, measured, of_hello| {
        all.push(Goal { what: what.into(), limit: Limit::AtLeast(limit), unit: "times", measured, of_hello });
    };
    for (what, row, limit) in [
        ("file: requests/s, as a part of hello's", "file", 0.8),
        ("memory: requests/s, as a part of hello's", "memory", 0.8),
        ("dbm: requests/s, as a part of hello's", "dbm", 0.7),
        ("Redis on a Unix socket: requests/s, as a part of hello's", "redis", 0.35),
    ] {
        at_least(what, limit, results.ratio(row), None);
    }
    at_least("file: requests/s, as a part of its floor's", 0.9, results.ratio_to("file", "floor-file"), None);
    for (what, row, other, limit) in [
        ("SQLite: requests/s to hello, as a multiple of mod_session_dbd, SQLite with synchronous = FULL", "dbd", "stock-dbd-synced", 1.5),
        ("SQLite: requests/s to hello, as a multiple of mod_session_dbd, SQLite with synchronous = NORMAL", "dbd", "stock-dbd", 1.5),
        ("file: requests/s to hello, as a multiple of PHP files", "file", "php-files", 1.7),
        ("file: requests/s to hello, as a multiple of mod_python FileSession", "file", "python-file", 4.0),
        ("file: requests/s to hello, as a multiple of mod_session_dbd, SQLite with synchronous = FULL", "file", "stock-dbd-synced", 4.0),
        ("file: requests/s to hello, as a multiple of mod_session_dbd, SQLite with synchronous = NORMAL", "file", "stock-dbd", 4.0),
        ("sealed: requests/s to hello, as a multiple of mod_session_crypto", "file-sealed", "stock-crypto", 100.0),
    ] {
        at_least(what, limit, results.ratio_to(row, other), results.ratio_to("hello", other));
    }
    all
}
