//! One round of load on a page.

use crate::measuring::{Report, cpu_seconds, wrk};
use crate::rows::Row;
use crate::support::Httpd;

/// event closes a connection that waits when it is short of workers; wrk opens another.
const BEARABLE: f64 = 0.01;

#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub requests_per_second: f64,
    /// Of the children, user and system, for a request.
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Each connection has a session of its own.
pub fn load(httpd: &Httpd, row: &Row, seconds: u64) -> Round {
    let before = cpu_seconds(httpd.children());
    let mut wrk = wrk(httpd, &row.path(), "jar", seconds);
    wrk.args(["--timeout", "30s"]).envs(row.first().map(|path| ("FIRST", path)));
    let report = Report::of(&mut wrk);
    let is_well = report.is_success() && report.hang_ups() <= report.requests() * BEARABLE;
    assert!(is_well, "{}: {}\n{}", row.name, report.text, httpd.error_log());
    Round {
        requests_per_second: report.requests_per_second(),
        cpu_us: (cpu_seconds(httpd.children()) - before) * 1e6 / report.requests(),
        p50_us: report.percentile_us("50%"),
        p99_us: report.percentile_us("99%"),
    }
}
