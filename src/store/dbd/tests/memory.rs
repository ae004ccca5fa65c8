//! A table in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::KEY;
use crate::store::Durability;
use crate::store::dbd::database::{Connection, Database, Failure, Field, Value};
use crate::store::dbd::sql::{self, Engine, Operation, Statement};

/// What becomes of the next changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Done, and the answer is lost.
    Lost,
    /// Not done, and an error is answered.
    Refused,
    /// Done by the database after the next statement, which somebody else sends on another connection.
    Late,
    /// Done, the answer lost, and before it can be asked for somebody else writes.
    Overwritten,
    /// Somebody else has done the same just before.
    Forestalled,
    Unprepared,
    Away,
}

pub type Rows = BTreeMap<String, (i64, i64, Vec<u8>)>;
type Values = Vec<(String, i64, Vec<u8>)>;

#[derive(Default)]
pub struct Memory {
    pub rows: Mutex<Rows>,
    faults: Mutex<Vec<Fault>>,
    /// A change on its way.
    pub late: Mutex<Option<(Operation, Values)>>,
    pub asked: AtomicUsize,
}

impl Memory {
    pub fn will(&self, faults: &[Fault]) {
        *self.faults.lock().unwrap() = faults.iter().rev().copied().collect();
    }
}

struct Guest<'m>(&'m Memory);

impl Database for Arc<Memory> {
    fn with(&self, work: &mut dyn FnMut(&mut dyn Connection)) -> std::result::Result<(), Failure> {
        let mut faults = self.faults.lock().unwrap();
        if faults.last() == Some(&Fault::Away) {
            faults.pop();
            return Err(Failure::Away("nobody listens".into()));
        }
        drop(faults);
        work(&mut Guest(self));
        Ok(())
    }
}

/// Values by place: text, number or bytes.
fn owned(values: &[Value<'_>]) -> Values {
    let own = |value: &Value<'_>| match value {
        Value::Text(text) => ((*text).to_owned(), 0, Vec::new()),
        Value::Integer(number) => (String::new(), *number, Vec::new()),
        Value::Bytes(bytes) => (String::new(), 0, bytes.to_vec()),
    };
    values.iter().map(own).collect()
}

fn change(rows: &mut Rows, operation: Operation, v: &Values) -> u64 {
    let has = |rows: &Rows, key: &str, version: i64| rows.get(key).is_some_and(|row| row.0 == version);
    match operation {
        Operation::Insert => {
            if rows.contains_key(&v[0].0) {
                return 0;
            }
            rows.insert(v[0].0.clone(), (v[1].1, v[2].1, v[3].2.clone()));
        }
        Operation::Update => {
            if !has(rows, &v[3].0, v[4].1) {
                return 0;
            }
            rows.insert(v[3].0.clone(), (v[0].1, v[1].1, v[2].2.clone()));
        }
        Operation::Rewrite => {
            if !has(rows, &v[2].0, v[3].1) {
                return 0;
            }
            let row = rows.get_mut(&v[2].0).unwrap();
            (row.0, row.2) = (v[0].1, v[1].2.clone());
        }
        Operation::Delete => {
            if !has(rows, &v[0].0, v[1].1) {
                return 0;
            }
            rows.remove(&v[0].0);
        }
        Operation::Discard => return rows.remove(&v[0].0).is_some().into(),
        Operation::Rename => {
            if !has(rows, &v[3].0, v[4].1) {
                return 0;
            }
            let row = rows.remove(&v[3].0).unwrap();
            rows.insert(v[0].0.clone(), (v[1].1, v[2].1, row.2));
        }
        Operation::DeleteBatch => {
            let before = rows.len();
            let (keys, versions) = v.split_at(sql::BATCH);
            rows.retain(|key, row| !(keys.iter().any(|one| one.0 == *key) && versions.iter().any(|one| one.1 == row.0)));
            return (before - rows.len()) as u64;
        }
        Operation::Load | Operation::Expired | Operation::Count | Operation::Keys => panic!("no change: {operation:?}"),
    }
    1
}

impl Connection for Guest<'_> {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>], _: Durability) -> std::result::Result<u64, Failure> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let (operation, values) = (statement.operation, owned(values));
        let rows = &mut *self.0.rows.lock().unwrap();
        let fault = self.0.faults.lock().unwrap().pop();
        let failed = Err(Failure::Failed("the connection broke".into()));
        if let Some((operation, values)) = self.0.late.lock().unwrap().take() {
            change(rows, operation, &values);
        }
        let is_taken = operation == Operation::Rename && rows.contains_key(&values[0].0) && rows.contains_key(&values[3].0);
        match fault {
            None if is_taken => Err(Failure::Failed("the key is there".into())),
            None => Ok(change(rows, operation, &values)),
            Some(Fault::Lost) => {
                change(rows, operation, &values);
                failed
            }
            Some(Fault::Refused) => failed,
            Some(Fault::Late) => {
                *self.0.late.lock().unwrap() = Some((operation, values));
                failed
            }
            Some(Fault::Overwritten) => {
                change(rows, operation, &values);
                rows.get_mut(&KEY.hex()).unwrap().0 = 7;
                failed
            }
            Some(Fault::Forestalled) => {
                change(rows, operation, &values);
                Ok(0)
            }
            Some(Fault::Unprepared) => Err(Failure::Unprepared("no such table".into())),
            Some(Fault::Away) => panic!("taken by with"),
        }
    }

    fn query(&mut self, statement: &Statement, values: &[Value<'_>]) -> std::result::Result<Vec<Vec<Field>>, Failure> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        // That one is for changes.
        let fault = self.0.faults.lock().unwrap().pop_if(|fault| *fault != Fault::Forestalled);
        match fault {
            None => {}
            Some(Fault::Unprepared) => return Err(Failure::Unprepared("no such table".into())),
            Some(_) => return Err(Failure::Failed("the connection broke".into())),
        }
        let (v, rows) = (owned(values), self.0.rows.lock().unwrap());
        let text = |key: &String| Field::Text(key.clone());
        Ok(match statement.operation {
            Operation::Load => rows
                .get(&v[0].0)
                .map(|row| vec![Field::Integer(row.0), Field::Integer(row.1), Field::Bytes(row.2.clone())])
                .into_iter()
                .collect(),
            Operation::Expired => {
                let (since, before, last) = (v[0].1, v[1].1, &v[3].0);
                let due = |(key, row): &(&String, &(i64, i64, Vec<u8>))| row.1 < before && (row.1, *key) > (since, last);
                let mut due: Vec<_> = rows.iter().filter(due).map(|(key, row)| (row.1, key, row.0)).collect();
                due.sort();
                due.truncate(sql::BATCH);
                due.into_iter().map(|(expires, key, version)| vec![text(key), Field::Integer(version), Field::Integer(expires)]).collect()
            }
            Operation::Count => {
                let page: Vec<_> = rows.keys().filter(|key| **key > v[0].0).take(sql::PAGE as usize).collect();
                let sessions = page.iter().filter(|key| key.len() == 64).count() as i64;
                vec![vec![Field::Integer(sessions), Field::Integer(page.len() as i64), text(page.last().unwrap_or(&&String::new()))]]
            }
            Operation::Keys => rows.keys().filter(|key| **key > v[0].0).take(sql::PAGE as usize).map(|key| vec![text(key)]).collect(),
            other => panic!("no query: {other:?}"),
        })
    }
}
