//! The error log.

use std::ffi::{CStr, c_int};
use std::fmt;

use super::record::module_index;
use super::{Request, Server, ffi};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    fn raw(self) -> c_int {
        (match self {
            Level::Error => ffi::APLOG_ERR,
            Level::Warning => ffi::APLOG_WARNING,
            Level::Notice => ffi::APLOG_NOTICE,
            Level::Info => ffi::APLOG_INFO,
            Level::Debug => ffi::APLOG_DEBUG,
        }) as c_int
    }
}

/// The log prefix of a file name is ours to choose; the module is told by its index.
const FILE: &CStr = c"mod_session.c";
/// Text is never passed as a format: it may hold `%`.
const FORMAT: &CStr = c"%.*s";

fn shown(level: Level, threshold: c_int) -> bool {
    level.raw() & ffi::APLOG_LEVELMASK as c_int <= threshold
}

impl Request<'_> {
    /// Writes a line to the error log of the request.
    pub fn log(self, level: Level, text: fmt::Arguments<'_>) {
        // SAFETY: the request is alive; the text is passed with its length.
        unsafe {
            if shown(level, ffi::ap_get_request_module_loglevel(self.raw(), module_index())) {
                let text = text.to_string();
                ffi::ap_log_rerror_(
                    FILE.as_ptr(),
                    0,
                    module_index(),
                    level.raw(),
                    0,
                    self.raw(),
                    FORMAT.as_ptr(),
                    length(&text),
                    text.as_ptr(),
                );
            }
        }
    }
}

impl Server<'_> {
    /// Writes a line to the error log of the server.
    pub fn log(self, level: Level, text: fmt::Arguments<'_>) {
        // SAFETY: the server is alive; the text is passed with its length.
        unsafe {
            if shown(level, ffi::ap_get_server_module_loglevel(self.raw(), module_index())) {
                let text = text.to_string();
                ffi::ap_log_error_(
                    FILE.as_ptr(),
                    0,
                    module_index(),
                    level.raw(),
                    0,
                    self.raw(),
                    FORMAT.as_ptr(),
                    length(&text),
                    text.as_ptr(),
                );
            }
        }
    }
}

fn length(text: &str) -> c_int {
    c_int::try_from(text.len()).unwrap_or(c_int::MAX)
}
