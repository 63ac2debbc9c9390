//! How figures, names and counts are written on pages: one place, so that they agree.
//!
//! Three significant digits, a narrow space that never breaks between thousands, a no-break space before the unit.

use std::fmt::Write as _;

/// Between groups of three digits.
const THIN: char = '\u{202f}';
/// Before a unit.
const NBSP: char = '\u{a0}';

/// A time for reading: `0.42 ms`, `93.0 ms`, `1.04 s`, `124 s`. The input is in milliseconds.
pub fn time(ms: f64) -> String {
    if !ms.is_finite() {
        return "not seen".to_owned();
    }
    if ms.abs() < 999.5 {
        return format!("{}{NBSP}ms", three_digits(ms, 2));
    }
    format!("{}{NBSP}s", three_digits(ms / 1000.0, 2))
}

/// A time in milliseconds where sums must agree: `1 042.6`, without its unit.
pub fn exact_ms(ms: f64) -> String {
    if !ms.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.1}", ms.abs());
    let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
    let sign = if ms < 0.0 && text != "0.0" { "-" } else { "" };
    format!("{sign}{}.{tenth}", grouped(whole))
}

/// A time in milliseconds for a column whose head names the unit: `0.42`, `8.4`, `37`, `1 240`.
pub fn column_ms(ms: f64) -> String {
    let size = ms.abs();
    let places = if size >= 9.95 {
        0
    } else if size >= 0.995 {
        1
    } else {
        2
    };
    grouped(&format!("{ms:.places$}"))
}

/// A share of 1 in per cent with one decimal: `43.2 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1}{NBSP}%", share * 100.0)
}

/// A figure of a scale: as [`time`], without decimals that say nothing: `80 ms`, `1.6 s`.
pub fn scale(ms: f64) -> String {
    let text = time(ms);
    let Some((figure, unit)) = text.split_once(NBSP) else { return text };
    let figure = if figure.contains('.') {
        figure.trim_end_matches('0').trim_end_matches('.')
    } else {
        figure
    };
    format!("{figure}{NBSP}{unit}")
}

/// A round limit as it was configured: `2 s`, `500 ms`, `15 s`, `5 min`, `1 h`.
pub fn limit(ms: u64) -> String {
    let (n, unit) = match ms {
        0..1000 => (ms.to_string(), "ms"),
        m if m % 3_600_000 == 0 => ((m / 3_600_000).to_string(), "h"),
        m if m % 60_000 == 0 => ((m / 60_000).to_string(), "min"),
        m if m % 1000 == 0 => ((m / 1000).to_string(), "s"),
        m => (format!("{}.{:03}", m / 1000, m % 1000).trim_end_matches('0').to_owned(), "s"),
    };
    format!("{n}{NBSP}{unit}")
}

/// A count: `145 382`.
pub fn count(n: usize) -> String {
    grouped(&n.to_string())
}

/// A count with its noun: `1 run`, `3 992 runs`.
pub fn counted(n: usize, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{}{NBSP}{noun}{s}", count(n))
}

/// A part of a whole with its share: `31 of 3 992, 0.78 %`; a bare `0 of 1 768` where none.
pub fn part(of: usize, all: usize) -> String {
    if of == 0 || all == 0 {
        return format!("{} of {}", count(of), count(all));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^53")]
    let share = of as f64 * 100.0 / all as f64;
    format!("{} of {}, {share:.2}{NBSP}%", count(of), count(all))
}

/// How long something lasted: `48 s`, `24 min`, `1 h 43 min`, `12 days`.
pub fn lasted(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    let (min, h, d) = (s / 60, s / 3600, s / 86_400);
    match s {
        0..60 => format!("{s}{NBSP}s"),
        60..3600 => format!("{min}{NBSP}min"),
        3600..172_800 if min % 60 == 0 => format!("{h}{NBSP}h"),
        3600..172_800 => format!("{h}{NBSP}h {}{NBSP}min", min % 60),
        _ => format!("{d}{NBSP}days"),
    }
}

/// Text from outside with everything invisible or disordering made visible.
///
/// Control characters become their pictures (`␛`), direction marks their code (`⟨U+202E⟩`).
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0'..'\u{20}' => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The first `max` characters of a text, with an ellipsis where something was cut.
pub fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Three significant digits, with at most `places` decimals below one.
fn three_digits(x: f64, places: usize) -> String {
    let size = x.abs();
    if size >= 99.95 {
        return grouped(&format!("{x:.0}"));
    }
    if size >= 9.995 {
        return format!("{x:.1}");
    }
    format!("{x:.places$}")
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(THIN);
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace([THIN, NBSP], " ")
    }

    #[test]
    fn times_have_three_digits_and_the_fitting_unit() {
        let cases = [
            (0.004, "0.00 ms"),
            (0.42, "0.42 ms"),
            (9.996, "10.0 ms"),
            (93.04, "93.0 ms"),
            (113.4, "113 ms"),
            (999.6, "1.00 s"),
            (1042.6, "1.04 s"),
            (12_345.0, "12.3 s"),
            (1_234_567.0, "1 235 s"),
            (f64::NAN, "not seen"),
        ];
        for (ms, wanted) in cases {
            assert_eq!(plain(&time(ms)), wanted);
        }
    }

    #[test]
    fn figures_that_must_add_up_keep_a_decimal() {
        assert_eq!(plain(&exact_ms(1042.6)), "1 042.6");
        assert_eq!(plain(&exact_ms(0.04)), "0.0");
        assert_eq!(plain(&exact_ms(-0.01)), "0.0");
        assert_eq!(plain(&exact_ms(f64::NAN)), "–");
    }

    #[test]
    fn counts_shares_and_limits_read_as_in_the_rules() {
        assert_eq!(plain(&part(31, 3992)), "31 of 3 992, 0.78 %");
        assert_eq!(plain(&part(0, 1768)), "0 of 1 768");
        assert_eq!(plain(&limit(15_000)), "15 s");
        assert_eq!(plain(&limit(1500)), "1.5 s");
        assert_eq!(plain(&limit(300_000)), "5 min");
        assert_eq!(plain(&counted(1, "run")), "1 run");
        assert_eq!(plain(&lasted(6_180_000)), "1 h 43 min");
        assert_eq!(plain(&lasted(12 * 86_400_000)), "12 days");
        assert_eq!(plain(&scale(80.0)), "80 ms");
        assert_eq!(plain(&scale(1600.0)), "1.6 s");
        assert_eq!(plain(&scale(100.0)), "100 ms");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(visible("a\x1b[31m\u{202e}b\n"), "a␛[31m⟨U+202E⟩b␊");
        assert_eq!(shortened("àbc", 2), "àb…");
        assert_eq!(shortened("àb", 2), "àb");
    }
}
