//! SQL servers of the tests' own: in a temporary directory, on a socket in it, as an unprivileged user, with one table for each httpd.
//!
//! A shell looks after each server. It does what it is told on its standard input, and when that ends, because the test ended in whatever
//! way, it stops the server and removes the directory.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use mod_session_rs::session::{Stored, Timestamp};
use mod_session_rs::store::dbd::sql::{Engine, Table, schema};
use rustix::process::geteuid;

use super::wait_for;

/// Who serves requests too, so that PostgreSQL knows it by its name.
const USER: &str = "www-data";

/// What it is told, it does, and says so.
const SUPERVISOR: &str = r#"
room=$1 gentle=$2; shift 2
pid=
end() { [ -z "$pid" ] || { kill -"$1" "$pid"; wait "$pid"; pid=; }; }
while read -r word; do
    case $word in
    start) "$@" >>"$room/log" 2>&1 & pid=$! ;;
    stop) end "$gentle" ;;
    kill) end KILL ;;
    esac
    echo "$word"
done
end "$gentle" 2>/dev/null
rm -rf "$room"
"#;

/// PostgreSQL or MariaDB.
pub struct SqlServer {
    engine: Engine,
    room: PathBuf,
    supervisor: Child,
    /// `None`: it has been dismissed.
    talk: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

/// As whom servers and clients run.
fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if geteuid().is_root() {
        let (uid, gid) = user();
        command.uid(uid).gid(gid).env("HOME", "/nonexistent");
    }
    command
}

fn user() -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let line = passwd.lines().find(|line| line.starts_with(&format!("{USER}:"))).expect(USER);
    let number = |at: usize| line.split(':').nth(at).and_then(|id| id.parse().ok()).expect("a number");
    (number(2), number(3))
}

fn give(path: &Path) {
    if geteuid().is_root() {
        let (uid, gid) = user();
        chown(path, Some(uid), Some(gid)).expect("chown");
    }
}

fn ran(command: &mut Command) -> String {
    told(command, "")
}

/// Runs it with this as its standard input; answers what it says.
fn told(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
    let written = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    written.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The programs of PostgreSQL are not in the path.
fn postgres(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| program.into())
}

impl SqlServer {
    /// One for all tests of this process.
    pub fn shared(engine: Engine) -> Arc<SqlServer> {
        static SERVERS: Mutex<Vec<Weak<SqlServer>>> = Mutex::new(Vec::new());
        static KEPT: OnceLock<Mutex<Vec<Arc<SqlServer>>>> = OnceLock::new();
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.iter().filter_map(Weak::upgrade).find(|server| server.engine == engine) {
            return server;
        }
        let server = Arc::new(SqlServer::start(engine, &[]));
        servers.push(Arc::downgrade(&server));
        KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&server));
        server
    }

    /// A server of one's own, with these options more. What it acknowledged survives its death, and a crash of the machine need not.
    pub fn start(engine: Engine, options: &[&str]) -> SqlServer {
        let made = tempfile::Builder::new().prefix("sql-").tempdir().expect("a room for the server");
        let room = made.path().to_owned();
        give(&room);
        let data = room.join("data");
        let (gentle, mut command) = match engine {
            Engine::Postgres => {
                ran(unprivileged(postgres("initdb"))
                    .current_dir(&room)
                    .args(["-N", "-A", "trust", "--no-locale", "-E", "UTF8", "-D"])
                    .arg(&data));
                let mut command = vec![postgres("postgres").into_os_string(), "-D".into(), data.into(), "-k".into(), room.clone().into()];
                command.extend(["-h", "", "-c", "max_connections=300", "-c", "shared_buffers=32MB", "-c", "fsync=off"].map(Into::into));
                ("INT", command)
            }
            Engine::Mysql => {
                let mut install = unprivileged("mariadb-install-db");
                install.current_dir(&room).args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
                install.arg(format!("--tmpdir={}", room.display()));
                ran(install.arg(format!("--datadir={}", data.display())));
                let mut command: Vec<std::ffi::OsString> = vec!["mariadbd".into(), "--no-defaults".into(), "--skip-networking".into()];
                for (name, path) in [("datadir", &data), ("socket", &room.join("sock")), ("tmpdir", &room), ("pid-file", &room.join("pid"))]
                {
                    command.push(format!("--{name}={}", path.display()).into());
                }
                command.extend(["--max-connections=300", "--innodb-flush-log-at-trx-commit=2"].map(Into::into));
                ("TERM", command)
            }
            Engine::Sqlite => panic!("SQLite has no server"),
        };
        command.extend(options.iter().map(Into::into));
        let mut shell = unprivileged("sh");
        shell.current_dir(&room).args(["-c", SUPERVISOR, "sh"]).arg(&room).arg(gentle).args(&command);
        // A group of its own: what ends the test by a signal leaves it to its work.
        let mut supervisor = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().expect("a shell");
        let _ = made.keep(); // it is the shell's by now
        let talk = (supervisor.stdin.take().expect("a pipe"), BufReader::new(supervisor.stdout.take().expect("a pipe")));
        let server = SqlServer { engine, room, supervisor, talk: Mutex::new(Some(talk)) };
        server.start_again();
        if engine == Engine::Mysql {
            server.ask("mysql", "CREATE DATABASE sessions");
        }
        server
    }

    fn tell(&self, word: &str) {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let talk = talk.as_mut().expect("a supervisor");
        writeln!(talk.0, "{word}").expect("the supervisor listens");
        let mut done = String::new();
        talk.1.read_line(&mut done).expect("the supervisor answers");
        assert_eq!(done.trim(), word);
    }

    /// Returns when it serves.
    pub fn start_again(&self) {
        self.tell("start");
        let database = if self.engine == Engine::Postgres { "postgres" } else { "mysql" };
        wait_for("the SQL server", || self.client(database).output().expect("the client").status.success().then_some(()));
    }

    pub fn stop(&self) {
        self.tell("stop");
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.tell("kill");
    }

    fn client(&self, database: &str) -> Command {
        let mut command = match self.engine {
            Engine::Postgres => unprivileged(postgres("psql")),
            _ => unprivileged("mariadb"),
        };
        match self.engine {
            Engine::Postgres => command.arg("-h").arg(&self.room).args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database]),
            _ => command.args(["--no-defaults", "-N", "-B", "-u", "root", "-S"]).arg(self.room.join("sock")).arg(database),
        };
        command.current_dir("/").stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn ask(&self, database: &str, sql: &str) -> String {
        told(&mut self.client(database), sql)
    }

    fn database(&self) -> &'static str {
        if self.engine == Engine::Postgres { "postgres" } else { "sessions" }
    }

    /// What connects to it.
    fn parameters(&self) -> String {
        let room = self.room.display();
        match self.engine {
            Engine::Postgres if geteuid().is_root() => format!("host={room} dbname=postgres user={USER}"),
            Engine::Postgres => format!("host={room} dbname=postgres"),
            _ => format!("sock={room}/sock user=root dbname=sessions"),
        }
    }
}

impl Drop for SqlServer {
    fn drop(&mut self) {
        drop(self.talk.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.supervisor.wait();
    }
}

enum Place {
    File(PathBuf),
    Server(Arc<SqlServer>),
}

/// A table for the sessions of one httpd, or of several.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    place: Arc<Place>,
    table: Table,
}

impl Database {
    /// A new table, in the shared server or in a file below `root`.
    pub fn new(engine: Engine, root: &Path) -> Database {
        if engine != Engine::Sqlite {
            return Database::on(&SqlServer::shared(engine));
        }
        let dir = root.join("db");
        std::fs::create_dir(&dir).expect("a directory for the database");
        give(&dir);
        Database { engine, place: Arc::new(Place::File(dir.join("sessions.db"))), table: Table::default() }.made()
    }

    /// A new table in that server.
    pub fn on(server: &Arc<SqlServer>) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let table = Table::parse(&format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))).expect("a name");
        Database { engine: server.engine, place: Arc::new(Place::Server(Arc::clone(server))), table }.made()
    }

    fn made(self) -> Database {
        self.sql(&schema(self.engine, &self.table));
        self
    }

    /// What connects to it.
    pub fn parameters(&self) -> String {
        match &*self.place {
            Place::File(path) => path.display().to_string(),
            Place::Server(server) => server.parameters(),
        }
    }

    /// `DBDriver` and `DBDParams`.
    pub fn driver(&self) -> String {
        let parameters = self.parameters();
        let more = if self.engine == Engine::Sqlite { "DBDInitSQL \"PRAGMA synchronous = NORMAL\"\n" } else { "" };
        format!("DBDriver {}\nDBDParams \"{parameters}\"\n{more}", self.engine.driver())
    }

    /// What has sessions kept in it.
    pub fn conf(&self) -> String {
        format!("{}SessionStore {}\n", self.driver(), self.store())
    }

    /// The word of `SessionStore`.
    pub fn store(&self) -> String {
        format!("dbd:{}", self.table)
    }

    pub fn table(&self) -> String {
        self.table.to_string()
    }

    /// Asks by the engine's own client: a line for each row.
    pub fn sql(&self, sql: &str) -> String {
        match &*self.place {
            Place::File(path) => told(unprivileged("sqlite3").args(["-bail", "-cmd", ".timeout 20000"]).arg(path), sql),
            Place::Server(server) => server.ask(server.database(), sql),
        }
    }

    pub fn count(&self) -> usize {
        self.sql(&format!("SELECT COUNT(*) FROM {}", self.table)).trim().parse().expect("a number")
    }

    /// Shifts all times, as `htsession adjust-time` does where it can.
    pub fn adjust_time(&self, seconds: i64) {
        let (table, postgres) = (&self.table, self.engine == Engine::Postgres);
        let hex = if postgres { "encode(data, 'hex')" } else { "HEX(data)" };
        let shift =
            |time: Timestamp| if time == Timestamp::NEVER { time } else { Timestamp(time.0.saturating_add_signed(seconds * 1_000_000)) };
        let tab = if postgres { "E'\\t'" } else { "'\t'" };
        let row = match self.engine {
            Engine::Mysql => format!("CONCAT_WS({tab}, k, ver, expires, {hex})"),
            _ => format!("k || {tab} || ver || {tab} || expires || {tab} || {hex}"),
        };
        for line in self.sql(&format!("SELECT {row} FROM {table}")).replace("\\t", "\t").lines() {
            let [key, version, expires, data] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(data.as_bytes()).expect("hex");
            let mut stored = Stored::decode(&bytes.into()).expect("a record");
            match &mut stored {
                Stored::Session(record) => (record.created, record.accessed) = (shift(record.created), shift(record.accessed)),
                Stored::Alias(alias) => alias.grace_ends = shift(alias.grace_ends),
            }
            let data = data_encoding::HEXLOWER.encode(&stored.encode());
            let data = if postgres { format!("decode('{data}', 'hex')") } else { format!("X'{data}'") };
            let expires = shift(Timestamp(expires.parse().expect("a time"))).0;
            self.sql(&format!(
                "UPDATE {table} SET ver = ver / 2 + 1, expires = {expires}, data = {data} WHERE k = '{key}' AND ver = {version}"
            ));
        }
    }
}
