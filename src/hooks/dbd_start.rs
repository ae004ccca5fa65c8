//! `SessionStore dbd` at the start: what it needs of mod_dbd, and whether the table is there.
//!
//! The parent must not look itself: the database may know the `User` of the server only, a file that root touches is root's, and nobody
//! knows what a client library leaves behind for the children. A child that ends at once looks instead (`httpd/probe.rs`).

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dbd::{greet, is_busy};
use super::start::{parts, places};
use crate::config::{Location, StorePlace};
use crate::httpd::conftree::{of_server, of_virtual_host};
use crate::httpd::dbd::{Argument, Connection, Kind};
use crate::httpd::hook::ChildHook;
use crate::httpd::{Level, Pool, Server, is_first_reading, is_loaded, is_restart, probe, thread};
use crate::store::dbd::sql::{Engine, Operation, Statements, Table};
use crate::store::dbd::unusable;

/// A database that does not answer in this time is told as one that cannot be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server whose database a virtual host uses: itself if it says anything of one, else the main server.
pub fn host<'s>(main: Server<'s>, server: Server<'s>) -> Server<'s> {
    let says = ["DBDriver", "DBDParams"].iter().any(|name| of_virtual_host(server, name).is_some());
    if says { server } else { main }
}

fn databases(places: &[Arc<StorePlace>]) -> Vec<(&Table, Server<'static>)> {
    places
        .iter()
        .filter_map(|place| match &place.location {
            Location::Dbd(table, Some(server)) => Some((table, *server)),
            _ => None,
        })
        .collect()
}

/// At every reading: what is missing in the configuration; at the first, what is wrong with the table.
///
/// # Errors
/// What is wrong was logged.
pub fn check(pool: Pool<'_>, main: Server<'_>, places: &[Arc<StorePlace>]) -> Result<(), ()> {
    for (table, server) in databases(places) {
        let engine = engine(server).map_err(|why| server.log(Level::Error, format_args!("SessionStore dbd {why}")))?;
        if is_first_reading() {
            match examine(pool, main, server, engine, table) {
                Ok(()) => {}
                Err(Trouble::Table(why) | Trouble::Rights(why)) => {
                    server.log(Level::Error, format_args!("{why}"));
                    return Err(());
                }
                Err(Trouble::Database(why)) => server.log(Level::Warning, format_args!("{why}")),
            }
        }
    }
    Ok(())
}

fn engine(server: Server<'_>) -> Result<Engine, String> {
    if !is_loaded(c"mod_dbd.c") {
        return Err("needs mod_dbd: add LoadModule dbd_module modules/mod_dbd.so, DBDriver and DBDParams".into());
    }
    match of_server(server, "DBDriver") {
        None => Err("needs a database: add DBDriver sqlite3, pgsql or mysql, and DBDParams".into()),
        Some(driver) => Engine::of_driver(&driver).ok_or_else(|| format!("does not know DBDriver {driver}: use sqlite3, pgsql or mysql")),
    }
}

/// In the second pass of a start, and at a restart, where nothing is an error that ends the server.
pub fn prepare(pool: Pool<'_>, main: Server<'_>, places: &[Arc<StorePlace>]) {
    let databases = databases(places);
    let Some((_, first)) = databases.first() else { return };
    // Requests find the places of their hosts, and their stores, as long as the configuration lives.
    let of = |host| parts(host).into_iter().filter_map(move |part| Some(part.own_store()?.of_server(host)));
    pool.adopt(main.and_following().flat_map(of).collect::<Vec<_>>());
    first.log(
        Level::Info,
        format_args!(
            "SessionStore dbd: SessionLock request holds among the requests of this server; servers that share the database do not wait \
             for each other, their changes are merged"
        ),
    );
    if !is_restart() {
        return; // the first pass has looked
    }
    for (table, server) in databases {
        let examined = engine(server).map_err(Trouble::Database).and_then(|engine| examine(pool, main, server, engine, table));
        if let Err(Trouble::Table(why) | Trouble::Rights(why) | Trouble::Database(why)) = examined {
            server.log(Level::Error, format_args!("{why}; sessions there fail until that is mended"));
        }
    }
}

/// Threads that a child starts with, as those of mod_watchdog, must leave the signals to the one that serves (prefork). Else a signal that is blocked
/// there, since a connection is in use, comes to another thread, whose handler closes that connection.
pub struct BeforeThreads;

impl ChildHook for BeforeThreads {
    fn run(_: Pool<'_>, server: Server<'_>) {
        if !databases(&places(server)).is_empty() {
            thread::without_signals();
        }
    }
}

pub struct AfterThreads;

impl ChildHook for AfterThreads {
    fn run(_: Pool<'_>, _: Server<'_>) {
        thread::signals_again();
    }
}

enum Trouble {
    /// It can be reached, and is not as it must be.
    Table(String),
    /// It is there, and those who serve may not do all that is needed.
    Rights(String),
    /// Whether it is, cannot be told now.
    Database(String),
}

/// What the first letter of an answer says.
const WELL: &str = "w";
const TABLE: &str = "t";
const RIGHTS: &str = "r";
const DATABASE: &str = "d";

fn examine(pool: Pool<'_>, main: Server<'_>, server: Server<'_>, engine: Engine, table: &Table) -> Result<(), Trouble> {
    let parameters = of_server(server, "DBDParams").unwrap_or_default();
    let answer = probe::ask(pool, main, PATIENCE, || match look(engine, &parameters, table) {
        Ok(()) => WELL.to_owned(),
        Err(Trouble::Table(why)) => TABLE.to_owned() + &why,
        Err(Trouble::Rights(why)) => RIGHTS.to_owned() + &why,
        Err(Trouble::Database(why)) => DATABASE.to_owned() + &why,
    });
    let away = |why: &str| {
        let driver = engine.driver();
        Err(Trouble::Database(format!("SessionStore dbd: the database (DBDriver {driver}) cannot be used now: {why}")))
    };
    match answer.as_deref().map(|answer| answer.split_at_checked(1)) {
        Ok(Some((WELL, _))) => Ok(()),
        Ok(Some((TABLE, why))) => Err(Trouble::Table(unusable(engine.driver(), table, why))),
        Ok(Some((RIGHTS, why))) => Err(Trouble::Rights(forbidden(engine, table, why))),
        Ok(Some((_, why))) => away(why),
        Ok(None) => away("no answer"),
        Err(why) => away(why),
    }
}

fn forbidden(engine: Engine, table: &Table, why: &str) -> String {
    let remedy = match engine {
        Engine::Sqlite => "let the file of DBDParams and its directory belong to the User of the server".to_owned(),
        Engine::Postgres | Engine::Mysql => format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} to the user of DBDParams"),
    };
    format!("SessionStore dbd: the table {table} may not be written: {why}; {remedy}")
}

/// In the child: every statement can be prepared, the table read, and written.
fn look(engine: Engine, parameters: &str, table: &Table) -> Result<(), Trouble> {
    if engine == Engine::Sqlite {
        match Path::new(parameters).metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Trouble::Table(format!("there is no file {parameters}"))); // to open it would make it
            }
            Err(error) => return Err(Trouble::Rights(format!("{parameters}: {error}"))),
            Ok(_) => {}
        }
    }
    let mut connection = Connection::own(engine.driver(), parameters).map_err(Trouble::Database)?;
    greet(&mut connection, engine);
    let statements = Statements::new(engine, table);
    let trouble = |why: String| match why {
        why if is_busy(engine, &why) => Trouble::Database(why),
        why if engine == Engine::Sqlite && why.contains("unable to open") => Trouble::Rights(why),
        why => Trouble::Table(why),
    };
    for statement in statements.iter() {
        connection.prepare(&statement.label, &statement.sql).map_err(trouble)?;
    }
    let load = statements.of(Operation::Load);
    let kinds = [Kind::Integer, Kind::Integer, Kind::Bytes];
    connection.select(&load.label, &load.sql, &[Argument::Text("")], &kinds).map_err(trouble)?;
    write(&mut connection, &statements).map_err(|why| match why {
        // A replica, that may be the primary soon.
        why if is_busy(engine, &why) || why.contains("read-only") => Trouble::Database(why),
        why => Trouble::Rights(why),
    })
}

/// Who may read may not always write. What is written here goes again, by itself even if there are no transactions.
fn write(connection: &mut Connection, statements: &Statements) -> Result<(), String> {
    const KEY: Argument<'_> = Argument::Text("examined.corrupt");
    let number = Argument::Integer;
    connection.command(c"BEGIN");
    let mut execute = |operation, arguments: &[Argument<'_>]| {
        let statement = statements.of(operation);
        connection.execute(&statement.label, &statement.sql, arguments)
    };
    let written = execute(Operation::Insert, &[KEY, number(1), number(0), Argument::Bytes(b"")])
        .and_then(|_| execute(Operation::Update, &[number(2), number(0), Argument::Bytes(b""), KEY, number(1)]))
        .and_then(|_| execute(Operation::Discard, &[KEY]));
    connection.command(c"ROLLBACK");
    written.map(drop)
}
