//! What is measured: a row for each page, with the server that has it and the page without a session that it is compared to.

/// Servers of their own, so that nobody's modules are in another's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This module and the floor handlers, event.
    Ours,
    /// httpd's own session modules, event.
    Stock,
    /// Those again, with SQLite waiting for the disk at each commit, as it does unless told otherwise.
    StockSynced,
    /// prefork, the MPM that PHP in httpd needs.
    Php,
    /// prefork, as mod_python is used: the interpreter is one of each process.
    Python,
}

impl Place {
    pub const ALL: [Place; 5] = [Place::Ours, Place::Stock, Place::StockSynced, Place::Php, Place::Python];
}

pub struct Row {
    /// The word on the command line, and the path of the page.
    pub name: &'static str,
    pub what: &'static str,
    pub place: Place,
    /// The row without a session; its own name if this is one.
    pub base: &'static str,
    /// A section of the configuration, for this page alone.
    pub conf: &'static str,
    /// Whether the page counts up what it keeps, so that updates can be lost.
    pub counts: bool,
    /// Whether it is a floor: what a store costs at least.
    pub is_floor: bool,
    /// Whether it maps 64 GiB, which valgrind has no addresses for.
    pub is_mapped: bool,
}

impl Row {
    /// Whatever stands behind the question mark, a new session gets its nine texts.
    pub fn path(&self) -> String {
        format!("/{}?1k", self.name)
    }

    /// Where a client gets a session for a page that begins none.
    pub fn first(&self) -> Option<&'static str> {
        (self.base == "static-off").then_some("/file?1k")
    }

    pub fn is_base(&self) -> bool {
        self.base == self.name
    }

    /// Whether a word of the command line means it: all that begin with `file`, or this one.
    pub fn is_meant_by(&self, word: &str) -> bool {
        self.name == word || self.name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'))
    }
}

const fn ours(name: &'static str, what: &'static str, conf: &'static str) -> Row {
    Row { name, what, place: Place::Ours, base: "hello", conf, counts: true, is_floor: false, is_mapped: false }
}

const fn reads(name: &'static str, what: &'static str, conf: &'static str) -> Row {
    Row { counts: false, ..ours(name, what, conf) }
}

const fn mapped(row: Row) -> Row {
    Row { is_mapped: true, ..row }
}

const fn floor(name: &'static str, what: &'static str, conf: &'static str) -> Row {
    Row { is_floor: true, ..ours(name, what, conf) }
}

const fn peer(place: Place, base: &'static str, name: &'static str, what: &'static str, conf: &'static str) -> Row {
    Row { place, base, ..ours(name, what, conf) }
}

const fn base(place: Place, name: &'static str, what: &'static str, conf: &'static str) -> Row {
    Row { place, base: name, ..reads(name, what, conf) }
}

pub const ROWS: [Row; 36] = [
    base(Place::Ours, "hello", "hello: no session", "SetHandler hello\nSession Off"),
    floor("floor-file", "floor: open, flock, fstat, pread, pwrite, close in C", "SetHandler floor\nSession Off"),
    floor("floor-lmdb", "floor: LMDB get and put in one transaction in C", "SetHandler floor-lmdb\nSession Off"),
    floor("floor-memory", "floor: shared memory, get and put under a mutex in C", "SetHandler floor-memory\nSession Off"),
    ours("file", "file", "SetHandler count"),
    reads("file-read", "file, read only", "SetHandler count-read"),
    mapped(ours("dbm", "dbm", "SetHandler count\nSessionDir @ROOT@/dbm\nSessionStore dbm\nSessionIdCookie dbm")),
    mapped(reads("dbm-read", "dbm, read only", "SetHandler count-read\nSessionDir @ROOT@/dbm\nSessionStore dbm\nSessionIdCookie dbm")),
    ours("memory", "memory", "SetHandler count\nSessionDir @ROOT@/memory\nSessionStore memory\nSessionIdCookie memory"),
    reads(
        "memory-read",
        "memory, read only",
        "SetHandler count-read\nSessionDir @ROOT@/memory\nSessionStore memory\nSessionIdCookie memory",
    ),
    ours("dbd", "dbd, SQLite", "SetHandler count\nSessionStore @TABLE@\nSessionIdCookie dbd"),
    reads("dbd-read", "dbd, SQLite, read only", "SetHandler count-read\nSessionStore @TABLE@\nSessionIdCookie dbd"),
    ours("redis", "redis, Unix socket", "SetHandler count\nSessionStore redis+unix://@ROOT@/redis/sock\nSessionIdCookie redis"),
    reads(
        "redis-read",
        "redis, Unix socket, read only",
        "SetHandler count-read\nSessionStore redis+unix://@ROOT@/redis/sock\nSessionIdCookie redis",
    ),
    ours("file-access", "file, SessionLock access", "SetHandler count\nSessionLock access"),
    ours(
        "memory-access",
        "memory, SessionLock access",
        "SetHandler count\nSessionDir @ROOT@/memory\nSessionStore memory\nSessionIdCookie memory\nSessionLock access",
    ),
    ours("file-default", "file, C interface while notes are on", "SetHandler count\nSessionNotes On"),
    ours("file-notes", "file, through notes", "SetHandler count-notes\nSessionNotes On"),
    ours("file-stock", "file, stock interface", "SetHandler count-stock"),
    ours("file-signed", "file, signed cookie", "SetHandler count\nSessionSecret 0123456789abcdef0123456789abcdef"),
    ours("file-sealed", "file, sealed", "SetHandler count\nSessionEncrypt On"),
    ours("file-synced", "file, SessionSync On", "SetHandler count\nSessionSync On"),
    mapped(ours(
        "dbm-synced",
        "dbm, SessionSync On",
        "SetHandler count\nSessionDir @ROOT@/dbm-synced\nSessionStore dbm\nSessionIdCookie dbm-synced\nSessionSync On",
    )),
    base(Place::Ours, "static-off", "a static file, Session Off", "Alias @ROOT@/htdocs/page.txt\nSession Off\nSessionNotes On"),
    Row { base: "static-off", ..reads("static", "a static file, Session On", "Alias @ROOT@/htdocs/page.txt\nSessionNotes On") },
    base(Place::Stock, "stock-hello", "hello: no session, stock modules loaded", "SetHandler hello"),
    peer(
        Place::Stock,
        "stock-hello",
        "stock-cookie",
        "mod_session_cookie",
        "SetHandler count-stock\nSession On\nSessionCookieName session",
    ),
    peer(
        Place::Stock,
        "stock-hello",
        "stock-crypto",
        "mod_session_crypto",
        "SetHandler count-stock\nSession On\nSessionCookieName session\nSessionCryptoPassphrase secret",
    ),
    peer(Place::Stock, "stock-hello", "stock-dbd", "mod_session_dbd, SQLite", STOCK_DBD_PAGE),
    base(Place::StockSynced, "synced-hello", "hello: no session, the same modules", "SetHandler hello"),
    peer(Place::StockSynced, "synced-hello", "stock-dbd-synced", "mod_session_dbd, SQLite, synchronous = FULL", STOCK_DBD_PAGE),
    base(Place::Php, "php-hello", "hello: PHP without a session", "Alias @ROOT@/htdocs/hello.php"),
    peer(Place::Php, "php-hello", "php-files", "PHP, files", "Alias @ROOT@/htdocs/count.php"),
    base(Place::Python, "python-hello", "hello: mod_python without a session", PYTHON),
    peer(Place::Python, "python-hello", "python-file", "mod_python FileSession", PYTHON),
    peer(Place::Python, "python-hello", "python-dbm", "mod_python DbmSession", PYTHON),
];

const STOCK_DBD_PAGE: &str = "SetHandler count-stock\nSession On\nSessionDBDCookieName session path=/";

const PYTHON: &str = "SetHandler mod_python
PythonPath \"['@ROOT@/python'] + sys.path\"
PythonHandler counter
PythonOption mod_python.session.database_directory @ROOT@/python-sessions
PythonOption mod_python.file_session.database_directory @ROOT@/python-sessions
PythonOption mod_python.dbm_session.database_directory @ROOT@/python-sessions";
