//! Points and spans of time as people and programs read them.

use mod_session_rs::session::Timestamp;
use mod_session_rs::session::time::MICROS;

/// ISO 8601 in UTC, exact to the microsecond; `None`: never.
pub fn iso(time: Timestamp) -> Option<String> {
    let (seconds, micros) = (time.0 / MICROS, time.0 % MICROS);
    (time != Timestamp::NEVER).then(|| format!("{}.{micros:06}Z", date_and_time(seconds)))
}

/// The same for people, to the second.
pub fn iso_short(time: Timestamp) -> String {
    if time == Timestamp::NEVER { "never".to_owned() } else { format!("{}Z", date_and_time(time.0 / MICROS)) }
}

fn date_and_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The Gregorian date of a day since the Unix epoch, by eras of 400 years that begin in March, so that a leap day ends its year
/// (Howard Hinnant, `chrono`-compatible low-level date algorithms).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A span in its two largest units.
pub fn span(micros: u64) -> String {
    let seconds = micros / MICROS;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @SECONDS +%FT%T
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(date_and_time(seconds), text);
        }
        assert_eq!(iso(Timestamp(1_500_001)).as_deref(), Some("1970-01-01T00:00:01.500001Z"));
    }

    #[test]
    fn no_time_is_beyond_it() {
        assert_eq!(iso(Timestamp::NEVER), None);
        assert!(iso(Timestamp(u64::MAX - 1)).is_some());
    }

    #[test]
    fn spans_have_two_units() {
        let spans = [0, 59, 61, 3599, 3660, 90_000].map(|seconds| span(seconds * MICROS));
        assert_eq!(spans, ["0s", "59s", "1m 01s", "59m 59s", "1h 01m", "1d 01h"]);
    }
}
