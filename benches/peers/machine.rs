//! On what it was measured, and when.

use std::fs;
use std::process::Command;

use crate::rows::Place;
use crate::support::Httpd;

/// A list for the head of the document.
pub fn describe(servers: &[(Place, Httpd)]) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("of unknown make", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"').to_owned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut versions = vec![format!("mod_session_rs {}", env!("CARGO_PKG_VERSION"))];
    for (place, httpd) in servers {
        match place {
            Place::Ours => versions.extend([server(httpd), said("redis-cli", &["--version"]), sqlite()]),
            Place::Stock | Place::StockSynced => {}
            Place::Php => versions.push(format!("PHP {}", httpd.get("/version.php").text().trim())),
            Place::Python => versions.push(format!("mod_python: {}", server(httpd))),
        }
    }
    versions.extend([said("wrk", &["-v"]), said("valgrind", &["--version"])]);
    format!(
        "* **Machine**: {model}, {cores} processors, {} GiB of memory; {system}, Linux {}\n\
         * **Versions**: {}\n* **Date**: {}\n* **Command**: `make bench`\n",
        kib.div_ceil(1 << 20),
        kernel.trim(),
        versions.join("; "),
        said("date", &["-u", "+%Y-%m-%d"]),
    )
}

fn server(httpd: &Httpd) -> String {
    httpd.get("/hello").header("Server").unwrap_or("httpd").to_owned()
}

fn sqlite() -> String {
    format!("SQLite {}", said("sqlite3", &["--version"]).split(' ').next().unwrap_or_default())
}

/// The first line, without a copyright.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    text.lines().next().unwrap_or(program).split(" [").next().unwrap_or(program).trim().to_owned()
}
