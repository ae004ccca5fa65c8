//! The pool of global mutexes that guards shared memory for moments, never while a handler runs.

use std::time::Duration;

use super::{Exclusion, Unavailable};
use crate::httpd::mutex::GlobalMutex;

/// A section takes microseconds; who does not get in for so long never will.
const PATIENCE: Duration = Duration::from_secs(5);

/// One mutex for each stripe.
pub struct Pool(pub Vec<GlobalMutex>);

impl Exclusion for &Pool {
    fn under(&self, stripe: usize, section: &mut dyn FnMut()) -> Result<(), Unavailable> {
        let unavailable = |why| Unavailable(format!("mutex {stripe} of the session-pool: {why}"));
        let mutex = self.0.get(stripe).ok_or_else(|| unavailable("there is none".to_owned()))?;
        let _guard = mutex.lock(PATIENCE).map_err(unavailable)?;
        section();
        Ok(())
    }
}
