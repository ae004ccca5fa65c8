//! What a server is to be before it runs: its room, its configuration, what it may log.

use std::{
    any::Any,
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::{
    Mpm,
    apxs::{self, Installed},
    redis::Redis,
    sql::Database,
};

/// Loaded in every server. Those linked into the program are skipped; which ones these are, each distribution decides.
const MODULES: [&str; 11] =
    ["log_config", "unixd", "authz_core", "authz_host", "dir", "mime", "alias", "env", "setenvif", "headers", "rewrite"];

/// `Mutex file` and the rest keep several servers out of each other's way and out of /run.
const BASE: &str = r#"
ServerRoot "@ROOT@"
ServerName localhost
Listen 127.0.0.1:@PORT@
PidFile "@ROOT@/httpd.pid"
DefaultRuntimeDir "@ROOT@"
Mutex pthread default
ErrorLog "@ROOT@/error.log"
DocumentRoot "@ROOT@/htdocs"
AccessFileName .htaccess
<Directory "@ROOT@/htdocs">
    AllowOverride All
</Directory>
FloorDir "@ROOT@/floor"
<Location "/capi">
    SetHandler capi
</Location>
<Location "/stock">
    SetHandler stockapi
</Location>
<Location "/notes">
    SetHandler notesapi
</Location>
<Location "/hello">
    SetHandler hello
</Location>
<Location "/count">
    SetHandler count
</Location>
<Location "/count-stock">
    SetHandler count-stock
</Location>
<Location "/floor">
    SetHandler floor
</Location>
<Location "/conform">
    SetHandler conform
</Location>
"#;

pub struct Setup {
    room: TempDir,
    pub(super) mpm: Mpm,
    workers: u32,
    /// The line that loads `session_module`.
    session: String,
    modules: Vec<String>,
    log_level: String,
    /// What takes the place of all that is said here and of the handlers of tests/c.
    instead: Option<String>,
    conf: String,
    pub(super) expected: Vec<String>,
    /// Servers that ours needs, ended after it.
    companions: Vec<Box<dyn Any + Send + Sync>>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) database: Option<Database>,
}

impl Setup {
    pub fn new(mpm: Mpm) -> Setup {
        let room = tempfile::Builder::new().prefix("httpd-").tempdir().expect("a directory for the server");
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).expect("the server's user must get in");
        let setup = Setup {
            room,
            mpm,
            workers: 16,
            session: apxs::load_line("session", &apxs::module_under_test()),
            modules: Vec::new(),
            log_level: "info".into(),
            instead: None,
            conf: String::new(),
            expected: Vec::new(),
            companions: Vec::new(),
            environment: Vec::new(),
            database: None,
        };
        fs::create_dir(setup.root().join("htdocs")).expect("the document root");
        setup
    }

    /// Adds configuration. `@ROOT@`, `@PORT@` and `@DIR@` stand for the server's directory, its port, and a directory for
    /// sessions that does not exist yet.
    pub fn conf(mut self, text: &str) -> Setup {
        self.set_conf(&format!("{}{text}\n", self.conf));
        self
    }

    /// The whole configuration, in place of the one that other servers have. It must name PidFile, Listen and ErrorLog.
    pub fn instead(mut self, text: &str) -> Setup {
        self.instead = Some(text.into());
        self
    }

    /// Loads one more module of httpd's own, after `session_module`: `lua`, `session_cookie`.
    pub fn module(mut self, name: &str) -> Setup {
        self.modules.push(name.into());
        self
    }

    /// Loads httpd's own mod_session in place of the module under test.
    pub fn stock(mut self) -> Setup {
        self.session = Installed::get().load_line("session");
        self
    }

    /// Loads that file in place of the module under test.
    pub fn session_module(mut self, file: &Path) -> Setup {
        self.session = apxs::load_line("session", file);
        self
    }

    /// Keeps the sessions in a table.
    pub fn database(mut self, database: Database) -> Setup {
        self = self.module("dbd").conf(&database.conf());
        self.database = Some(database);
        self
    }

    /// Loads one more module of tests/c.
    pub fn of_ours(self, name: &str) -> Setup {
        self.loading(name, &apxs::handlers().join(format!("mod_{name}.so")))
    }

    /// Loads one more module, which lies in that file.
    pub fn loading(mut self, name: &str, file: &Path) -> Setup {
        self.conf = format!("{}{}", apxs::load_line(name, file), self.conf);
        self
    }

    /// How many requests are served at once (16). From 4 on, worker and event divide an even number among two processes.
    pub fn workers(mut self, workers: u32) -> Setup {
        self.workers = workers;
        self
    }

    /// Value of `LogLevel` ("info"), such as `info session:debug`. Notices tell us when the server is up, so keep them.
    pub fn log_level(mut self, level: &str) -> Setup {
        self.log_level = level.into();
        self
    }

    /// Lines of the error log that contain this text do not fail the test.
    pub fn expect_log(mut self, part: &str) -> Setup {
        self.expected.push(part.into());
        self
    }

    /// Keeps another server for as long as this one.
    pub fn beside(mut self, companion: impl Any + Send + Sync) -> Setup {
        self.companions.push(Box::new(companion));
        self
    }

    /// Starts a Redis whose socket is `@ROOT@/redis/sock`.
    pub fn with_redis(self, options: &[&str]) -> Setup {
        let redis = Redis::start_in(&self.root().join("redis"), options);
        self.beside(redis)
    }

    /// Sets a variable in the environment of the server.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Writes a file below the server's directory: `htdocs/page.lua`, `secret`.
    pub fn file(self, path: &str, contents: &str) -> Setup {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("the file's directory");
        fs::write(path, contents).expect("the file");
        self
    }

    /// A file that may be run.
    pub fn program(self, path: &str, contents: &str) -> Setup {
        let setup = self.file(path, contents);
        fs::set_permissions(setup.root().join(path), fs::Permissions::from_mode(0o755)).expect("the mode of the program");
        setup
    }

    pub fn root(&self) -> &Path {
        self.room.path()
    }

    /// The session directory that `@DIR@` names. The module makes it.
    pub fn dir(&self) -> PathBuf {
        self.root().join("sessions")
    }

    /// What `apache2 -t` says of this configuration: whether it is well, and all its output.
    pub fn configtest(&self) -> (bool, String) {
        self.asked("-t")
    }

    /// What `apache2` says of this configuration when it is called with one of its options that start no server.
    pub fn asked(&self, option: &str) -> (bool, String) {
        let output = self.command(super::httpd::free_port()).arg(option).output().expect("httpd");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub(super) fn set_conf(&mut self, text: &str) {
        self.conf = text.into();
    }

    /// Writes the configuration and answers the command that reads it.
    pub fn command(&self, port: u16) -> Command {
        self.write_conf(port);
        let mut command = Command::new(&Installed::get().program);
        command.arg("-d").arg(self.root()).arg("-f").arg(self.conf_file());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn write_conf(&self, port: u16) {
        let text = self
            .text()
            .replace("@ROOT@", &self.root().to_string_lossy())
            .replace("@PORT@", &port.to_string())
            .replace("@DIR@", &self.dir().to_string_lossy());
        fs::write(self.conf_file(), text).expect("the configuration");
    }

    fn conf_file(&self) -> PathBuf {
        self.root().join("httpd.conf")
    }

    fn text(&self) -> String {
        if let Some(text) = &self.instead {
            return format!("{text}{}", self.conf);
        }
        let installed = Installed::get();
        let mut text = installed.load_line(self.mpm.module());
        text.extend(MODULES.map(|name| installed.load_line(name)));
        text += &self.session;
        text.extend(self.modules.iter().map(|name| installed.load_line(name)));
        for name in apxs::HANDLERS {
            text += &apxs::load_line(name, &apxs::handlers().join(format!("mod_{name}.so")));
        }
        let types = if Path::new("/etc/mime.types").exists() { "/etc/mime.types" } else { "/dev/null" };
        let _ = writeln!(text, "TypesConfig {types}\nLogLevel {}", self.log_level);
        if geteuid().is_root() {
            text += "User www-data\nGroup www-data\n";
        }
        text + &self.processes() + BASE + &self.conf
    }

    /// Processes are never reaped as superfluous, so that what a test sees of them is its own doing. Worker and event keep
    /// slots free for the processes that a graceful restart replaces.
    fn processes(&self) -> String {
        let n = self.workers;
        if self.mpm == Mpm::Prefork {
            let start = n.min(8);
            return format!("ServerLimit {n}\nMaxRequestWorkers {n}\nStartServers {start}\nMinSpareServers 1\nMaxSpareServers {n}\n");
        }
        let processes = if n >= 4 && n.is_multiple_of(2) { 2 } else { 1 };
        let threads = n / processes;
        format!(
            "ServerLimit {}\nThreadLimit {threads}\nThreadsPerChild {threads}\nMaxRequestWorkers {n}\n\
             StartServers {processes}\nMinSpareThreads 1\nMaxSpareThreads {}\n",
            4 * processes,
            n + threads
        )
    }
}
