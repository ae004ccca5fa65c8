//! Keeping other requests off a session.

use std::time::Duration;

use super::error::{Error, Result};
use super::table::Session;

/// # Locks
///
/// Where `SessionLock request` holds, which is the default, an open for writing has the session already, and these are seldom needed: `unlock`
/// before something slow, `lock` to have it again.
///
/// There is no guard that unlocks when it is dropped: unlocking stores the changes, and a drop would have to keep its failure to itself.
impl Session<'_> {
    /// Waits until no other request holds the session, `SessionLockTimeout` at most, holds it, and reads what the store holds by now. It is
    /// held until [`unlock`](Session::unlock), or to the end of the response.
    ///
    /// # Errors
    /// [`Busy`](Error::Busy), [`Gone`](Error::Gone), [`Off`](Error::Off) (`SessionLock none`), [`TooLate`](Error::TooLate),
    /// [`Corrupt`](Error::Corrupt), [`Store`](Error::Store).
    pub fn lock(&self) -> Result {
        Error::check(self.ask_number(|table| table.lock, -1))
    }

    /// [`lock`](Session::lock) that waits for this long at most.
    ///
    /// # Errors
    /// As [`lock`](Session::lock).
    pub fn lock_for(&self, patience: Duration) -> Result {
        Error::check(self.ask_number(|table| table.lock, i64::try_from(patience.as_micros()).unwrap_or(i64::MAX)))
    }

    /// [`lock`](Session::lock) that does not wait.
    ///
    /// # Errors
    /// As [`lock`](Session::lock).
    pub fn try_lock(&self) -> Result {
        self.done(|table| table.trylock)
    }

    /// Stores the changes and lets other requests go on, whether an open or a lock took the session. It is given up in any case, and opens of
    /// this request tree no longer take it.
    ///
    /// # Errors
    /// As [`save`](Session::save), and [`Off`](Error::Off) (`SessionLock none`).
    pub fn unlock(&self) -> Result {
        self.done(|table| table.unlock)
    }

    /// Runs `body` between [`lock`](Session::lock) and [`unlock`](Session::unlock). What `body` changed is stored also if it fails;
    /// [`revert`](Session::revert) before that prevents it. If it panics, the session is held to the end of the response.
    ///
    /// # Errors
    /// That of the lock, of `body`, or of the unlock: the first there is.
    pub fn locked<T, E: From<Error>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.lock()?;
        let answer = body();
        let given_up = self.unlock();
        let value = answer?;
        given_up?;
        Ok(value)
    }
}
