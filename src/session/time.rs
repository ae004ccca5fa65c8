//! Points in time. The domain has no clock: the edge passes `now`.

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch: the unit of `apr_time_t` and of everything stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

pub const MICROS: u64 = 1_000_000;

impl Timestamp {
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// Adds a span in microseconds; the far future is [`Timestamp::NEVER`].
    #[must_use]
    pub fn plus(self, micros: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }

    #[must_use]
    pub fn minus(self, micros: u64) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros))
    }

    /// Microseconds since `earlier`; 0 if that lies in the future (a clock that was set back).
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// A stored time in the future counts as now.
    #[must_use]
    pub fn not_after(self, now: Timestamp) -> Timestamp {
        self.min(now)
    }
}
