//! What does not depend on the noise of the machine: system calls and instructions of a request, and lost updates.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::measuring::{self, Callgrind};
use crate::places::METER;
use crate::rows::{Place, Row};
use crate::support::{Client, Httpd, wait_for};

/// Requests under strace and under callgrind, over one connection that is kept alive.
const REQUESTS: usize = 200;
const WARM_UP: usize = 10;
/// A visitor's first requests under callgrind.
const SLOW: Duration = Duration::from_secs(5);
const CLIENTS: usize = 8;
const INCREMENTS: usize = 200;

/// A client with a session, on a connection that has served the page before.
fn visitor(port: u16, row: &Row) -> Client {
    let mut client = Client::new(port).keep_alive();
    if let Some(path) = row.first() {
        client.get(path);
    }
    ask(&mut client, row, WARM_UP);
    assert_kept(&mut client, row);
    client
}

/// A page that fails would be measured as well.
fn assert_kept(client: &mut Client, row: &Row) {
    let text = client.get(&row.path()).text().trim().to_owned();
    assert!(!row.counts || text == format!("hello {}", WARM_UP + 1), "{}: {text}", row.name);
}

fn ask(client: &mut Client, row: &Row, times: usize) {
    for _ in 0..times {
        let response = client.get(&row.path());
        assert_eq!(response.status, 200, "{}", row.name);
    }
}

/// System calls of a request, for each row. What children do that have nothing to do is not among them: they wait.
pub fn system_calls(place: Place, rows: &[&Row]) -> Vec<f64> {
    let httpd = place.setup_to_count().start();
    rows.iter().map(|row| traced(&httpd, row)).collect()
}

fn traced(httpd: &Httpd, row: &Row) -> f64 {
    let mut client = visitor(httpd.port(), row);
    let summary = httpd.root().join("strace");
    let children = httpd.children();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-o"]).arg(&summary);
    strace.args(children.iter().flat_map(|child| ["-p".to_owned(), child.to_string()]));
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace: make bench installs it");
    let is_traced = |child: &u32| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    wait_for("strace", || children.iter().all(is_traced).then_some(()));
    ask(&mut client, row, REQUESTS);
    kill_process(Pid::from_child(&strace), Signal::INT).expect("strace");
    let _ = strace.wait();
    let text = fs::read_to_string(&summary).expect("the summary of strace");
    let total = text.lines().find(|line| line.trim_end().ends_with("total")).and_then(|line| line.split_whitespace().next());
    total.and_then(|calls| calls.parse::<f64>().ok()).expect("a total") / REQUESTS as f64
}

/// Instructions of a request, for each row, with those of the page that reads the meter, which are the same for all. A page that takes
/// so long that it would hold up the whole run is asked less often. `None`: the page cannot be had there.
pub fn instructions(place: Place, rows: &[&Row]) -> Vec<Option<f64>> {
    let mut server = Callgrind::start(place.setup_to_count(), METER);
    let mut count = |row: &&Row| {
        if row.is_mapped {
            return None;
        }
        let started = Instant::now();
        let mut client = server.client();
        if let Some(path) = row.first() {
            server.ask(&mut client, path, 1);
        }
        server.ask(&mut client, &row.path(), WARM_UP as u64);
        assert_kept(&mut client, row);
        let requests = if started.elapsed() < SLOW { REQUESTS } else { REQUESTS / 10 };
        server.mark(&mut client);
        server.ask(&mut client, &row.path(), requests as u64);
        Some(measuring::instructions(&server.mark(&mut client)) as f64 / requests as f64)
    };
    rows.iter().map(&mut count).collect()
}

/// How many of this many acknowledged increments of one session, by clients at once, are not there in the end.
pub const ACKNOWLEDGED: usize = CLIENTS * INCREMENTS + 1;

pub fn lost_updates(httpd: &Httpd, row: &Row) -> usize {
    let mut first = httpd.client().keep_alive();
    ask(&mut first, row, 1);
    let cookies = first.cookies().to_vec();
    let remember = |client: &mut Client| cookies.iter().for_each(|(name, value)| client.set_cookie(name, value));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = httpd.client().keep_alive();
                for _ in 0..INCREMENTS {
                    // What was answered meanwhile is not what this request was sent with.
                    remember(&mut client);
                    ask(&mut client, row, 1);
                }
            });
        }
    });
    remember(&mut first);
    let text = first.get(&row.path()).text().into_owned();
    let n: usize = text.trim().strip_prefix("hello ").and_then(|n| n.parse().ok()).expect("a counter");
    (ACKNOWLEDGED + 1).checked_sub(n).expect("no more increments than were acknowledged")
}
