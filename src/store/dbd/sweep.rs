//! Walking over the table: cleaning, by the index on `expires`, and counting what is left; listing.

use std::time::{Duration, Instant};

use super::database::{Database, Field, Value};
use super::sql::{BATCH, Operation};
use super::{CORRUPT_SUFFIX, DbdStore, to_column};
use crate::session::{Key, Timestamp};
use crate::store::{Blob, Cursor, Durability, Entry, Error, Result, Sweep};

/// So many bytes of records are held at once, and one record more.
const MOST: usize = 1 << 20;

/// How far a pass has come.
enum Position {
    /// Through all that expires before this, and then up to this key.
    Deleting(i64, String),
    /// What is left is counted up to this key.
    Counting(String),
}

impl Position {
    fn decode(cursor: &Cursor) -> Option<Position> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match cursor.0.split_first() {
            None => Some(Position::Deleting(0, String::new())),
            Some((b'd', rest)) => {
                let (expires, key) = rest.split_at_checked(8)?;
                Some(Position::Deleting(i64::from_be_bytes(expires.try_into().ok()?), text(key)?))
            }
            Some((_, rest)) => Some(Position::Counting(text(rest)?)),
        }
    }

    fn encode(&self) -> Cursor {
        Cursor(match self {
            Position::Deleting(expires, key) => [b"d".as_slice(), &expires.to_be_bytes(), key.as_bytes()].concat(),
            Position::Counting(key) => [b"c", key.as_bytes()].concat(),
        })
    }
}

/// What is to be deleted: the key and version of a row, and what it held if it is a session.
struct Candidate {
    key: String,
    version: i64,
    session: Option<(Key, Blob)>,
}

pub fn sweep<D: Database>(
    store: &DbdStore<D>,
    before: Timestamp,
    slice: Duration,
    from: Cursor,
    deleted: &mut dyn FnMut(&Key, &Blob),
) -> Result<Sweep> {
    let end = Instant::now() + slice;
    let mut done = Sweep::default();
    let mut position = Position::decode(&from).unwrap_or(Position::Deleting(0, String::new()));
    loop {
        let next = match &position {
            Position::Deleting(since, last) => match delete(store, (*since, last), to_column(before), end, &mut done, deleted)? {
                Some((since, last)) => Position::Deleting(since, last),
                None => Position::Counting(String::new()),
            },
            Position::Counting(last) => match count(store, last, &mut done)? {
                Some(last) => Position::Counting(last),
                None => return Ok(done),
            },
        };
        position = next;
        if Instant::now() >= end {
            done.next = Some(position.encode());
            return Ok(done);
        }
    }
}

/// Deletes a batch of what expired, or a part of it if the time is over; answers how far it came, or `None` behind the last.
fn delete<D: Database>(
    store: &DbdStore<D>,
    (since, last): (i64, &str),
    before: i64,
    end: Instant,
    done: &mut Sweep,
    deleted: &mut dyn FnMut(&Key, &Blob),
) -> Result<Option<(i64, String)>> {
    let values = [Value::Integer(since), Value::Integer(before), Value::Integer(since), Value::Text(last)];
    let (mut batch, mut held, mut position) = (Vec::new(), 0, None);
    for row in store.query(Operation::Expired, &values)? {
        let [Field::Text(key), Field::Integer(seen), Field::Integer(expires)] = &row[..] else { return Err(store.foreign("")) };
        position = Some((*expires, key.clone()));
        match candidate(store, key, *seen) {
            Ok(Some(found)) => {
                held += found.session.as_ref().map_or(0, |(_, blob)| blob.bytes.len());
                batch.push(found);
            }
            Ok(None) => {}
            Err(Error::Corrupt(path)) => done.foreign = done.foreign.take().or(Some(path)),
            Err(error) => return Err(error),
        }
        if held > MOST || Instant::now() >= end {
            break;
        }
    }
    remove(store, batch, done, deleted)?;
    Ok(position)
}

/// `None`: it has changed meanwhile.
fn candidate<D: Database>(store: &DbdStore<D>, key: &str, seen: i64) -> Result<Option<Candidate>> {
    let session = match Key::from_hex(key) {
        Some(known) => match store.read(key)? {
            Some(row) if row.version == seen => Some((known, row.blob)),
            _ => return Ok(None),
        },
        None if key.ends_with(CORRUPT_SUFFIX) => None,
        None => return Err(store.foreign(key)),
    };
    Ok(Some(Candidate { key: key.to_owned(), version: seen, session }))
}

/// One statement for all: a version is that of one row only.
fn remove<D: Database>(store: &DbdStore<D>, batch: Vec<Candidate>, done: &mut Sweep, deleted: &mut dyn FnMut(&Key, &Blob)) -> Result<()> {
    let Some(first) = batch.first() else { return Ok(()) };
    let filled = |place: fn(&Candidate) -> Value<'_>| batch.iter().chain(std::iter::repeat(first)).take(BATCH).map(place);
    let values: Vec<_> = filled(|one| Value::Text(&one.key)).chain(filled(|one| Value::Integer(one.version))).collect();
    let (gone, unsure) = store.execute(Operation::DeleteBatch, &values, Durability::Process)?;
    let all = gone == batch.len() as u64;
    for Candidate { key, session, .. } in batch {
        // Of a part, we were those who deleted what is not there; of none, somebody else was.
        let ours = all || ((gone > 0 || unsure) && store.read(&key)?.is_none());
        if let Some((key, blob)) = session.filter(|_| ours) {
            done.seen += 1;
            done.deleted += 1;
            deleted(&key, &blob);
        }
    }
    Ok(())
}

/// Counts a page of rows; answers the last, or `None` at the end.
fn count<D: Database>(store: &DbdStore<D>, last: &str, done: &mut Sweep) -> Result<Option<String>> {
    let rows = store.query(Operation::Count, &[Value::Text(last)])?;
    let Some([Field::Integer(sessions), Field::Integer(rows), Field::Text(last)]) = rows.first().map(Vec::as_slice) else {
        return Err(store.foreign(""));
    };
    done.seen += sessions.max(&0).cast_unsigned();
    Ok((*rows >= super::sql::PAGE).then(|| last.clone()))
}

pub fn each<D: Database>(store: &DbdStore<D>, visit: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
    let mut last = String::new();
    loop {
        let rows = store.query(Operation::Keys, &[Value::Text(&last)])?;
        let count = rows.len();
        for row in rows {
            let Some(Field::Text(key)) = row.into_iter().next() else { return Err(store.foreign("")) };
            if let Some(known) = Key::from_hex(&key) {
                let entry = match store.read(&key) {
                    Ok(Some(row)) => Some(Entry::Blob(row.blob)),
                    Ok(None) => None,
                    Err(Error::Corrupt(_)) => Some(Entry::Corrupt),
                    Err(error) => return Err(error),
                };
                if entry.is_some_and(|entry| !visit(&known, entry)) {
                    return Ok(());
                }
            }
            last = key;
        }
        if count == 0 {
            return Ok(());
        }
    }
}
