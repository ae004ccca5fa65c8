//! A histogram in shared memory: what a killed process measured stays counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps per power of two: figures are right to an eighth.
const STEPS: u64 = 8;
const BUCKETS: usize = 60 * STEPS as usize;

/// Of nanoseconds.
#[repr(C)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    most: AtomicU64,
}

impl Histogram {
    pub fn note(&self, nanoseconds: u64) {
        self.buckets[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Below which this share of them lies.
    pub fn quantile(&self, share: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts below 2^52")]
        let mut rest = (self.count() as f64 * share) as u64;
        let found = self.buckets.iter().position(|bucket| {
            let count = bucket.load(Ordering::Relaxed);
            let here = count > 0 && rest < count;
            rest = rest.saturating_sub(count);
            here
        });
        found.map_or(self.most(), |number| Duration::from_nanos(middle(number)).min(self.most()))
    }

    pub fn most(&self) -> Duration {
        Duration::from_nanos(self.most.load(Ordering::Relaxed))
    }
}

impl std::fmt::Display for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, max {:.1?}",
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(0.999),
            self.most()
        )
    }
}

fn bucket(value: u64) -> usize {
    let value = value.max(STEPS);
    let power = u64::from(value.ilog2()) - 3;
    let number = power * STEPS + (value >> power) - STEPS;
    usize::try_from(number).map_or(BUCKETS - 1, |number| number.min(BUCKETS - 1))
}

fn middle(number: usize) -> u64 {
    let (power, step) = (number as u64 / STEPS, number as u64 % STEPS);
    ((STEPS + step) << power) + ((1 << power) >> 1)
}
