//! `cargo bench --bench crowd -- [file] [dbm]`: a store with a thousand sessions and with a million. What one operation costs, the counter over
//! HTTP where each request is of another session, disk and memory, and a cleaning pass with a tenth of them expired. `MSRS_CROWD=100000`
//! takes another number.
//!
//! The machine has other work: of each figure the median of several rounds counts, and ratios are of rounds in turn.

#[path = "measuring/mod.rs"]
mod measuring;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use measuring::{CONNECTIONS, Report, median, wrk};
use mod_session_rs::session::{Id, Key, Record, Scope, Timestamp, Value, Values};
use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::directory::{self, Kind};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Change, Cursor, Durability, Store, Sweep};
use rustix::process::geteuid;
use rustix::time::{ClockId, clock_gettime};
use support::{Httpd, Mpm};

const FEW: u64 = 1000;
const ROUNDS: usize = 7;
/// Of an operation, in a round.
const OPERATIONS: u64 = 20_000;
const SECONDS: u64 = 2;
/// What a session holds beside the counter.
const TEXT: usize = 400;
const HOUR: u64 = 3_600_000_000;
/// One of so many has expired when the store is cleaned.
const EXPIRED: u64 = 10;
/// As the server's cleaner does.
const SLICE: Duration = Duration::from_millis(50);
const REST: u32 = 4;

struct Subject {
    name: &'static str,
    conf: &'static str,
    kind: Kind,
    open: fn(&Path) -> Box<dyn Store>,
}

const SUBJECTS: [Subject; 2] = [
    Subject { name: "file", conf: "", kind: Kind::File, open: |dir| Box::new(FileStore::new(dir.to_owned())) },
    Subject { name: "dbm", conf: "SessionStore dbm", kind: Kind::Dbm, open: |dir| Box::new(DbmStore::new(dir.to_owned())) },
];

fn main() {
    let many = std::env::var("MSRS_CROWD").map_or(1_000_000, |number| number.parse().expect("a number"));
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for subject in SUBJECTS.iter().filter(|subject| wanted.is_empty() || wanted.iter().any(|word| word == subject.name)) {
        measure(subject, many);
    }
}

fn now() -> Timestamp {
    Timestamp(UNIX_EPOCH.elapsed().expect("a clock").as_micros().try_into().expect("64 bits"))
}

/// The id is the number, so that clients know the ids of a crowd.
fn key(n: u64) -> Key {
    let id = Id::parse(format!("{n:032}").as_bytes()).expect("an id");
    Key::derive(&Scope { name: "localhost".into(), cookie: "sid".into() }, &id)
}

fn measure(subject: &Subject, many: u64) {
    println!("\n{}\n", subject.name);
    let conf = format!("SessionDir @DIR@\n{}\nSessionCleanupInterval 0\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0", subject.conf);
    let rooms = [FEW, many].map(|number| {
        let setup = Httpd::with(Mpm::Event).workers(16).log_level("notice").conf(&conf).conf("<Location /hello>\nSession Off\n</Location>");
        let started = Instant::now();
        directory::make(&setup.dir(), None).expect("a directory");
        directory::claim(&setup.dir(), subject.kind).expect("its marker");
        let store = (subject.open)(&setup.dir());
        fill(&*store, number);
        let each = started.elapsed() / u32::try_from(number).expect("a crowd");
        println!("{number:>8} sessions: created in {each:?} each; {}", disk(&setup.dir(), number));
        setup
    });
    println!("\n{:<34}{:>14}{:>14}", "us of processor, warm, median", FEW, many);
    {
        let stores = rooms.each_ref().map(|room| (subject.open)(&room.dir()));
        let crowds = [FEW, many];
        for store in &stores {
            store.each(&mut |_, _| true).expect("a store");
        }
        for (name, operation) in OPERATIONS_OF_A_STORE {
            let mut rounds = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (place, store) in stores.iter().enumerate() {
                    rounds[place].push(time(&**store, crowds[place], operation));
                }
            }
            let [few, many] = rounds.map(median);
            println!("{name:<34}{few:>14.2}{many:>14.2}");
        }
    }
    for room in &rooms {
        give_away(&room.dir());
    }
    let servers = rooms.map(support::Setup::start);
    counter(&servers, many);
    let [_, server] = servers;
    clean(subject, server, many);
}

fn blob(expires: Timestamp) -> Blob {
    let mut values = Values::default();
    values.set("n", Value::Int(1));
    values.set("text", Value::Text("x".repeat(TEXT)));
    let record = Record { incarnation: 1, created: now(), accessed: now(), timeout: 7200, presented: true, user: None, values };
    Blob::new(expires, record.encode())
}

fn fill(store: &dyn Store, number: u64) {
    let blob = blob(now().plus(2 * HOUR));
    for n in 0..number {
        let blob = Blob::new(blob.expires.plus(n), blob.bytes.clone());
        assert!(store.create(&key(n), &blob, Durability::Process).expect("a session"));
    }
}

type Operation = fn(&dyn Store, &Key);

const OPERATIONS_OF_A_STORE: [(&str, Operation); 6] = [
    ("load", |store, key| drop(black_box(store.load(key).expect("a store")))),
    ("load of what is not there", |store, key| {
        let mut key = *key;
        key.0[31] ^= 1;
        assert!(store.load(&key).expect("a store").is_none());
    }),
    ("load to change it", |store, key| drop(black_box(store.load_to_change(key).expect("a store")))),
    ("load to change it, and the change", |store, key| {
        let loaded = store.load_to_change(key).expect("a store");
        update(store, key, loaded.as_ref(), 0);
    }),
    ("update, the expiry stays", |store, key| update(store, key, None, 0)),
    ("update, the expiry moves", |store, key| update(store, key, None, 1000)),
];

fn update(store: &dyn Store, key: &Key, loaded: Option<&Blob>, later: u64) {
    let mut change = |found: Option<&Blob>| {
        let found = found.expect("a session");
        Change::Write(Blob::new(found.expires.plus(later), found.bytes.clone()))
    };
    store.update_from(key, loaded, Durability::Process, &mut change).expect("a store");
}

/// Microseconds of the processor for an operation, each on another session. Nothing waits here, and others' work does not count.
fn time(store: &dyn Store, crowd: u64, operation: Operation) -> f64 {
    let keys: Vec<_> = (0..OPERATIONS).map(|_| key(fastrand::u64(0..crowd))).collect();
    let started = processor();
    keys.iter().for_each(|key| operation(store, key));
    (processor() - started).as_secs_f64() * 1e6 / OPERATIONS as f64
}

fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a time")
}

fn counter(servers: &[Httpd; 2], many: u64) {
    let pages = [
        ("hello", &servers[0], "/hello", None),
        ("of 8 sessions beside", &servers[0], "/count", None),
        ("of 8 sessions beside", &servers[1], "/count", None),
        ("of any session among", &servers[0], "/count", Some(FEW)),
        ("of any session among", &servers[1], "/count", Some(many)),
    ];
    for (_, server, page, crowd) in pages {
        load(server, crowd, page);
    }
    let mut rounds = pages.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (rounds, (_, server, page, crowd)) in rounds.iter_mut().zip(pages) {
            rounds.push(load(server, crowd, page));
        }
    }
    let ratio = |of: usize, to: usize| median(rounds[of].iter().zip(&rounds[to]).map(|(of, to)| of / to));
    println!("\na counter, {CONNECTIONS} keep-alive connections; median of {ROUNDS} interleaved rounds of {SECONDS} s; event MPM\n");
    println!("{:<34}{:>14}{:>14}{:>14}", "", "requests/s", "to hello", "to a thousand");
    for (place, (what, ..)) in pages.iter().enumerate() {
        let name = if place == 0 { (*what).to_owned() } else { format!("{what} {}", if place % 2 == 1 { FEW } else { many }) };
        let rate = median(rounds[place].iter().copied());
        let to_few = if place > 0 && place % 2 == 0 { format!("{:.2}", ratio(place, place - 1)) } else { String::new() };
        println!("{name:<34}{rate:>14.0}{:>14.2}{to_few:>14}", ratio(place, 0));
    }
    println!("\nmemory of the children: {}", [memory(&servers[0], FEW), memory(&servers[1], many)].join("; "));
}

/// `crowd`: each request is of another of so many sessions. Else each connection has its own.
fn load(httpd: &Httpd, crowd: Option<u64>, page: &str) -> f64 {
    let script = if crowd.is_some() { "crowd" } else { "jar" };
    let mut wrk = wrk(httpd, page, script, SECONDS);
    Report::of_success(wrk.env("CROWD", crowd.unwrap_or_default().to_string())).requests_per_second()
}

/// What the children have for themselves, and what they see of the store, which the kernel can take back.
fn memory(httpd: &Httpd, crowd: u64) -> String {
    let field = |pid: u32, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let sum = |name| httpd.children().into_iter().filter_map(|pid| field(pid, name)).sum::<u64>() / 1024;
    format!("{crowd} sessions: {} MiB of their own, {} MiB with what is mapped", sum("Pss_Anon:"), sum("Pss:"))
}

fn disk(dir: &Path, number: u64) -> String {
    fn blocks(dir: &Path, seen: &mut HashSet<u64>) -> u64 {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let Ok(found) = entry.metadata() else { return 0 };
                let below = if found.is_dir() { blocks(&entry.path(), seen) } else { 0 };
                below + if seen.insert(found.ino()) { found.blocks() } else { 0 }
            })
            .sum()
    }
    let bytes = blocks(dir, &mut HashSet::new()) * 512;
    format!("{} MiB of disk, {} bytes each", bytes >> 20, bytes / number)
}

fn give_away(dir: &Path) {
    if geteuid().is_root() {
        assert!(Command::new("chown").args(["-R", "www-data:www-data"]).arg(dir).status().expect("chown").success());
    }
}

/// A pass as the server makes it, over sessions of which one in ten expired long ago.
fn clean(subject: &Subject, mut server: Httpd, many: u64) {
    server.stop();
    if geteuid().is_root() {
        assert!(Command::new("chown").arg("-R").arg("root:root").arg(server.dir()).status().expect("chown").success());
    }
    let store = (subject.open)(&server.dir());
    for n in (0..many).step_by(EXPIRED as usize) {
        let mut expire = |found: Option<&Blob>| Change::Write(Blob { expires: Timestamp(1000 + n), ..found.expect("a session").clone() });
        store.update(&key(n), Durability::Process, &mut expire).expect("a store");
    }
    let (started, mut worked, mut slices, mut longest) = (Instant::now(), Duration::ZERO, 0, Duration::ZERO);
    let mut pass = Sweep { next: Some(Cursor::default()), ..Sweep::default() };
    while let Some(from) = pass.next.take() {
        let slice = Instant::now();
        pass.add(store.sweep(Timestamp(1 << 40), SLICE, from, &mut |_, _| {}).expect("a store"));
        let took = slice.elapsed();
        (worked, slices, longest) = (worked + took, slices + 1, longest.max(took));
        sleep(took * REST);
    }
    println!(
        "\na cleaning pass: {} of {} deleted in {:.1} s, {slices} slices of work for {:.1} s together, the longest {:.0} ms; {}",
        pass.deleted,
        pass.seen,
        started.elapsed().as_secs_f64(),
        worked.as_secs_f64(),
        longest.as_secs_f64() * 1000.0,
        disk(&server.dir(), many),
    );
    assert_eq!(pass.deleted, many.div_ceil(EXPIRED));
    give_away(&server.dir());
}
