//! Directives as rows of safe functions.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use super::config::{Section, SectionConfig};
use super::{Pool, ffi, guard};

/// Where a directive may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contexts {
    /// Server, virtual host, sections, and `.htaccess` under `AllowOverride AuthConfig`.
    Everywhere,
    /// Server, virtual host, `<Directory>` and `<Location>`.
    NotHtaccess,
    /// Outside of all virtual hosts and sections.
    ServerOnly,
}

/// What a directive does with its arguments. The text of an error names the value and the remedy; httpd names file and line.
pub enum Setter<C> {
    Flag(fn(&mut C, bool)),
    One(fn(&mut C, &str, Place<'_>) -> Result<(), String>),
    Words(fn(&mut C, &[&str], Place<'_>) -> Result<(), String>),
}

pub struct Directive<C> {
    pub name: &'static CStr,
    pub contexts: Contexts,
    pub setter: Setter<C>,
    pub help: &'static CStr,
}

/// Where in the configuration a directive was found.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    raw: *mut ffi::cmd_parms,
    owner: PhantomData<&'p ()>,
}

impl<'p> Place<'p> {
    /// Refuses a directive where httpd's own table of contexts is too coarse to.
    ///
    /// # Errors
    /// The directive stands where it must not.
    fn admits(self, contexts: Contexts) -> Result<(), String> {
        let (forbidden, remedy) = match contexts {
            Contexts::Everywhere => return Ok(()),
            // httpd enters these too late.
            Contexts::NotHtaccess => (ffi::NOT_IN_FILES, "stands in <Files> or <If>: use <Directory> or <Location>"),
            Contexts::ServerOnly => (ffi::GLOBAL_ONLY, "holds for the whole server: put it outside of <VirtualHost> and all sections"),
        };
        // SAFETY: httpd passes the directive it reads.
        let refusal = unsafe { ffi::ap_check_cmd_context(self.raw, forbidden as u32) };
        if refusal.is_null() { Ok(()) } else { Err(remedy.into()) }
    }

    /// # Safety
    /// `raw` is what httpd passes with a directive, for as long as it reads it.
    pub(super) unsafe fn from_raw(raw: *mut ffi::cmd_parms) -> Place<'p> {
        Place { raw, owner: PhantomData }
    }

    pub(super) fn raw(self) -> *mut ffi::cmd_parms {
        self.raw
    }

    pub(super) fn pool(self) -> Pool<'p> {
        // SAFETY: the pool of the configuration.
        unsafe { Pool::from_raw((*self.raw).pool) }
    }

    /// An absolute path; a relative one is below `ServerRoot`.
    pub fn path(self, text: &str) -> Option<PathBuf> {
        // SAFETY: pool and text live through the call; the answer lives in the pool, or is null.
        unsafe {
            let full = ffi::ap_server_root_relative(self.pool().raw(), self.pool().text(text).as_ptr());
            let path = (!full.is_null()).then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(full).to_bytes())));
            path.map(|path| path.components().collect()) // a slash at the end would follow a link
        }
    }
}

/// Reads a time as httpd does (`30`, `30s`, `5min`, `2h`, `500ms`); without a unit it is seconds. The answer is in microseconds.
pub fn time(place: Place<'_>, text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None; // httpd would read "soon" as zero seconds
    }
    let mut micros: ffi::apr_interval_time_t = 0;
    // SAFETY: all pointers live through the call.
    let status = unsafe { ffi::ap_timeout_parameter_parse(place.pool().text(text).as_ptr(), &raw mut micros, c"s".as_ptr()) };
    if status == ffi::APR_SUCCESS as ffi::apr_status_t { u64::try_from(micros).ok() } else { None }
}

/// The table that a module record points to.
#[repr(transparent)]
pub struct Commands<const N: usize>([ffi::command_rec; N]);

// SAFETY: the table is never changed; what it points to is static.
unsafe impl<const N: usize> Sync for Commands<N> {}

impl<const N: usize> Commands<N> {
    /// The rows, and the empty one that ends a table: `N` is one more than the rows.
    pub const fn new<C: SectionConfig>(rows: &'static [Directive<C>]) -> Commands<N> {
        assert!(rows.len() + 1 == N);
        let mut commands = [END; N];
        let mut i = 0;
        while i < rows.len() {
            commands[i] = command(&rows[i]);
            i += 1;
        }
        Commands(commands)
    }

    pub const fn first(&self) -> *const ffi::command_rec {
        (&raw const self.0).cast()
    }
}

const END: ffi::command_rec = ffi::command_rec {
    name: null(),
    func: ffi::cmd_func { no_args: None },
    cmd_data: null_mut(),
    req_override: 0,
    args_how: ffi::cmd_how_RAW_ARGS,
    errmsg: null(),
};

const fn command<C: SectionConfig>(row: &'static Directive<C>) -> ffi::command_rec {
    let (func, args_how) = match row.setter {
        Setter::Flag(_) => (ffi::cmd_func { flag: Some(flag::<C>) }, ffi::cmd_how_FLAG),
        Setter::One(_) => (ffi::cmd_func { take1: Some(one::<C>) }, ffi::cmd_how_TAKE1),
        Setter::Words(_) => (ffi::cmd_func { take_argv: Some(words::<C>) }, ffi::cmd_how_TAKE_ARGV),
    };
    let contexts = match row.contexts {
        Contexts::Everywhere => ffi::RSRC_CONF | ffi::OR_AUTHCFG,
        Contexts::NotHtaccess => ffi::RSRC_CONF | ffi::ACCESS_CONF,
        Contexts::ServerOnly => ffi::RSRC_CONF,
    };
    ffi::command_rec {
        name: row.name.as_ptr(),
        func,
        cmd_data: std::ptr::from_ref(row).cast_mut().cast(),
        req_override: contexts as c_int,
        args_how,
        errmsg: row.help.as_ptr(),
    }
}

/// Calls a setter, and hands its error to httpd.
///
/// # Safety
/// httpd calls a command function with the parameters of a row of ours and a configuration that `record::create` made.
unsafe fn run<C: SectionConfig>(
    parms: *mut ffi::cmd_parms,
    config: *mut c_void,
    call: impl FnOnce(&Setter<C>, &mut C, Place<'_>) -> Result<(), String>,
) -> *const c_char {
    guard(c"a defect of mod_session_rs: see the error log".as_ptr(), || {
        // SAFETY: promised by the caller. The configuration is being read by one thread, so `&mut` is exclusive.
        let (row, config) = unsafe {
            let row = &*(*(*parms).cmd).cmd_data.cast::<Directive<C>>();
            (row, config.cast::<Section<C::Public>>().as_mut())
        };
        let place = Place { raw: parms, owner: PhantomData };
        let set = |config: &mut C| place.admits(row.contexts).and_then(|()| call(&row.setter, config, place));
        let Some(done) = config.and_then(|section| section.change(place.pool(), set)) else {
            return c"a defect of mod_session_rs: foreign configuration".as_ptr();
        };
        match done {
            Ok(()) => null(),
            Err(text) => place.pool().text(&format!("{} {text}", row.name.to_string_lossy())).as_ptr(),
        }
    })
}

unsafe extern "C" fn flag<C: SectionConfig>(parms: *mut ffi::cmd_parms, config: *mut c_void, on: c_int) -> *const c_char {
    // SAFETY: called by httpd for a row of ours.
    unsafe {
        run::<C>(parms, config, |setter, config, _| {
            if let Setter::Flag(set) = setter {
                set(config, on != 0);
            }
            Ok(())
        })
    }
}

unsafe extern "C" fn one<C: SectionConfig>(parms: *mut ffi::cmd_parms, config: *mut c_void, word: *const c_char) -> *const c_char {
    // SAFETY: called by httpd for a row of ours, with one NUL-terminated argument.
    unsafe {
        run::<C>(parms, config, |setter, config, place| match (setter, utf8(word)?) {
            (Setter::One(set), word) => set(config, word, place),
            _ => Ok(()),
        })
    }
}

unsafe extern "C" fn words<C: SectionConfig>(
    parms: *mut ffi::cmd_parms,
    config: *mut c_void,
    count: c_int,
    words: *const *mut c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a row of ours, with `count` NUL-terminated arguments.
    unsafe {
        run::<C>(parms, config, |setter, config, place| {
            let words = (0..usize::try_from(count).unwrap_or(0)).map(|i| utf8(*words.add(i))).collect::<Result<Vec<_>, _>>()?;
            match setter {
                Setter::Words(set) => set(config, &words, place),
                _ => Ok(()),
            }
        })
    }
}

/// # Safety
/// `word` is NUL-terminated and lives through the directive.
unsafe fn utf8<'a>(word: *const c_char) -> Result<&'a str, String> {
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(word) }.to_str().map_err(|_| "takes UTF-8 text only".to_owned())
}
