//! When a session ends, and when a renewal is worth a write.

use super::record::Record;
use super::time::{MICROS, Timestamp};

/// A request may outlive its session: for so long after its end a record is not cleaned away, and takes the changes of requests that
/// began before. Microseconds.
pub const GRACE: u64 = 240 * MICROS;

/// The rules of one section of the configuration. Spans in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiry {
    /// `SessionTouchInterval`; `None`: a sixtieth of the timeout, at most a minute.
    pub touch_interval: Option<u64>,
    /// `SessionLifetime`; `None`: no end but idleness.
    pub lifetime: Option<u64>,
    /// `SessionNewTimeout`; `None`: a session that nobody has come back with ends as any other.
    pub new_timeout: Option<u64>,
}

impl Expiry {
    fn interval(&self, timeout: u64) -> u64 {
        self.touch_interval.unwrap_or((timeout.saturating_mul(MICROS) / 60).min(60 * MICROS))
    }

    /// The end that nothing extends.
    fn end_of_life(&self, record: &Record) -> Timestamp {
        self.lifetime.map_or(Timestamp::NEVER, |span| record.created.plus(span))
    }

    /// The end of a session whose id the client has not presented yet.
    fn end_of_new(&self, record: &Record) -> Timestamp {
        self.new_timeout.filter(|_| !record.presented).map_or(Timestamp::NEVER, |span| record.created.plus(span))
    }

    /// The expiry to store with a record that is written now. One touch interval is added, since an access within it is not
    /// written: so expiry never comes early, and at most one interval late.
    #[must_use]
    pub fn at_write(&self, record: &Record, now: Timestamp) -> Timestamp {
        let idle = now.plus(record.timeout.saturating_mul(MICROS)).plus(self.interval(record.timeout));
        idle.min(self.end_of_life(record)).min(self.end_of_new(record))
    }

    /// The expiry of a record that has got another timeout, `before` until now, by a request that is no access: the last one counts
    /// on, which may be up to an interval later than `accessed`, as it need not have been written.
    #[must_use]
    pub fn at_new_timeout(&self, record: &Record, before: u64, expires: Timestamp, now: Timestamp) -> Timestamp {
        let end = self.end_of_life(record).min(self.end_of_new(record));
        let counted_from = if expires < end {
            expires.minus(before.saturating_mul(MICROS))
        } else {
            record.accessed.plus(self.interval(before)).not_after(now) // idleness was not the end that counted
        };
        let idle = counted_from.plus(record.timeout.saturating_mul(MICROS));
        idle.min(end).max(self.at_write(record, record.accessed.not_after(now)))
    }

    /// Whether a record with this stored expiry is still a session.
    #[must_use]
    pub fn alive(&self, record: &Record, expires: Timestamp, now: Timestamp) -> bool {
        now < expires && now < self.end_of_life(record)
    }

    /// What is judged again at commit. A mere renewal comes too late when the session has ended; a change is taken within the grace
    /// after the idle timeout, but not after the lifetime.
    #[must_use]
    pub fn takes_commit(&self, record: &Record, expires: Timestamp, changes: bool, now: Timestamp) -> bool {
        now < expires.plus(if changes { GRACE } else { 0 }) && now < self.end_of_life(record)
    }

    /// Whether an access now has to be written. `presents`: it is the client who comes back with the id, so that the end of a new
    /// session no longer counts.
    #[must_use]
    pub fn touch_due(&self, record: &Record, expires: Timestamp, presents: bool, now: Timestamp) -> bool {
        let end_of_new = if presents { Timestamp::NEVER } else { self.end_of_new(record) };
        let needed = now.plus(record.timeout.saturating_mul(MICROS)).min(self.end_of_life(record)).min(end_of_new);
        record.accessed > now || now.since(record.accessed) >= self.interval(record.timeout) || expires < needed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::values::Values;

    fn record(created: u64, accessed: u64, timeout: u64) -> Record {
        Record {
            incarnation: 1,
            created: Timestamp(created),
            accessed: Timestamp(accessed),
            timeout,
            presented: false,
            user: None,
            values: Values::default(),
        }
    }

    proptest! {
        /// A history of accesses at random gaps, each judged, touched if due, as the module does. Until the first of them the end of
        /// a new session counts, to the microsecond.
        #[test]
        fn expiry_never_comes_early_and_at_most_one_interval_late(
            timeout in 1..5000u64,
            interval in prop::option::of(0..100_000_000u64),
            new_timeout in prop::option::of(1..6_000_000_000u64),
            gaps in prop::collection::vec(0..3_000_000_000u64, 1..40),
        ) {
            let rules = Expiry { touch_interval: interval, lifetime: None, new_timeout };
            let mut now = Timestamp(1_000_000);
            let mut end_of_new = new_timeout.map_or(Timestamp::NEVER, |span| now.plus(span));
            let mut session = record(now.0, now.0, timeout);
            let mut expires = rules.at_write(&session, now);
            for gap in gaps {
                let last_access = now;
                now = now.plus(gap);
                let idle = now.since(last_access);
                let alive = rules.alive(&session, expires, now);
                if idle < timeout * MICROS && now < end_of_new {
                    prop_assert!(alive, "early: idle {idle} of {timeout} s");
                }
                if now >= end_of_new {
                    prop_assert!(!alive, "late: nobody came back");
                }
                if idle >= timeout * MICROS + rules.interval(timeout) {
                    prop_assert!(!alive, "late: idle {idle} of {timeout} s");
                }
                if !alive { break }
                end_of_new = Timestamp::NEVER;
                if rules.touch_due(&session, expires, true, now) {
                    session.accessed = now;
                    session.presented = true;
                    expires = rules.at_write(&session, now);
                }
            }
        }
    }

    #[test]
    fn touches_are_throttled_to_the_interval() {
        let rules = Expiry { touch_interval: Some(10 * MICROS), ..Expiry::default() };
        let session = record(0, 0, 100);
        let expires = rules.at_write(&session, Timestamp(0));
        assert!(!rules.touch_due(&session, expires, true, Timestamp(9 * MICROS)));
        assert!(rules.touch_due(&session, expires, true, Timestamp(10 * MICROS)));
    }

    #[test]
    fn the_default_interval_is_a_sixtieth_of_the_timeout_at_most_a_minute() {
        let rules = Expiry::default();
        assert_eq!(rules.interval(1800), 30 * MICROS);
        assert_eq!(rules.interval(86_400), 60 * MICROS);
        assert_eq!(rules.interval(1), MICROS / 60);
    }

    #[test]
    fn a_new_timeout_counts_from_the_last_access_also_if_that_was_not_worth_a_write() {
        let (rules, now) = (Expiry::default(), Timestamp(29 * MICROS));
        let mut session = record(0, 0, 1800);
        let expires = rules.at_write(&session, Timestamp(0));
        assert!(!rules.touch_due(&session, expires, true, now), "an access that is not written");
        session.timeout = 5;
        let end = rules.at_new_timeout(&session, 1800, expires, now);
        assert!((34 * MICROS..=35 * MICROS).contains(&end.0), "{end:?}");
        let ending = Expiry { lifetime: Some(1000 * MICROS), ..rules };
        let end = ending.at_new_timeout(&session, 1800, Timestamp(1000 * MICROS), now);
        assert_eq!(end, Timestamp(34 * MICROS), "the lifetime had been the end that counted");
    }

    #[test]
    fn nothing_extends_the_lifetime_and_its_end_is_not_touched_again_and_again() {
        let rules = Expiry { lifetime: Some(100 * MICROS), ..Expiry::default() };
        let session = record(0, 99 * MICROS, 1800);
        let expires = rules.at_write(&session, Timestamp(99 * MICROS));
        assert_eq!(expires, Timestamp(100 * MICROS));
        assert!(!rules.touch_due(&session, expires, true, Timestamp(99 * MICROS + 1)));
        assert!(!rules.alive(&session, Timestamp::NEVER, Timestamp(100 * MICROS)));
    }

    #[test]
    fn a_new_session_ends_at_its_own_timeout_until_somebody_comes_back_with_it() {
        let rules = Expiry { new_timeout: Some(20 * MICROS), ..Expiry::default() };
        let mut session = record(0, 0, 1800);
        let later = Timestamp(10 * MICROS);
        let expires = rules.at_write(&session, later);
        assert_eq!(expires, Timestamp(20 * MICROS), "whenever it is written");
        assert!(!rules.touch_due(&session, expires, false, later), "who made it gains nothing by a write");
        assert!(rules.touch_due(&session, expires, true, later));
        session.presented = true;
        assert_eq!(rules.at_write(&session, later), Expiry::default().at_write(&session, later));
    }

    #[test]
    fn a_new_timeout_beyond_the_idle_timeout_changes_nothing() {
        let rules = Expiry { new_timeout: Some(3600 * MICROS), ..Expiry::default() };
        let session = record(0, 0, 1800);
        let expires = rules.at_write(&session, Timestamp(0));
        assert_eq!(expires, Expiry::default().at_write(&session, Timestamp(0)));
        assert!(!rules.touch_due(&session, expires, true, Timestamp(29 * MICROS)));
    }

    #[test]
    fn a_clock_that_was_set_back_leads_to_a_touch() {
        let rules = Expiry::default();
        let session = record(0, 5_000 * MICROS, 60);
        assert!(rules.touch_due(&session, Timestamp(5_060 * MICROS), true, Timestamp(1_000 * MICROS)));
    }

    #[test]
    fn a_timeout_beyond_all_measure_does_not_overflow() {
        let session = record(0, 0, u64::MAX);
        assert_eq!(Expiry::default().at_write(&session, Timestamp(1)), Timestamp::NEVER);
    }
}
