//! The C interface of `c_shim/session_api.h`: one versioned table from an optional function. Names, answers and order are fixed; the
//! table grows at its end only.
#![allow(unsafe_code)]

#[cfg(test)]
mod agreement;
mod facts;
mod handle;
mod life;
mod locking;
mod table;
mod values;

use crate::client::header::Status;
use crate::hooks::commit::SaveError;
use crate::hooks::events;
use crate::hooks::lease::NotGranted;
use crate::hooks::open::OpenError;
use crate::session::session::ChangeError;
use crate::session::value::KeyError;

/// What a call answers inside; the trampolines make a [`Status`] of it.
type Answer<T = ()> = Result<T, Status>;

impl From<Answer> for Status {
    fn from(answer: Answer) -> Status {
        answer.err().unwrap_or(Status::Ok)
    }
}

impl From<SaveError> for Status {
    fn from(error: SaveError) -> Status {
        match error {
            SaveError::Gone => Status::Gone,
            SaveError::TooLate => Status::TooLate,
            SaveError::TooLarge => Status::TooLarge,
            SaveError::Corrupt => Status::Corrupt,
            SaveError::Store => Status::Store,
        }
    }
}

impl From<OpenError> for Status {
    fn from(error: OpenError) -> Status {
        match error {
            OpenError::Off => Status::Off,
            OpenError::Store => Status::Store,
            OpenError::Corrupt => Status::Corrupt,
            OpenError::Busy => Status::Busy,
        }
    }
}

impl From<NotGranted> for Status {
    fn from(why: NotGranted) -> Status {
        match why {
            NotGranted::Busy => Status::Busy,
            NotGranted::Store => Status::Store,
        }
    }
}

impl From<KeyError> for Status {
    fn from(_: KeyError) -> Status {
        Status::BadKey
    }
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Status {
        match error {
            ChangeError::Key(error) => error.into(),
            ChangeError::TooLarge => Status::TooLarge,
            ChangeError::NotAnInteger => Status::BadType,
        }
    }
}

pub fn register() {
    // SAFETY: `table::get` has the type that session_api.h declares for this name.
    unsafe { crate::httpd::offer(c"session_api_get", table::get as *const ()) };
    events::listen(|request, event, session| {
        // SAFETY: session_api.h declares the hook with these arguments.
        unsafe { crate::httpd::tell(c"session_event", request, event, session.as_str()) };
    });
}
