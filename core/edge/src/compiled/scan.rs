//! Runs a layout's steps over one line.

use memchr::memchr;

use super::bytes::{self, ByteSet};
use super::date;
use super::layout::{End, How, Layout, Quick, Shape, Step, To};
use super::number;
use super::values::{Number, Values, address};
use crate::format::Reject;

/// Entries of one upstream list that are looked at; nginx tries no more servers than there are.
const LIST_ENTRIES_MAX: usize = 64;
/// Places at which one text's end is tried in one line.
const TRIES_MAX: usize = 4096;

/// Reads all fields of `line`; a line that ends inside a text is marked as cut there.
pub(super) fn scan(layout: &Layout, zone_s: i32, values: &mut Values<'_>) -> Result<(), Reject> {
    let line = values.line;
    if !line.starts_with(layout.prefix()) {
        let first = layout.steps.first().map_or("fields", |s| s.item.name);
        return Err(Reject::Malformed(first));
    }
    let run = Run { layout, line, zone_s };
    let end = run.steps(layout.prefix().len(), 0, layout.steps.len(), values)?;
    if end != line.len() && !values.truncated {
        return Err(Reject::Malformed("end of line"));
    }
    Ok(())
}

/// One line under way.
#[derive(Clone, Copy)]
struct Run<'l, 'a> {
    layout: &'l Layout,
    line: &'a [u8],
    zone_s: i32,
}

impl Run<'_, '_> {
    /// Reads the steps `from..to` from `at` and gives the place behind the last one's literal.
    fn steps(
        &self,
        mut at: usize,
        from: usize,
        to: usize,
        values: &mut Values<'_>,
    ) -> Result<usize, Reject> {
        let mut i = from;
        while i < to {
            (at, i) = self.usual(at, i, to, values);
            if i == to {
                break;
            }
            let step = &self.layout.steps[i];
            let literal = self.layout.literal(step);
            i += 1;
            let end = match step.end {
                End::Own => {
                    let end = self.own(step, at, values)?;
                    // Captures that are not configured leave no space behind either.
                    if end == at
                        && step.item.shape == Shape::Braced
                        && literal.first() == Some(&b' ')
                    {
                        at = self.behind_any(step, end, &literal[1..])?;
                        continue;
                    }
                    end
                }
                End::Tried(anchor) => {
                    at = self.tried(step, at, i, anchor + 1, values)?;
                    i = anchor + 1;
                    continue;
                }
                End::Byte(_) | End::Quote | End::Pivot(_) | End::Line => {
                    match self.text_end(step, at, literal) {
                        Some(end) if self.holds(step, at, end) => end,
                        Some(_) => return Err(Reject::Malformed(step.item.name)),
                        None if step.strict => return Err(Reject::Malformed(step.item.name)),
                        None => {
                            keep(step, at, self.line.len(), values);
                            values.truncated = true;
                            return Ok(self.line.len());
                        }
                    }
                }
            };
            if step.end != End::Own {
                keep(step, at, end, values);
            }
            at = self.behind(step, end, literal)?;
        }
        Ok(at)
    }

    /// Reads as many of the steps `from..to` as are as usual, and gives the place behind the last
    /// one's literal and how many steps are read. What was kept of the step behind those means
    /// nothing.
    #[inline]
    fn usual(&self, at: usize, from: usize, to: usize, values: &mut Values<'_>) -> (usize, usize) {
        let (mut at, mut read) = (at, from);
        for quick in self.layout.quick.get(from..to).unwrap_or_default() {
            let Some(behind) = self.one_usual(quick, at, values) else { break };
            (at, read) = (behind, read + 1);
        }
        (at, read)
    }

    #[inline(always)]
    fn one_usual(&self, quick: &Quick, at: usize, values: &mut Values<'_>) -> Option<usize> {
        let end = match quick.how {
            How::Own => return None,
            How::ClientUntil(_) if values.wanted.client => return None,
            How::ClientUntil(byte) => bytes::find_from(at, byte, self.line)?,
            How::Until(byte) => {
                let end = bytes::find_from(at, byte, self.line)?;
                values.fields.set_text(quick.place, at, end);
                end
            }
            How::Quoted => {
                let end = bytes::find_from(at, b'"', self.line)?;
                if end > at && self.line[end - 1] == b'\\' {
                    return None;
                }
                values.fields.set_text(quick.place, at, end);
                end
            }
            How::Integer => {
                let (value, len) = number::plain(self.line.get(at..)?)?;
                values.fields.set_plain(quick.place, value.saturating_mul(quick.times));
                at + len
            }
            How::Decimal => {
                let (value, len) = number::seconds(self.line.get(at..)?)?;
                values.fields.set_plain(quick.place, value.saturating_mul(quick.times));
                at + len
            }
            How::Clf => {
                values.at_us = Some(values.fields.date.read(self.line.get(at..)?)?);
                at + date::CLF
            }
        };
        let tail = self.line.get(end..)?;
        let (word, mask) = quick.word;
        let literal_len = usize::from(quick.literal_len);
        let stands = match tail.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes) & mask == word,
            // At the line's end a byte behind it does not count.
            None => first_bytes(tail) & mask == word && tail.len() >= literal_len,
        };
        stands.then_some(end + literal_len)
    }

    /// The place behind a step's literal, which must stand at `at`.
    #[inline]
    fn behind(&self, step: &Step, at: usize, literal: &[u8]) -> Result<usize, Reject> {
        let (word, mask) = step.word;
        if literal.len() <= 8
            && let Some(bytes) = self.line.get(at..).and_then(|rest| rest.first_chunk())
            && u64::from_le_bytes(*bytes) & mask == word
        {
            return Ok(at + literal.len());
        }
        self.behind_any(step, at, literal)
    }

    /// The same for a literal of any length, at the line's end too.
    fn behind_any(&self, step: &Step, at: usize, literal: &[u8]) -> Result<usize, Reject> {
        let rest = &self.line[at..];
        if rest.starts_with(literal) {
            Ok(at + literal.len())
        } else if literal.starts_with(rest) {
            Err(Reject::Incomplete("end of line"))
        } else {
            Err(Reject::Malformed(step.item.name))
        }
    }

    /// Reads a field that knows its own end, and gives that end.
    #[inline]
    fn own(&self, step: &Step, at: usize, values: &mut Values<'_>) -> Result<usize, Reject> {
        let rest = &self.line[at..];
        let malformed = Reject::Malformed(step.item.name);
        match step.item.shape {
            Shape::Integer | Shape::Decimal => {
                let whole = step.item.shape == Shape::Integer;
                let read = if whole { number::integer(rest) } else { number::decimal(rest) };
                let read = read.ok_or(malformed)?;
                set(step, read.value, read.plus, values);
                Ok(at + read.len)
            }
            Shape::Date(date) => {
                let read = date::read(date, rest, self.zone_s).ok_or(malformed)?;
                match step.item.to {
                    To::Time => values.at_us = Some(read.micros),
                    To::Number(number, _) => values.set(number, Some(read.micros), false),
                    To::Nothing | To::Text(_) | To::Client | To::ClientSocket => {}
                }
                Ok(at + read.len)
            }
            Shape::List => {
                let len = list(rest);
                keep(step, at, at + len, values);
                Ok(at + len)
            }
            Shape::Braced => match rest.first() {
                Some(b'{') => memchr(b'}', rest).map(|i| at + i + 1).ok_or(malformed),
                _ => Ok(at),
            },
            Shape::Text { .. } => Err(malformed),
        }
    }

    /// Where a text ends; none where the line ends before its literal.
    #[inline]
    fn text_end(&self, step: &Step, at: usize, literal: &[u8]) -> Option<usize> {
        let rest = &self.line[at..];
        if step.strict
            && let Shape::Text { of, .. } = step.item.shape
            && step.end != End::Quote
        {
            // The literal's bytes before its pivot are the field's own kind.
            let pivot = if let End::Pivot(pivot) = step.end { pivot } else { 0 };
            return of.span(rest).checked_sub(pivot).map(|len| at + len);
        }
        match step.end {
            End::Byte(byte) => bytes::find(byte, rest).map(|i| at + i),
            End::Quote => unhidden_quote(rest).map(|i| at + i),
            End::Pivot(pivot) => find(rest, literal, pivot).map(|i| at + i),
            End::Line | End::Own | End::Tried(_) => Some(self.line.len()),
        }
    }

    /// Whether no bare double quote stands in a text that cannot hold one. Where the text ends at
    /// the first byte it cannot hold, that is sure already.
    #[inline]
    fn holds(&self, step: &Step, at: usize, end: usize) -> bool {
        match (step.end, step.item.shape) {
            (End::Tried(_) | End::Pivot(_), Shape::Text { of, .. }) if !of.has(b'"') => {
                unhidden_quote(&self.line[at..end]).is_none()
            }
            _ => true,
        }
    }

    /// Tries a text's end at each place of its literal until the steps behind it fit.
    fn tried(
        &self,
        step: &Step,
        at: usize,
        from: usize,
        to: usize,
        values: &mut Values<'_>,
    ) -> Result<usize, Reject> {
        let literal = self.layout.literal(step);
        let whole_line = to == self.layout.steps.len();
        let mut start = at;
        for _ in 0..TRIES_MAX {
            let Some(found) = find(&self.line[start..], literal, 0) else { break };
            let end = start + found;
            match self.steps(end + literal.len(), from, to, values) {
                Ok(behind)
                    if self.holds(step, at, end) && (!whole_line || behind == self.line.len()) =>
                {
                    keep(step, at, end, values);
                    return Ok(behind);
                }
                Ok(_) | Err(_) => start = end + 1,
            }
        }
        Err(Reject::Malformed(step.item.name))
    }
}

/// The bytes as a word, zeros behind them; of fewer than eight.
#[inline]
fn first_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Puts a number where it belongs.
#[inline]
const fn set(step: &Step, value: Option<i64>, plus: bool, values: &mut Values<'_>) {
    if let To::Number(number, scale) = step.item.to {
        let value = match value {
            Some(value) => Some(scale.of(value)),
            None => None,
        };
        values.set(number, value, plus);
    }
}

/// Puts a text where it belongs.
#[inline]
fn keep(step: &Step, start: usize, end: usize, values: &mut Values<'_>) {
    let line = values.line;
    let field = || line.get(start..end).unwrap_or_default();
    match step.item.to {
        To::Text(text) => values.set_text(text, start, end),
        To::Client | To::ClientSocket if !values.wanted.client => {}
        To::Client => values.client = address(field()),
        To::ClientSocket => {
            let field = field();
            let colon = memchr::memrchr(b':', field).unwrap_or(field.len());
            values.client = address(&field[..colon]);
            let port = number::integer(field.get(colon + 1..).unwrap_or_default());
            values.set(Number::ClientPort, port.and_then(|p| p.value), false);
        }
        To::Nothing | To::Number(_, _) | To::Time => {}
    }
}

/// Bytes of nginx's `a, b : c`; an entry may be empty.
fn list(bytes: &[u8]) -> usize {
    let mut len = 0;
    for _ in 0..LIST_ENTRIES_MAX {
        len += ByteSet::ENTRY.span(&bytes[len..]);
        match bytes.get(len..) {
            Some([b',', b' ', ..]) => len += 2,
            Some([b' ', b':', b' ', ..]) => len += 3,
            _ => break,
        }
    }
    len
}

/// Where a double quote stands that no backslash hides.
#[inline]
fn unhidden_quote(bytes: &[u8]) -> Option<usize> {
    let first = bytes::find(b'"', bytes)?;
    if first == 0 || bytes[first - 1] != b'\\' {
        return Some(first);
    }
    memchr::memchr_iter(b'"', bytes).find(|i| {
        let hiding = bytes[..*i].iter().rev().take_while(|b| **b == b'\\').count();
        hiding % 2 == 0
    })
}

/// Where `literal` stands, found by its byte `pivot`.
fn find(bytes: &[u8], literal: &[u8], pivot: usize) -> Option<usize> {
    let byte = *literal.get(pivot)?;
    // The place where it most often is: the first one.
    let first = bytes::find(byte, bytes.get(pivot..)?)?;
    if bytes[first..].starts_with(literal) {
        return Some(first);
    }
    let from = pivot.min(bytes.len());
    memchr::memchr_iter(byte, &bytes[from..]).find(|i| bytes[*i..].starts_with(literal))
}
