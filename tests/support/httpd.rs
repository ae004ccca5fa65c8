//! A running server.

use std::{
    fs::{self, OpenOptions},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{
    Client, Mpm, Response, Setup, log, poll,
    process::{may_accept, parent_of},
    sql::Database,
    wait_for,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the parent logs, as a notice, when a generation is complete.
const UP: &str = "resuming normal operations";

pub struct Httpd {
    setup: Setup,
    port: u16,
    process: Child,
    /// False once a test has stopped or killed it.
    running: bool,
}

impl Httpd {
    pub fn start(mpm: Mpm, conf: &str) -> Httpd {
        Httpd::with(mpm).conf(conf).start()
    }

    pub fn with(mpm: Mpm) -> Setup {
        Setup::new(mpm)
    }

    /// What `apache2 -t` says of this configuration: whether it is well, and all its output.
    pub fn configtest(conf: &str) -> (bool, String) {
        Httpd::with(Mpm::Prefork).conf(conf).configtest()
    }

    /// GET without cookies.
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// A client with an empty cookie jar.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn root(&self) -> &Path {
        self.setup.root()
    }

    /// The session directory, `@DIR@` in the configuration.
    pub fn dir(&self) -> PathBuf {
        self.setup.dir()
    }

    /// What `Setup::database` was told.
    pub fn database(&self) -> Option<&Database> {
        self.setup.database.as_ref()
    }

    /// Of the parent.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The living children of the parent.
    pub fn children(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| parent_of(pid) == Some(self.pid())).collect()
    }

    /// SIGUSR1; returns when the new generation serves, and the old one takes no connection any more.
    pub fn graceful(&self) {
        let old = self.children();
        self.renew(Signal::USR1);
        let is_prefork = self.setup.mpm == Mpm::Prefork;
        poll(PATIENCE, || (!old.iter().any(|&child| may_accept(child, is_prefork))).then_some(()));
    }

    /// The same, and nobody but the new generation is there, with all its children. httpd starts those one by one: one that came late would
    /// answer with what it was started for after the next of these. Where idle ones are enough, worker leaves it at fewer than it began with.
    pub fn graceful_for_all(&self) {
        let old = self.children();
        self.graceful();
        let mut last = (Vec::new(), Instant::now());
        wait_for("the new children to take over", || {
            let now = self.children();
            if now != last.0 {
                last = (now.clone(), Instant::now());
            }
            let are_new = !now.is_empty() && !now.iter().any(|child| old.contains(child));
            (are_new && (now.len() >= old.len() || last.1.elapsed() > Duration::from_secs(3))).then_some(())
        });
    }

    /// SIGHUP; returns when the new generation serves.
    pub fn restart(&self) {
        settle();
        self.renew(Signal::HUP);
    }

    /// Replaces what `conf` said; the next restart reads it.
    pub fn reconfigure(&mut self, conf: &str) {
        self.setup.set_conf(conf);
        self.setup.write_conf(self.port);
    }

    pub fn stop(&mut self) {
        settle();
        self.end(Signal::TERM);
    }

    /// SIGKILL for all processes at once.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// After `stop` or `kill`: the same directory, the same port.
    pub fn start_again(&mut self) {
        assert!(!self.running, "the server is still running");
        // What was killed may keep the port for a moment.
        let started = poll(PATIENCE, || match launch(&self.setup, self.port) {
            Err(said) if said.contains("Address already in use") => None,
            other => Some(other),
        });
        let started = started.unwrap_or_else(|| Err("its port stays in use".to_owned()));
        self.process = started.unwrap_or_else(|said| panic!("httpd does not start again:\n{said}"));
        self.running = true;
    }

    /// From here on, lines of the error log that contain this text do not fail the test.
    pub fn expect_log(&mut self, part: &str) {
        self.setup.expected.push(part.into());
    }

    pub fn error_log(&self) -> String {
        read(&self.root().join("error.log"))
    }

    pub fn log_lines_with(&self, part: &str) -> Vec<String> {
        self.error_log().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// The first line of the error log with this text, awaited.
    pub fn wait_for_log(&self, part: &str) -> String {
        let line = poll(PATIENCE, || self.log_lines_with(part).into_iter().next());
        line.unwrap_or_else(|| panic!("no line with {part:?} in 20 s in the error log:\n{}", self.error_log()))
    }

    fn renew(&self, signal: Signal) {
        let generations = || self.log_lines_with(UP).len();
        let before = generations();
        kill_process(pid_of(&self.process), signal).expect("a signal to httpd");
        let renewed = poll(PATIENCE, || match generations() > before {
            true => Some(true),
            false => parent_of(self.pid()).is_none().then_some(false),
        });
        let outcome = match renewed {
            Some(true) => return,
            Some(false) => "httpd ended",
            None => "no new generation in 20 s",
        };
        panic!("{outcome} after {signal:?}; the error log:\n{}", self.error_log());
    }

    fn end(&mut self, signal: Signal) {
        if !self.running {
            return;
        }
        self.running = false;
        let group = pid_of(&self.process);
        let early = self.process.try_wait().expect("the state of httpd");
        if early.is_none() {
            let _ = if signal == Signal::KILL { kill_process_group(group, signal) } else { kill_process(group, signal) };
        }
        let ended = early.or_else(|| poll(PATIENCE, || self.process.try_wait().expect("the state of httpd")));
        // Also what the parent may have left behind.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
        if thread::panicking() {
            return;
        }
        assert!(ended.is_some(), "httpd was still there 20 s after {signal:?}; the error log:\n{}", self.error_log());
        assert!(early.is_none(), "httpd had ended by itself ({early:?}); the error log:\n{}", self.error_log());
    }
}

impl Setup {
    pub fn start(self) -> Httpd {
        self.try_start().unwrap_or_else(|said| panic!("httpd does not start:\n{said}"))
    }

    /// The server, or what it said when it refused to start.
    pub fn try_start(self) -> Result<Httpd, String> {
        let mut attempts = 0..5;
        loop {
            let port = free_port();
            match launch(&self, port) {
                Ok(process) => return Ok(Httpd { setup: self, port, process, running: true }),
                // Between the choice of a port and its use, another test may have taken it.
                Err(said) if said.contains("Address already in use") && attempts.next().is_some() => {
                    for log in ["error.log", "output.log"] {
                        let _ = fs::remove_file(self.root().join(log));
                    }
                }
                Err(said) => return Err(said),
            }
        }
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the error log of the server:\n{}", self.error_log());
        }
        self.stop();
        if thread::panicking() {
            return;
        }
        let said = self.error_log() + &read(&self.root().join("output.log"));
        let lines = log::unexpected(&said, &self.setup.expected);
        assert!(lines.is_empty(), "the server logged what nobody expected:\n{}", lines.join("\n"));
    }
}

/// Starts the server in a process group of its own: when it ends, prefork sends SIGTERM to all of its group, which else
/// would be us and the shell. Answers what it said if it does not get to serving.
fn launch(setup: &Setup, port: u16) -> Result<Child, String> {
    let [output_file, error_log] = ["output.log", "error.log"].map(|name| setup.root().join(name));
    let (already_said, already_logged) = (read(&output_file).len(), read(&error_log).len());
    // Left by a server that was killed, it would be worth a warning.
    let _ = fs::remove_file(setup.root().join("httpd.pid"));
    let output = OpenOptions::new().create(true).append(true).open(&output_file).expect("output.log");
    let mut process = setup
        .command(port)
        .arg("-DFOREGROUND")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("output.log"))
        .stderr(output)
        .process_group(0)
        .spawn()
        .expect("httpd");
    // The port is open before post_config can fail; children answer before the parent says that it is up.
    let serves = || read(&error_log)[already_logged..].contains(UP) && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let up = poll(PATIENCE, || match process.try_wait().expect("the state of httpd") {
        Some(_) => Some(false),
        None => serves().then_some(true),
    });
    if up == Some(true) {
        return Ok(process);
    }
    let _ = kill_process_group(pid_of(&process), Signal::KILL);
    let _ = process.wait();
    Err(read(&output_file)[already_said..].to_owned() + &read(&error_log)[already_logged..])
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// event crashes a child in one of a hundred stops right after a response, with or without us; 100 ms later it never does.
fn settle() {
    thread::sleep(Duration::from_millis(100));
}

fn pid_of(process: &Child) -> Pid {
    Pid::from_child(process)
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
