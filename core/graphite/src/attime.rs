//! Times and distances as Graphite writes them: `-1h`, `now-30min`, `midnight`, `6pm_yesterday`,
//! `00:00_20261121`, `11/21/26`, seconds since the epoch. All in UTC.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time")]
pub struct NotATime(String);

const DAY_S: i64 = 86_400;
/// Beyond this many years nothing is asked or kept.
const SECONDS_MAX: i64 = 200 * 366 * DAY_S;

/// The time `text` stands for, in seconds since the epoch, when it is `now_s`.
///
/// # Errors
/// [`NotATime`].
pub fn parse(text: &str, now_s: i64) -> Result<i64, NotATime> {
    let wrong = || NotATime(text.chars().take(80).collect());
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '_' | ',' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    let all_digits = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
    if all_digits && date_of_digits(&plain).is_none() {
        let seconds: i64 = plain.parse().map_err(|_| wrong())?;
        return (seconds <= SECONDS_MAX).then_some(seconds).ok_or_else(wrong);
    }
    let at = plain.find(['+', '-']).unwrap_or(plain.len());
    let (reference, distance) = plain.split_at(at);
    let start = reference_s(reference, now_s).ok_or_else(wrong)?;
    let distance = if distance.is_empty() { 0 } else { seconds(distance).ok_or_else(wrong)? };
    Ok(start + distance)
}

/// A distance in seconds: `10min`, `-1d`, `1h30min`; a month is 30 days and a year 365.
pub fn seconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = unit_s(&rest[..letters])?;
        rest = &rest[letters..];
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    (total <= SECONDS_MAX).then_some(sign * total)
}

fn unit_s(word: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("s", 1),
        ("min", 60),
        ("h", 3600),
        ("d", DAY_S),
        ("w", 7 * DAY_S),
        ("mon", 30 * DAY_S),
        ("y", 365 * DAY_S),
    ];
    UNITS.iter().find(|(start, _)| word.starts_with(start)).map(|(_, s)| *s)
}

/// What stands before the distance: nothing or `now`, a time of day, a day, or both.
fn reference_s(text: &str, now_s: i64) -> Option<i64> {
    if text.is_empty() || text == "now" {
        return Some(now_s);
    }
    let (hour, minute, day) = time_of_day(text)?;
    let today = Timestamp::from_second(now_s).ok()?.to_zoned(TimeZone::UTC).date();
    let date = day_of(day, today)?;
    let at = date.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_second())
}

/// Hour, minute and what follows them; midnight where no time of day is given.
fn time_of_day(text: &str) -> Option<(i8, i8, &str)> {
    for (word, hour) in [("noon", 12), ("midnight", 0), ("teatime", 16)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((hour, 0, rest));
        }
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&digits) {
        return Some((0, 0, text));
    }
    let mut hour: i8 = text[..digits].parse().ok()?;
    let mut minute = 0;
    let mut rest = &text[digits..];
    let mut told = false;
    if let Some(after) = rest.strip_prefix(':') {
        minute = after.get(..2)?.parse().ok()?;
        rest = &after[2..];
        told = true;
    }
    if let Some(after) = rest.strip_prefix("am") {
        rest = after;
    } else if let Some(after) = rest.strip_prefix("pm") {
        hour = hour.checked_add(12)? % 24;
        rest = after;
    } else if !told {
        // Digits of a date.
        return Some((0, 0, text));
    }
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour, minute, rest))
}

fn day_of(text: &str, today: Date) -> Option<Date> {
    match text {
        "" | "today" => return Some(today),
        "yesterday" => return today.yesterday().ok(),
        "tomorrow" => return today.tomorrow().ok(),
        _ => {}
    }
    if let Some(date) = date_of_digits(text).or_else(|| date_of_slashes(text)) {
        return Some(date);
    }
    let start = text.get(..3)?;
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    if let Some(month) = MONTHS.iter().position(|m| *m == start) {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let month = i8::try_from(month + 1).ok()?;
        return Date::new(today.year(), month, digits.parse().ok()?).ok();
    }
    const WEEKDAYS: [(&str, Weekday); 7] = [
        ("sun", Weekday::Sunday),
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
    ];
    let (_, weekday) = WEEKDAYS.iter().find(|(w, _)| *w == start)?;
    let back = i64::from(today.weekday().since(*weekday));
    today.checked_sub(Span::new().try_days(back).ok()?).ok()
}

/// `YYYYMMDD`
fn date_of_digits(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) =
        (text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
    if year <= 1900 {
        return None;
    }
    Date::new(year, month, day).ok()
}

/// `MM/DD/YY` or `MM/DD/YYYY`
fn date_of_slashes(text: &str) -> Option<Date> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year: i16 = match year.parse().ok()? {
        short @ 0..70 => short + 2000,
        short @ 70..100 => short + 1900,
        year => year,
    };
    Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

/// For the fuzzer: reads the bytes as a time and as a distance. Both are within what can be
/// reckoned with in milliseconds, and a distance alone is one from now.
pub fn fuzz_graphite_time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let now_s = 1_700_000_000;
    let (at, distance) = (parse(&text, now_s), seconds(&text));
    assert!(distance.is_none_or(|s| s.abs() <= SECONDS_MAX), "{distance:?}");
    // The year 9999, and the longest distance from it.
    assert!(at.as_ref().is_ok_and(|s| s.abs() <= 253_402_300_800 + SECONDS_MAX) || at.is_err());
    if let (Some(distance), true) = (distance, text.starts_with(['-', '+'])) {
        let plain = text.bytes().skip(1).all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        assert!(
            !plain || at == Ok(now_s + distance),
            "{text:?} is {at:?}, not {distance} from now"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 13:05:07 UTC, a Saturday.
    const NOW: i64 = 1_795_266_307;
    const TODAY: i64 = NOW - (13 * 3600 + 5 * 60 + 7);

    #[test]
    fn times_are_read_as_graphite_reads_them() {
        for (text, seconds) in [
            ("now", NOW),
            ("", NOW),
            ("-1h", NOW - 3600),
            ("now-1h30min", NOW - 5400),
            ("-1mon", NOW - 30 * DAY_S),
            ("-1y", NOW - 365 * DAY_S),
            ("1700000000", 1_700_000_000),
            ("midnight", TODAY),
            ("today", TODAY),
            ("noon", TODAY + 12 * 3600),
            ("teatime", TODAY + 16 * 3600),
            ("yesterday", TODAY - DAY_S),
            ("midnight+1h", TODAY + 3600),
            ("6pm_yesterday", TODAY - 6 * 3600),
            ("noon_tomorrow", TODAY + 36 * 3600),
            ("20261121", TODAY),
            ("04:30_20261121", TODAY + 4 * 3600 + 1800),
            ("04:30pm", TODAY + 16 * 3600 + 1800),
            ("11/20/26", TODAY - DAY_S),
            ("11/20/2026", TODAY - DAY_S),
            ("november20", TODAY - DAY_S),
            ("friday", TODAY - DAY_S),
            ("saturday", TODAY),
            ("monday-1d", TODAY - 6 * DAY_S),
            ("99999999", 99_999_999),
        ] {
            assert_eq!(parse(text, NOW), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "soon",
            "-",
            "-1",
            "-1x",
            "25:00",
            "9:99",
            "13/45/26",
            "99999999999999999999",
            "1:é",
            "-99999999999999y",
            "nov",
            "-9223372036854775807s",
        ] {
            assert!(parse(text, NOW).is_err(), "{text}");
        }
        fuzz_graphite_time("1:0\u{e9}".as_bytes());
    }

    #[test]
    fn distances_have_units() {
        assert_eq!(seconds("10min"), Some(600));
        assert_eq!(seconds("-1d12h"), Some(-36 * 3600));
        assert_eq!(seconds("10"), None);
        assert_eq!(seconds("10m"), None);
    }
}
