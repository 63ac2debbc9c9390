//! The time range of a page: read from its address, carried by every link, written on the axis.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// The ranges offered by name: word in the address, label, milliseconds.
pub const NAMED: [(&str, &str, i64); 5] = [
    ("15m", "15\u{a0}min", 15 * 60_000),
    ("1h", "1\u{a0}h", 3_600_000),
    ("3h", "3\u{a0}h", 3 * 3_600_000),
    ("24h", "24\u{a0}h", 24 * 3_600_000),
    ("7d", "7\u{a0}d", 7 * 24 * 3_600_000),
];
/// The shortest range a page shows.
const SPAN_MIN_MS: i64 = 60_000;
/// The longest one: the coarsest retention there usually is.
const SPAN_MAX_MS: i64 = 731 * 24 * 3_600_000;
/// Characters that need no escape in a query value or a path segment.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// The part of an address that says which time is shown, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A named range that ends now.
    pub r: Option<String>,
    /// The start, RFC 3339 or milliseconds since the epoch.
    pub from: Option<String>,
    /// The end, likewise; absent: now.
    pub to: Option<String>,
    /// Minutes east of UTC in which times are written.
    pub tz: Option<String>,
    /// `before`: compare with the equally long stretch before.
    pub compare: Option<String>,
}

/// The time a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The start, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The end, likewise.
    pub to_ms: i64,
    /// The present.
    pub now_ms: i64,
    /// The named range it is, if it ends now.
    pub named: Option<&'static str>,
    /// Minutes east of UTC in which times are written.
    pub zone_min: i32,
    /// Whether the stretch before is shown beside it.
    pub compare: bool,
}

impl Span {
    /// What `asked` means at `now_ms`; nonsense, and nothing, give the last 24 hours.
    pub fn new(asked: &Asked, now_ms: i64) -> Self {
        let zone_min = asked.tz.as_deref().and_then(|t| t.parse().ok()).unwrap_or(0);
        let mut span = Self {
            from_ms: now_ms - NAMED[3].2,
            to_ms: now_ms,
            now_ms,
            named: Some(NAMED[3].0),
            zone_min: i32::clamp(zone_min, -15 * 60, 15 * 60),
            compare: asked.compare.as_deref() == Some("before"),
        };
        let instant = |t: &Option<String>| t.as_deref().and_then(instant);
        if let Some(from) = instant(&asked.from) {
            let to = instant(&asked.to).unwrap_or(now_ms).min(now_ms);
            let from = from.clamp(to - SPAN_MAX_MS, to - SPAN_MIN_MS);
            (span.from_ms, span.to_ms, span.named) = (from, to, None);
        } else if let Some((word, _, length)) =
            NAMED.iter().find(|(word, ..)| asked.r.as_deref() == Some(word))
        {
            (span.from_ms, span.named) = (now_ms - length, Some(*word));
        }
        span
    }

    /// The same, but no longer than a named range needs to be to reach back to `oldest_ms`: a
    /// whyslow that has just begun shows its first minutes and not a day of nothing.
    #[must_use]
    pub fn reaching(self, oldest_ms: Option<i64>) -> Self {
        let age = oldest_ms.map_or(0, |oldest| self.now_ms - oldest);
        match NAMED[..3].iter().find(|(_, _, length)| age <= *length) {
            Some((word, _, length)) => {
                Self { from_ms: self.now_ms - length, named: Some(word), ..self }
            }
            None => self,
        }
    }

    /// How long it is, in milliseconds.
    pub const fn length_ms(&self) -> i64 {
        self.to_ms - self.from_ms
    }

    /// Whether it ends in the present, so that live changes belong on the page.
    pub const fn is_live(&self) -> bool {
        self.named.is_some()
    }

    /// The same range as the query of a link, without a question mark.
    pub fn query(&self) -> String {
        let mut q = match self.named {
            Some(word) => format!("r={word}"),
            None => format!("from={}&to={}", self.from_ms, self.to_ms),
        };
        if self.zone_min != 0 {
            let _ = write!(q, "&tz={}", self.zone_min);
        }
        if self.compare {
            q.push_str("&compare=before");
        }
        q
    }

    /// Another range in the same zone and comparison, as a query.
    pub fn query_of(&self, from_ms: i64, to_ms: i64) -> String {
        Self { from_ms, to_ms: to_ms.min(self.now_ms), named: None, ..self.clone() }.query()
    }

    /// A path with this range behind it.
    pub fn link(&self, path: &str) -> String {
        let and = if path.contains('?') { '&' } else { '?' };
        format!("{path}{and}{}", self.query())
    }

    /// The equally long stretch before this one.
    pub fn before(&self) -> Self {
        let from_ms = self.from_ms - self.length_ms();
        Self { from_ms, to_ms: self.from_ms, named: None, ..self.clone() }
    }

    /// `UTC`, or `UTC+01:00`.
    pub fn zone(&self) -> String {
        let (sign, m) = (if self.zone_min < 0 { '-' } else { '+' }, self.zone_min.abs());
        match m {
            0 => "UTC".to_owned(),
            m => format!("UTC{sign}{:02}:{:02}", m / 60, m % 60),
        }
    }

    /// `19:41`, or `Thu 19 Nov 19:41` on another day than the present one.
    pub fn clock(&self, at_ms: i64) -> String {
        self.written(at_ms, "%H:%M")
    }

    /// `19:41:07`, with the day where it is another one.
    pub fn clock_s(&self, at_ms: i64) -> String {
        self.written(at_ms, "%H:%M:%S")
    }

    /// `19:41:07.402`, without a day.
    pub fn clock_ms(&self, at_ms: i64) -> String {
        self.civil(at_ms).strftime("%H:%M:%S%.3f").to_string()
    }

    /// The same, with the day where it is another one.
    pub fn day_clock_ms(&self, at_ms: i64) -> String {
        self.written(at_ms, "%H:%M:%S%.3f")
    }

    /// `Thu 19 Nov`.
    pub fn day(&self, at_ms: i64) -> String {
        self.civil(at_ms).strftime("%a %-d %b").to_string()
    }

    /// `Thu 19 Nov, 21:24 UTC`: the present, with the zone.
    pub fn present(&self) -> String {
        let now = self.civil(self.now_ms).strftime("%a %-d %b, %H:%M");
        format!("{now} {}", self.zone())
    }

    fn written(&self, at_ms: i64, format: &str) -> String {
        let (at, now) = (self.civil(at_ms), self.civil(self.now_ms));
        let clock = at.strftime(format);
        if at.date() == now.date() {
            return clock.to_string();
        }
        format!("{} {clock}", at.strftime("%a %-d %b"))
    }

    fn civil(&self, at_ms: i64) -> DateTime {
        let offset = Offset::from_seconds(self.zone_min * 60).unwrap_or(Offset::UTC);
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        offset.to_datetime(at)
    }

    /// Where axis ticks stand, ascending, with their text: round times of the zone.
    pub fn ticks(&self) -> Vec<(i64, String)> {
        const STEPS_MIN: [i64; 13] = [1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440, 2880, 10_080];
        let wanted = self.length_ms() / 60_000 / 5;
        let step_min = STEPS_MIN.into_iter().find(|s| *s >= wanted).unwrap_or(wanted.max(1));
        let step = step_min * 60_000;
        let zone = i64::from(self.zone_min) * 60_000;
        let mut at = (self.from_ms + zone).div_euclid(step) * step - zone;
        let mut ticks = Vec::new();
        while at <= self.to_ms {
            if at >= self.from_ms {
                let civil = self.civil(at);
                let midnight = civil.hour() == 0 && civil.minute() == 0;
                let text = match (step_min >= 1440, midnight) {
                    (true, _) => self.day(at),
                    (false, true) => civil.strftime("%a %H:%M").to_string(),
                    (false, false) => civil.strftime("%H:%M").to_string(),
                };
                ticks.push((at, text));
            }
            at += step;
        }
        ticks
    }
}

/// RFC 3339 in UTC with milliseconds, for titles and `<time datetime>`.
pub fn rfc3339(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// A text as a path segment or a query value.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn instant(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return Timestamp::from_millisecond(ms).ok().map(Timestamp::as_millisecond);
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thu 19 Nov 2026, 21:24 UTC.
    const NOW: i64 = 1_795_123_440_000;

    fn asked(pairs: &str) -> Span {
        let read: Asked = serde_json::from_str(pairs).unwrap();
        Span::new(&read, NOW)
    }

    #[test]
    fn the_address_says_the_range_and_links_carry_it() {
        let day = asked("{}");
        assert_eq!((day.length_ms(), day.query().as_str()), (86_400_000, "r=24h"));
        let hour = asked(r#"{"r":"1h","tz":"60","compare":"before"}"#);
        assert_eq!(hour.link("/checks?q=a"), "/checks?q=a&r=1h&tz=60&compare=before");
        let exact = asked(r#"{"from":"2026-11-19T20:00:00Z","to":"2026-11-19T21:00:00Z"}"#);
        assert_eq!(exact.query(), "from=1795118400000&to=1795122000000");
        assert_eq!(exact.before().to_ms, exact.from_ms);
    }

    #[test]
    fn a_range_that_makes_no_sense_is_bent_into_one_that_does() {
        let future = asked(r#"{"from":"99999999999999999","to":"1"}"#);
        assert_eq!(future.named, Some("24h"));
        let backwards = asked(r#"{"from":"1795123440000","to":"1795118400000"}"#);
        assert_eq!(backwards.length_ms(), SPAN_MIN_MS);
        assert_eq!(asked(r#"{"r":"9y","tz":"99999"}"#).zone_min, 900);
    }

    #[test]
    fn a_young_store_is_shown_at_the_range_it_fills() {
        let reaching = |age_min: i64| asked("{}").reaching(Some(NOW - age_min * 60_000)).query();
        assert_eq!([5, 50, 100, 1000].map(reaching), ["r=15m", "r=1h", "r=3h", "r=24h"]);
        assert_eq!(asked("{}").reaching(None).query(), "r=15m");
    }

    #[test]
    fn times_are_absolute_and_name_another_day() {
        let span = asked("{}");
        assert_eq!(span.present(), "Thu 19 Nov, 21:24 UTC");
        assert_eq!(span.clock(NOW - 6_180_000), "19:41");
        assert_eq!(span.clock(NOW - 86_400_000), "Wed 18 Nov 21:24");
        assert_eq!(asked(r#"{"tz":"-330"}"#).present(), "Thu 19 Nov, 15:54 UTC-05:30");
    }

    #[test]
    fn ticks_are_round_and_inside_the_range() {
        let span = asked("{}");
        let ticks: Vec<String> = span.ticks().into_iter().map(|(_, t)| t).collect();
        assert_eq!(ticks, ["Thu 00:00", "06:00", "12:00", "18:00"]);
        let zoned = asked(r#"{"tz":"90"}"#).ticks();
        assert_eq!(zoned[0].1, "Thu 00:00");
    }
}
