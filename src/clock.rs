//! Wall-clock time as the protocol writes it: milliseconds since 1970.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01 00:00 UTC, 8 bytes on the wire.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `millis` milliseconds after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant moved forward by `by`, or the last representable one.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This instant moved back by `by`, or 1970.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How far two instants lie apart, whichever is the later.
    #[must_use]
    pub const fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// Time from `earlier` to this instant; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// For programs: in UTC, such as `2026-03-01T13:05:09.25Z` (RFC 3339). What
    /// lies beyond the year 9999 is its end.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis)
            .unwrap_or(jiff::Timestamp::MAX)
            .to_string()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    /// Local date and time to the second, such as `2026-03-01 14:05:09`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(instant) => {
                let local = instant.to_zoned(jiff::tz::TimeZone::system());
                write!(f, "{}", local.strftime("%Y-%m-%d %H:%M:%S"))
            }
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// A time in words, rounded down to its largest unit: `31 s`, `7 min`.
#[must_use]
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Where the time comes from. Passed in, so that expiry and replay windows can
/// be tested at any instant without sleeping.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(millis(since_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let start = Timestamp::from_millis(5);
        assert_eq!(start.minus(Duration::from_secs(1)).as_millis(), 0);
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last.plus(Duration::from_secs(1)), last);
        assert_eq!(start.since(last), Duration::ZERO);
        assert_eq!(last.distance(start), start.distance(last));
    }

    #[test]
    fn programs_get_the_time_in_utc() {
        let time = |millis| Timestamp::from_millis(millis).to_rfc3339();
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_772_370_309_250), "2026-03-01T13:05:09.25Z");
        assert!(time(u64::MAX).starts_with("9999-12-3"));
    }

    #[test]
    fn an_unrepresentable_date_still_prints() {
        assert!(
            Timestamp::from_millis(u64::MAX)
                .to_string()
                .contains("1970")
        );
    }
}
