//! The servers: what they are configured with, and which of them this machine can have.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use mod_session_rs::store::dbd::sql::Engine;

use crate::rows::{Place, ROWS};
use crate::support::apxs::{Installed, of_benches};
use crate::support::sql::Database;
use crate::support::{Httpd, Mpm, Setup};

/// The path of the page that reads the meter.
pub const METER: &str = "/meter";

/// One that is put on the disk at a checkpoint, both with ours and with theirs.
const SQLITE: &str = "PRAGMA synchronous = NORMAL";

const PHP_HELLO: &str = "<?php header('Content-Type: text/plain'); echo \"hello\\n\";";

const PHP_COUNT: &str = "<?php session_start();
if (!isset($_SESSION['n'])) for ($i = 1; $i <= 9; $i++) $_SESSION[\"text$i\"] = str_repeat('x', 105);
$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
header('Content-Type: text/plain'); echo \"hello {$_SESSION['n']}\\n\";";

const PYTHON_COUNT: &str = "from mod_python import apache, Session
KINDS = {'python-file': Session.FileSession, 'python-dbm': Session.DbmSession}
def handler(req):
    kind = KINDS.get(req.uri.rsplit('/', 1)[-1])
    req.content_type = 'text/plain'
    if kind is None:
        req.write('hello\\n')
        return apache.OK
    s = kind(req)
    if 'n' not in s:
        for i in range(1, 10):
            s['text%d' % i] = 'x' * 105
    s['n'] = s.get('n', 0) + 1
    s.save()
    req.write('hello %d\\n' % s['n'])
    return apache.OK
";

const PYTHON_LOCKS: &str = "PythonOption mod_python.mutex_locks 8\nPythonOption mod_python.mutex_directory @ROOT@";

const STOCK_DBD: &str = "DBDriver sqlite3
DBDParams @ROOT@/database/session.db
DBDPrepareSQL \"delete from session where key = %s\" deletesession
DBDPrepareSQL \"update session set value = %s, expiry = %lld, key = %s where key = %s\" updatesession
DBDPrepareSQL \"insert into session (value, expiry, key) values (%s, %lld, %s)\" insertsession
DBDPrepareSQL \"select value from session where key = %s and (expiry = 0 or expiry > %lld)\" selectsession
DBDPrepareSQL \"delete from session where expiry != 0 and expiry < %lld\" cleansession
SessionMaxAge 1800";

impl Place {
    /// That of the rounds.
    pub fn mpm(self) -> Mpm {
        match self {
            Place::Ours | Place::Stock | Place::StockSynced => Mpm::Event,
            Place::Php | Place::Python => Mpm::Prefork,
        }
    }

    /// One child serves where something is counted. mod_python has as many locks as children, and with a single lock its sessions crash.
    pub fn setup_to_count(self) -> Setup {
        self.setup(Mpm::Prefork).workers(if self == Place::Python { 2 } else { 1 })
    }

    /// Why its rows cannot be measured here.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Place::Php if php().is_none() => Some("PHP as a module of httpd is not installed"),
            Place::Python if !Installed::get().has("python") => Some("mod_python is not installed"),
            _ => None,
        }
    }

    /// A server with all pages of this place.
    pub fn setup(self, mpm: Mpm) -> Setup {
        let setup = Httpd::with(mpm).log_level("notice").conf("KeepAliveTimeout 60\nMaxKeepAliveRequests 0\nTimeout 600");
        let setup = setup.of_ours("meter").conf(&format!("<Location {METER}>\nSetHandler meter\n</Location>"));
        let (setup, table) = match self {
            Place::Ours => ours(setup),
            Place::Stock => (stock(setup).conf(&format!("DBDInitSQL \"{SQLITE}\"")), String::new()),
            Place::StockSynced => (stock(setup), String::new()),
            Place::Php => {
                (scripts(setup).loading("php", &php().expect("PHP")).conf("AddHandler application/x-httpd-php .php"), String::new())
            }
            Place::Python => (scripts(setup).module("python").conf(PYTHON_LOCKS), String::new()),
        };
        let pages = ROWS.iter().filter(|row| row.place == self);
        pages.fold(setup, |setup, row| {
            setup.conf(&format!("<Location /{}>\n{}\n</Location>", row.name, row.conf.replace("@TABLE@", &table)))
        })
    }
}

/// And the word of `SessionStore` that is its table.
fn ours(setup: Setup) -> (Setup, String) {
    let database = Database::new(Engine::Sqlite, setup.root());
    let setup = setup
        .loading("floorlmdb", &of_benches("floorlmdb", Some("lmdb")))
        .loading("floormemory", &of_benches("floormemory", None))
        .module("dbd")
        .with_redis(&[])
        .conf(&database.driver())
        .file("htdocs/page.txt", "hello\n")
        .conf("FloorDatabase @ROOT@/floor-lmdb\nSessionDir @DIR@\nSessionNotes Off\nSessionCleanupInterval 0")
        .conf(&format!("<Location {METER}>\nSession Off\n</Location>"));
    (setup, database.store())
}

fn stock(setup: Setup) -> Setup {
    let setup = setup.stock().expect_log("[");
    let dir = setup.root().join("database");
    fs::create_dir(&dir).expect("a directory");
    let sql = "PRAGMA journal_mode = WAL; create table session (key char(36) primary key, value text, expiry bigint)";
    let made = Command::new("sqlite3").arg(dir.join("session.db")).arg(sql).output().expect("sqlite3: make bench installs it");
    assert!(made.status.success(), "{made:?}");
    let modules = ["request", "dbd", "session_cookie", "session_crypto", "session_dbd"];
    let setup = modules.iter().fold(setup, |setup, name| setup.module(name));
    let status = Command::new("chmod").args(["-R", "a+rwX"]).arg(&dir).status().expect("chmod");
    assert!(status.success());
    setup.conf(STOCK_DBD)
}

fn scripts(setup: Setup) -> Setup {
    let setup = setup
        .stock()
        .expect_log("[")
        .file("htdocs/hello.php", PHP_HELLO)
        .file("htdocs/count.php", PHP_COUNT)
        .file("htdocs/version.php", "<?php echo PHP_VERSION;")
        .file("python/counter.py", PYTHON_COUNT);
    for name in ["php-sessions", "python-sessions"] {
        let dir = setup.root().join(name);
        fs::create_dir(&dir).expect("a directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("its mode");
    }
    setup.conf("<IfModule php_module>\nphp_value session.save_path @ROOT@/php-sessions\n</IfModule>")
}

/// The file has PHP's version in its name.
fn php() -> Option<PathBuf> {
    let modules = Installed::get().file_of("python").parent()?.to_owned();
    let mut found: Vec<_> = fs::read_dir(modules).ok()?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libphp")));
    found.sort();
    found.pop()
}
