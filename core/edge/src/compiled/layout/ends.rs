//! Where each field of a layout ends, and the proof that this is certain.

use super::{End, Layout, Shape};
use crate::compiled::bytes::ByteSet;
use crate::compiled::date::Date;
use crate::compiled::error::FormatError;

/// How the field of index `i` finds its end.
pub(super) fn end_of(layout: &Layout, i: usize) -> Result<End, Doubt> {
    let step = &layout.steps[i];
    let literal = layout.literal(step);
    let Shape::Text { of, escaped } = step.item.shape else {
        return match going_on(layout, i) {
            Some(why) => Err(Doubt { first: i, second: i + 1, why }),
            None => Ok(End::Own),
        };
    };
    let Some(first) = literal.first() else {
        return match layout.steps.get(i + 1) {
            None => Ok(End::Line),
            Some(_) => Err(Doubt { first: i, second: i + 1, why: APART }),
        };
    };
    if !of.has(*first) {
        return Ok(if escaped && *first == b'"' { End::Quote } else { End::Byte(*first) });
    }
    if let Some(pivot) = literal.iter().position(|b| !of.has(*b)) {
        return Ok(End::Pivot(pivot));
    }
    anchor(layout, i, of).map(End::Tried)
}

/// The last of the steps behind text `i` that must fit together with it.
fn anchor(layout: &Layout, i: usize, text: ByteSet) -> Result<usize, Doubt> {
    let steps = &layout.steps;
    for j in i + 1..steps.len() {
        let literal = layout.literal(&steps[j]);
        let holds = |k: usize| may_hold(&steps[j].item.shape, layout.literal(&steps[k]));
        let ends_line = literal.is_empty() && j + 1 == steps.len();
        if (i..j).any(holds) || (!ends_line && holds(j)) {
            let why = "either may hold what stands between them";
            return Err(Doubt { first: i, second: j, why });
        }
        if !text.has_all(literal) {
            return Ok(j);
        }
    }
    Ok(steps.len() - 1)
}

/// Whether a field of this shape may hold `literal`, other than by its own grammar's order.
pub(super) fn may_hold(shape: &Shape, literal: &[u8]) -> bool {
    match shape {
        Shape::Text { of, .. } => of.has_all(literal),
        Shape::List => ByteSet::ENTRY.with(b" ,").has_all(literal),
        Shape::Braced => ByteSet::TEXT.has_all(literal),
        Shape::Integer | Shape::Decimal | Shape::Date(_) => false,
    }
}

/// Why what follows a field that reads itself to its end could be taken for more of it.
fn going_on(layout: &Layout, i: usize) -> Option<&'static str> {
    let step = &layout.steps[i];
    let literal = layout.literal(step);
    let more = match step.item.shape {
        Shape::Integer => ByteSet::DIGITS,
        Shape::Decimal => ByteSet::DIGITS.with(b"."),
        Shape::List if literal.starts_with(b", ") || literal.starts_with(b" : ") => {
            return Some("the list may go on there");
        }
        Shape::List => ByteSet::ENTRY,
        // An ISO date ends in its zone, of which nothing is left out.
        Shape::Date(Date::Clf | Date::Day | Date::Civil | Date::Iso)
        | Shape::Braced
        | Shape::Text { .. } => return None,
        Shape::Date(Date::Local | Date::Time) => ByteSet::DIGITS.with(b".,+-Zz"),
    };
    match (literal.first(), layout.steps.get(i + 1)) {
        (Some(first), _) => more.has(*first).then_some("its own bytes stand behind it"),
        (None, None) => None,
        (None, Some(_)) => Some(APART),
    }
}

/// Two steps, by index, whose border is in doubt.
#[derive(Debug)]
pub(super) struct Doubt {
    first: usize,
    second: usize,
    why: &'static str,
}

const APART: &str = "nothing stands between them";

impl Doubt {
    /// As the error that names both.
    pub(super) fn named(&self, format: &str, layout: &Layout) -> FormatError {
        let name = |i: usize| {
            let source = layout.steps.get(i).map(|s| s.source.0 as usize..s.source.1 as usize);
            source.and_then(|at| format.get(at)).unwrap_or("the text behind it").to_owned()
        };
        FormatError::Ambiguous { first: name(self.first), second: name(self.second), why: self.why }
    }
}

/// The end of a list before a double quote, which no list holds.
pub(super) fn quoted_list(shape: Shape, (word, mask): (u64, u64)) -> Option<End> {
    let quoted = mask & 0xff != 0 && word & 0xff == u64::from(b'"');
    (shape == Shape::List && quoted).then_some(End::Byte(b'"'))
}
