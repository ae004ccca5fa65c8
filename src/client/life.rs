//! Saving and ending a session.

use std::ffi::{CString, c_int};
use std::time::Duration;

use super::error::{Error, Result};
use super::table::Session;

/// Whether what the user may do changes with the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The old id leads to the session for `SessionIdGrace`, for requests under way and lost responses.
    Unchanged,
    /// As at a login: the old id is worth nothing from now on, and requests that began under it cannot change the session.
    Changed,
}

/// # Life
///
/// Changes are stored before the response headers leave, and at the end of the response; [`save`](Session::save) stores them at once. Calls
/// that change something answer [`Error::Off`] in a session that was opened read-only.
impl Session<'_> {
    /// Reads what the store holds by now; changes that are not yet stored stay on top of it.
    ///
    /// # Errors
    /// [`Error::Gone`]: the session was ended meanwhile; [`Corrupt`](Error::Corrupt), [`Store`](Error::Store).
    pub fn load(&self) -> Result {
        self.done(|table| table.load)
    }

    /// Stores the changes now, on top of what others stored meanwhile.
    ///
    /// # Errors
    /// [`Gone`](Error::Gone) and [`TooLate`](Error::TooLate) drop the changes; [`TooLarge`](Error::TooLarge), [`Corrupt`](Error::Corrupt) and
    /// [`Store`](Error::Store) leave the stored session as it was.
    pub fn save(&self) -> Result {
        self.done(|table| table.save)
    }

    /// Drops the changes since the last load or save.
    ///
    /// # Errors
    /// [`Error::Off`].
    pub fn revert(&self) -> Result {
        self.done(|table| table.revert)
    }

    /// Storage goes at once; the session stays usable, and what is saved later in this request is stored under the same id. This is `remove`
    /// of session_api.h.
    ///
    /// # Errors
    /// [`Error::Gone`]: somebody else ended the session; [`Store`](Error::Store).
    pub fn delete(&self) -> Result {
        self.done(|table| table.remove)
    }

    /// Storage and values go at once. What is set from now on belongs to a new session with a new id. For logout, and for login.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn invalidate(&self) -> Result {
        self.done(|table| table.invalidate)
    }

    /// The same values under another id; what was changed so far is stored now. Before the response headers leave.
    ///
    /// # Errors
    /// [`Gone`](Error::Gone), [`TooLate`](Error::TooLate), [`TooLarge`](Error::TooLarge), [`Corrupt`](Error::Corrupt), [`Store`](Error::Store).
    pub fn regenerate(&self, privilege: Privilege) -> Result {
        Error::check(self.ask_number(|table| table.regenerate, c_int::from(privilege == Privilege::Changed)))
    }

    /// Storage and cookie go at the next commit point or save. The values can be read until then.
    ///
    /// # Errors
    /// [`Error::Off`].
    pub fn expire(&self) -> Result {
        self.done(|table| table.expire)
    }

    /// Renews the session, as every open does without [`no_touch`](super::Open::no_touch). Works in a read-only session.
    ///
    /// # Errors
    /// [`Error::Panic`].
    pub fn touch(&self) -> Result {
        self.done(|table| table.touch)
    }

    /// Sets the idle timeout of this one session, 1 second to 10 years, in whole seconds (a fraction is dropped). It is kept with the session.
    ///
    /// # Errors
    /// [`Error::BadType`]: out of range.
    pub fn set_timeout(&self, timeout: Duration) -> Result {
        Error::check(self.ask_number(|table| table.set_timeout, i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX)))
    }

    /// Sets the owner, at most 255 bytes without control characters; `None`: nobody. Another owner than before is a change of privilege: the
    /// session is [regenerated](Session::regenerate) with it.
    ///
    /// # Errors
    /// [`Error::BadType`]: not the name of a user; else as [`regenerate`](Session::regenerate).
    pub fn set_user(&self, user: Option<&str>) -> Result {
        let user = CString::new(user.unwrap_or_default()).map_err(|_| Error::BadType("a NUL in the name of a user".into()))?;
        Error::check(self.ask_text(|table| table.set_user, &user))
    }
}
