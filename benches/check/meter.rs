//! A server under callgrind, which counts its instructions.
//!
//! `httpd -X` on prefork is one process with one thread, so its instructions are the same each time but for what chance and the clock
//! do: ids, seeds of hash tables, a new second in a header.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::pages::{Page, conf, fill};
use crate::support::{Client, Httpd, Mpm, Setup, free_port};

/// Of each page, counted; and before, until all that is made once is made.
const REQUESTS: u64 = 200;
const WARM: u64 = 20;

const PATIENCE: Duration = Duration::from_secs(120);

/// glibc chooses functions by the features of a processor, and what its allocator does depends on all that was allocated before: without
/// AVX2 all choose the same, and without fast bins, but with room in the caches of threads, nothing is put in order at some later time. Other
/// libraries choose too, but by what valgrind lets them see, which is less than any processor of today has.
const TUNABLES: &str = "glibc.malloc.mxfast=0:glibc.malloc.tcache_count=1000:\
                        glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-AVX512F";

pub struct Meter {
    setup: Setup,
    port: u16,
    process: Child,
    marks: usize,
}

impl Meter {
    pub fn start() -> Meter {
        let setup = Httpd::with(Mpm::Prefork).workers(1).log_level("notice").of_ours("meter").conf(&conf());
        let setup = setup.file("htdocs/file/static.txt", "hello\n").file("htdocs/off/static.txt", "hello\n").file("counts/all", "");
        // The server gives its privileges up before it counts.
        fs::set_permissions(setup.root().join("counts"), fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        fs::create_dir(setup.root().join("sessions")).expect("a folder for sessions");
        fs::set_permissions(setup.root().join("sessions"), fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        let port = free_port();
        let server = setup.command(port);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--dump-before=meter_mark", "--dump-line=no"]);
        valgrind.arg(format!("--callgrind-out-file={}", setup.root().join("counts/count").display()));
        valgrind.arg(server.get_program()).args(server.get_args()).arg("-X");
        valgrind.env("GLIBC_TUNABLES", TUNABLES);
        let said = fs::File::create(setup.root().join("output.log")).expect("a log");
        let process = valgrind
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a log"))
            .stderr(said)
            .spawn()
            .expect("valgrind: make bench-check installs it");
        let mut meter = Meter { setup, port, process, marks: 0 };
        meter.until("the server answers", |meter| TcpStream::connect((Ipv4Addr::LOCALHOST, meter.port)).is_ok());
        meter
    }

    fn until(&mut self, what: &str, done: impl Fn(&Meter) -> bool) {
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

    /// Where callgrind wrote what it counted for the last mark.
    fn count_file(&self) -> PathBuf {
        self.setup.root().join(format!("counts/count.{}", self.marks))
    }

    fn ask(&self, client: &mut Client, path: &str) {
        let response = client.get(path);
        assert!(response.status == 200 && !response.text().contains("ERROR"), "{path}: {}\n{}", response.text(), self.said());
    }

    /// Callgrind writes and forgets what it has counted.
    fn mark(&mut self, client: &mut Client) {
        self.ask(client, "/off/meter");
        self.marks += 1;
        self.until("there is a count", |meter| meter.count_file().exists());
    }

    /// Instructions of a request, with its share of one more at the end; `keep`: a file for what callgrind knows of each function.
    pub fn count(&mut self, page: &Page, keep: Option<&Path>) -> u64 {
        let mut client = Client::new(self.port).keep_alive();
        let response = client.get(&fill(page.fills));
        assert!(client.cookie("sid").is_some(), "{}: {}", page.name, response.text());
        (0..WARM).for_each(|_| self.ask(&mut client, page.path));
        self.mark(&mut client);
        (0..REQUESTS).for_each(|_| self.ask(&mut client, page.path));
        self.mark(&mut client);
        let text = fs::read_to_string(self.count_file()).expect("a count");
        if let Some(folder) = keep {
            let name: String = page.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            fs::write(folder.join(name), &text).expect("a folder for the counts");
        }
        let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
        total.and_then(|total| total.trim().parse::<u64>().ok()).expect("a total") / REQUESTS
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}
