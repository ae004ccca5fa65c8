//! A server under callgrind, which counts its instructions.
//!
//! `httpd -X` on prefork is one process with one thread, so its instructions are the same each time but for what chance and the clock
//! do: ids, seeds of hash tables, a new second in a header.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, Setup, free_port};

const PATIENCE: Duration = Duration::from_secs(120);

/// glibc chooses functions by the features of a processor, and what its allocator does depends on all that was allocated before: without
/// AVX2 all choose the same, and without fast bins, but with room in the caches of threads, nothing is put in order at some later time. Other
/// libraries choose too, but by what valgrind lets them see, which is less than any processor of today has.
const TUNABLES: &str = "glibc.malloc.mxfast=0:glibc.malloc.tcache_count=1000:\
                        glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-AVX512F";

pub struct Callgrind {
    setup: Setup,
    port: u16,
    process: Child,
    /// The path of a page that has `SetHandler meter`.
    meter: &'static str,
    marks: usize,
}

impl Callgrind {
    /// The server of `setup`, which has a page for `meter`, the handler of tests/c.
    pub fn start(setup: Setup, meter: &'static str) -> Callgrind {
        let counts = setup.root().join("counts");
        fs::create_dir(&counts).expect("a folder for the counts");
        // The server gives its privileges up before it counts.
        fs::set_permissions(&counts, fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        let port = free_port();
        let server = setup.command(port);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--dump-before=meter_mark", "--dump-line=no"]);
        valgrind.arg(format!("--callgrind-out-file={}", counts.join("count").display()));
        valgrind.arg(server.get_program()).args(server.get_args()).arg("-X");
        valgrind.env("GLIBC_TUNABLES", TUNABLES);
        let said = fs::File::create(setup.root().join("output.log")).expect("a log");
        let process = valgrind
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a log"))
            .stderr(said)
            .spawn()
            .expect("valgrind: make bench and make bench-check install it");
        let mut started = Callgrind { setup, port, process, meter, marks: 0 };
        started.until("the server answers", |server| TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_ok());
        started
    }

    fn until(&mut self, what: &str, done: impl Fn(&Callgrind) -> bool) {
        let started = Instant::now();
        while !done(self) {
            let ended = self.process.try_wait().expect("the state of valgrind");
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "waited in vain until {what}:\n{}", self.said());
            sleep(Duration::from_millis(5));
        }
    }

    fn said(&self) -> String {
        ["output.log", "error.log"].map(|log| fs::read_to_string(self.setup.root().join(log)).unwrap_or_default()).concat()
    }

    pub fn client(&self) -> Client {
        Client::new(self.port).keep_alive()
    }

    pub fn ask(&self, client: &mut Client, path: &str, times: u64) {
        for _ in 0..times {
            let response = client.get(path);
            assert!(response.status == 200 && !response.text().contains("ERROR"), "{path}: {}\n{}", response.text(), self.said());
        }
    }

    /// What callgrind has counted since the last mark, in its own words.
    pub fn mark(&mut self, client: &mut Client) -> String {
        self.ask(client, self.meter, 1);
        self.marks += 1;
        let count = self.setup.root().join(format!("counts/count.{}", self.marks));
        self.until("there is a count", |_| count.exists());
        fs::read_to_string(count).expect("a count")
    }
}

/// Instructions by the words of callgrind.
pub fn instructions(count: &str) -> u64 {
    let total = count.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    total.and_then(|total| total.trim().parse().ok()).expect("a total")
}

impl Drop for Callgrind {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}
