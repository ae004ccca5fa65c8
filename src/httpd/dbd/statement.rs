//! Statements on a connection: prepared, filled in, carried out, and their answers read.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{from_ref, null, null_mut};

use super::{Connection, enter, lookup};
use crate::httpd::pool::OwnPool;
use crate::httpd::{Pool, ffi};

/// What is put into a place of a statement: `%s`, `%lld`, `%pDb`.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    Text(&'a str),
    Integer(i64),
    Bytes(&'a [u8]),
}

/// How a column is read.
#[derive(Clone, Copy)]
pub enum Kind {
    Integer,
    /// Text, or bytes as the driver hands them out: PostgreSQL's writes them as text.
    Bytes,
}

pub enum Datum {
    Integer(i64),
    Bytes(Vec<u8>),
}

impl Connection {
    /// Prepares a statement. `label` is a word of SQL.
    ///
    /// # Errors
    /// What the database says.
    pub fn prepare(&mut self, label: &CStr, sql: &CStr) -> Result<(), String> {
        let (driver, handle, pool) = unsafe { ((*self.raw).driver, (*self.raw).handle, (*self.raw).pool) };
        let kept = self.kept().0;
        if kept.pool.is_null() {
            // SAFETY: a pool below that of the connection, which only its holder allocates from.
            unsafe {
                ffi::apr_pool_create_ex(&raw mut kept.pool, pool, None, null_mut());
                kept.statements = ffi::apr_hash_make(kept.pool);
            }
        }
        let (pool, statements) = (kept.pool, kept.statements);
        // SAFETY: drivers may keep all three texts, so they lie with the statement.
        let number = unsafe {
            let pool = Pool::from_raw(pool);
            let (label, sql) = (pool.text(&label.to_string_lossy()), pool.text(&sql.to_string_lossy()));
            let mut statement = null_mut();
            let number = ffi::apr_dbd_prepare(driver, pool.raw(), handle, sql.as_ptr(), label.as_ptr(), &raw mut statement);
            if number == 0 {
                enter(statements, label, statement);
            }
            number
        };
        self.answered(number)
    }

    /// The statement, and its arguments as drivers want them: a pointer for each, four for bytes.
    fn bind(&mut self, label: &CStr, sql: &CStr, arguments: &[Argument<'_>], pool: Pool<'_>) -> Bound {
        assert!(self.knows(label), "prepare was not called");
        assert!(places(sql).eq(arguments.iter().map(place)), "arguments that the statement has no places for");
        let mut values: Vec<*const c_void> = Vec::with_capacity(arguments.len() + 3);
        for argument in arguments {
            match argument {
                Argument::Text(text) => values.push(pool.text(text).as_ptr().cast()),
                Argument::Integer(number) => values.push(from_ref::<i64>(number).cast()),
                Argument::Bytes(bytes) => {
                    // An empty slice points to nothing that may be read; drivers want an address all the same.
                    let data = if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() };
                    values.extend([data, pool.place(bytes.len() as ffi::apr_size_t).cast_const().cast(), null(), null()]);
                }
            }
        }
        Bound { statement: lookup(self.kept().0.statements, label), values }
    }

    /// Carries out a prepared statement; answers how many rows it changed.
    ///
    /// # Errors
    /// What the database says. It may have been carried out all the same.
    pub fn execute(&mut self, label: &CStr, sql: &CStr, arguments: &[Argument<'_>]) -> Result<u64, String> {
        let work = OwnPool::below(&self.pool);
        let mut bound = self.bind(label, sql, arguments, work.get());
        let mut rows = 0;
        // SAFETY: the values are as many and of the types that the statement says (`bind`), and live through the call.
        let number = unsafe {
            let (driver, handle) = ((*self.raw).driver, (*self.raw).handle);
            ffi::apr_dbd_pbquery(driver, work.get().raw(), handle, &raw mut rows, bound.statement, bound.values.as_mut_ptr())
        };
        self.answered(number).map(|()| u64::try_from(rows).unwrap_or(0))
    }

    /// Carries out a prepared statement that answers rows with these columns.
    ///
    /// # Errors
    /// What the database says, or a row is not of that kind. No rows are all rows there are.
    pub fn select(&mut self, label: &CStr, sql: &CStr, arguments: &[Argument<'_>], kinds: &[Kind]) -> Result<Vec<Vec<Datum>>, String> {
        let work = OwnPool::below(&self.pool);
        let pool = work.get();
        let mut bound = self.bind(label, sql, arguments, pool);
        // SAFETY: as in `execute`; results, rows and buckets live in the pool.
        unsafe {
            let (driver, handle) = ((*self.raw).driver, (*self.raw).handle);
            let mut results = null_mut();
            // Random access, rows from 1: all drivers agree on that only, and have all rows before they answer.
            let random = 1;
            let values = bound.values.as_mut_ptr();
            self.answered(ffi::apr_dbd_pbselect(driver, pool.raw(), handle, &raw mut results, bound.statement, random, values))?;
            let mut rows = Vec::new();
            for number in 1..=ffi::apr_dbd_num_tuples(driver, results) {
                let mut row = null_mut();
                if ffi::apr_dbd_get_row(driver, pool.raw(), results, &raw mut row, number) != 0 {
                    return Err(format!("row {number} cannot be read: {}", self.error(0)));
                }
                let fields = kinds.iter().enumerate().map(|(at, kind)| self.field(pool, row, at, *kind));
                rows.push(fields.collect::<Result<Vec<_>, String>>()?);
            }
            Ok(rows)
        }
    }

    /// # Safety
    /// `row` is a row of this connection in `pool`.
    unsafe fn field(&self, pool: Pool<'_>, row: *mut ffi::apr_dbd_row_t, at: usize, kind: Kind) -> Result<Datum, String> {
        let column = c_int::try_from(at).map_err(|error| error.to_string())?;
        let read = |status: ffi::apr_status_t| {
            if status == 0 { Ok(()) } else { Err(format!("column {at} cannot be read: status {status}")) }
        };
        // SAFETY: promised by the caller; a number is written to a number, bytes to a brigade.
        unsafe {
            let driver = (*self.raw).driver;
            match kind {
                Kind::Integer => {
                    let mut number: i64 = 0;
                    let kind = ffi::apr_dbd_type_e_APR_DBD_TYPE_LONGLONG;
                    read(ffi::apr_dbd_datum_get(driver, row, column, kind, (&raw mut number).cast()))?;
                    Ok(Datum::Integer(number))
                }
                Kind::Bytes => {
                    let brigade = ffi::apr_brigade_create(pool.raw(), ffi::apr_bucket_alloc_create(pool.raw()));
                    let kind = ffi::apr_dbd_type_e_APR_DBD_TYPE_BLOB;
                    read(ffi::apr_dbd_datum_get(driver, row, column, kind, brigade.cast()))?;
                    let (mut data, mut length) = (null_mut(), 0);
                    read(ffi::apr_brigade_pflatten(brigade, &raw mut data, &raw mut length, pool.raw()))?;
                    let bytes = if length == 0 { &[][..] } else { std::slice::from_raw_parts(data.cast::<u8>(), length) };
                    Ok(Datum::Bytes(bytes.to_vec()))
                }
            }
        }
    }
}

struct Bound {
    statement: *mut ffi::apr_dbd_prepared_t,
    values: Vec<*const c_void>,
}

/// What stands for the values of a statement: `s`, `l`, `p`.
fn places(sql: &CStr) -> impl Iterator<Item = u8> {
    sql.to_bytes().windows(2).filter(|pair| pair[0] == b'%').map(|pair| pair[1])
}

fn place(argument: &Argument<'_>) -> u8 {
    match argument {
        Argument::Text(_) => b's',
        Argument::Integer(_) => b'l',
        Argument::Bytes(_) => b'p',
    }
}
