//! `cargo bench --bench dbd`: the counter page with sessions in databases, beside the same page with httpd's own mod_session_dbd, and one
//! without a session.
//!
//! Rounds are interleaved and the median of their ratios counts, as in `benches/peers`. The SQL servers wait for the disk at each
//! commit, as they are installed. mod_session_dbd is measured as its manual has it, and with SQLite's write-ahead logging.

#[path = "measuring/mod.rs"]
mod measuring;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use measuring::{CONNECTIONS, Report, cpu_seconds, median, wrk};
use mod_session_rs::store::dbd::sql::Engine;
use support::sql::{Database, SqlServer};
use support::{Httpd, Mpm, Setup};

const ROUNDS: usize = 5;
const SECONDS: u64 = 3;

const WAL: &str = "PRAGMA journal_mode = WAL";
const NORMAL: &str = "DBDInitSQL \"PRAGMA synchronous = NORMAL\"";

struct Subject {
    name: &'static str,
    httpd: Httpd,
    path: &'static str,
}

fn setup() -> Setup {
    let conf = "SessionCleanupInterval 0\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n<Location /hello>\nSession Off\n</Location>";
    Httpd::with(Mpm::Event).workers(16).log_level("notice").expect_log("[").conf(conf)
}

fn sqlite(sync: &str) -> Httpd {
    let setup = setup();
    let database = Database::new(Engine::Sqlite, setup.root());
    setup.module("dbd").conf(&database.conf().replace(NORMAL, "")).conf(sync).start()
}

fn server(engine: Engine) -> Httpd {
    let options: &[&str] = match engine {
        Engine::Postgres => &["-c", "fsync=on"],
        _ => &["--innodb-flush-log-at-trx-commit=1"],
    };
    let server = Arc::new(SqlServer::start(engine, options));
    let httpd = setup().database(Database::on(&server)).start();
    std::mem::forget(server.clone()); // it ends with this process
    httpd
}

/// mod_session with mod_session_dbd, as their manual says.
fn stock(more: &str, pragma: &str) -> Httpd {
    let setup = Httpd::with(Mpm::Event).workers(16).log_level("notice").expect_log("[").stock().module("dbd").module("session_dbd");
    let dir = setup.root().join("database");
    std::fs::create_dir(&dir).expect("a directory");
    let sql = format!("{pragma}; create table session (key char(36) primary key, value text, expiry bigint)");
    let made = Command::new("sqlite3").arg(dir.join("session.db")).arg(sql).output().expect("sqlite3");
    assert!(made.status.success(), "{made:?}");
    open_to_all(&dir);
    setup
        .conf("DBDriver sqlite3\nDBDParams @ROOT@/database/session.db")
        .conf("DBDPrepareSQL \"delete from session where key = %s\" deletesession")
        .conf("DBDPrepareSQL \"update session set value = %s, expiry = %lld, key = %s where key = %s\" updatesession")
        .conf("DBDPrepareSQL \"insert into session (value, expiry, key) values (%s, %lld, %s)\" insertsession")
        .conf("DBDPrepareSQL \"select value from session where key = %s and (expiry = 0 or expiry > %lld)\" selectsession")
        .conf("KeepAliveTimeout 60\nMaxKeepAliveRequests 0")
        .conf("<Location /count-stock>\nSession On\nSessionMaxAge 1800\nSessionDBDCookieName session path=/\n</Location>")
        .conf(more)
        .start()
}

fn open_to_all(dir: &Path) {
    let status = Command::new("chmod").args(["-R", "a+rwX"]).arg(dir).status().expect("chmod");
    assert!(status.success());
}

fn main() {
    let subjects = [
        Subject { name: "no session", httpd: setup().start(), path: "/hello" },
        Subject { name: "SQLite", httpd: sqlite(""), path: "/count" },
        Subject { name: "SQLite, stock interface", httpd: sqlite(""), path: "/count-stock" },
        Subject { name: "SQLite, SessionSync On", httpd: sqlite("SessionSync On"), path: "/count" },
        Subject { name: "mod_session_dbd, as in its manual", httpd: stock("", "select 1"), path: "/count-stock" },
        Subject { name: "mod_session_dbd, WAL", httpd: stock("", WAL), path: "/count-stock" },
        Subject { name: "mod_session_dbd, WAL, not waiting", httpd: stock(NORMAL, WAL), path: "/count-stock" },
        Subject { name: "PostgreSQL", httpd: server(Engine::Postgres), path: "/count" },
        Subject { name: "MariaDB", httpd: server(Engine::Mysql), path: "/count" },
    ];
    let mut rounds = vec![Vec::new(); subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, rates) in subjects.iter().zip(&mut rounds) {
            let before = cpu_seconds(subject.httpd.children());
            let rate = load(subject);
            let used = (cpu_seconds(subject.httpd.children()) - before) / (rate * SECONDS as f64);
            if round > 0 {
                rates.push((rate, used));
            }
        }
    }
    println!("\n{CONNECTIONS} keep-alive connections, one session each; median of {ROUNDS} interleaved rounds of {SECONDS} s; event MPM\n");
    println!("{:<40}{:>12}{:>12}{:>18}{:>16}", "sessions in", "requests/s", "to none", "to its WAL", "CPU us/request");
    for (n, subject) in subjects.iter().enumerate() {
        let to = |other: usize| median((0..ROUNDS).map(|i| rounds[n][i].0 / rounds[other][i].0));
        let stock = if (1..=6).contains(&n) { format!("{:.2}", to(5)) } else { String::new() };
        let (rate, used) = (median(rounds[n].iter().map(|round| round.0)), median(rounds[n].iter().map(|round| round.1)));
        println!("{:<40}{rate:>12.0}{:>12.3}{stock:>18}{:>16.1}", subject.name, to(0), used * 1e6);
    }
}

/// Pages with status 200 in a second.
fn load(subject: &Subject) -> f64 {
    let report = Report::of(&mut wrk(&subject.httpd, subject.path, "jar", SECONDS));
    let failed = report.failed();
    if failed > 0.0 {
        println!("{}: {failed} requests failed", subject.name);
    }
    report.requests_per_second() - failed / SECONDS as f64
}
