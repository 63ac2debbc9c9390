//! Lines of no balancer's own making: JSON, names with values, columns. What they hold is theirs
//! alone, but its names are shown.

use super::looks::{Looks, shown};
use super::mend::{COLUMNS, FIELDS, Mend, NGINX_OR_APACHE, OBJECT, PAIRS};
use super::{best, specific};
use crate::cursor::Cursor;
use crate::format::{Context, Reject};
use crate::formats::json;

/// Names that are shown of those a line has.
const NAMES_MAX: usize = 12;
/// Fewer names, or borders between columns, are no sign of such a line.
const FEWEST: usize = 3;

/// A JSON object, perhaps around a line of a known format.
pub(super) fn object(text: &[u8], context: &Context) -> Option<Looks> {
    if !text.starts_with(b"{") {
        return None;
    }
    let mut keys = Names::default();
    let mut held = None;
    let read = json::each(text, |key, value| {
        keys.add(key);
        if let json::Value::Text(inside) = value {
            held = held.take().or_else(|| member(key, inside, context));
        }
        Ok(())
    });
    if let Some(held) = held {
        return Some(held);
    }
    let what = match read {
        Ok(()) => format!("is JSON with the keys {}", keys.text()),
        Err(Reject::Incomplete(_)) => {
            format!("is JSON that was cut, with the keys {}", keys.text())
        }
        Err(_) if keys.count == 0 => return None,
        Err(_) => format!("begins as JSON with the keys {}", keys.text()),
    };
    Some(Looks { what, mend: Mend::String("the format string that writes it", OBJECT) })
}

/// A member that holds a line of a known format, as what forwards logs packs them.
fn member(key: &[u8], inside: &[u8], context: &Context) -> Option<Looks> {
    let mut room = Vec::new();
    let held = json::plain(inside, &mut room);
    let (line, ended) = held.strip_suffix(b"\n").map_or((held, false), |line| (line, true));
    let format = specific(best(&[line], context)?, &[line], context);
    let key = std::str::from_utf8(key).ok().filter(|key| is_name(key.as_bytes()))?;
    let what = format!("is JSON, and its '{key}' looks like {}", format.looks_like);
    Some(Looks { what, mend: Mend::Member(key.to_owned(), ended) })
}

/// Names with values, columns of W3C, columns between borders.
pub(super) fn of(text: &[u8]) -> Option<Looks> {
    pairs(text).or_else(|| w3c(text)).or_else(|| columns(text))
}

/// `a=1 b="two" …`.
fn pairs(text: &[u8]) -> Option<Looks> {
    let mut cursor = Cursor::new(text);
    let mut keys = Names::default();
    while let Some(key) = cursor.until(b'=').filter(|key| is_name(key)) {
        keys.add(key);
        if cursor.peek() == Some(b'"') {
            cursor.quoted()?;
        }
        // What is left of a value, up to the next key.
        cursor.word();
    }
    if keys.count < FEWEST {
        return None;
    }
    let what = format!("is names with values: {}", keys.text());
    Some(Looks { what, mend: Mend::String("the format string that writes it", PAIRS) })
}

/// `2026-11-21 10:00:00 …`, columns without the line that names them.
fn w3c(text: &[u8]) -> Option<Looks> {
    let date = matches!(
        text,
        [_, _, _, _, b'-', _, _, b'-', _, _, b' ' | b'\t', _, _, b':', _, _, b':', ..]
    );
    let words = text.split(|b| matches!(b, b' ' | b'\t')).count();
    (date && words > 2 * FEWEST).then(|| Looks {
        what: format!("looks like {words} columns of a W3C extended log, such as IIS writes"),
        mend: Mend::String("the #Fields line of the log's head", FIELDS),
    })
}

/// Columns between tabs, commas, semicolons or bars.
fn columns(text: &[u8]) -> Option<Looks> {
    const BORDERS: [(u8, &str); 4] =
        [(b'\t', "tabs"), (b',', "commas"), (b';', "semicolons"), (b'|', "bars")];
    let of = |border: u8| memchr::memchr_iter(border, text).count();
    let (border, name) = BORDERS.into_iter().find(|(border, _)| {
        // Sentences have commas too, with a space behind.
        of(*border) >= FEWEST && of(*border) > memchr::memchr_iter(b' ', text).count()
    })?;
    let (many, first) = (of(border) + 1, text.split(|b| *b == border).next()?);
    let what = format!("is {many} columns with {name} between them, the first {}", shown(first));
    Some(Looks { what, mend: Mend::String(NGINX_OR_APACHE, COLUMNS) })
}

/// A key that needs no quotes anywhere.
fn is_name(key: &[u8]) -> bool {
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@');
    !key.is_empty() && key.len() <= 64 && key.iter().all(is_letter)
}

/// The names a line has.
#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: &[u8]) {
        self.count += 1;
        if self.first.len() < NAMES_MAX {
            self.first.push(shown(name).trim_matches('\'').to_owned());
        }
    }

    fn text(&self) -> String {
        let first = self.first.join(", ");
        match self.count.saturating_sub(self.first.len()) {
            0 if first.is_empty() => "none".to_owned(),
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }
}
