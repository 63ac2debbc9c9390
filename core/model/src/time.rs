//! Two clocks that never mix: [`Mono`] for durations, [`Wall`] for when things happened.
//!
//! Both are plain numbers handed in by the shell, so a core runs the same live, on a
//! recording, and in a simulated month.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
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
        s.collect_str(self)
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
    fn a_time_before_the_epoch_rounds_its_milliseconds_down() {
        assert_eq!(Wall::from_nanos(-1).as_millis(), -1);
    }

    #[test]
    fn time_never_runs_backwards_in_durations() {
        assert_eq!(Mono::from_nanos(5).since(Mono::from_nanos(9)), Duration::ZERO);
        assert_eq!(Wall::from_nanos(5).since(Wall::from_nanos(9)), Duration::ZERO);
    }
}
