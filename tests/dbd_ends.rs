//! Children that end amid a statement: by SIGTERM, SIGHUP, and while the cleaner is at work.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mod_session_rs::store::dbd::sql::Engine;
use support::sql::Database;
use support::{Httpd, Mpm, mpm_tests};

/// prefork ends a child within a signal handler, which closes the connections that the child has. (event may crash there without us: it closes the
/// sockets of requests that are just ending.)
fn who_is_ended_amid_a_statement_does_not_crash(engine: Engine) {
    let setup = Httpd::with(Mpm::Prefork)
        .workers(8)
        .conf("SessionLock access\nSessionTouchInterval 0")
        .expect_log("still did not exit")
        .expect_log("exit signal Killed")
        .expect_log("this child ends");
    let database = Database::new(engine, setup.root());
    let mut httpd = setup.database(database.clone()).start();
    for round in 0..12 {
        let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                let mut client = httpd.client();
                let (stop, served) = (&stop, &served);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if client.try_request("GET", "/conform?add=n:1&save", &[], b"").is_ok_and(|response| response.status == 200) {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(150));
            let started = Instant::now();
            if round % 2 == 0 {
                httpd.stop();
            } else {
                httpd.restart();
            }
            stop.store(true, Ordering::Relaxed);
            println!("{engine:?}: {} served, ended after {:?}", served.load(Ordering::Relaxed), started.elapsed());
        });
        if round % 2 == 0 {
            httpd.start_again();
        }
    }
    // Killed is who did not end in time: a signal amid malloc waits for itself, under any module.
    let deaths = httpd.log_lines_with("exit signal");
    let deaths: Vec<_> = deaths.iter().filter(|line| !line.contains("exit signal Killed")).collect();
    assert!(deaths.is_empty(), "{deaths:#?}");
    if engine == Engine::Sqlite {
        assert_eq!(database.sql("PRAGMA integrity_check").trim(), "ok");
    }
}

#[test]
fn who_is_ended_by_a_signal_amid_a_statement_of_sqlite_does_not_crash() {
    who_is_ended_amid_a_statement_does_not_crash(Engine::Sqlite);
}

#[test]
fn who_is_ended_by_a_signal_amid_a_statement_of_postgresql_does_not_crash() {
    who_is_ended_amid_a_statement_does_not_crash(Engine::Postgres);
}

#[test]
fn who_is_ended_by_a_signal_amid_a_statement_of_mariadb_does_not_crash() {
    who_is_ended_amid_a_statement_does_not_crash(Engine::Mysql);
}

fn descriptors(httpd: &Httpd) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", httpd.pid())).unwrap().count()
}

/// Each restart ends the child that cleans.
fn twenty_restarts_amid_the_cleaning_kill_no_child_and_leak_no_connection(mpm: Mpm) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let setup = Httpd::with(mpm).workers(8).conf("SessionCleanupInterval 1");
        let database = Database::new(engine, setup.root());
        let httpd = setup.database(database.clone()).start();
        let rows: Vec<_> = (0..30_000).map(|n| format!("('{n:064x}', {}, 5, 'nonsense')", n + 1)).collect();
        database.sql(&format!("INSERT INTO {} (k, ver, expires, data) VALUES {}", database.table(), rows.join(", ")));
        let mut client = httpd.client();
        assert_eq!(client.get("/conform?add=n:1&save").line("add"), "1");
        httpd.graceful();
        let before = descriptors(&httpd);
        for n in 0..20_u64 {
            // A pass begins a second after the child.
            thread::sleep(Duration::from_millis(if n % 2 == 0 { 50 } else { 1050 + n * 17 }));
            assert_eq!(client.get("/conform?add=n:1&save").line("add"), (n + 2).to_string());
            httpd.graceful();
        }
        println!("{engine:?}, {mpm:?}: {} rows left, {before} descriptors before, {} after", database.count(), descriptors(&httpd));
        assert_eq!(httpd.log_lines_with("exit signal"), Vec::<String>::new());
        assert_eq!(descriptors(&httpd), before);
        assert!(database.count() < 30_000, "nothing was cleaned");
    }
}

mpm_tests!(twenty_restarts_amid_the_cleaning_kill_no_child_and_leak_no_connection);
