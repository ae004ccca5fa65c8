//! Load on a page, by wrk.

use std::process::Command;

use crate::support::Httpd;

/// And as many threads, since each has the cookies of one visitor.
pub const CONNECTIONS: usize = 8;

/// wrk with a script of this name beside us. Options and variables for the script may be added.
pub fn wrk(httpd: &Httpd, path: &str, script: &str, seconds: u64) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args([format!("-t{CONNECTIONS}"), format!("-c{CONNECTIONS}"), format!("-d{seconds}s")]);
    wrk.args(["-s", &format!("{}/benches/{script}.lua", env!("CARGO_MANIFEST_DIR"))]);
    wrk.args(["--latency", &format!("http://127.0.0.1:{}{path}", httpd.port())]);
    wrk
}

pub struct Report {
    /// All that it printed.
    pub text: String,
    has_ended_well: bool,
}

impl Report {
    pub fn of(wrk: &mut Command) -> Report {
        let output = wrk.output().expect("wrk: make bench installs it");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Report { text, has_ended_well: output.status.success() }
    }

    /// Of a page that serves each request.
    pub fn of_success(wrk: &mut Command) -> Report {
        let report = Report::of(wrk);
        assert!(report.is_success(), "{}", report.text);
        report
    }

    pub fn is_success(&self) -> bool {
        self.has_ended_well && self.failed() == 0.0
    }

    fn line(&self, start: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::trim)
    }

    pub fn requests_per_second(&self) -> f64 {
        self.line("Requests/sec:").expect("a rate").parse().expect("a number")
    }

    pub fn requests(&self) -> f64 {
        let line = self.text.lines().find_map(|line| line.trim().split_once(" requests in "));
        line.expect("a count").0.parse().expect("a number")
    }

    /// Requests that were answered with an error.
    pub fn failed(&self) -> f64 {
        self.line("Non-2xx or 3xx responses:").map_or(0.0, |count| count.parse().expect("a number"))
    }

    /// `Socket errors: connect 0, read 2, write 0, timeout 0`, or no such line.
    pub fn hang_ups(&self) -> f64 {
        let line = self.line("Socket errors:").unwrap_or_default();
        line.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok()).sum()
    }

    /// The latency that this part of the requests (`99%`) keep within.
    pub fn percentile_us(&self, part: &str) -> f64 {
        let said = self.line(part).expect("a percentile");
        let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
        let value = units.iter().find_map(|(unit, factor)| Some(said.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
        value.expect("a time")
    }
}
