//! What may come instead of an answer.

use std::ffi::c_int;

use super::header::Status;

/// Why a call did not do what it was asked to do. A call that fails to set changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// mod_session_rs is not loaded, or it is older than this library.
    #[error("mod_session_rs is not loaded, or it is older than this library")]
    NotOffered,
    /// There is nothing to ask: the request is null.
    #[error("there is no session")]
    None,
    /// Others deleted, invalidated or expired the session meanwhile. The changes are dropped.
    #[error("the session was ended meanwhile")]
    Gone,
    /// Another request holds the session and did not give it up in time, or too many wait already.
    #[error("another request holds the session")]
    Busy,
    /// No sessions of ours here (`Session Off`, `SessionExclude`, another store), a change of a session that was opened read-only, a lock
    /// where `SessionLock none` holds, or an operation that the loaded module does not offer.
    #[error("not offered here: sessions are off, the session is read-only, or locks are off")]
    Off,
    /// A new session or a new id after the response headers have gone: nothing is stored. From a lock: the response has ended.
    #[error("the response headers have gone")]
    TooLate,
    /// Larger than `SessionMaxSize`, or nested deeper than 32 levels.
    #[error("larger than SessionMaxSize, or nested too deep")]
    TooLarge,
    /// Not 1-128 bytes without control characters, or it differs from an existing key only in case.
    #[error("not a key, or it differs from an existing one only in case")]
    BadKey,
    /// The value in the session does not fit the type that was asked for, or what was to be set is none that sessions know. Says why.
    #[error("{0}")]
    BadType(String),
    /// The record is damaged, and `SessionInvalidateCorrupt` is `Off`; or it was found damaged at a save.
    #[error("the record of the session is damaged")]
    Corrupt,
    /// The store failed; the stored session is as it was. The error log of httpd has the rest.
    #[error("the store of the sessions failed")]
    Store,
    /// A defect of the module, caught and logged: the sessions of this request are not saved.
    #[error("a defect in mod_session_rs; the sessions of this request are not saved")]
    Panic,
    /// A status, or a type, that only a newer module knows.
    #[error("mod_session_rs answered {0}, which this library does not know")]
    Unknown(i32),
}

/// An answer, or an [`Error`].
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// What a handler may return to httpd: 503 for [`Busy`](Error::Busy) and [`Store`](Error::Store), 413 for
    /// [`TooLarge`](Error::TooLarge), 500 for all others.
    #[must_use]
    pub fn http_status(&self) -> i32 {
        match self {
            Error::Busy | Error::Store => 503,
            Error::TooLarge => 413,
            _ => 500,
        }
    }

    /// Makes an error of a status that is none of success.
    pub(crate) fn check(status: c_int) -> Result {
        Err(match Status::of(status) {
            Some(Status::Ok) => return Ok(()),
            Some(Status::None) => Error::None,
            Some(Status::Gone) => Error::Gone,
            Some(Status::Busy) => Error::Busy,
            Some(Status::Off) => Error::Off,
            Some(Status::TooLate) => Error::TooLate,
            Some(Status::TooLarge) => Error::TooLarge,
            Some(Status::BadKey) => Error::BadKey,
            Some(Status::BadType) => Error::BadType("the value has another type, or is out of range".into()),
            Some(Status::Corrupt) => Error::Corrupt,
            Some(Status::Store) => Error::Store,
            Some(Status::Panic) => Error::Panic,
            None => Error::Unknown(status),
        })
    }
}

/// Where `SESSION_NONE` is an answer among others: there is no such key, no such session.
pub(super) fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::None) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_knows_is_an_error_with_its_number() {
        assert_eq!(Error::check(99), Err(Error::Unknown(99)));
        assert_eq!(Error::check(-1), Err(Error::Unknown(-1)));
        assert_eq!(Error::check(0), Ok(()));
    }
}
