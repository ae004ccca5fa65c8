//! Stores: a blob read, and read and written in one step. The same through the repository, which decodes, merges and encodes: all that
//! a request does with a session but httpd.

#[path = "../../tests/support/memory.rs"]
#[allow(dead_code, reason = "the tests do more with it")]
mod memory;

use std::cell::Cell;
use std::path::Path;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use mod_session_rs::repository::{Repository, Saved, Terms};
use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::directory::{self, Kind};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::memory::file::Maker;
use mod_session_rs::store::{Blob, Change, Durability, Store};

use crate::{NOW, SIZES, id, key, later, record, scope};

const FEW: u64 = 1000;
const MORE: u64 = 30_000;
/// A prime: sessions are visited in an order that no cache foresees.
const STEP: u64 = 7919;

struct Kept {
    name: &'static str,
    open: fn(&Path, u64, usize) -> Box<dyn Store>,
}

const STORES: [Kept; 3] = [
    Kept { name: "file", open: |dir, _, _| Box::new(FileStore::new(made(dir, Kind::File))) },
    Kept { name: "dbm", open: |dir, _, _| Box::new(DbmStore::new(made(dir, Kind::Dbm))) },
    Kept {
        name: "memory",
        open: |dir, sessions, size| {
            let bytes = sessions * (2 * size as u64 + 1000) + (4 << 20);
            drop(Maker::new(dir, bytes, None).and_then(|maker| maker.open()).expect("a store"));
            Box::new(memory::store(dir))
        },
    },
];

fn made(dir: &Path, kind: Kind) -> std::path::PathBuf {
    let dir = dir.join("sessions");
    directory::make(&dir, None).expect("a directory");
    directory::claim(&dir, kind).expect("its marker");
    dir
}

pub fn measure(criterion: &mut Criterion) {
    let crowd = std::env::var("MSRS_CROWD").ok().map(|number| number.parse::<u64>().expect("a number"));
    for kept in &STORES {
        let mut group = criterion.benchmark_group(format!("store/{}", kept.name));
        for (name, size) in SIZES {
            operations(&mut group, kept, name, FEW, size);
        }
        for sessions in [MORE].into_iter().chain(crowd) {
            operations(&mut group, kept, &format!("1 kB of {sessions}"), sessions, 1000);
        }
        group.finish();
    }
}

fn operations(group: &mut BenchmarkGroup<'_, WallTime>, kept: &Kept, name: &str, sessions: u64, size: usize) {
    let next = Cell::new(0);
    let any = || {
        next.set((next.get() + STEP) % sessions);
        next.get()
    };
    // Made only if something is measured in it: what is chosen by name should not wait for the rest.
    let room = std::cell::OnceCell::new();
    let store = || -> &dyn Store {
        let (_, store) = room.get_or_init(|| {
            let place = tempfile::tempdir().expect("a directory");
            let store = (kept.open)(place.path(), sessions, size);
            let blob = Blob::new(later(), record(size).encode());
            (0..sessions).for_each(|n| assert!(store.create(&key(n), &blob, Durability::Process).expect("room")));
            (place, store)
        });
        &**store
    };
    let keys = std::cell::OnceCell::new();
    let key_of = |n: u64| &keys.get_or_init(|| (0..sessions).map(key).collect::<Vec<_>>())[usize::try_from(n).expect("a number")];

    group.bench_function(BenchmarkId::new("load", name), |b| {
        let store = store();
        b.iter(|| store.load(key_of(any())).expect("a load").expect("a session"));
    });
    group.bench_function(BenchmarkId::new("commit", name), |b| {
        let store = store();
        b.iter(|| {
            let change = &mut |found: Option<&Blob>| Change::Write(found.expect("a session").clone());
            store.update(key_of(any()), Durability::Process, change).expect("an update")
        });
    });
    if size != 1000 || sessions != FEW {
        return;
    }
    let terms = Terms::new(scope());
    let open = |store| {
        let sessions = Repository { store, terms: &terms };
        let found = sessions.open(&id(any()), NOW).expect("a store").expect("a session");
        (sessions, found)
    };
    group.bench_function(BenchmarkId::new("session opened", name), |b| {
        let store = store();
        b.iter(|| open(store).1);
    });
    group.bench_function(BenchmarkId::new("session opened, changed and saved", name), |b| {
        let store = store();
        b.iter(|| {
            let (sessions, mut session) = open(store);
            session.add("n", 1).expect("a number");
            let saved = sessions.save(&mut session, NOW).expect("a save");
            assert!(matches!(saved, Saved::Changed { .. }));
        });
    });
}
