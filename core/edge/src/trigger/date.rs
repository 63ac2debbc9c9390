//! The date of a line, in any of the usual writings, and how exact it is.

use std::time::Duration;

use whyslow_model::Wall;

use crate::cursor::Cursor;
use crate::format::Context;
use crate::formats::json::decimal;
use crate::stamp;

/// A date of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The first moment it may mean.
    pub at: Wall,
    /// How much later it may have been: the worth of its last digit.
    pub within: Duration,
}

/// Seconds, milliseconds or microseconds since the epoch, told apart by their digits; RFC 3339; the
/// dates of access logs and of `HAProxy`; syslog's.
pub(super) fn date(text: &[u8], context: &Context) -> Option<Date> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut cursor = Cursor::new(text);
    let epoch = match digits {
        10 => Some((6, 1_000_000)),
        13 => Some((3, 1000)),
        16 => Some((0, 1)),
        _ => None,
    };
    if let Some((power, worth_us)) = epoch {
        let at_us = i64::try_from(decimal(text, power)?).ok()?;
        return dated(at_us, worth(text, worth_us));
    }
    let at_us = match text.get(2) {
        Some(b'/') => {
            let civil = stamp::slashed(&mut cursor)?;
            cursor.eat(b' ');
            let has_zone = matches!(cursor.peek(), Some(b'+' | b'-'));
            let zone_s =
                if has_zone { stamp::zone(&mut cursor)? } else { i64::from(context.zone_s) };
            civil.at_us(zone_s)
        }
        Some(b'0'..=b'9') => stamp::rfc3339(&mut cursor, context)?,
        _ => stamp::yearless(&mut cursor, context)?,
    };
    if !cursor.rest().is_empty() {
        return None;
    }
    dated(at_us, worth(text, 1_000_000))
}

fn dated(at_us: i64, worth_us: u64) -> Option<Date> {
    let at = Wall::from_nanos(at_us.checked_mul(1000)?);
    Some(Date { at, within: Duration::from_micros(worth_us) })
}

/// What the last digit of a date is worth, in microseconds, where its whole part counts `unit_us`.
fn worth(text: &[u8], unit_us: u64) -> u64 {
    let point = text.iter().position(|b| matches!(b, b'.' | b','));
    let fraction = point.and_then(|at| text.get(at + 1..)).unwrap_or_default();
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = u32::try_from(digits).unwrap_or(6).min(6);
    (unit_us / 10_u64.pow(digits)).max(1)
}
