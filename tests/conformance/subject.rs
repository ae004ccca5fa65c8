//! What the cases are run against: a store on an MPM, or another server.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use mod_session_rs::session::{Id, Key, Scope};
use mod_session_rs::store::dbd::sql::Engine;
use mod_session_rs::store::redis::RedisStore;

use crate::support::sql::Database;
use crate::support::{Httpd, Mpm, Response, Setup, sessions};
use crate::visitor::Visitor;

/// A store, and the lines that configure it.
pub struct Store {
    pub name: &'static str,
    conf: &'static str,
    /// Its sessions are files, which cases may look at and damage.
    is_files: bool,
    /// What expired goes by itself, and nobody is told of it.
    cleans_itself: bool,
    /// The server that it needs.
    with: fn(Setup) -> Setup,
}

pub const STORES: [Store; 7] = [
    Store { name: "file", conf: "SessionDir @DIR@", is_files: true, cleans_itself: false, with: |setup| setup },
    Store { name: "dbm", conf: "SessionDir @DIR@\nSessionStore dbm", is_files: false, cleans_itself: false, with: |setup| setup },
    Store { name: "memory", conf: "SessionDir @DIR@\nSessionStore memory:16M", is_files: false, cleans_itself: false, with: |setup| setup },
    Store {
        name: "redis",
        conf: "SessionStore redis+unix://@ROOT@/redis/sock",
        is_files: false,
        cleans_itself: true,
        with: |setup| setup.with_redis(&[]),
    },
    Store { name: "dbd-sqlite", conf: "", is_files: false, cleans_itself: false, with: |setup| in_database(setup, Engine::Sqlite) },
    Store { name: "dbd-pgsql", conf: "", is_files: false, cleans_itself: false, with: |setup| in_database(setup, Engine::Postgres) },
    Store { name: "dbd-mariadb", conf: "", is_files: false, cleans_itself: false, with: |setup| in_database(setup, Engine::Mysql) },
];

fn in_database(setup: Setup, engine: Engine) -> Setup {
    let database = Database::new(engine, setup.root());
    setup.database(database)
}

impl Store {
    /// Where it is tried if nothing else is asked for: what depends on the MPM is above the stores.
    pub fn mpms(&self) -> &'static [Mpm] {
        if self.is_files { &Mpm::ALL } else { &[Mpm::Event] }
    }
}

/// The page reads and writes through the C interface only, so it needs no notes.
const PAGE: &str = "<Location /conform>\nSessionNotes Off\n</Location>";

/// What a case cannot do without, each with all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// The page, over HTTP.
    Http,
    /// The configuration and the processes of the server, and its log.
    Server,
    /// Session files.
    Files,
    /// A module that was built with the feature `faults`.
    Faults,
}

pub enum Subject {
    Ours(&'static Store, Mpm),
    Other(Address),
}

/// Of a page of another server on this machine.
#[derive(Clone)]
pub struct Address {
    port: u16,
    page: String,
}

/// A server with the page; ours is one's own and can be told to do things, another one is not (a case for which it is [`Needs`] says so).
pub struct Server {
    httpd: Option<Httpd>,
    address: Address,
    /// The name of the session cookie.
    pub cookie: String,
}

impl Address {
    /// Reads `http://127.0.0.1:8000/page`.
    pub fn parse(url: &str) -> Option<Address> {
        let rest = url.strip_prefix("http://")?;
        let rest = rest.strip_prefix("127.0.0.1").or_else(|| rest.strip_prefix("localhost"))?;
        let (port, page) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = if port.is_empty() { 80 } else { port.strip_prefix(':')?.parse().ok()? };
        Some(Address { port, page: if page.is_empty() { "/".into() } else { page.into() } })
    }
}

impl Subject {
    pub fn name(&self) -> String {
        match self {
            Subject::Ours(store, mpm) => format!("{}/{}", store.name, format!("{mpm:?}").to_lowercase()),
            Subject::Other(address) => format!(":{}{}", address.port, address.page),
        }
    }

    pub fn offers(&self, needs: Needs) -> bool {
        match self {
            Subject::Other(_) => needs == Needs::Http,
            Subject::Ours(store, _) => match needs {
                Needs::Http | Needs::Server => true,
                Needs::Files => store.is_files,
                Needs::Faults => cfg!(feature = "faults"),
            },
        }
    }

    pub fn is_ours(&self) -> bool {
        matches!(self, Subject::Ours(..))
    }

    /// Whether an event tells of each session that expired.
    pub fn tells_of_expiry(&self) -> bool {
        matches!(self, Subject::Ours(store, _) if !store.cleans_itself)
    }

    pub fn is_prefork(&self) -> bool {
        matches!(self, Subject::Ours(_, Mpm::Prefork))
    }

    /// A server of ours with this configuration, or the other one as it is.
    pub fn server(&self, conf: &str) -> Server {
        self.server_that_logs(conf, &[])
    }

    /// One of ours logs warnings or errors that contain these texts, and should.
    pub fn server_that_logs(&self, conf: &str, expected: &[&str]) -> Server {
        match self {
            Subject::Ours(..) => Subject::start(expected.iter().fold(self.setup(conf), |setup, part| setup.expect_log(part))),
            Subject::Other(address) => {
                let mut server = Server { httpd: None, address: address.clone(), cookie: String::new() };
                server.cookie = server.member().cookie_name();
                server
            }
        }
    }

    /// Serves 32 requests at once, with all its processes from the beginning.
    pub fn busy_server(&self, conf: &str) -> Server {
        match self {
            Subject::Ours(_, Mpm::Prefork) => {
                Subject::start(self.setup(&format!("{conf}\nStartServers 24\nMinSpareServers 24")).workers(32))
            }
            Subject::Ours(..) => Subject::start(self.setup(conf).workers(32)),
            Subject::Other(_) => self.server(conf),
        }
    }

    /// For what else a case wants to set up.
    pub fn setup(&self, conf: &str) -> Setup {
        let Subject::Ours(store, mpm) = self else { panic!("this case needs power over the server") };
        (store.with)(Httpd::with(*mpm)).conf(store.conf).conf(PAGE).conf(conf)
    }

    /// What a server of it is configured with, whatever the case.
    pub fn conf(&self, server: &Server) -> String {
        let Subject::Ours(store, _) = self else { panic!("this case needs power over the server") };
        let database = server.database().map(Database::conf).unwrap_or_default();
        format!("{database}{}\n{PAGE}", store.conf)
    }

    pub fn start(setup: Setup) -> Server {
        let httpd = setup.start();
        let address = Address { port: httpd.port(), page: "/conform".into() };
        Server { httpd: Some(httpd), address, cookie: "sid".into() }
    }
}

impl Server {
    /// Somebody who was never here.
    pub fn visitor(&self) -> Visitor {
        self.visitor_of(&self.address.page)
    }

    /// The same for another page.
    pub fn visitor_of(&self, page: &str) -> Visitor {
        Visitor::new(self.address.port, page)
    }

    /// Somebody with a session in which `n` is 1.
    pub fn member(&self) -> Visitor {
        let mut visitor = self.visitor();
        let response = visitor.ask("int=n:1");
        assert_eq!((response.line("int"), response.set_cookies().len()), ("ok", 1));
        visitor
    }

    /// Asks with this Cookie header, once.
    pub fn with_cookies(&self, header: &str, words: &str) -> Response {
        self.visitor().ask_with(words, &[("Cookie", header)])
    }

    /// `name=value` of the session cookie.
    pub fn pair(&self, value: &str) -> String {
        format!("{}={value}", self.cookie)
    }

    /// Asks with this value in the session cookie, once.
    pub fn with_id(&self, value: &str, words: &str) -> Response {
        self.with_cookies(&self.pair(value), words)
    }

    /// Whether a value in the session cookie names a session. This is no use of it.
    pub fn knows(&self, value: &str) -> bool {
        match self.with_id(value, "peek").line("peek") {
            "1" => true,
            "0" => false,
            other => panic!("peek: {other}"),
        }
    }

    pub fn page(&self) -> &str {
        &self.address.page
    }

    /// As if so many seconds had passed for all sessions.
    pub fn age(&self, seconds: u32) {
        self.adjust_time(-i64::from(seconds));
    }

    /// Shifts all times of all sessions.
    pub fn adjust_time(&self, seconds: i64) {
        let socket = self.root().join("redis/sock");
        match self.database() {
            Some(database) => database.adjust_time(seconds),
            None if socket.exists() => {
                sessions::shift(&RedisStore::open(&[&format!("redis+unix://{}", socket.display())]).expect("a store"), seconds);
            }
            None => sessions::adjust_time(&self.dir(), seconds),
        }
    }

    pub fn files(&self) -> Vec<PathBuf> {
        sessions::files(&self.dir())
    }

    /// The key under which the session is stored that a cookie names.
    pub fn key(&self, value: &str) -> Key {
        let id = value.split('.').next().and_then(|id| Id::parse(id.as_bytes())).expect("the form of an id");
        Key::derive(&Scope { name: "localhost".into(), cookie: self.cookie.as_str().into() }, &id)
    }

    /// The file of the session that a cookie names.
    pub fn file(&self, value: &str) -> PathBuf {
        let hex = self.key(value).hex();
        self.dir().join(&hex[..2]).join(hex)
    }

    /// The lines of the module on events of the session that a cookie names.
    pub fn events(&self, event: &str, value: &str) -> Vec<String> {
        self.log_lines_with(&format!("session event={event} ref={}", self.key(value).reference()))
    }
}

impl Deref for Server {
    type Target = Httpd;

    fn deref(&self) -> &Httpd {
        self.httpd.as_ref().expect("this case needs power over the server")
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Httpd {
        self.httpd.as_mut().expect("this case needs power over the server")
    }
}
