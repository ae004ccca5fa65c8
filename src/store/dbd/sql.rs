//! The statements and the schema, for each engine. Places for values are written as APR has them: `%s`, `%lld`, `%pDb`.

use std::ffi::CString;
use std::fmt;

use super::database::Column;

/// By the names of APR's drivers (`DBDriver`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    Mysql,
}

impl Engine {
    /// By the driver's name; `None`: one whose SQL is not known here.
    #[must_use]
    pub fn of_driver(name: &str) -> Option<Engine> {
        match name {
            "sqlite3" => Some(Engine::Sqlite),
            "pgsql" => Some(Engine::Postgres),
            "mysql" => Some(Engine::Mysql),
            _ => None,
        }
    }

    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite3",
            Engine::Postgres => "pgsql",
            Engine::Mysql => "mysql",
        }
    }
}

/// A name that can stand in a statement as it is, alone or behind that of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table(String);

impl Table {
    /// PostgreSQL and MySQL cut or refuse names from 64 on, and ours are parts of longer ones.
    const LONGEST: usize = 40;

    #[must_use]
    pub fn parse(name: &str) -> Option<Table> {
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        };
        let words: Vec<_> = name.split('.').collect();
        (name.len() <= Table::LONGEST && words.len() <= 2 && words.into_iter().all(is_word)).then(|| Table(name.to_owned()))
    }

    /// As a part of another name.
    fn word(&self) -> String {
        self.0.replace('.', "__")
    }

    /// The word of this table only: `a.b` and `a__b` are two.
    fn own_word(&self) -> String {
        format!("{}_{}", self.0.find('.').unwrap_or(0), self.0.replace('.', "_"))
    }
}

impl Default for Table {
    fn default() -> Table {
        Table("sessions".to_owned())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a statement does. Where a row is changed, it is the one with this key and this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// key → version, expires, data
    Load,
    /// key, version, expires, data: one row if the key is free, else none
    Insert,
    /// new version, expires, data, key, version
    Update,
    /// new version, data, key, version: the index stays as it is
    Rewrite,
    /// key, version
    Delete,
    /// key, whatever its version
    Discard,
    /// new key, new version, expires, key, version
    Rename,
    /// from, before, from, key: what expires since `from`, behind that key if then, and before `before`
    /// → a batch of key, version, expires; the first to expire first
    Expired,
    /// a batch of keys, and of versions
    DeleteBatch,
    /// key → how many of the next rows behind it are sessions, how many rows these are, and the last key
    Count,
    /// key → the next keys
    Keys,
}

/// So many rows are deleted by one statement at most.
pub const BATCH: usize = 16;
/// So many rows are counted, or their keys listed, by one statement.
pub const PAGE: i64 = 2000;

/// A statement that a connection prepares when it first needs it.
#[derive(Debug)]
pub struct Statement {
    pub operation: Operation,
    /// What connections know it by.
    pub label: CString,
    pub sql: CString,
}

impl Statement {
    /// What its answer consists of.
    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        match self.operation {
            Operation::Load => &[Column::Integer, Column::Integer, Column::Bytes],
            Operation::Expired => &[Column::Text, Column::Integer, Column::Integer],
            Operation::Count => &[Column::Integer, Column::Integer, Column::Text],
            Operation::Keys => &[Column::Text],
            _ => &[],
        }
    }
}

/// All statements for a table in a database.
#[derive(Debug)]
pub struct Statements {
    engine: Engine,
    all: Vec<Statement>,
}

impl Statements {
    #[must_use]
    pub fn new(engine: Engine, table: &Table) -> Statements {
        use Operation::{Count, Delete, DeleteBatch, Discard, Expired, Insert, Keys, Load, Rename, Rewrite, Update};
        let all = [Load, Insert, Update, Rewrite, Delete, Discard, Rename, Expired, DeleteBatch, Count, Keys];
        let text = |text: String| CString::new(text).expect("no NUL");
        let statement = |operation| Statement {
            operation,
            label: text(format!("msrs_{}_{}", table.own_word(), operation as u8)),
            sql: text(sql(operation, engine, table)),
        };
        Statements { engine, all: all.into_iter().map(statement).collect() }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.all.iter()
    }

    #[must_use]
    pub fn of(&self, operation: Operation) -> &Statement {
        self.all.iter().find(|statement| statement.operation == operation).expect("there is one for each")
    }
}

fn sql(operation: Operation, engine: Engine, table: &Table) -> String {
    let batch = |place: &str| vec![place; BATCH].join(", ");
    match operation {
        Operation::Load => format!("SELECT ver, expires, data FROM {table} WHERE k = %s"),
        Operation::Insert => {
            let (ignore, on_conflict) = match engine {
                Engine::Mysql => (" IGNORE", ""),
                Engine::Sqlite | Engine::Postgres => ("", " ON CONFLICT (k) DO NOTHING"),
            };
            format!("INSERT{ignore} INTO {table} (k, ver, expires, data) VALUES (%s, %lld, %lld, %pDb){on_conflict}")
        }
        Operation::Update => format!("UPDATE {table} SET ver = %lld, expires = %lld, data = %pDb WHERE k = %s AND ver = %lld"),
        Operation::Rewrite => format!("UPDATE {table} SET ver = %lld, data = %pDb WHERE k = %s AND ver = %lld"),
        Operation::Delete => format!("DELETE FROM {table} WHERE k = %s AND ver = %lld"),
        Operation::Discard => format!("DELETE FROM {table} WHERE k = %s"),
        Operation::Rename => format!("UPDATE {table} SET k = %s, ver = %lld, expires = %lld WHERE k = %s AND ver = %lld"),
        Operation::Expired => format!(
            "SELECT k, ver, expires FROM {table} WHERE expires >= %lld AND expires < %lld AND (expires > %lld OR k > %s) \
             ORDER BY expires, k LIMIT {BATCH}"
        ),
        Operation::DeleteBatch => format!("DELETE FROM {table} WHERE k IN ({}) AND ver IN ({})", batch("%s"), batch("%lld")),
        Operation::Count => format!(
            "SELECT COUNT(CASE WHEN LENGTH(k) = 64 THEN 1 END), COUNT(*), COALESCE(MAX(k), '') \
             FROM (SELECT k FROM {table} WHERE k > %s ORDER BY k LIMIT {PAGE}) AS page"
        ),
        Operation::Keys => format!("SELECT k FROM {table} WHERE k > %s ORDER BY k LIMIT {PAGE}"),
    }
}

/// What makes the table; made once it changes nothing.
#[must_use]
pub fn schema(engine: Engine, table: &Table) -> String {
    let driver = engine.driver();
    let index = format!("{}_expires", table.word());
    let head = format!(
        "-- The table of mod_session_rs for DBDriver {driver}. What is there already stays as it is.\n\
         --   k        the key: 64 hex digits, a hash of the id of the session, or with .corrupt a damaged record that was put aside\n\
         --   ver      a random number, another one with each change: who changes a row names the one he has seen\n\
         --   expires  microseconds since 1970\n\
         --   data     the record (docs/formats.md)\n"
    );
    let body = match engine {
        Engine::Sqlite => format!(
            "-- Write-ahead logging, once for the file: readers and a writer do not wait for each other.\n\
             PRAGMA journal_mode = WAL;\n\n\
             CREATE TABLE IF NOT EXISTS {table} (\n\
             \x20   k       VARCHAR(72) NOT NULL PRIMARY KEY,\n\
             \x20   ver     BIGINT NOT NULL,\n\
             \x20   expires BIGINT NOT NULL,\n\
             \x20   data    BLOB NOT NULL\n\
             );\n\n\
             -- For cleaning.\n\
             CREATE INDEX IF NOT EXISTS {} ON {} (expires);\n",
            // SQLite has the schema before the name of the index, not before that of the table.
            table.0.split_once('.').map_or_else(|| index.clone(), |(schema, _)| format!("{schema}.{index}")),
            table.0.split_once('.').map_or(table.0.as_str(), |(_, name)| name),
        ),
        Engine::Postgres => format!(
            "CREATE TABLE IF NOT EXISTS {table} (\n\
             \x20   k       VARCHAR(72) COLLATE \"C\" NOT NULL PRIMARY KEY,\n\
             \x20   ver     BIGINT NOT NULL,\n\
             \x20   expires BIGINT NOT NULL,\n\
             \x20   data    BYTEA NOT NULL\n\
             );\n\n\
             -- For cleaning.\n\
             CREATE INDEX IF NOT EXISTS {index} ON {table} (expires);\n"
        ),
        // MySQL has no CREATE INDEX IF NOT EXISTS.
        Engine::Mysql => format!(
            "CREATE TABLE IF NOT EXISTS {table} (\n\
             \x20   k       VARCHAR(72) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,\n\
             \x20   ver     BIGINT NOT NULL,\n\
             \x20   expires BIGINT NOT NULL,\n\
             \x20   data    LONGBLOB NOT NULL,\n\
             \x20   INDEX {index} (expires) -- for cleaning\n\
             ) ENGINE = InnoDB;\n"
        ),
    };
    format!("{head}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_plain_name() {
        for good in ["sessions", "_s1", "web.sessions"] {
            assert_eq!(Table::parse(good).unwrap().to_string(), good);
        }
        let long = "s".repeat(41);
        for bad in ["", "1s", "Sessions", "s;", "s s", "a.b.c", ".s", "s.", "s'", long.as_str()] {
            assert_eq!(Table::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_are_words_of_sql_and_differ_between_tables() {
        let tables = ["web.sessions", "web__sessions", "web_sessions", "w.eb_sessions"].map(|name| Table::parse(name).unwrap());
        let statements = tables.map(|table| Statements::new(Engine::Postgres, &table));
        let mut labels: Vec<_> = statements.iter().flat_map(Statements::iter).map(|statement| statement.label.to_str().unwrap()).collect();
        assert!(labels.iter().all(|label| label.len() < 64 && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')));
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), statements.iter().map(|statements| statements.all.len()).sum::<usize>());
    }
}
