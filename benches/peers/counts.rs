//! What does not depend on the noise of the machine: system calls and instructions of a request, and lost updates.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rows::{Place, Row};
use crate::support::redis::free_port;
use crate::support::{Client, Httpd, Setup, wait_for};

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
    client
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

/// A server that callgrind runs, `httpd -X`, ended when it is dropped.
struct Counted {
    setup: Setup,
    port: u16,
    process: Child,
}

impl Counted {
    fn start(place: Place) -> Counted {
        let setup = place.setup_to_count();
        let dir = setup.root().join("callgrind");
        fs::create_dir(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("its mode");
        let port = free_port();
        let httpd = setup.command(port);
        let log = fs::File::create(setup.root().join("callgrind.log")).expect("a log");
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--instr-atstart=no", "--quiet"]).arg(format!("--callgrind-out-file={}/out", dir.display()));
        valgrind.arg(httpd.get_program()).args(httpd.get_args()).arg("-X").process_group(0);
        let process = valgrind.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("valgrind: make bench installs it");
        let counted = Counted { setup, port, process };
        wait_for("httpd under callgrind", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        counted
    }

    /// What was counted since the last call.
    fn total(&self, client: &mut Client) -> f64 {
        let before = dumps(self.setup.root());
        assert_eq!(client.get("/meter").status, 200);
        let new = dumps(self.setup.root()).into_iter().find(|path| !before.contains(path));
        let text = new.map(|path| fs::read_to_string(path).expect("what callgrind wrote")).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("totals:"));
        total.map_or(0.0, |total| total.trim().parse().expect("a number"))
    }

    /// A page that takes so long that it would hold up the whole run is asked less often.
    fn instructions(&self, row: &Row) -> f64 {
        let started = Instant::now();
        let mut client = visitor(self.port, row);
        let requests = if started.elapsed() < SLOW { REQUESTS } else { REQUESTS / 10 };
        self.total(&mut client);
        ask(&mut client, row, requests);
        self.total(&mut client) / requests as f64
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let log = |name| fs::read_to_string(self.setup.root().join(name)).unwrap_or_default();
            eprintln!("{}\n{}", log("callgrind.log"), log("error.log"));
        }
    }
}

fn dumps(root: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(root.join("callgrind")).expect("a directory").flatten().map(|entry| entry.path()).collect()
}

/// Instructions of a request, for each row, with those of the page that reads the meter, which are the same for all.
pub fn instructions(place: Place, rows: &[&Row]) -> Vec<f64> {
    let counted = Counted::start(place);
    counted.total(&mut Client::new(counted.port));
    rows.iter().map(|row| counted.instructions(row)).collect()
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
