//! When sessions end. The contract leaves a touch interval open, so the model knows a span, which each answer narrows.

use crate::contents::Verdict;

pub const SECOND: u64 = 1_000_000;
/// A request may outlive its session: for so long its changes are taken, and nothing is cleaned away.
pub const LATE: u64 = 240 * SECOND;
/// For so long at least an id that was changed is known.
pub const KNOWN: u64 = 600 * SECOND;

/// What the directives say, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub touch_interval: Option<u64>,
    pub lifetime: Option<u64>,
    pub new_timeout: Option<u64>,
    /// The clock of this history is never set back.
    pub steady: bool,
}

impl Rules {
    pub fn interval(&self, timeout: u64) -> u64 {
        self.touch_interval.unwrap_or((timeout * SECOND / 60).min(60 * SECOND))
    }

    pub fn end_of_life(&self, created: u64) -> u64 {
        self.lifetime.map_or(u64::MAX, |span| created.saturating_add(span))
    }

    pub fn end_of_new(&self, created: u64) -> u64 {
        self.new_timeout.map_or(u64::MAX, |span| created.saturating_add(span))
    }
}

/// It lies at `earliest`, at `latest`, or between.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub earliest: u64,
    pub latest: u64,
}

impl End {
    /// Whether it is still to come, or not longer ago than `spare`.
    pub fn is_ahead(&self, now: u64, spare: u64) -> Verdict {
        Verdict::of(now < self.earliest + spare, now < self.latest + spare)
    }

    /// `is_ahead` was answered.
    pub fn saw(&mut self, now: u64, spare: u64, ahead: bool) {
        if ahead {
            self.earliest = self.earliest.max((now + 1).saturating_sub(spare));
        } else {
            self.latest = self.latest.min(now.saturating_sub(spare));
        }
    }

    pub fn capped(self, at: u64) -> End {
        End { earliest: self.earliest.min(at), latest: self.latest.min(at) }
    }
}
