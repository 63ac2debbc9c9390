//! Tables for a terminal: rows in columns, counts, shares and stretches of time.

use whyslow_model::Wall;

use super::line::{Line, Style};

/// Rows in columns: the first `texts` to the left, figures to the right.
pub fn aligned(rows: &[(Style, Vec<String>)], texts: usize) -> Vec<Line> {
    let columns = rows.first().map_or(0, |(_, row)| row.len());
    let width = |column: usize| {
        rows.iter().filter_map(|(_, row)| row.get(column)).map(|t| t.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    let line = |(style, row): &(Style, Vec<String>)| {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column < texts {
                text.push_str(&format!(" {cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        Line::of(*style, &text)
    };
    rows.iter().map(line).collect()
}

/// A name made printable, and cut where it is long.
pub fn shortened(name: &str, most: usize) -> String {
    let name = whyslow_model::printable(name);
    if name.chars().count() <= most {
        return name.into_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

/// `21:19:00 to 21:24:00`, with days where they are not the same.
pub fn span(first: Wall, last: Wall) -> String {
    let (first, last) = (first.to_string(), last.to_string());
    let split = |text: &str| {
        let (day, time) = text.split_once('T').unwrap_or((text, ""));
        (day.to_owned(), time.get(..8).unwrap_or(time).to_owned())
    };
    let ((day, from), (other_day, to)) = (split(&first), split(&last));
    if day == other_day {
        format!("{day} {from} to {to} UTC")
    } else {
        format!("{day} {from} to {other_day} {to} UTC")
    }
}

/// `part` of `all` in per cent.
pub fn share(part: u64, all: u64) -> f64 {
    float(part) * 100.0 / float(all.max(1))
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
pub fn float(n: u64) -> f64 {
    n as f64
}

/// A positive figure without its fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, below 2^53")]
pub fn rounded(value: f64) -> String {
    spaced(value.round() as u64)
}

/// A count with its thousands apart.
pub fn spaced(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
