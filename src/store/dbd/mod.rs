//! Sessions in a table of an SQL database.
//!
//! A change is compare and set: it names the version of the row that it has seen, and writes a new one. Versions are random numbers, not
//! counters: so a row that was deleted and made anew is never taken for the old one, and who lost the answer to a change can see later
//! whether it is his version that is there.
//!
//! Any failure is tried again, a few times and for a fraction of a second: a deadlock that the engine resolved, a server that came back, or
//! statements that it forgot. A change that may have been done before its answer was lost is not done twice: the second one names the
//! version before, and finds another.

pub mod database;
mod patience;
pub mod sql;
mod sweep;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use once_cell::sync::OnceCell;

use super::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};
use crate::session::{Key, Timestamp};
use database::{Connection, Database, Failure, Field, Value};
use patience::{PATIENCE, Tries, Turns};
use sql::{Operation, Statement, Statements, Table};

/// Damaged records are kept for inspection this long.
const CORRUPT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
const CORRUPT_SUFFIX: &str = ".corrupt";

pub struct DbdStore<D> {
    database: D,
    table: Table,
    /// The SQL of the engine, which a connection names.
    statements: OnceCell<Statements>,
}

/// What to do about a table that is missing, or is another one.
#[must_use]
pub fn unusable(driver: &str, table: &Table, why: &str) -> String {
    let other = if *table == Table::default() { String::new() } else { format!(" {table}") };
    format!(
        "SessionStore dbd: the table {table} cannot be used: {why}; make it with the SQL that 'htsession init-sql {driver}{other}' prints"
    )
}

/// A row of the table.
struct Row {
    version: i64,
    blob: Blob,
}

/// Positive, and so good as unique.
fn version() -> Result<i64> {
    let random = getrandom::u64().map_err(|error| Error::Failed(format!("no random numbers: {error}")))?;
    Ok((random >> 1).max(1).cast_signed())
}

/// What never ends is the greatest number there, too.
fn to_column(expires: Timestamp) -> i64 {
    i64::try_from(expires.0).unwrap_or(i64::MAX)
}

fn from_column(expires: i64) -> Timestamp {
    if expires == i64::MAX { Timestamp::NEVER } else { Timestamp(expires.max(0).cast_unsigned()) }
}

impl<D: Database> DbdStore<D> {
    /// Nothing is asked before the first use.
    #[must_use]
    pub fn new(database: D, table: Table) -> DbdStore<D> {
        DbdStore { database, table, statements: OnceCell::new() }
    }

    /// Takes a connection for one statement.
    fn with<T>(
        &self,
        operation: Operation,
        mut work: impl FnMut(&mut dyn Connection, &Statement) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Failure> {
        let mut done = None;
        self.database.with(&mut |connection| {
            let statements = self.statements.get_or_init(|| Statements::new(connection.engine(), &self.table));
            done = Some(work(connection, statements.of(operation)));
        })?;
        done.unwrap_or_else(|| Err(Failure::Away("no connection".into())))
    }

    fn query(&self, operation: Operation, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>> {
        let mut tries = Tries::new();
        loop {
            match self.with(operation, |connection, statement| connection.query(statement, values)) {
                Ok(rows) => return Ok(rows),
                Err(failure) if tries.again(&failure) => {}
                Err(failure) => return Err(self.failed(&failure)),
            }
        }
    }

    /// How many rows were changed, and whether there was a failure before, which may have changed some.
    fn execute(&self, operation: Operation, values: &[Value<'_>], durability: Durability) -> Result<(u64, bool)> {
        let mut tries = Tries::new();
        loop {
            match self.with(operation, |connection, statement| connection.execute(statement, values, durability)) {
                Ok(changed) => return Ok((changed, tries.unsure)),
                Err(failure) if tries.again(&failure) => {}
                Err(failure) => return Err(self.failed(&failure)),
            }
        }
    }

    fn failed(&self, failure: &Failure) -> Error {
        let table = &self.table;
        Error::Failed(match failure {
            Failure::Away(text) => format!("SessionStore dbd: no connection to the database: {text}"),
            Failure::Unprepared(text) => {
                let engine = self.statements.get().map_or("DRIVER", |statements| statements.engine().driver());
                unusable(engine, table, text)
            }
            Failure::Failed(text) => format!("SessionStore dbd: {text}"),
        })
    }

    /// A row that is not as `init-sql` made it.
    fn foreign(&self, key: &str) -> Error {
        Error::Corrupt(self.name(key))
    }

    fn name(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("row {} of {}", &key[..key.len().min(12)], self.table))
    }

    fn read(&self, key: &str) -> Result<Option<Row>> {
        let rows = self.query(Operation::Load, &[Value::Text(key)])?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut fields = row.into_iter();
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Field::Integer(version)), Some(Field::Integer(expires)), Some(Field::Bytes(bytes))) => {
                Ok(Some(Row { version, blob: Blob::new(from_column(expires), bytes) }))
            }
            _ => Err(self.foreign(key)),
        }
    }

    /// Puts a new version in the place of one. `false`: another one is there, or none.
    fn swap(&self, key: &str, seen: &Row, blob: &Blob, durability: Durability) -> Result<bool> {
        let new = version()?;
        let (ver, data, key_is) = (Value::Integer(new), Value::Bytes(&blob.bytes), Value::Text(key));
        let (expires, seen_is) = (Value::Integer(to_column(blob.expires)), Value::Integer(seen.version));
        // Most changes come within the touch interval.
        let done = if blob.expires == seen.blob.expires {
            self.execute(Operation::Rewrite, &[ver, data, key_is, seen_is], durability)?
        } else {
            self.execute(Operation::Update, &[ver, expires, data, key_is, seen_is], durability)?
        };
        match done {
            (1.., _) => Ok(true),
            (0, false) => Ok(false),
            (0, true) => match self.read(key)? {
                Some(row) if row.version == new => Ok(true),
                None => Ok(false),
                // Ours was there for a moment, or never: to try again might do it twice.
                Some(_) => {
                    Err(Error::Failed("SessionStore dbd: the answer to a change was lost, and the session has changed since".into()))
                }
            },
        }
    }

    /// Deletes one version. `false`: another one is there, or none.
    fn remove(&self, key: &str, seen: i64, durability: Durability) -> Result<bool> {
        match self.execute(Operation::Delete, &[Value::Text(key), Value::Integer(seen)], durability)? {
            (1.., _) => Ok(true),
            (0, false) => Ok(false),
            (0, true) => Ok(self.read(key)?.is_none()),
        }
    }

    /// Puts a row under the name of a damaged one. What is there goes only if it is in the way: it may be this very row, which another process
    /// has just put aside.
    fn put_aside(&self, key: &str, seen: i64) -> Result<bool> {
        let aside = format!("{key}{CORRUPT_SUFFIX}");
        let expires = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() + CORRUPT_AGE;
        let expires = i64::try_from(expires.as_micros()).unwrap_or(i64::MAX);
        let values = [Value::Text(&aside), Value::Integer(version()?), Value::Integer(expires), Value::Text(key), Value::Integer(seen)];
        let done = self.execute(Operation::Rename, &values, Durability::Process).or_else(|_| {
            self.execute(Operation::Discard, &[Value::Text(&aside)], Durability::Process)?;
            self.execute(Operation::Rename, &values, Durability::Process)
        });
        Ok(done? != (0, false))
    }
}

impl<D: Database> Store for DbdStore<D> {
    fn create(&self, key: &Key, blob: &Blob, durability: Durability) -> Result<bool> {
        let (key, new) = (key.hex(), version()?);
        let values = [Value::Text(&key), Value::Integer(new), Value::Integer(to_column(blob.expires)), Value::Bytes(&blob.bytes)];
        match self.execute(Operation::Insert, &values, durability)? {
            (1.., _) => Ok(true),
            (0, false) => Ok(false),
            (0, true) => Ok(self.read(&key)?.is_some_and(|row| row.version == new)),
        }
    }

    fn load(&self, key: &Key) -> Result<Option<Blob>> {
        let row = self.read(&key.hex())?;
        Ok(row.map(|Row { version, blob }| blob.known_by(version.cast_unsigned())))
    }

    fn update_from(
        &self,
        key: &Key,
        loaded: Option<&Blob>,
        durability: Durability,
        change: &mut dyn FnMut(Option<&Blob>) -> Change,
    ) -> Result<Outcome> {
        // If what was loaded is the newest still, which its version tells, there is no need to read it again.
        let row = |loaded: &Blob| Some(Row { version: loaded.version?.cast_signed(), blob: loaded.clone() });
        let mut known = loaded.and_then(row);
        let (key, mut turns) = (key.hex(), Turns::new());
        loop {
            let is_read = known.is_none();
            let Some(row) = known.take().map_or_else(|| self.read(&key), |row| Ok(Some(row)))? else {
                change(None);
                return Ok(Outcome::Kept);
            };
            let (done, outcome) = match change(Some(&row.blob)) {
                Change::Keep if is_read => return Ok(Outcome::Kept),
                Change::Keep => continue, // of the newest it may mean something else
                Change::Write(blob) | Change::Replace(blob) => (self.swap(&key, &row, &blob, durability)?, Outcome::Written),
                Change::Delete => (self.remove(&key, row.version, durability)?, Outcome::Deleted),
            };
            if done {
                return Ok(outcome);
            }
            if is_read && !turns.rest(row.version) {
                return Err(Error::Locked(self.name(&key), PATIENCE));
            }
        }
    }

    fn quarantine(&self, key: &Key, is_damaged: &dyn Fn(&Blob) -> bool) -> Result<()> {
        let (key, mut turns) = (key.hex(), Turns::new());
        loop {
            let Some(row) = self.read(&key)?.filter(|row| is_damaged(&row.blob)) else { return Ok(()) };
            if self.put_aside(&key, row.version)? || !turns.rest(row.version) {
                return Ok(());
            }
        }
    }

    fn sweep(&self, before: Timestamp, slice: Duration, from: Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        sweep::sweep(self, before, slice, from, deleted)
    }

    fn each(&self, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        sweep::each(self, visit)
    }
}

#[cfg(test)]
mod tests;
