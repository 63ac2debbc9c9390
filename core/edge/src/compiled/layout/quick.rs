//! The short way to read a step that is as it mostly is.

use super::{End, Scale, Shape, Step, To};
use crate::compiled::date::Date;
use crate::compiled::values::NOWHERE;

/// A step as most lines have it: the field and the literal after it are as usual. Anything else is
/// left to the step's own way, which alone may refuse a line.
#[derive(Clone, Copy, Debug)]
pub(in crate::compiled) struct Quick {
    /// How the field is read.
    pub(in crate::compiled) how: How,
    /// The place of its number or text; [`NOWHERE`] where nobody has use for it.
    pub(in crate::compiled) place: u8,
    /// Bytes of the literal, at most eight.
    pub(in crate::compiled) literal_len: u8,
    /// The literal, and a mask of its bytes.
    pub(in crate::compiled) word: (u64, u64),
    /// By what a number is multiplied.
    pub(in crate::compiled) times: i64,
}

/// How a usual field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compiled) enum How {
    /// In the step's own way alone.
    Own,
    /// A text to the first such byte, which is the literal's first.
    Until(u8),
    /// The same of the client's address.
    ClientUntil(u8),
    /// A text to the first double quote, where no backslash stands before it.
    Quoted,
    /// A whole number of few digits.
    Integer,
    /// A number with decimals.
    Decimal,
    /// A time of the common log format, mostly the one before.
    Clf,
}

impl Quick {
    /// The usual way of a step whose end is known.
    pub(in crate::compiled) fn of(step: &Step) -> Self {
        let literal = step.literal.1 - step.literal.0;
        let (place, times) = match step.item.to {
            To::Number(number, Scale::One) => (number as u8, Some(1)),
            To::Number(number, Scale::Times(n)) => (number as u8, Some(n)),
            To::Text(text) => (text as u8, Some(1)),
            To::Number(_, Scale::Per(_)) => (NOWHERE, None),
            To::Nothing | To::Client | To::ClientSocket | To::Time => (NOWHERE, Some(1)),
        };
        let how = match (step.end, step.item.shape, step.item.to) {
            _ if !matches!(literal, 1..=8) || times.is_none() => How::Own,
            (End::Byte(byte), _, To::Client | To::ClientSocket) if !step.strict => {
                How::ClientUntil(byte)
            }
            (End::Byte(byte), _, _) if !step.strict => How::Until(byte),
            (End::Quote, _, To::Text(_) | To::Nothing) => How::Quoted,
            (End::Own, Shape::Integer, _) => How::Integer,
            (End::Own, Shape::Decimal, _) => How::Decimal,
            (End::Own, Shape::Date(Date::Clf), To::Time) => How::Clf,
            _ => How::Own,
        };
        let literal_len = u8::try_from(literal).unwrap_or(0);
        Self { how, place, literal_len, word: step.word, times: times.unwrap_or(1) }
    }
}
