//! What Apache's letters are.

use super::Sign;
use crate::compiled::bytes::ByteSet;
use crate::compiled::date::Date;
use crate::compiled::layout::{Item, Scale, Shape, To};
use crate::compiled::values::{Number, Text};

/// What a sign puts into the line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    /// A field.
    Item(Item),
    /// A field in square brackets.
    Bracketed(Item),
    /// `?…`, or nothing.
    Query,
}

/// Where a path goes.
pub(super) const PATH: To = To::Text(Text::Path);
/// Text of which nothing is known.
pub(super) const UNKNOWN: Item = Item { name: "item", shape: TEXT, to: To::Nothing };
const WORD: Shape = Shape::Text { of: ByteSet::WORD, escaped: true };
const TEXT: Shape = Shape::Text { of: ByteSet::TEXT, escaped: true };

/// What a sign is; none where it is not known.
pub(super) fn piece(sign: &Sign<'_>) -> Option<Piece> {
    let item = |name, shape, to| Some(Piece::Item(Item { name, shape, to }));
    let number = |name, number| item(name, Shape::Integer, To::Number(number, Scale::One));
    let word = |name, to| item(name, WORD, to);
    match (sign.name, sign.parameter) {
        ("h", "" | "c") => word("%h", To::Client),
        ("a", "" | "c") => word("%a", To::Client),
        ("l", "") => word("%l", To::Nothing),
        ("u", "") => item("%u", TEXT, To::Nothing),
        ("t", "") => {
            Some(Piece::Bracketed(Item { name: "%t", shape: Shape::Date(Date::Clf), to: To::Time }))
        }
        ("t", form) => Some(Piece::Item(time(form))),
        ("r", "") => item("%r", TEXT, To::Text(Text::Request)),
        ("s", "") => number("%s", Number::Code),
        ("b", "") => number("%b", Number::BodyOut),
        ("B", "") => number("%B", Number::BodyOut),
        ("O", "") => number("%O", Number::BytesOut),
        ("I", "") => number("%I", Number::BytesIn),
        ("D", "") => number("%D", Number::Total),
        // Whole seconds: less than %D tells where both stand.
        ("T", "" | "s") => {
            item("%T", Shape::Integer, To::Number(Number::Session, Scale::Times(1_000_000)))
        }
        ("T", "ms") => item("%T", Shape::Integer, To::Number(Number::Total, Scale::Times(1000))),
        ("T", "us") => number("%T", Number::Total),
        ("^FB", "") => number("%^FB", Number::FirstByte),
        ("^FU", "") => number("%^FU", Number::Upload),
        ("X", "") => word("%X", To::Text(Text::Completion)),
        ("v", "") => word("%v", To::Text(Text::Vip)),
        ("V", "") => word("%V", To::Text(Text::Host)),
        ("m", "") => word("%m", To::Text(Text::Method)),
        ("U", "") => item("%U", TEXT, PATH),
        ("q", "") => Some(Piece::Query),
        ("L", "" | "c") => word("%L", To::Text(Text::RequestId)),
        ("i", "Host" | "host") => item("%{Host}i", TEXT, To::Text(Text::Host)),
        ("i", "X-Request-Id" | "X-Request-ID") => {
            item("%{X-Request-Id}i", TEXT, To::Text(Text::RequestId))
        }
        ("e", "UNIQUE_ID") => word("%{UNIQUE_ID}e", To::Text(Text::RequestId)),
        ("e", "BALANCER_WORKER_NAME") => word("%{BALANCER_WORKER_NAME}e", To::Text(Text::Server)),
        ("e", "BALANCER_NAME") => word("%{BALANCER_NAME}e", To::Text(Text::Backend)),
        ("x", "Varnish:time_firstbyte") => item(
            "%{Varnish:time_firstbyte}x",
            Shape::Decimal,
            To::Number(Number::FirstByte, Scale::One),
        ),
        (name, _) => passed_over(name)
            .map(|shape| Piece::Item(Item { name: "item", shape, to: To::Nothing })),
    }
}

/// Letters that say nothing we keep.
fn passed_over(name: &str) -> Option<Shape> {
    Some(match name {
        "p" | "k" | "S" => Shape::Integer,
        "A" | "H" | "P" | "R" | "l" | "a" | "h" => WORD,
        "i" | "o" | "e" | "n" | "C" | "f" | "x" | "^ti" | "^to" => TEXT,
        _ => return None,
    })
}

/// `%{…}t`: what the form of the time tells, where it is one that holds a whole time.
fn time(form: &str) -> Item {
    let form = form.strip_prefix("begin:").or_else(|| form.strip_prefix("end:")).unwrap_or(form);
    let of = |shape, to| Item { name: "%{…}t", shape, to };
    let epoch = |scale| of(Shape::Integer, To::Number(Number::Epoch, scale));
    let fraction = |scale| of(Shape::Integer, To::Number(Number::Fraction, scale));
    match form {
        "sec" => epoch(Scale::Times(1_000_000)),
        "msec" => epoch(Scale::Times(1000)),
        "usec" => epoch(Scale::One),
        "msec_frac" => fraction(Scale::Times(1000)),
        "usec_frac" => fraction(Scale::One),
        "%d/%b/%Y:%H:%M:%S %z" | "%d/%b/%Y:%T %z" => of(Shape::Date(Date::Clf), To::Time),
        "%Y-%m-%dT%H:%M:%S%z" | "%FT%T%z" => of(Shape::Date(Date::Iso), To::Time),
        "%Y-%m-%dT%H:%M:%S" | "%FT%T" | "%Y-%m-%d %H:%M:%S" | "%F %T" | "%Y-%m-%d %T" => {
            of(Shape::Date(Date::Civil), To::Time)
        }
        "%d/%b/%Y:%H:%M:%S" | "%d/%b/%Y:%T" => of(Shape::Date(Date::Local), To::Time),
        _ => of(TEXT, To::Nothing),
    }
}
