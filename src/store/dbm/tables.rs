//! The databases of an environment, and what is changed in several of them at once.

use std::io::Write;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, RwTxn};

use super::format;
use super::sweep::put_aside_now;
use crate::lmdb;
use crate::session::{Key, Timestamp};
use crate::store::{Blob, Change, Outcome};

pub type Table = Database<'static, Bytes, Bytes>;

/// The databases of an environment.
#[derive(Clone, Copy)]
pub struct Tables {
    /// Key to record: the main database, so that a commit has one page less to write. The names of the others are in it too.
    pub records: Table,
    /// Rows of expiry and key, in the order of time, to nothing.
    pub expiry: Table,
    /// Key to the time when it was put aside and a damaged record.
    pub aside: Table,
}

/// What somebody wants to have written, whoever writes it.
pub enum Wanted {
    /// If nothing is there: else that is kept.
    Create(Key, Blob),
    /// If the newest is of this version.
    Change(Key, u64, Change),
}

impl Wanted {
    /// Bytes of the record that it writes.
    pub fn size(&self) -> usize {
        match self {
            Wanted::Create(_, blob) | Wanted::Change(_, _, Change::Write(blob) | Change::Replace(blob)) => blob.bytes.len(),
            Wanted::Change(_, _, Change::Keep | Change::Delete) => 0,
        }
    }

    /// `None`: the newest has another version, or there is nothing.
    pub fn write(&self, tables: Tables, writer: &mut RwTxn<'_>) -> heed::Result<Option<Outcome>> {
        match self {
            Wanted::Create(key, _) if tables.records.get(writer, &key.0)?.is_some() => Ok(Some(Outcome::Kept)),
            Wanted::Create(key, blob) => tables.put_with_row(writer, key, blob).map(|()| Some(Outcome::Written)),
            Wanted::Change(key, version, change) => {
                let record = tables.records.get(writer, &key.0)?.filter(|record| format::claimed_version(record) == Some(*version));
                let row = record.and_then(format::claimed_row);
                row.map(|row| tables.apply(writer, key, row, change)).transpose()
            }
        }
    }
}

const NAMES: [Option<&str>; 3] = [None, Some("expiry"), Some("aside")];

impl Tables {
    /// Writes over a record that has this row, and moves the row if it would come too late.
    pub fn put(self, writer: &mut RwTxn<'_>, key: &Key, blob: &Blob, row: Timestamp) -> heed::Result<()> {
        if row <= blob.expires {
            return self.put_record(writer, key, blob, row);
        }
        self.expiry.delete(writer, &format::row(row, key))?;
        self.put_with_row(writer, key, blob)
    }

    /// Writes a record, with a row at its expiry.
    pub fn put_with_row(self, writer: &mut RwTxn<'_>, key: &Key, blob: &Blob) -> heed::Result<()> {
        self.put_record(writer, key, blob, blob.expires)?;
        self.expiry.put(writer, &format::row(blob.expires, key), &[])
    }

    /// Straight into its page.
    fn put_record(self, writer: &mut RwTxn<'_>, key: &Key, blob: &Blob, row: Timestamp) -> heed::Result<()> {
        let head = format::head(key, blob, row);
        self.records.put_reserved(writer, &key.0, head.len() + blob.bytes.len(), |page| {
            page.write_all(&head)?;
            page.write_all(&blob.bytes)
        })
    }

    /// Does to a record that has this row what was decided.
    pub fn apply(self, writer: &mut RwTxn<'_>, key: &Key, row: Timestamp, change: &Change) -> heed::Result<Outcome> {
        match change {
            Change::Keep => Ok(Outcome::Kept),
            Change::Delete => {
                self.records.delete(writer, &key.0)?;
                self.expiry.delete(writer, &format::row(row, key))?;
                Ok(Outcome::Deleted)
            }
            // What was there before lies in a page that is free now, and that nothing of ours reads.
            Change::Write(blob) | Change::Replace(blob) => {
                self.put(writer, key, blob, row)?;
                Ok(Outcome::Written)
            }
        }
    }

    /// Takes a record out of the way, for inspection, with its row if there is one.
    pub fn put_aside(self, writer: &mut RwTxn<'_>, key: &Key) -> heed::Result<()> {
        let Some(record) = self.records.get(writer, &key.0)? else { return Ok(()) };
        let row = format::claimed_row(record);
        let kept = put_aside_now(record);
        self.aside.put(writer, &key.0, &kept)?;
        self.records.delete(writer, &key.0)?;
        if let Some(row) = row {
            self.expiry.delete(writer, &format::row(row, key))?;
        }
        Ok(())
    }
}

/// The tables, if they were made.
pub fn known(environment: &lmdb::Environment) -> heed::Result<Option<Tables>> {
    let opened = environment.open_databases_and_commit(environment.read_txn()?, |databases, snapshot| {
        let mut tables = [None; 3];
        for (table, name) in tables.iter_mut().zip(NAMES) {
            *table = databases.open_database::<Bytes, Bytes>(snapshot, name)?;
        }
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(tables))
    })?;
    let tables = opened.commit().unwrap_or_default();
    Ok(match tables {
        [Some(records), Some(expiry), Some(aside)] => Some(Tables { records, expiry, aside }),
        _ => None,
    })
}

/// Makes them.
pub fn make(environment: &lmdb::Environment) -> heed::Result<Tables> {
    let made = environment.create_databases_and_commit(environment.write_txn()?, |databases, writer| {
        let mut make = |name| databases.create_database::<Bytes, Bytes>(writer, name);
        let tables = (make(NAMES[0])?, make(NAMES[1])?, make(NAMES[2])?);
        heed::Result::Ok(CommitOrAbort::<_, heed::Error>::Commit(tables))
    })?;
    let (records, expiry, aside) = std::result::Result::from(made)?;
    Ok(Tables { records, expiry, aside })
}
