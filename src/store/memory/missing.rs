//! A store whose memory could not be had: it says why, each time, and is never taken for an empty one.

use std::time::Duration;

use crate::session::{Key, Timestamp};
use crate::store::{Blob, Change, Cursor, Durability, Entry, Error, Outcome, Result, Store, Sweep};

pub struct Missing(pub String);

impl Missing {
    fn failed<T>(&self) -> Result<T> {
        Err(Error::Failed(self.0.clone()))
    }
}

impl Store for Missing {
    fn create(&self, _: &Key, _: &Blob, _: Durability) -> Result<bool> {
        self.failed()
    }

    fn load(&self, _: &Key) -> Result<Option<Blob>> {
        self.failed()
    }

    fn update_from(&self, _: &Key, _: Option<&Blob>, _: Durability, _: &mut dyn FnMut(Option<&Blob>) -> Change) -> Result<Outcome> {
        self.failed()
    }

    fn quarantine(&self, _: &Key, _: &dyn Fn(&Blob) -> bool) -> Result<()> {
        self.failed()
    }

    fn sweep(&self, _: Timestamp, _: Duration, _: Cursor, _: &mut dyn FnMut(&Key, &Blob)) -> Result<Sweep> {
        self.failed()
    }

    fn each(&self, _: &mut dyn FnMut(&Key, Entry) -> bool) -> Result<()> {
        self.failed()
    }
}
