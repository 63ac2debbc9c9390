//! The dates that logs are written with, read into microseconds since the epoch by arithmetic
//! alone: a line is read in less time than a calendar library takes for its date.

use whyslow_model::Wall;

use crate::cursor::{Cursor, four_digits};
use crate::format::Context;

const DAY_S: i64 = 86_400;

/// A date and a time of day without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Seconds since the epoch, were the clock's zone UTC.
    pub local_s: i64,
    /// Microseconds of the second.
    pub micros: u32,
}

impl Civil {
    /// The instant, where the clock is `zone_s` seconds east of UTC.
    pub const fn at_us(self, zone_s: i64) -> i64 {
        (self.local_s - zone_s) * 1_000_000 + self.micros as i64
    }
}

/// Days from the epoch to a day of the Gregorian calendar; `None` where there is no such day.
pub const fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    if year < 1
        || year > 9999
        || month < 1
        || month > 12
        || day < 1
        || day > month_days(year, month)
    {
        return None;
    }
    // Years begin in March here, so that the leap day is a year's last and month lengths follow
    // the line (153 m + 2) / 5.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    let of_year = (153 * month as i64 + 2) / 5 + day as i64 - 1;
    // 719 468 days from 0000-03-01 to the epoch.
    Some(year * 365 + leaps + of_year - 719_468)
}

const fn month_days(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The month of its three English letters.
pub const fn month(letters: [u8; 3]) -> Option<u8> {
    Some(match &letters {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Seconds of the day; a leap second counts as the one before it.
const fn clock(hour: u8, minute: u8, second: u8) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let second = if second == 60 { 59 } else { second };
    Some(hour as i64 * 3600 + minute as i64 * 60 + second as i64)
}

/// Two digits as a number; above 99 where they are none.
#[inline(always)]
const fn two(a: u8, b: u8) -> u8 {
    let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
    if a > 9 || b > 9 { 255 } else { a * 10 + b }
}

#[inline(always)]
const fn four(text: [u8; 4]) -> Option<i64> {
    let (high, low) = (two(text[0], text[1]), two(text[2], text[3]));
    if high > 99 || low > 99 { None } else { Some(high as i64 * 100 + low as i64) }
}

/// `06/Feb/2009:12:14:14`, with `.655` where it has it: the date of `HAProxy` (`%t`, `%tr`) and,
/// without the fraction and before its zone, of the common log format. Takes it off the front.
pub(crate) fn slashed(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let &[d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', h1, h2, b':', n1, n2, b':', s1, s2] =
        cursor.take(20)?
    else {
        return None;
    };
    let day = days(four([y1, y2, y3, y4])?, month([m1, m2, m3])?, two(d1, d2))?;
    let of_day = clock(two(h1, h2), two(n1, n2), two(s1, s2))?;
    Some(Civil { local_s: day * DAY_S + of_day, micros: fraction(cursor)? })
}

/// The second that was read last, and the text it was read from.
#[derive(Clone, Copy, Debug)]
pub struct LastStamp {
    /// As it stands between a bracket and a fraction: `[06/Feb/2009:12:14:14.`
    text: [u8; 22],
    local_s: i64,
}

impl Default for LastStamp {
    /// Any text will do that is the date it stands for.
    fn default() -> Self {
        Self::of(b"01/Jan/1970:00:00:00", 0)
    }
}

impl LastStamp {
    fn of(date: &[u8; 20], local_s: i64) -> Self {
        let mut text = [b'['; 22];
        text[1..21].copy_from_slice(date);
        text[21] = b'.';
        Self { text, local_s }
    }

    /// The milliseconds of a date in brackets of the same second, its space included: three
    /// comparisons of eight bytes, and four bytes that are three digits and a bracket.
    #[inline(always)]
    fn millis_of(&self, text: &[u8; 27]) -> Option<u32> {
        let eights = |text: &[u8; 22]| {
            let ([first, second], _) = text.as_chunks::<8>() else { return [0; 3] };
            [*first, *second, *text.last_chunk().unwrap_or(&[0; 8])].map(u64::from_ne_bytes)
        };
        let [ref second @ .., m1, m2, m3, bracket, b' '] = *text else { return None };
        let digits = u32::from_le_bytes([m1, m2, m3, bracket])
            ^ u32::from_le_bytes([b'0', b'0', b'0', b']']);
        let all_are = (digits.wrapping_add(0x0076_7676) | digits) & 0xff80_8080 == 0;
        let ([a, b, c], [x, y, z]) = (eights(second), eights(&self.text));
        let differ = (a ^ x) | (b ^ y) | (c ^ z);
        (differ == 0 && all_are).then(|| four_digits(digits << 8))
    }
}

/// The same between brackets, `[06/Feb/2009:12:14:14.655] `, the space behind them included.
#[inline(always)]
pub(crate) fn bracketed_again(cursor: &mut Cursor<'_>, last: &mut LastStamp) -> Option<Civil> {
    if let Some(millis) = cursor.rest().first_chunk().and_then(|text| last.millis_of(text)) {
        cursor.take(27)?;
        return Some(Civil { local_s: last.local_s, micros: millis * 1000 });
    }
    bracketed(cursor, last)
}

/// The same in a line whose second is another, or written with more or fewer digits.
#[cold]
fn bracketed(cursor: &mut Cursor<'_>, last: &mut LastStamp) -> Option<Civil> {
    if !cursor.eat(b'[') {
        return None;
    }
    let date = slashed_again(cursor, last)?;
    (cursor.eat(b']') && cursor.eat(b' ')).then_some(date)
}

/// The same as [`slashed`], looking up what the line before may have had already.
fn slashed_again(cursor: &mut Cursor<'_>, last: &mut LastStamp) -> Option<Civil> {
    let text = *cursor.rest().first_chunk::<20>()?;
    if last.text[1..21] != text {
        *last = LastStamp::of(&text, slashed(&mut Cursor::new(&text))?.local_s);
    }
    cursor.take(20)?;
    Some(Civil { local_s: last.local_s, micros: fraction(cursor)? })
}

/// `2009-02-06T12:14:14` with its fraction, `T` or a space between; takes it off the front.
pub(crate) fn dashed(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = cursor.take(19)?
    else {
        return None;
    };
    let day = days(four([y1, y2, y3, y4])?, two(m1, m2), two(d1, d2))?;
    let of_day = clock(two(h1, h2), two(n1, n2), two(s1, s2))?;
    Some(Civil { local_s: day * DAY_S + of_day, micros: fraction(cursor)? })
}

/// RFC 3339, its zone included; without a zone the context's. Takes it off the front.
pub(crate) fn rfc3339(cursor: &mut Cursor<'_>, context: &Context) -> Option<i64> {
    let civil = dashed(cursor)?;
    let zone_s = match cursor.peek() {
        Some(b'Z' | b'z') => {
            cursor.take(1)?;
            0
        }
        Some(b'+' | b'-') => zone(cursor)?,
        _ => i64::from(context.zone_s),
    };
    Some(civil.at_us(zone_s))
}

/// `+0100`, `-05:30`: seconds east of UTC; takes it off the front.
pub(crate) fn zone(cursor: &mut Cursor<'_>) -> Option<i64> {
    let west = match cursor.take(1)? {
        b"+" => false,
        b"-" => true,
        _ => return None,
    };
    let &[h1, h2] = cursor.take(2)? else { return None };
    cursor.eat(b':');
    let &[m1, m2] = cursor.take(2)? else { return None };
    let (hours, minutes) = (two(h1, h2), two(m1, m2));
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    Some(if west { -east } else { east })
}

/// `Feb  6 12:14:14`, RFC 3164's date, with its fraction where it has one; takes it off the front.
/// The year is the one that puts it nearest to the context's time, so that December's last lines
/// read in January are last year's.
pub(crate) fn yearless(cursor: &mut Cursor<'_>, context: &Context) -> Option<i64> {
    let &[m1, m2, m3, b' ', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] = cursor.take(15)?
    else {
        return None;
    };
    let month = month([m1, m2, m3])?;
    let day = two(if d1 == b' ' { b'0' } else { d1 }, d2);
    let of_day = clock(two(h1, h2), two(n1, n2), two(s1, s2))?;
    let micros = fraction(cursor)?;
    let near_us = context.near.as_nanos().div_euclid(1000);
    let year = year_of(context.near);
    (year - 1..=year + 1)
        .filter_map(|year| days(year, month, day))
        .map(|day| Civil { local_s: day * DAY_S + of_day, micros }.at_us(i64::from(context.zone_s)))
        .min_by_key(|at_us| at_us.abs_diff(near_us))
}

/// The Gregorian year, one off at most in the days around New Year.
fn year_of(at: Wall) -> i64 {
    let days = at.as_millis().div_euclid(1000 * DAY_S);
    1970 + (days * 400).div_euclid(146_097)
}

/// `.655` as microseconds, further digits dropped; 0 where no fraction follows.
#[inline(always)]
fn fraction(cursor: &mut Cursor<'_>) -> Option<u32> {
    if !matches!(cursor.peek(), Some(b'.' | b',')) {
        return Some(0);
    }
    cursor.take(1)?;
    let mut micros = 0_u32;
    let mut weight = 100_000_u32;
    let mut digits = 0;
    while let Some(digit) = cursor.peek().map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        micros += u32::from(digit) * weight;
        weight /= 10;
        digits += 1;
        cursor.take(1)?;
    }
    (digits > 0).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(near: &str, zone_s: i32) -> Context {
        Context { near: near.parse().unwrap(), zone_s }
    }

    fn us(text: &str) -> i64 {
        text.parse::<Wall>().unwrap().as_nanos() / 1000
    }

    #[test]
    fn every_day_of_nine_centuries_agrees_with_a_calendar_library() {
        let mut day = jiff::civil::date(1601, 1, 1);
        let mut expected = -134_774;
        while day.year() < 2500 {
            let (month, of_month) =
                (u8::try_from(day.month()).unwrap(), u8::try_from(day.day()).unwrap());
            assert_eq!(days(i64::from(day.year()), month, of_month), Some(expected), "{day}");
            day = day.tomorrow().unwrap();
            expected += 1;
        }
    }

    #[test]
    fn days_that_are_not_are_none() {
        for (year, month, day) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 4, 31),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 1, 0),
            (0, 1, 1),
        ] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(days(2000, 2, 29).is_some());
    }

    #[test]
    fn a_slashed_date_is_local_until_its_zone_is_known() {
        let read = slashed(&mut Cursor::new(b"06/Feb/2009:12:14:14.655]")).unwrap();
        assert_eq!(read.at_us(0), us("2009-02-06T12:14:14.655Z"));
        assert_eq!(read.at_us(3600), us("2009-02-06T11:14:14.655Z"));
        for bad in [
            "06-Feb-2009:12:14:14.655",
            "31/Feb/2009:12:14:14",
            "06/Feb/2009:24:14:14",
            "06/Feb/2009:12:14:14.",
            "6/Feb/2009:12:14:14",
        ] {
            assert_eq!(slashed(&mut Cursor::new(bad.as_bytes())), None, "{bad}");
        }
    }

    #[test]
    fn a_remembered_second_is_the_one_that_would_be_read() {
        let mut last = LastStamp::default();
        for text in [
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.655]",
            "01/Jan/1970:00:00:00.655]",
            "06/Feb/2009:12:14:14.655]",
            "06/Feb/2009:12:14:14.001]",
            "06/Feb/2009:12:14:14]",
            "06/Feb/2009:12:14:14.]",
            "06/Feb/2009:12:14:15.65512]",
            "31/Feb/2009:12:14:15.655]",
            "06/Feb/2009:12:14:15.655]",
            "06/Feb/2009:12:14",
        ] {
            let (mut again, mut anew) =
                (Cursor::new(text.as_bytes()), Cursor::new(text.as_bytes()));
            let read = slashed_again(&mut again, &mut last);
            assert_eq!(read, slashed(&mut anew), "{text}");
            assert!(read.is_none() || again.rest() == anew.rest(), "{text}");
        }
    }

    #[test]
    fn rfc3339_takes_every_kind_of_zone_and_precision() {
        let context = context("2026-11-21T12:00:00Z", -3600);
        for (text, at) in [
            ("2018-07-02T22:23:00.186641Z", "2018-07-02T22:23:00.186641Z"),
            ("2018-07-02T22:23:00.186641999+02:00", "2018-07-02T20:23:00.186641Z"),
            ("2018-07-02 22:23:00-0530", "2018-07-03T03:53:00Z"),
            ("2018-07-02T22:23:60Z", "2018-07-02T22:23:59Z"),
            ("2018-07-02T22:23:00", "2018-07-02T23:23:00Z"),
        ] {
            assert_eq!(
                rfc3339(&mut Cursor::new(text.as_bytes()), &context),
                Some(us(at)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_date_without_a_year_is_the_one_nearest_to_now() {
        for (text, near, at) in [
            ("Dec 31 23:59:59", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z"),
            ("Jan  1 00:00:01", "2026-12-31T23:59:58Z", "2027-01-01T00:00:01Z"),
            ("Nov 21 12:50:48", "2026-11-21T12:50:49Z", "2026-11-21T12:50:48Z"),
            ("Feb 29 12:00:00", "2024-12-01T00:00:00Z", "2024-02-29T12:00:00Z"),
        ] {
            let read = yearless(&mut Cursor::new(text.as_bytes()), &context(near, 0));
            assert_eq!(read, Some(us(at)), "{text} near {near}");
        }
        let no_leap_year_near = context("2026-03-01T00:00:00Z", 0);
        assert_eq!(yearless(&mut Cursor::new(b"Feb 29 12:00:00"), &no_leap_year_near), None);
    }
}
