//! mod_dbd: connections to an SQL database that all modules share, and the statements of one of them.
//!
//! Statements are prepared on a connection when they are first needed, not by `ap_dbd_prepare`: mod_dbd would throw each connection away
//! on which one cannot be prepared, for all modules, and never prepares again what a server forgot when it was restarted. They lie in a
//! pool below that of the connection, and go with it, or when they are to be prepared anew.

mod statement;

use std::ffi::{CStr, c_int};
use std::mem::transmute;
use std::ptr::{null, null_mut};

pub use statement::{Argument, Datum, Kind};

use super::mpm::is_threaded;
use super::optional::{Untyped, retrieve};
use super::pool::OwnPool;
use super::thread::Blocked;
use super::watchdog::child_ends;
use super::{Pool, Server, ffi};

/// What a module keeps with a connection. It lies in the connection's pool, and has no destructor.
#[repr(C)]
#[derive(Clone, Copy)]
struct Kept {
    /// Below the connection's: that of the statements.
    pool: *mut ffi::apr_pool_t,
    statements: *mut ffi::apr_hash_t,
    /// Statements were forgotten once: the server may know their names.
    is_renewed: bool,
    /// What a caller wants to know of it later.
    note: u32,
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
    /// As long as it is in use, for prefork ends a child within the handler of a signal: there all connections are closed, those that are
    /// amid a statement, too, and APR's list of resources ends the process by SIGABRT if one of them was not given back. The threads of other MPMs
    /// have all signals blocked.
    _blocked: Option<Blocked>,
}

impl Connection {
    /// Takes a connection to the database of a server; one that broke is made anew.
    ///
    /// # Errors
    /// Why there is none, as far as it can be told: mod_dbd logs the rest.
    pub fn open(server: Server<'static>) -> Result<Connection, String> {
        if child_ends() {
            return Err("this child ends".into()); // and mod_dbd has nothing any more
        }
        // SAFETY: this is the type that mod_dbd.h declares for the name; all function pointers have one size.
        let open = unsafe { transmute::<Untyped, ffi::apr_OFN_ap_dbd_open_t>(retrieve(c"ap_dbd_open")) };
        let open = open.ok_or("mod_dbd is not loaded")?;
        let blocked = if is_threaded() { None } else { Some(Blocked::all().map_err(|error| error.to_string())?) };
        let pool = OwnPool::new();
        // SAFETY: the pool outlives the connection, and the server is one of the configuration.
        let raw = unsafe { open(pool.get().raw(), server.raw()) };
        if raw.is_null() {
            Err("the lines of mod_dbd say why".into())
        } else {
            Ok(Connection { raw, server: Some(server), pool, _blocked: blocked })
        }
    }

    /// A connection that mod_dbd knows nothing of.
    ///
    /// # Errors
    /// What the driver says.
    pub fn own(driver: &str, parameters: &str) -> Result<Connection, String> {
        let blocked = Blocked::all().map_err(|error| error.to_string())?;
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
            Ok(Connection { raw, server: None, pool, _blocked: Some(blocked) })
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
                let kept = pool.place(Kept { pool: null_mut(), statements: null_mut(), is_renewed: false, note: 0 });
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

    /// A number that stays with the connection, for whoever uses it.
    pub fn note(&mut self) -> &mut u32 {
        &mut self.kept().0.note
    }

    /// Prepares all statements anew when they are needed next.
    pub fn forget(&mut self) {
        let kept = self.kept().0;
        if !kept.pool.is_null() {
            // SAFETY: made by `prepare`; what was in it is not used any more.
            unsafe { ffi::apr_pool_destroy(kept.pool) };
        }
        *kept = Kept { pool: null_mut(), statements: null_mut(), is_renewed: true, note: kept.note };
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
