//! Databases that stop and start while requests work with their sessions.

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mod_session_rs::store::dbd::sql::Engine;
use support::sql::{Database, SqlServer};
use support::{Client, Httpd, Mpm, wait_for};

fn add(client: &mut Client) -> String {
    client.get("/conform?add=n:1&save").line("add").to_owned()
}

/// What one client was told.
#[derive(Default)]
struct Told {
    acknowledged: AtomicU64,
    /// Answered with an error: done or not.
    unsure: AtomicU64,
}

fn goes_on(client: &mut Client, told: &Told, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let response = client.get("/conform?new&add=n:1&save");
        let is_added = response.line("add").parse::<u64>().is_ok() && response.line("save") == "ok";
        match (response.status, response.line("new")) {
            (200, "0" | "!store") if is_added => drop(told.acknowledged.fetch_add(1, Ordering::Relaxed)),
            (200, "0" | "!store") => {
                assert!(response.text().contains("!store"), "{}", response.text());
                told.unsure.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
            _ => panic!("{}: {}", response.status, response.text()),
        }
    }
}

/// Four clients with a session each and four that share one; the database ends gently and by SIGKILL.
fn a_database_comes_and_goes(engine: Engine) {
    let server = Arc::new(SqlServer::start(engine, &[]));
    let setup = Httpd::with(Mpm::Event).workers(16).conf("SessionLock access").expect_log("[dbd:");
    let setup = setup.expect_log("cannot load a session").expect_log("cannot save a session").expect_log("cannot clean");
    let httpd = setup.database(Database::on(&server)).start();
    let children = httpd.children();
    let shared = httpd.client();
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let mut client = if n == 4 { shared.clone() } else { httpd.client() };
            assert_eq!(add(&mut client), "1");
            client
        })
        .collect();
    let clients: Vec<_> = clients.iter().enumerate().map(|(n, client)| if n < 4 { client.clone() } else { clients[4].clone() }).collect();
    let (told, stop): (Vec<Told>, _) = ((0..8).map(|_| Told::default()).collect(), AtomicBool::new(false));
    thread::scope(|scope| {
        for (client, told) in clients.iter().zip(&told) {
            let (mut client, stop) = (client.clone(), &stop);
            scope.spawn(move || goes_on(&mut client, told, stop));
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..4 {
                thread::sleep(Duration::from_millis(400));
                if round % 2 == 0 {
                    server.stop()
                } else {
                    server.kill()
                }
                thread::sleep(Duration::from_millis(300));
                server.start_again();
                let before: Vec<_> = told.iter().map(|told| told.acknowledged.load(Ordering::Relaxed)).collect();
                let goes_on = |(told, before): (&Told, &u64)| told.acknowledged.load(Ordering::Relaxed) > before + 1;
                wait_for("all to go on", || told.iter().zip(&before).all(goes_on).then_some(()));
            }
        }));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(httpd.children(), children, "children died");
    let sum = |range: std::ops::Range<usize>, of: fn(&Told) -> &AtomicU64| {
        told[range].iter().map(|told| of(told).load(Ordering::Relaxed)).sum::<u64>()
    };
    for (client, range) in [(0, 0..1), (1, 1..2), (2, 2..3), (3, 3..4), (4, 4..8)] {
        // A child that met the database away rests for a moment before it asks again, and that may be now. It says so: what it must not say is
        // that there is no session.
        let stored: u64 = wait_for("the database in each child", || {
            let answer = clients[client].clone().get("/conform?new&get=n");
            let is_away = answer.line("new") == "!store";
            (!is_away).then(|| answer.line("get").parse().unwrap_or_else(|_| panic!("{}", answer.text())))
        });
        let (acknowledged, unsure) = (sum(range.clone(), |told| &told.acknowledged), sum(range, |told| &told.unsure));
        println!("{engine:?}, client {client}: {acknowledged} acknowledged, {unsure} unsure, {stored} stored");
        assert!(
            (acknowledged..=acknowledged + unsure).contains(&(stored - 1)),
            "{acknowledged} acknowledged, {unsure} unsure, {stored} stored"
        );
        assert!(acknowledged > 0 && unsure > 0);
    }
}

#[test]
fn postgresql_stops_and_starts_under_load_and_no_acknowledged_change_is_lost() {
    a_database_comes_and_goes(Engine::Postgres);
}

#[test]
fn mariadb_stops_and_starts_under_load_and_no_acknowledged_change_is_lost() {
    a_database_comes_and_goes(Engine::Mysql);
}

/// SQLite lets one write at a time, and the driver of APR waits six seconds for each statement. A page saves twice.
#[test]
fn who_waits_for_a_database_that_another_process_keeps_locked_is_told_in_time() {
    let setup = Httpd::with(Mpm::Event).expect_log("cannot save a session").expect_log("[dbd:");
    let database = Database::new(Engine::Sqlite, setup.root());
    let httpd = setup.database(database.clone()).start();
    let mut client = httpd.client();
    assert_eq!(add(&mut client), "1");
    let mut other = std::process::Command::new("sqlite3").arg(database.parameters()).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut tell = other.stdin.take().unwrap();
    writeln!(tell, "BEGIN IMMEDIATE;").unwrap();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(client.clone().get("/conform?get=n").line("get"), "1", "who only reads does not wait");
    let started = Instant::now();
    assert_eq!(client.get("/conform?add=n:1&save").line("save"), "!store");
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    drop(tell);
    assert!(other.wait().unwrap().success());
    assert_eq!(add(&mut client), "2");
}
