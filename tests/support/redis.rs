//! Real Redis servers: on a socket and a port of the loopback, as an unprivileged user, in a directory of their own,
//! ended with the test. Needs nothing else of the fixture: the tests of the library use it too.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// nobody: no file of anybody's is within its reach.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Redis {
    place: Place,
    port: u16,
    options: Vec<String>,
    /// `redis-server` or `redis-sentinel`.
    program: &'static str,
    /// Arguments with which redis-cli gets in.
    access: Vec<String>,
    process: Option<Child>,
}

enum Place {
    /// Removed with it.
    Own(tempfile::TempDir),
    Given(PathBuf),
}

/// Each write is on the disk before it is answered.
pub const SYNCED: [&str; 2] = ["appendonly yes", "appendfsync always"];

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Redis {
    /// A server in a directory of its own, with lines of its configuration.
    pub fn start(options: &[&str]) -> Redis {
        let room = tempfile::Builder::new().prefix("redis-").tempdir().expect("a directory for the server");
        Redis::new(Place::Own(room), "redis-server", options).launched()
    }

    /// A server in this directory, which is made.
    pub fn start_in(dir: &Path, options: &[&str]) -> Redis {
        fs::create_dir(dir).expect("a directory for the server");
        Redis::new(Place::Given(dir.to_owned()), "redis-server", options).launched()
    }

    /// A server that speaks TLS alone, with certificates in its directory (see [`Redis::file`]). `auth_clients`: `yes` or `no`, whether
    /// clients must show one.
    pub fn with_tls(auth_clients: &str) -> Redis {
        let room = tempfile::Builder::new().prefix("redis-").tempdir().expect("a directory for the server");
        let mut redis = Redis::new(Place::Own(room), "redis-server", &["tls-port 1", &format!("tls-auth-clients {auth_clients}")]);
        certificates(redis.dir());
        for (option, name) in [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")] {
            let line = format!("tls-{option}-file {}", redis.file(name));
            redis.options.push(line);
        }
        redis.launched()
    }

    /// A sentinel that watches a primary under the name `main`.
    pub fn sentinel(primary: &Redis, quorum: u32) -> Redis {
        let room = tempfile::Builder::new().prefix("sentinel-").tempdir().expect("a directory for the sentinel");
        let lines = [
            format!("sentinel monitor main 127.0.0.1 {} {quorum}", primary.port),
            "sentinel down-after-milliseconds main 500".into(),
            "sentinel failover-timeout main 3000".into(),
        ];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        Redis::new(Place::Own(room), "redis-sentinel", &lines).launched()
    }

    fn new(place: Place, program: &'static str, options: &[&str]) -> Redis {
        let options = options.iter().map(|&line| line.to_owned()).collect();
        Redis { place, port: free_port(), options, program, access: Vec::new(), process: None }
    }

    fn dir(&self) -> &Path {
        match &self.place {
            Place::Own(room) => room.path(),
            Place::Given(dir) => dir,
        }
    }

    fn launched(mut self) -> Redis {
        let port = self.port;
        if let Some(tls) = self.options.iter_mut().find(|line| line.starts_with("tls-port")) {
            *tls = format!("tls-port {port}");
            self.options.push("port 0".into());
        } else {
            self.options.push(format!("port {port}"));
        }
        if let Some(password) = self.options.iter().find_map(|line| line.strip_prefix("requirepass ")) {
            self.access = vec!["-a".into(), password.into(), "--no-auth-warning".into()];
        }
        fs::set_permissions(self.dir(), PermissionsExt::from_mode(0o755)).expect("the mode of the directory");
        self.write_conf();
        self.launch();
        self
    }

    /// A sentinel writes into its configuration, so it is written once.
    fn write_conf(&self) {
        let mut conf = vec![format!("dir {}", self.dir().display()), "bind 127.0.0.1".into(), "daemonize no".into()];
        if self.program == "redis-server" {
            conf.extend([format!("unixsocket {}", self.socket().display()), "unixsocketperm 777".into(), "save \"\"".into()]);
        }
        let path = self.dir().join("conf");
        fs::write(&path, [conf, self.options.clone()].concat().join("\n") + "\n").expect("the configuration");
        if rustix::process::geteuid().is_root() {
            for path in [self.dir(), path.as_path()] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("the owner of the directory");
            }
        }
    }

    fn launch(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir().join("log")).expect("a log");
        let mut command = program(self.program);
        command.arg(self.dir().join("conf")).stdin(Stdio::null()).stderr(log.try_clone().expect("a log")).stdout(log);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.process_group(0);
        self.process = Some(command.spawn().unwrap_or_else(|error| panic!("{}: {error}; tools/deps test installs it", self.program)));
        self.wait_until("it answers", |redis| redis.cli(&["PING"]) == "PONG");
    }

    /// Waits for something of this server.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Redis) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "waited in vain: {what}; {}", fs::read_to_string(self.dir().join("log")).unwrap_or_default());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("sock")
    }

    /// The URL of its socket.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The path of a file in its directory: one of its certificates.
    pub fn file(&self, name: &str) -> String {
        self.dir().join(name).display().to_string()
    }

    /// What redis-cli prints.
    pub fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        if self.program == "redis-server" {
            command.arg("-s").arg(self.socket());
        } else {
            command.args(["-p", &self.port.to_string()]);
        }
        let output = command.args(&self.access).args(words).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// One field of `INFO`.
    pub fn info(&self, field: &str) -> String {
        let all = self.cli(&["INFO", "all"]);
        let line = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGTERM: what it has is on its disk.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::TERM);
            let _ = process.wait();
        }
    }

    /// After `kill` or `stop`: the same directory, the same addresses.
    pub fn start_again(&mut self) {
        self.launch();
    }
}

/// One program is server, sentinel and checker, by the name it is called. Debian's redis-tools has it under the last of them, and so no
/// service that starts when it is installed.
fn program(name: &str) -> Command {
    let is_installed = |name: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(name).exists());
    if is_installed(name) {
        return Command::new(name);
    }
    let mut command = Command::new("redis-check-rdb");
    command.arg0(name);
    command
}

/// Makes `ca.pem`, `server.pem` for 127.0.0.1 and localhost, `client.pem`, each with its `.key`, and `other-ca.pem`, which signed nothing.
fn certificates(dir: &Path) {
    let run = |line: &str| {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().expect("openssl");
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for ca in ["ca", "other-ca"] {
        run(&format!("req -x509 {new} -keyout {ca}.key -out {ca}.pem -days 2 -subj /CN={ca}"));
    }
    fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file");
    for name in ["server", "client"] {
        run(&format!("req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        run(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"));
    }
    for entry in fs::read_dir(dir).expect("the directory").flatten() {
        fs::set_permissions(entry.path(), PermissionsExt::from_mode(0o644)).expect("its mode");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
