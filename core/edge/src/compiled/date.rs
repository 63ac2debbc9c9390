//! Dates as balancers write them, to microseconds since the epoch.

use crate::stamp;

/// A way of writing a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    /// `22/Nov/2026:10:11:12 +0100`, of nginx, Apache and `HAProxy`'s `%T`.
    Clf,
    /// `22/Nov/2026:10:11:12.345` by the balancer's own clock, of `HAProxy`'s `%t`.
    Local,
    /// RFC 3339, its zone perhaps without a colon.
    Iso,
    /// `2026-11-22T10:11:12` by the balancer's own clock, or with a space for the T.
    Civil,
    /// `2026-11-22`.
    Day,
    /// `10:11:12`, perhaps with a fraction.
    Time,
}

/// A time, and how many bytes it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Microseconds since the epoch; of [`Date::Time`] since midnight.
    pub(super) micros: i64,
    /// Bytes.
    pub(super) len: usize,
}

/// The last date of the common log format and what it says: the next line mostly has the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastDate {
    text: [u8; CLF],
    /// None before the first one.
    micros: Option<i64>,
}

/// Bytes of such a date.
pub(super) const CLF: usize = 26;

impl LastDate {
    /// The time at the start of `bytes`, in microseconds since the epoch.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<i64> {
        let text: &[u8; CLF] = bytes.first_chunk()?;
        if *text != self.text {
            let micros = Some(read(Date::Clf, text, 0)?.micros);
            *self = Self { text: *text, micros };
        }
        self.micros
    }
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Reads a time from the start of `bytes`; `zone_s` is the zone, in seconds east, of a time that
/// does not name its own.
#[inline]
pub(super) fn read(date: Date, bytes: &[u8], zone_s: i32) -> Option<Read> {
    match date {
        Date::Clf => {
            let zone_s = zone(bytes.get(20..26)?.strip_prefix(b" ")?)?;
            Some(Read { micros: slashed(bytes)? - zone_s * SECOND, len: CLF })
        }
        Date::Local => {
            let (fraction, more) = fraction(bytes.get(20..)?);
            let micros = slashed(bytes)? + fraction - i64::from(zone_s) * SECOND;
            Some(Read { micros, len: 20 + more })
        }
        Date::Iso => iso(bytes),
        Date::Civil => {
            let date = day(bytes)?;
            matches!(bytes.get(10), Some(b'T' | b' ')).then_some(())?;
            let micros = date + clock(&bytes[11..])? - i64::from(zone_s) * SECOND;
            Some(Read { micros, len: 19 })
        }
        Date::Day => Some(Read { micros: day(bytes)?, len: 10 }),
        Date::Time => {
            let clock = clock(bytes)?;
            let (fraction, more) = fraction(&bytes[8..]);
            Some(Read { micros: clock + fraction, len: 8 + more })
        }
    }
}

/// `22/Nov/2026:10:11:12`.
fn slashed(bytes: &[u8]) -> Option<i64> {
    let b: &[u8; 20] = bytes.first_chunk()?;
    if b[2] != b'/' || b[6] != b'/' || b[11] != b':' {
        return None;
    }
    let year = two(b[7], b[8])? * 100 + two(b[9], b[10])?;
    let days = stamp::days(year, stamp::month([b[3], b[4], b[5]])?, small(b[0], b[1])?)?;
    Some(days * DAY + clock(&b[12..])?)
}

/// `2026-11-22`.
fn day(bytes: &[u8]) -> Option<i64> {
    let b: &[u8; 10] = bytes.first_chunk()?;
    if b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let year = two(b[0], b[1])? * 100 + two(b[2], b[3])?;
    Some(stamp::days(year, small(b[5], b[6])?, small(b[8], b[9])?)? * DAY)
}

/// `10:11:12`, a leap second included.
fn clock(bytes: &[u8]) -> Option<i64> {
    let b: &[u8; 8] = bytes.first_chunk()?;
    let (hour, minute, second) = (two(b[0], b[1])?, two(b[3], b[4])?, two(b[6], b[7])?);
    if b[2] != b':' || b[5] != b':' || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second) * SECOND)
}

fn iso(bytes: &[u8]) -> Option<Read> {
    let date = day(bytes)?;
    if !matches!(bytes.get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let time = clock(&bytes[11..])?;
    let (fraction, more) = fraction(&bytes[19..]);
    let (mut micros, mut len) = (date + time + fraction, 19 + more);
    match bytes.get(len) {
        Some(b'Z' | b'z') => len += 1,
        Some(b'+' | b'-') => {
            let size = if bytes.get(len + 3) == Some(&b':') { 6 } else { 5 };
            micros -= zone(bytes.get(len..len + size)?)? * SECOND;
            len += size;
        }
        _ => return None,
    }
    Some(Read { micros, len })
}

/// `+0100` or `+01:00`, in seconds east of UTC.
fn zone(bytes: &[u8]) -> Option<i64> {
    let ([sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2]) = *bytes else { return None };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    let seconds = (hours * 60 + minutes) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// The microseconds of a dot (or comma) and digits, and the bytes they took; nothing without both.
fn fraction(bytes: &[u8]) -> (i64, usize) {
    let Some((b'.' | b',', digits)) = bytes.split_first() else { return (0, 0) };
    let (mut micros, mut unit, mut len) = (0, SECOND / 10, 0);
    while let Some(digit @ b'0'..=b'9') = digits.get(len) {
        micros += i64::from(digit - b'0') * unit;
        unit /= 10;
        len += 1;
    }
    if len == 0 { (0, 0) } else { (micros, len + 1) }
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    small(tens, ones).map(i64::from)
}

fn small(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(rfc3339: &str) -> i64 {
        rfc3339.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn each_way_of_writing_a_time_is_read() {
        let exact = micros("2026-11-22T09:11:12Z");
        let at = |date, text: &str| read(date, text.as_bytes(), 3600).map(|r| (r.micros, r.len));
        assert_eq!(at(Date::Clf, "22/Nov/2026:10:11:12 +0100]"), Some((exact, 26)));
        assert_eq!(at(Date::Local, "22/Nov/2026:10:11:12.345]"), Some((exact + 345_000, 24)));
        assert_eq!(at(Date::Local, "22/Nov/2026:10:11:12]"), Some((exact, 20)));
        assert_eq!(at(Date::Iso, "2026-11-22T10:11:12+01:00 "), Some((exact, 25)));
        assert_eq!(at(Date::Iso, "2026-11-22T09:11:12.5Z"), Some((exact + 500_000, 22)));
        assert_eq!(at(Date::Iso, "2026-11-22 04:11:12-0500"), Some((exact, 24)));
        assert_eq!(at(Date::Civil, "2026-11-22 10:11:12.345"), Some((exact, 19)));
        assert_eq!(at(Date::Day, "2026-11-22 "), Some((micros("2026-11-22T00:00:00Z"), 10)));
        assert_eq!(at(Date::Time, "00:00:01.25"), Some((1_250_000, 11)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "22/Nov/2026:10:11:12", "22/Nov/2026:10:11:12 0100", "31/Feb/2026:0"] {
            assert_eq!(read(Date::Clf, text.as_bytes(), 0), None, "{text}");
        }
        for text in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:00:00",
        ] {
            assert_eq!(read(Date::Iso, text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn a_remembered_date_is_the_one_that_would_be_read() {
        let mut last = LastDate::default();
        for text in [
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "22/Nov/2026:10:11:12 +0100]",
            "22/Nov/2026:10:11:12 +0100",
            "22/Nov/2026:10:11:12 +0200",
            "31/Feb/2026:10:11:12 +0200",
            "22/Nov/2026:10:11:13 +0200",
            "22/Nov/2026:10:11:13",
        ] {
            let anew = read(Date::Clf, text.as_bytes(), 0).map(|read| read.micros);
            assert_eq!(last.read(text.as_bytes()), anew, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for date in [Date::Clf, Date::Local, Date::Iso, Date::Civil, Date::Day, Date::Time] {
                if let Some(read) = read(date, &bytes, 0) {
                    prop_assert!(read.len <= bytes.len());
                }
            }
        }
    }
}
