//! How a session is opened.

use std::ffi::c_uint;

use super::header::flag;

/// How to open a session. As it is made, it is to be read and written: the open waits for other requests of the session where `SessionLock
/// request` holds, and renews it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    flags: c_uint,
}

impl Open {
    #[must_use]
    pub const fn new() -> Open {
        Open { flags: 0 }
    }

    /// Changes answer [`Error::Off`](super::Error::Off), until the session is opened without this in the same request tree. Does not wait
    /// for other requests.
    #[must_use]
    pub const fn read_only(self) -> Open {
        self.with(flag::READ_ONLY)
    }

    /// Does not wait for other requests of the session; the request notes may have (`SessionNotes Off`).
    #[must_use]
    pub const fn no_lock(self) -> Open {
        self.with(flag::NO_LOCK)
    }

    /// Does not renew the session; another open, such as that of the request notes, may.
    #[must_use]
    pub const fn no_touch(self) -> Open {
        self.with(flag::NO_TOUCH)
    }

    const fn with(self, flag: c_uint) -> Open {
        Open { flags: self.flags | flag }
    }

    pub(super) fn flags(self) -> c_uint {
        self.flags
    }
}
