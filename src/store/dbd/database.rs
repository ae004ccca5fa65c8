//! What the store asks of a database: connections of a pool that carry out prepared statements. Implemented over httpd's mod_dbd in
//! `hooks/dbd.rs`, and by the tests.

use super::sql::{Engine, Statement};
use crate::store::Durability;

/// What is put into a place of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'v> {
    Text(&'v str),
    Integer(i64),
    Bytes(&'v [u8]),
}

/// What a column of an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Text,
    Integer,
    Bytes,
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

/// A statement was not carried out, as far as the connection knows. Of a change that may be wrong: the answer is lost, too, with a
/// connection that breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection can be had.
    Away(String),
    /// The database refuses to prepare the statement, as it does without the table: nothing was done.
    Unprepared(String),
    /// Whether it was done is not known.
    Failed(String),
}

impl Failure {
    pub fn text(&self) -> &str {
        match self {
            Failure::Away(text) | Failure::Unprepared(text) | Failure::Failed(text) => text,
        }
    }
}

/// One connection, for one use.
pub trait Connection {
    fn engine(&self) -> Engine;

    /// Carries out a statement that changes rows; answers how many. Engines that can be told for one statement wait for the disk as
    /// `durability` says, others as they are set up.
    ///
    /// # Errors
    /// See [`Failure`]. The connection is mended when it is taken again, if that can be.
    fn execute(&mut self, statement: &Statement, values: &[Value<'_>], durability: Durability) -> Result<u64, Failure>;

    /// Carries out a statement that answers rows. An answer without rows is whole: a broken connection is a failure.
    ///
    /// # Errors
    /// See [`Failure`].
    fn query(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Vec<Field>>, Failure>;
}

/// A pool of connections to one database.
pub trait Database: Send + Sync {
    /// Takes a connection, shows it to `work` once, and gives it back.
    ///
    /// # Errors
    /// [`Failure::Away`].
    fn with(&self, work: &mut dyn FnMut(&mut dyn Connection)) -> Result<(), Failure>;
}
