//! One round of load on a page.

use std::process::Command;

use crate::rows::Row;
use crate::support::Httpd;

pub const CONNECTIONS: usize = 8;

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
    let before = cpu_us(httpd);
    let url = format!("http://127.0.0.1:{}{}", httpd.port(), row.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/jar.lua");
    let options = [format!("-t{CONNECTIONS}"), format!("-c{CONNECTIONS}"), format!("-d{seconds}s")];
    let mut wrk = Command::new("wrk");
    wrk.envs(row.first().map(|path| ("FIRST", path)));
    let output =
        wrk.args(options).args(["--latency", "--timeout", "30s", "-s", script, &url]).output().expect("wrk: make bench installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let requests: f64 =
        text.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("a count").0.parse().expect("a number");
    let is_well = output.status.success() && !text.contains("Non-2xx") && hang_ups(&text) <= requests * BEARABLE;
    assert!(is_well, "{}: {text}{}\n{}", row.name, String::from_utf8_lossy(&output.stderr), httpd.error_log());
    let rate: f64 = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("a rate").trim().parse().expect("a number");
    Round {
        requests_per_second: rate,
        cpu_us: (cpu_us(httpd) - before) / requests,
        p50_us: percentile(&text, "50%"),
        p99_us: percentile(&text, "99%"),
    }
}

/// `Socket errors: connect 0, read 2, write 0, timeout 0`, or no such line.
fn hang_ups(text: &str) -> f64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors:")).unwrap_or_default();
    line.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok()).sum()
}

fn percentile(text: &str, of: &str) -> f64 {
    let said = text.lines().find_map(|line| line.trim().strip_prefix(of)).expect("a percentile").trim();
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let value = units.iter().find_map(|(unit, factor)| Some(said.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
    value.expect("a time")
}

/// User and system time of all children. The clock of a process says what /proc/PID/stat says, and not in hundredths of a second.
fn cpu_us(httpd: &Httpd) -> f64 {
    httpd.children().into_iter().filter_map(cpu_of).sum()
}

fn cpu_of(pid: u32) -> Option<f64> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both write what they are given a reference to, and nothing else.
    let read = unsafe { libc::clock_getcpuclockid(pid.try_into().ok()?, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0 };
    read.then_some(time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3)
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
