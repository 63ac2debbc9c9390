//! Two clocks that never mix: [`Mono`] for durations, [`Wall`] for when things happened.
//!
//! Both are plain numbers handed in by the shell, so a core runs the same live, on a
//! recording, and in a simulated month.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digits::fill;

/// An instant of the monotonic clock: nanoseconds since an arbitrary start.
///
/// Two instants compare and subtract only when they come from one machine and one boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(u64);

impl Mono {
    /// The instant `ns` nanoseconds after the clock's start.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `d` later, clamped to the end of the clock (584 years).
    pub fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// An instant of the wall clock: nanoseconds since 1970-01-01T00:00:00Z, no leap seconds.
///
/// Serialised as RFC 3339 in UTC with microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

impl Wall {
    /// The instant `ns` nanoseconds after the epoch.
    pub const fn from_nanos(ns: i64) -> Self {
        Self(ns)
    }

    /// The instant `ms` milliseconds after the epoch, clamped to what nanoseconds can hold.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The instant `d` later, clamped to the year 2262.
    pub fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The instant `d` earlier, clamped to the year 1677.
    pub fn before(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.rfc3339()))
    }
}

impl Wall {
    /// As RFC 3339 writes it in UTC, with microseconds, rounded down.
    pub fn rfc3339(self) -> [u8; 27] {
        let micros = self.0.div_euclid(1_000);
        let (year, month, day) = date(micros.div_euclid(DAY_US));
        let of_day = micros.rem_euclid(DAY_US);
        let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let parts = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, seconds / 3_600),
            (14..16, seconds / 60 % 60),
            (17..19, seconds % 60),
            (20..26, micros),
        ];
        for (place, number) in parts {
            fill(&mut text[place], number.unsigned_abs());
        }
        text
    }
}

const DAY_US: i64 = 86_400_000_000;
/// The Gregorian calendar repeats itself after so many days, which are 400 years.
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01. Years that begin in March end with the day that some lack.
const TO_EPOCH_DAYS: i64 = 719_468;

/// The year, month and day that are so many days after 1970-01-01.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + TO_EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    // Without the days that leap years have more, every year has 365.
    let leaps = of_era / 1_460 - of_era / 36_524 + of_era / 146_096;
    let year_of_era = (of_era - leaps) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months in turn have 153 days.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}

/// A text that is no RFC 3339 time, or one outside the years 1677 to 2262.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an RFC 3339 time")]
pub struct NotATime(String);

impl FromStr for Wall {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let refused = || NotATime(text.chars().take(64).collect());
        let t: jiff::Timestamp = text.parse().map_err(|_| refused())?;
        i64::try_from(t.as_nanosecond()).map(Self).map_err(|_| refused())
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(text(&self.rfc3339()))
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_prints_and_parses_rfc3339_with_microseconds() {
        let t = Wall::from_nanos(1_779_571_935_118_042_000);
        let text = t.to_string();
        assert_eq!(text, "2026-05-23T21:32:15.118042Z");
        assert_eq!(text.parse::<Wall>(), Ok(t));
    }

    #[test]
    fn wall_prints_what_a_calendar_says() {
        let printed = |ns: i64| {
            let known = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            (Wall::from_nanos(ns).to_string(), format!("{known:.6}"))
        };
        // Every day between 1677 and 2262 at another time of it, and what is odd.
        let day_ns = DAY_US * 1_000;
        let days = (i64::MIN / day_ns..=i64::MAX / day_ns).map(|day| {
            let of_day = (day * 7_919_123_456_789).rem_euclid(day_ns);
            (day * day_ns).saturating_add(of_day)
        });
        for ns in days.chain([0, -1, -999, -1_000, i64::MIN, i64::MAX]) {
            let (ours, theirs) = printed(ns);
            assert_eq!(ours, theirs, "{ns}");
        }
    }

    #[test]
    fn a_time_before_the_epoch_rounds_its_milliseconds_down() {
        assert_eq!(Wall::from_nanos(-1).as_millis(), -1);
    }

    #[test]
    fn time_never_runs_backwards_in_durations() {
        assert_eq!(Mono::from_nanos(5).since(Mono::from_nanos(9)), Duration::ZERO);
        assert_eq!(Wall::from_nanos(5).since(Wall::from_nanos(9)), Duration::ZERO);
    }
}
