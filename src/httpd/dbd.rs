//! mod_dbd: connections to an SQL database that all modules share, and the statements of one of them.
//!
//! Statements are prepared on a connection when they are first needed, not by `ap_dbd_prepare`: mod_dbd would throw each connection away
//! on which one cannot be prepared, for all modules, and never prepares again what a server forgot when it was restarted. They lie in a
//! pool below that of the connection, and go with it, or when they are to be prepared anew.

use std::ffi::{CStr, c_int, c_void};
use std::mem::transmute;
use std::ptr::{from_ref, null, null_mut};

use super::optional::{Untyped, retrieve};
use super::pool::OwnPool;
use super::{Pool, Server, ffi};

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

/// What a module keeps with a connection. It lies in the connection's pool, and has no destructor.
#[repr(C)]
#[derive(Clone, Copy)]
struct Kept {
    /// Below the connection's: that of the statements.
    pool: *mut ffi::apr_pool_t,
    statements: *mut ffi::apr_hash_t,
    /// Statements were forgotten once: the server may know their names.
    is_renewed: bool,
}

/// Among the statements that mod_dbd keeps by label.
const KEPT: &CStr = c"mod_session_rs";

fn lookup<T>(hash: *mut ffi::apr_hash_t, key: &CStr) -> *mut T {
    // SAFETY: the hash is alive, as each caller sees to; the key is read only.
    unsafe { ffi::apr_hash_get(hash, key.as_ptr().cast(), key.to_bytes().len() as ffi::apr_ssize_t).cast() }
}

/// `key` lives in the pool of the hash.
fn enter<T>(hash: *mut ffi::apr_hash_t, key: &CStr, value: *const T) {
    // SAFETY: as above.
    unsafe { ffi::apr_hash_set(hash, key.as_ptr().cast(), key.to_bytes().len() as ffi::apr_ssize_t, value.cast()) }
}

fn words(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: a NUL-terminated text of the driver, or null.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// A connection that this thread has to itself until it is dropped.
pub struct Connection {
    raw: *mut ffi::ap_dbd_t,
    /// Whose pool of connections it is from; `None`: it is one of our own.
    server: Option<Server<'static>>,
    /// The connection itself is in it, where mod_dbd keeps none.
    pool: OwnPool,
}

impl Connection {
    /// Takes a connection to the database of a server; one that broke is made anew.
    ///
    /// # Errors
    /// Why there is none, as far as it can be told: mod_dbd logs the rest.
    pub fn open(server: Server<'static>) -> Result<Connection, String> {
        // SAFETY: this is the type that mod_dbd.h declares for the name; all function pointers have one size.
        let open = unsafe { transmute::<Untyped, ffi::apr_OFN_ap_dbd_open_t>(retrieve(c"ap_dbd_open")) };
        let open = open.ok_or("mod_dbd is not loaded")?;
        let pool = OwnPool::new();
        // SAFETY: the pool outlives the connection, and the server is one of the configuration.
        let raw = unsafe { open(pool.get().raw(), server.raw()) };
        if raw.is_null() { Err("the lines of mod_dbd say why".into()) } else { Ok(Connection { raw, server: Some(server), pool }) }
    }

    /// A connection that mod_dbd knows nothing of.
    ///
    /// # Errors
    /// What the driver says.
    pub fn own(driver: &str, parameters: &str) -> Result<Connection, String> {
        let pool = OwnPool::new();
        let (name, parameters) = (pool.get().text(driver), pool.get().text(parameters));
        // SAFETY: all that is passed lives in the pool, and so does what is answered.
        unsafe {
            let (mut driver, mut handle, mut error) = (null(), null_mut(), null());
            let status = ffi::apr_dbd_get_driver(pool.get().raw(), name.as_ptr(), &raw mut driver);
            if status != 0 {
                return Err(format!("no driver {}: status {status}", name.to_string_lossy()));
            }
            if ffi::apr_dbd_open_ex(driver, pool.get().raw(), parameters.as_ptr(), &raw mut handle, &raw mut error) != 0 {
                return Err(words(error));
            }
            let prepared = ffi::apr_hash_make(pool.get().raw());
            let raw = pool.get().place(ffi::ap_dbd_t { handle, driver, prepared, pool: pool.get().raw() });
            Ok(Connection { raw, server: None, pool })
        }
    }

    /// The name of its driver, as `DBDriver` has it.
    pub fn driver(&self) -> &CStr {
        // SAFETY: (here and below) the connection is ours until it is dropped, and so is all that it points to.
        unsafe { CStr::from_ptr(ffi::apr_dbd_name((*self.raw).driver)) }
    }

    /// What we keep with it. `true`: this is the first look at a new one.
    fn kept(&mut self) -> (&mut Kept, bool) {
        // SAFETY: what lies under our label was put there here; nobody else has the connection.
        unsafe {
            let (prepared, pool) = ((*self.raw).prepared, Pool::from_raw((*self.raw).pool));
            let known: *mut Kept = lookup(prepared, KEPT);
            let kept = if known.is_null() {
                let kept = pool.place(Kept { pool: null_mut(), statements: null_mut(), is_renewed: false });
                enter(prepared, pool.text(KEPT.to_str().unwrap_or_default()), kept);
                kept
            } else {
                known
            };
            (&mut *kept, known.is_null())
        }
    }

    /// Whether nobody of ours has had it before.
    pub fn is_new(&mut self) -> bool {
        self.kept().1
    }

    /// Whether a statement that is to be prepared may be known to the server still.
    pub fn is_renewed(&mut self) -> bool {
        self.kept().0.is_renewed
    }

    /// Prepares all statements anew when they are needed next.
    pub fn forget(&mut self) {
        let kept = self.kept().0;
        if !kept.pool.is_null() {
            // SAFETY: made by `prepare`; what was in it is not used any more.
            unsafe { ffi::apr_pool_destroy(kept.pool) };
        }
        *kept = Kept { pool: null_mut(), statements: null_mut(), is_renewed: true };
    }

    /// Whether a statement is prepared already.
    pub fn knows(&mut self, label: &CStr) -> bool {
        let statements = self.kept().0.statements;
        !statements.is_null() && !lookup::<ffi::apr_dbd_prepared_t>(statements, label).is_null()
    }

    fn error(&self, number: c_int) -> String {
        // SAFETY: see `driver`.
        let text = words(unsafe { ffi::apr_dbd_error((*self.raw).driver, (*self.raw).handle, number) });
        format!("{text} ({} error {number})", self.driver().to_string_lossy())
    }

    fn answered(&self, number: c_int) -> Result<(), String> {
        if number == 0 { Ok(()) } else { Err(self.error(number)) }
    }

    /// Sends a command without places; what it answers is not looked at.
    pub fn command(&mut self, sql: &CStr) {
        let mut rows = 0;
        // SAFETY: see `driver`.
        unsafe { ffi::apr_dbd_query((*self.raw).driver, (*self.raw).handle, &raw mut rows, sql.as_ptr()) };
    }

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
                    let bytes = if length == 0 { &[][..] } else { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) };
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

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the type that mod_dbd.h declares; it is given back once, to where it is from. One of our own is not used after its
        // statements have gone.
        unsafe {
            match (self.server, transmute::<Untyped, ffi::apr_OFN_ap_dbd_close_t>(retrieve(c"ap_dbd_close"))) {
                (Some(server), Some(close)) => close(server.raw(), self.raw),
                (Some(_), None) => {}
                (None, _) => {
                    self.forget();
                    ffi::apr_dbd_close((*self.raw).driver, (*self.raw).handle);
                }
            }
        }
    }
}

/// APR without an httpd around it.
#[cfg(test)]
pub fn initialise() {
    #[link(name = "aprutil-1")]
    #[link(name = "apr-1")]
    unsafe extern "C" {
        fn apr_initialize() -> ffi::apr_status_t;
        fn apr_dbd_init(pool: *mut ffi::apr_pool_t) -> ffi::apr_status_t;
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: once, before anything else of APR; the pool lives as long as the process.
    ONCE.call_once(|| unsafe {
        apr_initialize();
        apr_dbd_init(std::mem::ManuallyDrop::new(OwnPool::new()).get().raw());
    });
}
