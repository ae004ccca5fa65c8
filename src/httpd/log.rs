//! The error log.

use std::ffi::{CStr, c_char, c_int};
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
    /// `LogLevel trace2`.
    Trace2,
}

impl Level {
    fn raw(self) -> c_int {
        (match self {
            Level::Error => ffi::APLOG_ERR,
            Level::Warning => ffi::APLOG_WARNING,
            Level::Notice => ffi::APLOG_NOTICE,
            Level::Info => ffi::APLOG_INFO,
            Level::Debug => ffi::APLOG_DEBUG,
            Level::Trace2 => ffi::APLOG_TRACE2,
        }) as c_int
    }
}

/// The log prefix of a file name is ours to choose; the module is told by its index.
const FILE: &CStr = c"mod_session.c";
/// Text is never passed as a format: it may hold `%`.
const FORMAT: &CStr = c"%.*s";

/// Calls `write` with the text and its length if the threshold lets the level through; else nothing is formatted.
fn log_at(level: Level, threshold: c_int, text: fmt::Arguments<'_>, write: impl FnOnce(c_int, *const c_char)) {
    if level.raw() & ffi::APLOG_LEVELMASK as c_int <= threshold {
        let text = text.to_string();
        write(c_int::try_from(text.len()).unwrap_or(c_int::MAX), text.as_ptr().cast());
    }
}

impl Request<'_> {
    /// Writes a line to the error log of the request.
    pub fn log(self, level: Level, text: fmt::Arguments<'_>) {
        self.log_status(level, 0, text);
    }

    /// As [`Request::log`], with what APR says of a status in front of the text.
    pub fn log_status(self, level: Level, status: c_int, text: fmt::Arguments<'_>) {
        let index = module_index();
        // SAFETY: the request is alive; the text is passed with its length.
        unsafe {
            log_at(level, ffi::ap_get_request_module_loglevel(self.raw(), index), text, |length, text| {
                ffi::ap_log_rerror_(FILE.as_ptr(), 0, index, level.raw(), status, self.raw(), FORMAT.as_ptr(), length, text);
            });
        }
    }
}

impl Server<'_> {
    /// Writes a line to the error log of the server.
    pub fn log(self, level: Level, text: fmt::Arguments<'_>) {
        let index = module_index();
        // SAFETY: the server is alive; the text is passed with its length.
        unsafe {
            log_at(level, ffi::ap_get_server_module_loglevel(self.raw(), index), text, |length, text| {
                ffi::ap_log_error_(FILE.as_ptr(), 0, index, level.raw(), 0, self.raw(), FORMAT.as_ptr(), length, text);
            });
        }
    }
}
