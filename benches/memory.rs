//! `cargo bench --bench memory`: what single operations on the memory store cost, what a session takes there, and what a million of them
//! do to a counter page and to a cleaning pass.
//!
//! Others work on the machine too, so medians count, and ratios of rounds that are interleaved.

#[path = "measuring/mod.rs"]
mod measuring;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use measuring::{Report, median, wrk};
use mod_session_rs::session::{Id, Key, Record, Scope, Timestamp, Value, Values};
use mod_session_rs::store::memory::MemoryStore;
use mod_session_rs::store::memory::file::{Maker, NAME};
use mod_session_rs::store::{Blob, Change, Cursor, Durability, Store};
use support::{Httpd, Mpm, memory, wait_for};

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
const ROUNDS: usize = 7;
const SECONDS: u64 = 2;
/// Operations of which one time is taken.
const BATCH: u64 = 20_000;

fn main() {
    // Words choose parts of it; cargo adds its own.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if wants("operations") {
        operations();
    }
    if wants("room") {
        room();
    }
    if wants("http") {
        http();
    }
}

fn id(n: u64) -> Id {
    let mut bytes = [7; 24];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    Id::from_random(bytes)
}

fn key(n: u64) -> Key {
    Key::derive(&Scope { name: "localhost".into(), cookie: "sid".into() }, &id(n))
}

fn new_store(dir: &Path, bytes: u64) -> MemoryStore {
    drop(Maker::new(dir, bytes, None).and_then(|maker| maker.open()).expect("a store"));
    memory::store(dir)
}

fn operations() {
    println!("\nsingle operations on records of 400 bytes, keys at random; median of batches of {BATCH}; without the mutex of a change\n");
    println!("{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}  ns", "sessions", "load", "miss", "update", "create", "sweep, each");
    for sessions in [FEW, 100_000, MANY] {
        let place = tempfile::tempdir().expect("a directory");
        let store = new_store(place.path(), (sessions + 2 * BATCH) * 800);
        let blob = |expires| Blob::new(Timestamp(expires), vec![0x5a; 400]);
        // Keys are made beforehand: their hash is no work of the store.
        let mut keys: Vec<_> = (0..sessions).map(key).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut keys);
        let strangers: Vec<_> = (0..BATCH).map(|n| key(n + (1 << 40))).collect();
        keys.iter().for_each(|key| assert!(store.create(key, &blob(1000), Durability::Process).expect("room")));
        let time = |run: &mut dyn FnMut(u64)| {
            median((0..15).map(|batch| {
                let started = Instant::now();
                (0..BATCH).for_each(|n| run(batch * BATCH + n));
                started.elapsed().as_nanos() as f64 / BATCH as f64
            }))
        };
        let any = |n: u64| &keys[(n % sessions) as usize];
        let load = time(&mut |n| drop(black_box(store.load(any(n)).expect("a load").expect("a session"))));
        let miss = time(&mut |n| assert!(store.load(&strangers[(n % BATCH) as usize]).expect("a load").is_none()));
        let update = time(&mut |n| {
            store.update(any(n), Durability::Process, &mut |_| Change::Write(blob(1000 + n))).expect("an update");
        });
        let create = median((0..5).map(|_| {
            let started = Instant::now();
            strangers.iter().for_each(|key| assert!(store.create(key, &blob(1), Durability::Process).expect("room")));
            let took = started.elapsed().as_nanos() as f64 / BATCH as f64;
            let change = &mut |_: Option<&Blob>| Change::Delete;
            strangers.iter().for_each(|key| drop(black_box(store.update(key, Durability::Process, change))));
            took
        }));
        let started = Instant::now();
        let swept = store.sweep(Timestamp(2), Duration::from_secs(600), Cursor::default(), &mut |_, _| {}).expect("a pass");
        let sweep = started.elapsed().as_nanos() as f64 / swept.seen as f64;
        println!("{sessions:>10}{load:>10.0}{miss:>10.0}{update:>10.0}{create:>10.0}{sweep:>12.0}");
    }
}

fn room() {
    println!("\nsessions in SessionStore memory (64M) until new ones are refused\n");
    println!("{:>10}{:>12}{:>20}", "bytes", "sessions", "bytes per session");
    for bytes in [100, 400, 1000, 4000, 10_000] {
        let place = tempfile::tempdir().expect("a directory");
        let store = new_store(place.path(), 64 << 20);
        let blob = Blob::new(Timestamp(1000), vec![0x5a; bytes]);
        let sessions = (0..).find(|&n| store.create(&key(n), &blob, Durability::Process).is_err()).expect("an end");
        println!("{bytes:>10}{sessions:>12}{:>20.0}", (64 << 20) as f64 / sessions as f64);
    }
}

/// Sessions with these numbers that a counter page finds; one of ten expired if `expired`.
fn fill(dir: &Path, sessions: u64, expired: bool) {
    let store = memory::store(dir);
    let now = Timestamp(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_micros().try_into().expect("64 bits"));
    let mut values = Values::default();
    values.set("n", Value::Int(1));
    values.set("name", Value::Text("x".repeat(320)));
    let record = Record { incarnation: 1, created: now, accessed: now, timeout: 36_000, presented: true, user: None, values };
    let bytes = record.encode();
    for n in 0..sessions {
        let expires = if expired && n % 10 == 0 { now.minus(3_600_000_000) } else { now.plus(36_000_000_000) };
        let blob = Blob::new(expires, bytes.clone());
        assert!(store.create(&key(n), &blob, Durability::Process).expect("room"));
    }
}

fn http() {
    let conf = |interval: u32| {
        format!(
            "SessionCleanupInterval {interval}\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\nSessionTimeout 36000\nSessionLock access
            <Location /few>\nSetHandler count\nSessionDir @ROOT@/few\nSessionStore memory\n</Location>
            <Location /many>\nSetHandler count\nSessionDir @ROOT@/many\nSessionStore memory:800M\nSessionIdCookie sid Path=/many\n</Location>"
        )
    };
    let mut httpd = Httpd::with(Mpm::Event).workers(16).log_level("notice session:warn").conf(&conf(0)).start();
    httpd.stop(); // the memory is at rest
    let [few, many] = ["few", "many"].map(|name| httpd.root().join(name));
    fill(&few, FEW, false);
    fill(&many, MANY, false);
    httpd.start_again();
    let ids = |name: &str, sessions: u64| {
        let path = httpd.root().join(format!("{name}.ids"));
        let mut file = File::create(&path).expect("a list of ids");
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            writeln!(file, "{}", id(random.u64(..sessions)).expose()).expect("a list of ids");
        }
        path
    };
    let pages =
        [("hello", "/hello", ids("few", FEW)), ("1 000 sessions", "/few", ids("few", FEW)), ("1 000 000", "/many", ids("many", MANY))];
    pages.iter().for_each(|(_, path, ids)| assert!(load(&httpd, path, ids) > 0.0));
    let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| std::array::from_fn(|page| load(&httpd, pages[page].1, &pages[page].2))).collect();
    println!("\ncounter over HTTP, each request in another session; median of {ROUNDS} interleaved rounds of {SECONDS} s; event MPM\n");
    println!("{:<18}{:>12}{:>16}{:>18}", "page", "requests/s", "ratio to hello", "ratio to 1 000");
    for (page, (name, ..)) in pages.iter().enumerate() {
        let of = |base: usize| median(rounds.iter().map(|round| round[page] / round[base]));
        println!("{name:<18}{:>12.0}{:>16.2}{:>18.2}", median(rounds.iter().map(|round| round[page])), of(0), of(1));
    }

    let resident = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
        (of("Rss:").unwrap_or(0) / 1024, of("Private_Dirty:").unwrap_or(0) / 1024)
    };
    println!(
        "\nmemory of the children in MiB, resident and of their own: {:?}",
        httpd.children().into_iter().map(resident).collect::<Vec<_>>()
    );

    httpd.stop();
    fs::remove_file(many.join(NAME)).expect("the memory");
    httpd.reconfigure(&format!("{}\nLogLevel session:info", conf(0)));
    httpd.start_again();
    httpd.stop();
    fill(&many, MANY, true);
    httpd.reconfigure(&format!("{}\nLogLevel session:info", conf(1)));
    httpd.start_again();
    let pass = wait_for("a pass", || httpd.log_lines_with("cleaned ").into_iter().find(|line| line.contains("deleted 100000 of")));
    println!("\n{}", pass.split_once("cleaned ").expect("a pass").1);
}

fn load(httpd: &Httpd, path: &str, ids: &Path) -> f64 {
    Report::of_success(wrk(httpd, path, "many", SECONDS).env("IDS", ids)).requests_per_second()
}
