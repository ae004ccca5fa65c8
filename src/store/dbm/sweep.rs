//! Walking over a store: cleaning through the index, listing, comparing records and index.

use std::ops::Bound;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use heed::RwTxn;

use super::environment::Environment;
use super::files::FILES;
use super::format::{self, read_key, read_row};
use super::opened::Verdict;
use super::tables::{Table, Tables};
use super::trouble::Trouble;
use super::{Blob, Cursor, DbmStore, Durability, Entry, Result, Sweep};
use crate::session::time::MICROS;
use crate::session::{Key, Timestamp};

/// Other writers wait for a transaction of the sweep: it ends after so many records, so much time, or so many bytes.
const RECORDS: usize = 256;
const TIME: Duration = Duration::from_millis(2);
const BYTES: usize = 1 << 20;
/// And then they have this long to come before the next.
const REST: Duration = Duration::from_micros(300);
/// A sweep waits for its turn, but no longer than a child that ends may wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Among the records, the names of the other databases.
const NAMES: u64 = 2;
/// Damaged records are kept for inspection this long.
const ASIDE: u64 = 7 * 24 * 3600 * MICROS;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A damaged record as it is kept: the time, then the record.
pub fn put_aside_now(record: &[u8]) -> Vec<u8> {
    [&now().to_be_bytes(), record].concat()
}

fn since(kept: &[u8]) -> Timestamp {
    Timestamp(kept.first_chunk().map_or(0, |time| u64::from_be_bytes(*time)))
}

/// What one transaction of a sweep did.
#[derive(Default)]
struct Batch {
    deleted: Vec<(Key, Blob)>,
    damaged: Vec<Key>,
    more: bool,
}

pub fn sweep(store: &DbmStore, before: Timestamp, slice: Duration, from: &Cursor, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
    let end = Instant::now() + slice;
    let environment = store.environment()?;
    let mut done = Sweep::default();
    if *from == Cursor::default() {
        environment.clear_stale_readers()?;
        forget_what_was_put_aside(store, environment)?;
        done.foreign = foreign(store);
    }
    while is_due(environment, before)? {
        let batch = environment.write(store.waits(Durability::Process), PATIENCE, |tables, writer| {
            remove_expired(tables, writer, before, end).map(Verdict::Commit).map_err(Trouble::from)
        })?;
        done.seen += (batch.deleted.len() + batch.damaged.len()) as u64;
        done.deleted += batch.deleted.len() as u64;
        done.corrupt += batch.damaged.len() as u64;
        if let Some(first) = batch.damaged.first() {
            done.damage.get_or_insert_with(|| store.corrupt(first).to_string());
        }
        batch.deleted.iter().for_each(|(key, blob)| deleted(key, blob));
        if batch.more && Instant::now() >= end {
            done.next = Some(Cursor(vec![1]));
            return Ok(done);
        }
        std::thread::sleep(REST);
    }
    // Those that live were not looked at, and are there.
    done.seen += environment.read(|tables, snapshot| tables.records.len(snapshot))?.saturating_sub(NAMES);
    Ok(done)
}

/// Whether anything may have expired: asked without keeping a writer from work.
fn is_due(environment: &Environment, before: Timestamp) -> Result<bool> {
    environment.read(|tables, snapshot| {
        let first = tables.expiry.first(snapshot)?;
        Ok(first.is_some_and(|(row, _)| read_row(row).is_none_or(|(row_time, _)| row_time < before)))
    })
}

/// The rows go from the front, so each transaction begins where the last one ended.
fn remove_expired(tables: Tables, writer: &mut RwTxn<'_>, before: Timestamp, end: Instant) -> heed::Result<Batch> {
    let end = end.min(Instant::now() + TIME);
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for number in 0.. {
        let Some((row, _)) = tables.expiry.first(writer)? else { break };
        let row = row.to_vec();
        let entry = read_row(&row);
        if entry.is_some_and(|(row_time, _)| row_time >= before) {
            break;
        }
        if number > 0 && (number >= RECORDS || bytes >= BYTES || Instant::now() >= end) {
            batch.more = true;
            break;
        }
        tables.expiry.delete(writer, &row)?;
        let Some((row_time, key)) = entry else { continue };
        let Some(record) = tables.records.get(writer, &key.0)? else { continue };
        bytes += record.len();
        match format::decode(&key, record) {
            // The row of a record that was damaged and has come back: its own tells.
            Some(stored) if stored.row != row_time => tables.expiry.put(writer, &format::row(stored.row, &key), &[])?,
            // It was used since: its row follows now.
            Some(stored) if stored.blob.expires >= before => tables.put_with_row(writer, &key, &stored.blob)?,
            Some(stored) => {
                tables.records.delete(writer, &key.0)?;
                batch.deleted.push((key, stored.blob));
            }
            None => {
                tables.put_aside(writer, &key)?;
                batch.damaged.push(key);
            }
        }
    }
    Ok(batch)
}

fn forget_what_was_put_aside(store: &DbmStore, environment: &Environment) -> Result<()> {
    let before = Timestamp(now().saturating_sub(ASIDE));
    let old: Vec<Key> = environment.read(|tables, snapshot| {
        let kept = tables.aside.iter(snapshot)?;
        kept.filter(|kept| kept.as_ref().map_or(true, |(_, kept)| since(kept) < before))
            .filter_map(|kept| kept.map(|(key, _)| read_key(key)).transpose())
            .take(RECORDS)
            .collect()
    })?;
    if old.is_empty() {
        return Ok(());
    }
    environment.write(store.waits(Durability::Process), PATIENCE, |tables, writer| {
        for key in &old {
            tables.aside.delete(writer, &key.0)?;
        }
        Ok(Verdict::Commit(()))
    })
}

/// The first file in the directory that is not of the store.
fn foreign(store: &DbmStore) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(&store.dir).into_iter().flatten().flatten();
    entries.filter(|entry| !FILES.iter().any(|name| entry.file_name() == *name)).map(|entry| entry.path()).min()
}

/// Copies out what lies behind `last`, as much as a short snapshot shows: a long one would keep all that is freed meanwhile.
fn some<T>(
    environment: &Environment,
    of: impl Fn(Tables) -> Table,
    last: Option<&[u8]>,
    read: impl Fn(Tables, &heed::RoTxn<'_>, &[u8], &[u8]) -> heed::Result<T>,
) -> Result<Vec<(Vec<u8>, T)>> {
    environment.read(|tables, snapshot| {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut bytes = 0;
        for entry in of(tables).range(snapshot, &(from, Bound::Unbounded))? {
            let (key, value) = entry?;
            bytes += value.len();
            found.push((key.to_vec(), read(tables, snapshot, key, value)?));
            if found.len() >= RECORDS || bytes >= BYTES {
                break;
            }
        }
        Ok(found)
    })
}

pub fn each(store: &DbmStore, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    let environment = store.environment()?;
    let mut last: Option<Vec<u8>> = None;
    loop {
        let batch = some(
            environment,
            |tables| tables.records,
            last.as_deref(),
            |_, _, key, record| {
                let entry = |key: &Key| format::decode(key, record).map_or(Entry::Corrupt, |stored| Entry::Blob(stored.blob));
                Ok(read_key(key).map(|key| (key, entry(&key))))
            },
        )?;
        let Some((end, _)) = batch.last() else { return Ok(()) };
        last = Some(end.clone());
        for (key, entry) in batch.into_iter().filter_map(|(_, entry)| entry) {
            if !visit(&key, entry) {
                return Ok(());
            }
        }
    }
}

/// What a look at everything found beside the records themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Whole records that the index does not know, or not in time: no cleaning would come to them.
    pub unindexed: Vec<Key>,
    /// Rows of the index that lead to no record that says so.
    pub adrift: u64,
    /// Damaged records that were put aside, and when.
    pub put_aside: Vec<(Key, Timestamp)>,
}

impl DbmStore {
    /// Compares the records with the index, and lists what was put aside.
    ///
    /// # Errors
    /// The store failed.
    pub fn survey(&self) -> Result<Survey> {
        let environment = self.environment()?;
        let mut survey = Survey::default();
        walk(
            environment,
            |tables| tables.records,
            |tables, snapshot, key, record| {
                let Some((key, stored)) = read_key(key).and_then(|key| Some((key, format::decode(&key, record)?))) else { return Ok(None) };
                let row = tables.expiry.get(snapshot, &format::row(stored.row, &key))?;
                Ok((row.is_none() || stored.row > stored.blob.expires).then_some(key))
            },
            |key| survey.unindexed.extend(key),
        )?;
        walk(
            environment,
            |tables| tables.expiry,
            |tables, snapshot, row, _| {
                let Some((row_time, key)) = read_row(row) else { return Ok(true) };
                let record = tables.records.get(snapshot, &key.0)?;
                Ok(record.and_then(format::claimed_row) != Some(row_time))
            },
            |adrift| survey.adrift += u64::from(adrift),
        )?;
        walk(
            environment,
            |tables| tables.aside,
            |_, _, key, kept| Ok(read_key(key).map(|key| (key, since(kept)))),
            |kept| {
                survey.put_aside.extend(kept);
            },
        )?;
        Ok(survey)
    }

    /// Waits until all that was committed is on the disk.
    ///
    /// # Errors
    /// The store failed.
    pub fn sync(&self) -> Result<()> {
        self.environment()?.sync()
    }
}

/// Shows all of a table to `read`, and what that makes of it to `show`.
fn walk<T>(
    environment: &Environment,
    of: impl Fn(Tables) -> Table,
    read: impl Fn(Tables, &heed::RoTxn<'_>, &[u8], &[u8]) -> heed::Result<T>,
    mut show: impl FnMut(T),
) -> Result<()> {
    let mut last: Option<Vec<u8>> = None;
    loop {
        let batch = some(environment, &of, last.as_deref(), &read)?;
        let Some((end, _)) = batch.last() else { return Ok(()) };
        last = Some(end.clone());
        batch.into_iter().for_each(|(_, found)| show(found));
    }
}
