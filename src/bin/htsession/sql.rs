//! `SessionStore dbd`: the schema, and what to do instead of a command that works on files.

use std::process::ExitCode;

use clap::ValueEnum;
use mod_session_rs::store::dbd::sql::{Engine, Table, schema};

use crate::failure::Failure;
use crate::output::Output;

/// As `DBDriver` names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Driver {
    Sqlite3,
    Pgsql,
    Mysql,
}

impl Driver {
    fn engine(self) -> Engine {
        match self {
            Driver::Sqlite3 => Engine::Sqlite,
            Driver::Pgsql => Engine::Postgres,
            Driver::Mysql => Engine::Mysql,
        }
    }
}

pub fn table(name: &str) -> Result<Table, String> {
    Table::parse(name).ok_or_else(|| "a table has at most 40 lower-case letters, digits and _".to_owned())
}

pub fn init_sql(driver: Driver, table: &Table, output: &mut Output) -> Result<ExitCode, Failure> {
    let sql = schema(driver.engine(), table);
    output.either(&serde_json::json!({ "sql": sql }), || sql.lines().map(str::to_owned).collect())?;
    Ok(ExitCode::SUCCESS)
}

/// Why there is no working on a table from here, and which SQL does what would be done.
pub fn elsewhere(table: &Table) -> Failure {
    Failure::Explained(format!(
        "--store dbd:{table}: the database can be reached through the server only, or by its own client:\n\
         \x20 list           SELECT SUBSTR(k, 1, 12) AS ref, expires FROM {table} ORDER BY expires DESC;\n\
         \x20 kill REF       DELETE FROM {table} WHERE k LIKE 'REF%';\n\
         \x20 gc             the server does it; by hand, with a time in microseconds since 1970:\n\
         \x20                DELETE FROM {table} WHERE expires < TIME;\n\
         \x20 show, kill-user, verify and adjust-time need what is in the column data (docs/formats.md): there is no SQL for them"
    ))
}
