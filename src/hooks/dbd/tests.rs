//! The promises of a store, on SQLite, PostgreSQL and MariaDB through APR's drivers.

#[path = "../../../tests/support/sql.rs"]
#[allow(dead_code)]
mod sql;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::sql::{Database as Place, SqlServer};
use super::*;
use crate::httpd::dbd::initialise;
use crate::session::{Key, Timestamp};
use crate::store::dbd::DbdStore;
use crate::store::dbd::sql::Table;
use crate::store::{Blob, Change, Durability, Entry, Outcome, Store, conformance};

fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited 60 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

thread_local! {
    /// As a pool does, but for each thread.
    static CONNECTION: RefCell<Option<(String, Pooled)>> = const { RefCell::new(None) };
}

/// Connections of this process, without mod_dbd.
struct Direct {
    engine: Engine,
    parameters: String,
}

impl Database for Direct {
    fn with(&self, work: &mut dyn FnMut(&mut dyn Connection)) -> Result<(), Failure> {
        CONNECTION.with_borrow_mut(|kept| {
            if kept.as_ref().is_none_or(|(parameters, _)| *parameters != self.parameters) {
                let raw = Raw::own(self.engine.driver(), &self.parameters).map_err(Failure::Away)?;
                *kept = Some((self.parameters.clone(), Pooled { raw, engine: self.engine }));
            }
            let (_, connection) = kept.as_mut().expect("just made");
            connection.greet();
            work(connection);
            Ok(())
        })
    }
}

/// An empty table, with the room of SQLite's file.
fn table(engine: Engine) -> (tempfile::TempDir, Place, DbdStore<Direct>) {
    initialise();
    let room = tempfile::tempdir().unwrap();
    std::fs::set_permissions(room.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place = Place::new(engine, room.path());
    let store = DbdStore::new(Direct { engine, parameters: place.parameters() }, Table::parse(&place.table()).unwrap());
    (room, place, store)
}

const KEY: Key = Key([0x5a; 32]);

fn blob(bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(9), bytes.to_vec())
}

fn keeps_the_promises(engine: Engine) {
    let (_room, place, store) = table(engine);
    conformance::run(&store);
    never_ending_and_every_byte(&store);
    rows_of_others(&place, &store);
    sessions_on_their_pages(&place, &store);
}

fn never_ending_and_every_byte(store: &dyn Store) {
    let every: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    for expires in [Timestamp(0), Timestamp(1_700_000_000_000_000), Timestamp::NEVER] {
        let value = Blob::new(expires, every.clone());
        assert!(store.create(&KEY, &value, Durability::Process).unwrap());
        assert_eq!(store.load(&KEY).unwrap(), Some(value));
        assert_eq!(store.update(&KEY, Durability::Process, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
    }
}

/// What somebody else put into the table is named once a pass and stays; a row put aside is no session.
fn rows_of_others(place: &Place, store: &dyn Store) {
    let table = place.table();
    assert!(store.create(&KEY, &blob(b"damage"), Durability::Process).unwrap());
    store.quarantine(&KEY, &|blob| *blob.bytes == *b"damage").unwrap();
    assert_eq!(store.load(&KEY).unwrap(), None);
    assert!(place.sql(&format!("SELECT k FROM {table}")).contains(&format!("{}.corrupt", KEY.hex())));
    place.sql(&format!("INSERT INTO {table} (k, ver, expires, data) VALUES ('thesis', 1, 1, '')"));
    let mut slice = store.sweep(Timestamp(9), Duration::from_secs(60), Default::default(), &mut |_, _| panic!("no session")).unwrap();
    assert!(slice.next.is_none());
    assert!(slice.foreign.take().unwrap().to_string_lossy().contains("thesis"));
    assert!(place.sql(&format!("SELECT k FROM {table}")).contains("thesis"));
    store.each(&mut |key, _| *key != KEY || panic!("it was put aside")).unwrap();
}

/// More than one statement lists or counts.
fn sessions_on_their_pages(place: &Place, store: &dyn Store) {
    place.sql(&format!("DELETE FROM {}", place.table()));
    let key = |n: u16| Key([[0x11; 30].as_slice(), &n.to_be_bytes()].concat().try_into().unwrap());
    let rows: Vec<_> = (0..4500).map(|n| format!("('{}', 1, {}, '')", key(n).hex(), if n < 100 { 5 } else { 50 })).collect();
    place.sql(&format!("INSERT INTO {} (k, ver, expires, data) VALUES {}", place.table(), rows.join(", ")));
    let mut told = Vec::new();
    let slice = store.sweep(Timestamp(9), Duration::from_secs(60), Default::default(), &mut |key, _| told.push(*key)).unwrap();
    assert_eq!((slice.seen, slice.deleted, slice.next), (4500, 100, None));
    assert_eq!(told, (0..100).map(key).collect::<Vec<_>>());
    let mut seen = Vec::new();
    let mut visit = |key: &Key, entry| {
        assert!(matches!(entry, Entry::Blob(_)));
        seen.push(*key);
        true
    };
    store.each(&mut visit).unwrap();
    assert_eq!(seen, (100..4500).map(key).collect::<Vec<_>>());
}

#[test]
fn the_dbd_store_keeps_the_promises_of_a_store_on_sqlite() {
    keeps_the_promises(Engine::Sqlite);
}

#[test]
fn the_dbd_store_keeps_the_promises_of_a_store_on_postgresql() {
    keeps_the_promises(Engine::Postgres);
}

#[test]
fn the_dbd_store_keeps_the_promises_of_a_store_on_mariadb() {
    keeps_the_promises(Engine::Mysql);
}

/// Another process changes the schema, or the server is started anew: what was prepared is void.
#[test]
fn statements_are_prepared_anew_when_the_database_has_forgotten_them() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let (_room, place, store) = table(engine);
        let count = |store: &dyn Store| {
            let add = &mut |found: Option<&Blob>| Change::Write(blob(&[found.unwrap().bytes[0] + 1]));
            assert_eq!(store.update(&KEY, Durability::Process, add).unwrap(), Outcome::Written, "{engine:?}");
            store.load(&KEY).unwrap().unwrap().bytes[0]
        };
        assert!(store.create(&KEY, &blob(&[0]), Durability::Process).unwrap());
        assert_eq!(count(&store), 1);
        for n in 0..3 {
            place.sql(&format!("ALTER TABLE {} ADD COLUMN more{n} INTEGER", place.table()));
            assert_eq!(count(&store), n + 2);
        }
        if engine == Engine::Postgres {
            CONNECTION.with_borrow_mut(|kept| kept.as_mut().unwrap().1.raw.command(c"DEALLOCATE ALL"));
            assert_eq!(count(&store), 5);
        }
        // Signals are blocked as long as a connection is in use, also for the servers that are started meanwhile.
        CONNECTION.take();
    }
}

#[test]
fn a_server_that_is_away_is_an_error() {
    initialise();
    let server = Arc::new(SqlServer::start(Engine::Postgres, &[]));
    let place = Place::on(&server);
    server.stop();
    let store = DbdStore::new(Direct { engine: Engine::Postgres, parameters: place.parameters() }, Table::parse(&place.table()).unwrap());
    let why = store.load(&KEY).unwrap_err().to_string();
    assert!(why.contains("SessionStore dbd: no connection to the database") && why.contains("socket"), "{why}");
}
