//! Facts of a session.

use std::time::{Duration, SystemTime};

use super::table::Session;

/// # Facts
///
/// `None`, false, 1970 or no time at all after [`Error::Panic`](super::Error::Panic), when the session cannot be asked.
impl<'r> Session<'r> {
    /// 32 characters. A secret: it belongs into the cookie, not into logs or pages.
    #[must_use]
    pub fn id(&self) -> Option<&'r str> {
        self.text(|table| table.id)
    }

    /// 12 hex digits that name the session in the error log, in the request notes and for htsession. No credential.
    #[must_use]
    pub fn reference(&self) -> Option<&'r str> {
        self.text(|table| table.reference)
    }

    /// The name of the cookie; `None` with `SessionUseCookies Off`.
    #[must_use]
    pub fn cookie_name(&self) -> Option<&'r str> {
        self.text(|table| table.cookie_name)
    }

    /// The owner; `None` if nobody owns it.
    #[must_use]
    pub fn user(&self) -> Option<&'r str> {
        self.text(|table| table.user)
    }

    /// This request found no usable session, or has invalidated it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.ask(|table| table.is_new) != 0
    }

    /// The client presented an id that is no usable session: unknown, expired, ended or damaged. The session is new then.
    #[must_use]
    pub fn was_invalidated(&self) -> bool {
        self.ask(|table| table.was_invalidated) != 0
    }

    /// When the session was stored first; for a new one, when it was opened.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        time(self.ask(|table| table.created))
    }

    /// The access before this request, exact to `SessionTouchInterval`; for a new session, when it was opened.
    #[must_use]
    pub fn accessed(&self) -> SystemTime {
        time(self.ask(|table| table.accessed))
    }

    /// The idle timeout.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.ask(|table| table.timeout)).unwrap_or(0))
    }
}

fn time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
