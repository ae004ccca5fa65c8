//! `cargo bench --bench cleaning`: how long a pass over a crowd of sessions takes, and what requests feel of it.
//!
//! Latencies with and without a pass are taken in turn, on the same server and the same files; the median of the ratios counts.

#[path = "measuring/mod.rs"]
mod measuring;
#[path = "../tests/support/mod.rs"]
mod support;

use std::thread::sleep;
use std::time::Duration;

use measuring::{CONNECTIONS, Report, median, wrk};
use support::sessions::{files, put};
use support::{Httpd, Mpm, wait_for};

const SESSIONS: u32 = 100_000;
/// One of so many has expired, long ago.
const EXPIRED: usize = 10;
const ROUNDS: usize = 5;
/// Loads of a second each in a round, so that a stranger's burst of work counts in one of them only.
const LOADS: usize = 5;

fn conf(interval: u32) -> String {
    format!("SessionDir @DIR@\nSessionLock access\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\nSessionCleanupInterval {interval}\n")
}

fn expired() -> impl Iterator<Item = u32> {
    (0..SESSIONS).step_by(EXPIRED)
}

fn main() {
    let hour = |_| Some(Duration::from_secs(3600));
    let setup = Httpd::with(Mpm::Event).workers(16).log_level("notice session:info").conf(&conf(1));
    put(&setup.dir(), (0..SESSIONS).filter(|n| !(*n as usize).is_multiple_of(EXPIRED)), |_| None);
    put(&setup.dir(), expired(), hour);
    let mut httpd = setup.start();
    println!("\n{}", httpd.wait_for_log("cleaned ").split_once("cleaned ").expect("a pass").1);

    println!("\n/count, {CONNECTIONS} keep-alive connections; a round is the median of {LOADS} loads of a second; event MPM\n");
    println!("{:>16}{:>16}{:>10}{:>20}", "p99 ms without", "p99 ms with", "ratio", "seconds of a pass");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let without = {
            renew(&mut httpd, 0);
            load(&httpd);
            latency(&httpd)
        };
        httpd.stop();
        put(&httpd.dir(), expired(), hour);
        let (passes, crowd) = (seconds_of_passes(&httpd).len(), files(&httpd.dir()).len());
        renew(&mut httpd, 1);
        load(&httpd);
        wait_for("a pass", || (files(&httpd.dir()).len() < crowd).then_some(()));
        let with = latency(&httpd);
        assert_eq!(seconds_of_passes(&httpd).len(), passes, "the pass was over before the load: take more sessions");
        let seconds = loop {
            // As long as it takes: that is what is measured.
            match seconds_of_passes(&httpd).get(passes) {
                Some(seconds) => break *seconds,
                None => sleep(Duration::from_millis(20)),
            }
        };
        println!("{without:>16.2}{with:>16.2}{:>10.2}{seconds:>20.1}", with / without);
        rounds.push([without, with, with / without, seconds]);
    }
    let [without, with, ratio, seconds] = std::array::from_fn(|column| median(rounds.iter().map(|round| round[column])));
    println!("{without:>16.2}{with:>16.2}{ratio:>10.2}{seconds:>20.1}  median");
}

/// Starts the server again, to clean so often.
fn renew(httpd: &mut Httpd, interval: u32) {
    httpd.reconfigure(&conf(interval));
    httpd.stop();
    httpd.start_again();
}

fn seconds_of_passes(httpd: &Httpd) -> Vec<f64> {
    let seconds = |line: &String| line.strip_suffix(" s")?.rsplit_once(' ')?.1.parse().ok();
    httpd.log_lines_with("cleaned ").iter().filter_map(seconds).collect()
}

fn latency(httpd: &Httpd) -> f64 {
    median((0..LOADS).map(|_| load(httpd)))
}

/// The 99th percentile of the latencies under a second of load, in milliseconds.
fn load(httpd: &Httpd) -> f64 {
    Report::of_success(&mut wrk(httpd, "/count", "jar", 1)).percentile_us("99%") / 1e3
}
