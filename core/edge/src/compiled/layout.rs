//! A format string as a list of steps, built item by item, and the proof that every line has at
//! most one reading under it.
//!
//! A field ends where its literal begins. That is certain where the field cannot hold the literal,
//! or reads itself to its end (numbers, dates, lists). Where a text may hold its own literal, the
//! steps after it are tried at each place where the literal stands, as far as the next literal the
//! text cannot hold, or the line's end: since none of those steps may hold its own literal, their
//! number fixes the one place that fits. A string with two such texts in a row is refused.

mod ends;
mod quick;

use std::ops::Range;

use whyslow_model::limits::{EDGE_FORMAT_BYTES_MAX, EDGE_FORMAT_ITEMS_MAX};

use super::bytes::ByteSet;
use super::date::Date;
use super::error::FormatError;
use super::values::{Number, Text};
use ends::{end_of, may_hold, quoted_list};
pub(super) use quick::{How, Quick};

/// What an item of a format language puts into a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its name, for rejects.
    pub(super) name: &'static str,
    /// How it is written.
    pub(super) shape: Shape,
    /// Where its value goes.
    pub(super) to: To,
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A whole number, or a dash, or nothing.
    Integer,
    /// A number with decimals perhaps, or a dash, or nothing.
    Decimal,
    /// A time.
    Date(Date),
    /// Text of these bytes; `escaped` where a double quote may stand in it behind a backslash.
    Text {
        /// The bytes it may hold.
        of: ByteSet,
        /// Whether a backslash hides a quote.
        escaped: bool,
    },
    /// nginx's `a, b : c`.
    List,
    /// `{…}`, or nothing at all and then not its literal's space either (`HAProxy`'s captures).
    Braced,
}

/// Where a field's value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Nowhere.
    Nothing,
    /// A number.
    Number(Number, Scale),
    /// A text.
    Text(Text),
    /// The client's address.
    Client,
    /// The client's address and port.
    ClientSocket,
    /// The line's time.
    Time,
}

/// What a number as it is read makes in the unit it is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// The same.
    One,
    /// So many times as much.
    Times(i64),
    /// One such part.
    Per(i64),
}

impl Scale {
    #[inline]
    pub(super) const fn of(self, read: i64) -> i64 {
        match self {
            Self::One => read,
            Self::Times(n) => read.saturating_mul(n),
            Self::Per(n) => read / n,
        }
    }
}

/// One field, and the literal after it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The field.
    pub(super) item: Item,
    /// How its end is found.
    pub(super) end: End,
    /// The field must be checked byte by byte: a step before it leans on that.
    pub(super) strict: bool,
    /// The literal after it, as far as a word holds it, and a mask of the bytes that count.
    pub(super) word: (u64, u64),
    /// Where the literal after it begins and ends in the layout's text.
    literal: (u32, u32),
    /// Where the item stands in the format string.
    source: (u32, u32),
}

/// How a field's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The field reads itself to its end.
    Own,
    /// At the first such byte, which is the literal's first.
    Byte(u8),
    /// At the first double quote that no backslash hides, which is the literal's first byte.
    Quote,
    /// At the literal, found by its byte of this place, which the field cannot hold.
    Pivot(usize),
    /// At the literal behind which all steps fit up to the one of this index.
    Tried(usize),
    /// At the line's end.
    Line,
}

/// A format string made ready.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// All literals, one after the other; the first stands before the first field.
    text: Vec<u8>,
    prefix: u32,
    /// The fields in order.
    pub(super) steps: Vec<Step>,
    /// The same, in short.
    pub(super) quick: Vec<Quick>,
}

impl Layout {
    /// What every line begins with.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.text[..self.prefix as usize]
    }

    /// What stands behind a step's field.
    pub(super) fn literal(&self, step: &Step) -> &[u8] {
        &self.text[step.literal.0 as usize..step.literal.1 as usize]
    }

    /// Whether some field goes there.
    pub(super) fn tells(&self, to: impl Fn(To) -> bool) -> bool {
        self.steps.iter().any(|s| to(s.item.to))
    }

    /// Whether some field is this text.
    pub(super) fn has_text(&self, text: Text) -> bool {
        self.tells(|to| to == To::Text(text))
    }
}

/// Builds a layout from literals and items in their order.
#[derive(Debug)]
pub(super) struct Builder<'f> {
    format: &'f str,
    text: Vec<u8>,
    prefix: u32,
    steps: Vec<Step>,
}

impl<'f> Builder<'f> {
    /// An empty one with room for what a string of this length can hold.
    pub(super) fn new(format: &'f str) -> Result<Self, FormatError> {
        if format.len() > EDGE_FORMAT_BYTES_MAX {
            return Err(FormatError::TooMuch { what: "bytes", most: EDGE_FORMAT_BYTES_MAX });
        }
        let items = format.bytes().filter(|b| matches!(b, b'$' | b'%' | b' ')).count();
        Ok(Self {
            format,
            text: Vec::with_capacity(format.len() + 8),
            prefix: 0,
            steps: Vec::with_capacity(items.min(EDGE_FORMAT_ITEMS_MAX) + 1),
        })
    }

    /// Bytes that stand in every line.
    pub(super) fn literal(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        let end = small(self.text.len());
        match self.steps.last_mut() {
            Some(step) => step.literal.1 = end,
            None => self.prefix = end,
        }
    }

    /// A space, once where the language merges spaces.
    pub(super) fn merged_space(&mut self) {
        let start = self.steps.last().map_or(0, |s| s.literal.0 as usize);
        if self.text.len() == start || self.text.last() != Some(&b' ') {
            self.literal(b" ");
        }
    }

    /// The item of the last field, where no literal stands behind it yet.
    pub(super) fn open_item(&self) -> Option<&Item> {
        self.steps.last().filter(|s| s.literal.0 == s.literal.1).map(|s| &s.item)
    }

    /// A field, which stands at `source` in the format string.
    pub(super) fn item(&mut self, item: Item, source: Range<usize>) -> Result<(), FormatError> {
        if self.steps.len() >= EDGE_FORMAT_ITEMS_MAX {
            return Err(FormatError::TooMuch { what: "items", most: EDGE_FORMAT_ITEMS_MAX });
        }
        if !self.merge(&item) {
            let at = small(self.text.len());
            let source = (small(source.start), small(source.end));
            let (end, word, literal) = (End::Own, (0, 0), (at, at));
            let step = Step { item, end, strict: false, word, literal, source };
            self.steps.push(step);
        }
        Ok(())
    }

    /// Two texts that nobody wants, with a literal between that says nothing, are one: where the
    /// first ends makes no difference.
    fn merge(&mut self, item: &Item) -> bool {
        let (Shape::Text { of: next, escaped }, To::Nothing) = (item.shape, item.to) else {
            return false;
        };
        let Some(last) = self.steps.last_mut() else { return false };
        let literal = &self.text[last.literal.0 as usize..last.literal.1 as usize];
        match (&mut last.item.shape, last.item.to) {
            (Shape::Text { of, escaped: also }, To::Nothing)
                if *also == escaped && of.has_all(literal) =>
            {
                *of = of.or(next);
                self.text.truncate(last.literal.0 as usize);
                last.literal.1 = last.literal.0;
                true
            }
            _ => false,
        }
    }

    /// The layout, if every line has at most one reading under it.
    pub(super) fn finish(self) -> Result<Layout, FormatError> {
        let (text, prefix, steps) = (self.text, self.prefix, self.steps);
        let mut layout = Layout { text, prefix, steps, quick: Vec::new() };
        if layout.steps.iter().all(|s| s.item.to == To::Nothing) {
            return Err(FormatError::NothingKnown);
        }
        let mut strict_until = 0;
        for i in 0..layout.steps.len() {
            let end = end_of(&layout, i).map_err(|doubt| doubt.named(self.format, &layout))?;
            if let End::Tried(anchor) = end {
                strict_until = anchor + 1;
            }
            let word = word(layout.literal(&layout.steps[i]));
            let step = &mut layout.steps[i];
            // A list inside quotes ends where they do; one that others lean on is read by itself.
            step.end = if end == End::Own && i >= strict_until {
                quoted_list(step.item.shape, word).unwrap_or(end)
            } else {
                end
            };
            step.word = word;
            let shape = layout.steps[i].item.shape;
            let checked = end == End::Line && !may_hold(&shape, b" ");
            layout.steps[i].strict = i < strict_until || checked;
        }
        layout.quick = layout.steps.iter().map(Quick::of).collect();
        Ok(layout)
    }
}

/// A literal's first eight bytes, and which of them there are.
fn word(literal: &[u8]) -> (u64, u64) {
    let (mut bytes, mut mask) = ([0; 8], [0; 8]);
    for (i, byte) in literal.iter().take(8).enumerate() {
        (bytes[i], mask[i]) = (*byte, 0xff);
    }
    (u64::from_le_bytes(bytes), u64::from_le_bytes(mask))
}

/// A place in a format string, whose length is limited.
fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
