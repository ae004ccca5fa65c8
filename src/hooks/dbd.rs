//! The database of `SessionStore dbd`: the store's connections are those of mod_dbd.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::httpd::Server;
use crate::httpd::dbd::{Argument, Connection as Raw, Datum, Kind};
use crate::store::Durability;
use crate::store::dbd::database::{Column, Connection, Database, Failure, Field, Value};
use crate::store::dbd::sql::{Engine, Statement};

/// After a connection could not be had, nobody tries again for so long: an attempt may take its time, and mod_dbd logs each.
const PAUSE: Duration = Duration::from_millis(200);

/// The pool of connections of a server.
pub struct ModDbd {
    server: Option<Server<'static>>,
    made: Instant,
    /// Microseconds after that.
    pause_ends: AtomicU64,
}

impl ModDbd {
    /// `None` is of no server, and has no connections.
    pub fn new(server: Option<Server<'static>>) -> ModDbd {
        ModDbd { server, made: Instant::now(), pause_ends: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A connection that broke while nobody had it is worth a second try, which gets another.
    fn open(&self) -> Result<Raw, String> {
        let server = self.server.ok_or("no server")?;
        if self.now() < self.pause_ends.load(Ordering::Relaxed) {
            return Err("there was none a moment ago".into());
        }
        Raw::open(server).or_else(|_| Raw::open(server)).inspect_err(|_| {
            let pause = u64::try_from(PAUSE.as_micros()).unwrap_or(0);
            self.pause_ends.store(self.now() + pause, Ordering::Relaxed);
        })
    }
}

impl Database for ModDbd {
    fn with(&self, work: &mut dyn FnMut(&mut dyn Connection)) -> Result<(), Failure> {
        let raw = self.open().map_err(Failure::Away)?;
        let driver = raw.driver().to_string_lossy().into_owned();
        let engine = Engine::of_driver(&driver)
            .ok_or_else(|| Failure::Away(format!("DBDriver {driver} is not supported: use sqlite3, pgsql or mysql")))?;
        let mut connection = Pooled { raw, engine };
        connection.greet();
        work(&mut connection);
        Ok(())
    }
}

/// What a new connection is told. Who finds an SQLite database locked by another process else sleeps for 100 ms in APR's driver.
pub fn greet(connection: &mut Raw, engine: Engine) {
    if engine == Engine::Sqlite {
        connection.command(c"PRAGMA busy_timeout = 300");
        let usual = waits(connection);
        *connection.note() = usual;
    }
}

/// How SQLite waits for the disk on a connection: 0 not at all, 1 now and then, 2 at each commit, 3 more than that. Without write-ahead
/// logging this is left alone ([`LEFT_ALONE`]): there, 1 may cost the database in a crash of the machine.
fn waits(connection: &mut Raw) -> u32 {
    let mut ask = |label: &CStr, sql: &CStr, kind| {
        connection.prepare(label, sql).ok()?;
        connection.select(label, sql, &[], &[kind]).ok()?.into_iter().flatten().next()
    };
    match (ask(c"msrs_journal", c"PRAGMA journal_mode", Kind::Bytes), ask(c"msrs_waits", c"PRAGMA synchronous", Kind::Integer)) {
        (Some(Datum::Bytes(mode)), Some(Datum::Integer(waits))) if mode == b"wal" => u32::try_from(waits).unwrap_or(LEFT_ALONE),
        _ => LEFT_ALONE,
    }
}

const LEFT_ALONE: u32 = u32::MAX;

/// What SQLite is told for one commit and then again, where that differs from what others on this connection want.
fn for_one_commit(usual: u32, durability: Durability) -> Option<(&'static CStr, &'static CStr)> {
    const NORMAL: &CStr = c"PRAGMA synchronous = 1";
    const FULL: &CStr = c"PRAGMA synchronous = 2";
    match (durability, usual) {
        (Durability::Process, 2) => Some((NORMAL, FULL)),
        (Durability::Process, 3) => Some((NORMAL, c"PRAGMA synchronous = 3")),
        (Durability::Machine, 0) => Some((FULL, c"PRAGMA synchronous = 0")),
        (Durability::Machine, 1) => Some((FULL, NORMAL)),
        _ => None,
    }
}

/// Whether a statement cannot be prepared now only: SQLite reads the file for that.
pub fn is_busy(engine: Engine, why: &str) -> bool {
    engine == Engine::Sqlite && why.contains("locked")
}

struct Pooled {
    raw: Raw,
    engine: Engine,
}

impl Pooled {
    fn greet(&mut self) {
        if self.raw.is_new() {
            greet(&mut self.raw, self.engine);
        }
    }

    fn prepare(&mut self, statement: &Statement) -> Result<(), Failure> {
        if self.raw.knows(&statement.label) {
            return Ok(());
        }
        if self.engine == Engine::Postgres && self.raw.is_renewed() {
            let deallocate = [b"DEALLOCATE ", statement.label.as_bytes()].concat();
            self.raw.command(&std::ffi::CString::new(deallocate).expect("a label has no NUL"));
        }
        let failure = |why: String| if is_busy(self.engine, &why) { Failure::Failed(why) } else { Failure::Unprepared(why) };
        self.raw.prepare(&statement.label, &statement.sql).map_err(failure)
    }

    /// The server may have forgotten the statements. SQLite keeps what was prepared once, as long as the connection lives, so there only
    /// what has become invalid is prepared anew.
    fn failed(&mut self, text: String) -> Failure {
        if self.engine != Engine::Sqlite || text.contains("schema") {
            self.raw.forget();
        }
        Failure::Failed(text)
    }
}

fn arguments<'v>(values: &'v [Value<'v>]) -> Vec<Argument<'v>> {
    let argument = |value: &Value<'v>| match *value {
        Value::Text(text) => Argument::Text(text),
        Value::Integer(number) => Argument::Integer(number),
        Value::Bytes(bytes) => Argument::Bytes(bytes),
    };
    values.iter().map(argument).collect()
}

impl Connection for Pooled {
    fn engine(&self) -> Engine {
        self.engine
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>], durability: Durability) -> Result<u64, Failure> {
        self.prepare(statement)?;
        let unusual = if self.engine == Engine::Sqlite { for_one_commit(*self.raw.note(), durability) } else { None };
        unusual.iter().for_each(|(now, _)| self.raw.command(now));
        let done = self.raw.execute(&statement.label, &statement.sql, &arguments(values));
        unusual.iter().for_each(|(_, again)| self.raw.command(again));
        done.map_err(|text| self.failed(text))
    }

    fn query(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>, Failure> {
        self.prepare(statement)?;
        let kinds = statement.columns().iter().map(|column| match column {
            Column::Integer => Kind::Integer,
            Column::Text | Column::Bytes => Kind::Bytes,
        });
        let kinds: Vec<_> = kinds.collect();
        let found = self.raw.select(&statement.label, &statement.sql, &arguments(values), &kinds);
        let rows = found.map_err(|text| self.failed(text))?;
        let engine = self.engine;
        let row = |row: Vec<Datum>| row.into_iter().zip(statement.columns()).map(|(datum, column)| field(engine, datum, *column)).collect();
        rows.into_iter().map(row).collect()
    }
}

fn field(engine: Engine, datum: Datum, column: Column) -> Result<Field, Failure> {
    let unreadable = |what: &str| Failure::Failed(format!("the database answers {what}"));
    match (datum, column) {
        (Datum::Integer(number), _) => Ok(Field::Integer(number)),
        (Datum::Bytes(bytes), Column::Text) => String::from_utf8(bytes).map(Field::Text).map_err(|_| unreadable("text that is none")),
        (Datum::Bytes(bytes), _) if engine == Engine::Postgres => {
            let hex = bytes.strip_prefix(b"\\x").and_then(|hex| data_encoding::HEXLOWER.decode(hex).ok());
            hex.map(Field::Bytes).ok_or_else(|| unreadable("bytes not in hex: set bytea_output = 'hex'"))
        }
        (Datum::Bytes(bytes), _) => Ok(Field::Bytes(bytes)),
    }
}

#[cfg(test)]
mod tests;
