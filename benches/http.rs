//! `make bench`: a counter page over HTTP, against the same server without a session and against a bare C handler that makes the same
//! system calls and nothing else.
//!
//! The load generator and the server share the machine, so absolute figures say little: ratios to `hello` are taken from interleaved
//! rounds of one run, and the median counts. `cargo bench --bench http -- file dbm` takes these pages only, and `hello`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use support::{Httpd, Mpm, Setup};

const ROUNDS: usize = 7;
const SECONDS: u64 = 2;
const CONNECTIONS: usize = 8;
/// Requests under strace, over one connection that is kept alive.
const TRACED: usize = 500;

const PAGES: [(&str, &str); 13] = [
    ("hello", "/hello"),
    ("floor", "/floor"),
    ("file", "/count"),
    ("dbm", "/dbm"),
    ("memory", "/memory"),
    ("file, access", "/access"),
    ("file, no notes", "/plain"),
    ("file, signed", "/signed"),
    ("file, sealed", "/sealed"),
    ("file, stock API", "/count-stock"),
    ("stock, crypto", "/crypto"),
    ("file, notes", "/notes?incr=session.n"),
    ("file, read only", "/capi?open=read_only&get_int=n"),
];

/// What both servers are configured with; `SessionLock request` is the default.
const CONF: &str = "SessionDir @DIR@
SessionCleanupInterval 0
KeepAliveTimeout 60
MaxKeepAliveRequests 0
<LocationMatch ^/(hello|floor)>
    Session Off
</LocationMatch>
<Location /dbm>
    SetHandler count
    SessionDir @ROOT@/dbm
    SessionStore dbm
    SessionIdCookie dbm
</Location>
<Location /memory>
    SetHandler count
    SessionDir @ROOT@/memory
    SessionStore memory
    SessionIdCookie memory
</Location>
<Location /access>
    SetHandler count
    SessionLock access
</Location>
<Location /plain>
    SetHandler count
    SessionNotes Off
</Location>
<Location /signed>
    SetHandler count
    SessionSecret 0123456789abcdef0123456789abcdef
</Location>
<Location /sealed>
    SetHandler count
    SessionEncrypt On
</Location>
<Location /crypto>
    SetHandler count-stock
    SessionStore stock
    SessionCookieName stock path=/
    SessionCryptoPassphrase secret
</Location>";

fn setup(mpm: Mpm) -> Setup {
    Httpd::with(mpm)
        .module("session_cookie")
        .module("session_crypto")
        .log_level("notice")
        .conf(CONF)
        .expect_log("does not seal the sessions")
}

struct Round {
    requests_per_second: f64,
    cpu_per_request: f64,
}

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |(name, _): &&(&str, &str)| *name == "hello" || wanted.is_empty() || wanted.iter().any(|word| word == name);
    let pages: Vec<_> = PAGES.iter().filter(is_wanted).collect();
    let httpd = setup(Mpm::Event).workers(16).start();
    for (_, path) in &pages {
        load(&httpd, path); // warm up
    }
    let mut rounds: Vec<Vec<Round>> = pages.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (page, (_, path)) in pages.iter().enumerate() {
            rounds[page].push(load(&httpd, path));
        }
    }
    println!("\n{CONNECTIONS} keep-alive connections, one session each; median of {ROUNDS} interleaved rounds of {SECONDS} s; event MPM\n");
    println!("{:<18}{:>12}{:>10}{:>16}{:>16}", "page", "requests/s", "ratio", "CPU us/request", "syscalls/request");
    for (page, (name, path)) in pages.iter().enumerate() {
        let ratio = median((0..ROUNDS).map(|i| rounds[page][i].requests_per_second / rounds[0][i].requests_per_second));
        let rate = median(rounds[page].iter().map(|round| round.requests_per_second));
        let cpu = median(rounds[page].iter().map(|round| round.cpu_per_request));
        println!("{name:<18}{rate:>12.0}{ratio:>10.2}{:>16.1}{:>16.2}", cpu * 1e6, system_calls(path));
    }
}

/// One round of load on a page.
fn load(httpd: &Httpd, path: &str) -> Round {
    let before = cpu_seconds(httpd);
    let url = format!("http://127.0.0.1:{}{path}", httpd.port());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/jar.lua");
    let options = [format!("-t{CONNECTIONS}"), format!("-c{CONNECTIONS}"), format!("-d{SECONDS}s")];
    let output = Command::new("wrk").args(options).args(["-s", script, &url]).output().expect("wrk: make bench installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !text.contains("Non-2xx"), "{path}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let requests: f64 =
        text.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("a count").0.parse().expect("a number");
    let rate: f64 = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("a rate").trim().parse().expect("a number");
    Round { requests_per_second: rate, cpu_per_request: (cpu_seconds(httpd) - before) / requests }
}

/// User and system time of all children.
fn cpu_seconds(httpd: &Httpd) -> f64 {
    let ticks = |pid: u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    };
    let per_second = rustix::param::clock_ticks_per_second();
    httpd.children().into_iter().filter_map(ticks).sum::<u64>() as f64 / per_second as f64
}

/// System calls of a server that serves this page only, counted by strace.
fn system_calls(path: &str) -> f64 {
    let httpd = setup(Mpm::Prefork).workers(1).start();
    let mut client = httpd.client().keep_alive();
    client.get("/count"); // so that a page that only reads has a session
    for _ in 0..20 {
        client.get(path);
    }
    let summary = httpd.root().join("strace");
    let child = httpd.children()[0];
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&summary)
        .args(["-p", &child.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace: make bench installs it");
    sleep(Duration::from_millis(500)); // until it is attached
    for _ in 0..TRACED {
        assert_eq!(client.get(path).status, 200);
    }
    let pid = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("strace");
    let _ = strace.wait();
    let text = fs::read_to_string(&summary).expect("the summary of strace");
    let total = text.lines().find(|line| line.trim_end().ends_with("total")).and_then(|line| line.split_whitespace().next());
    total.and_then(|calls| calls.parse::<f64>().ok()).expect("a total") / TRACED as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
