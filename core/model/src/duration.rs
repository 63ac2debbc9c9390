//! Lengths of time as people write them: `15s`, `1m30s`, `250ms`, `14d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, written as numbers with units: `ms`, `s`, `m`, `h`, `d`, `w`, `y` (365 days).
///
/// At most 100 years, at least zero; exact to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

const YEARS_MAX: u64 = 100;
const YEAR_S: u64 = 365 * 86_400;

impl Duration {
    /// The length of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(std::time::Duration::from_secs(s))
    }

    /// The length of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(std::time::Duration::from_millis(ms))
    }

    /// The standard library's form of it.
    pub const fn std(self) -> std::time::Duration {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds with their fraction.
    pub fn as_ms(self) -> f64 {
        self.0.as_secs_f64() * 1000.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(d: std::time::Duration) -> Self {
        Self(d)
    }
}

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration; write a number with its unit, such as 15s, 250ms or 1m30s")]
pub struct NotADuration(String);

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        parse(text.trim()).ok_or_else(|| NotADuration(text.chars().take(32).collect()))
    }
}

/// As short as it can be written without losing anything: `1m30s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let mut left = nanos;
        for (unit, size) in UNITS.iter().filter(|(unit, _)| !matches!(*unit, "y" | "w")) {
            let (whole, rest) = (left / size, left % size);
            // Hours are how people say 24h and 48h; a day only where it is a round one above.
            if whole == 0 || (*unit == "d" && left < 3 * size) {
                continue;
            }
            write!(f, "{whole}{unit}")?;
            left = rest;
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Duration")
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d|w|y))+$",
            "examples": ["15s", "1m30s", "250ms"],
        })
    }
}

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u128); 9] = [
    ("y", YEAR_S as u128 * 1_000_000_000),
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::default());
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let size = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        nanos = nanos.checked_add(scaled(number, size)?)?;
        parts += 1;
        rest = after;
    }
    let limit = u128::from(YEARS_MAX * YEAR_S) * 1_000_000_000;
    if parts == 0 || nanos > limit {
        return None;
    }
    u64::try_from(nanos).ok().map(|n| Duration(std::time::Duration::from_nanos(n)))
}

/// `number` (digits, at most one point, at most nine places after it) times `size`.
fn scaled(number: &str, size: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 9 || number.ends_with('.') {
        return None;
    }
    let tens = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    whole.parse::<u128>().ok()?.checked_mul(size)?.checked_add(part.checked_mul(size)? / tens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_durations_with_units() {
        let cases = [
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("2h", 7_200_000),
            ("30d", 2_592_000_000),
            ("2y", 63_072_000_000),
            ("0", 0),
            (" 5s ", 5_000),
        ];
        for (text, ms) in cases {
            assert_eq!(text.parse(), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_or_no_end_is_refused() {
        for text in ["", "15", "s", "1..5s", "1.s", "-1s", "5 s", "9999999y", "1e9s", "1x", "٣s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_prints_in_its_shortest_form() {
        for text in ["15s", "1m30s", "250ms", "24h", "30d", "0s", "1s500ms"] {
            assert_eq!(text.parse::<Duration>().expect(text).to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_read_back(ns in 0_u64..YEARS_MAX * YEAR_S * 1_000) {
            let d = Duration(std::time::Duration::from_nanos(ns));
            proptest::prop_assert_eq!(d.to_string().parse(), Ok(d));
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,40}") {
            let _ = text.parse::<Duration>();
        }
    }
}
