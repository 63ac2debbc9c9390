//! `HAProxy`'s aliases (manual 8.2.6): how each is written and what it says.

use crate::compiled::bytes::ByteSet;
use crate::compiled::date::Date;
use crate::compiled::layout::{Item, Scale, Shape, To};
use crate::compiled::values::{Number, Text};

/// A word.
pub(super) const WORD: Shape = Shape::Text { of: ByteSet::WORD, escaped: false };
/// Any text but quotes.
pub(super) const TEXT: Shape = Shape::Text { of: ByteSet::TEXT, escaped: false };
/// Where a path goes.
pub(super) const PATH: To = To::Text(Text::Path);
const NAME: Shape = Shape::Text { of: ByteSet::NAME, escaped: false };
const MS: Scale = Scale::Times(1000);

/// What an alias is.
pub(super) fn known(alias: &str) -> Option<Item> {
    let of = |name: &'static str, shape: Shape, to: To| Some(Item { name, shape, to });
    let count = |name, number| of(name, Shape::Integer, To::Number(number, Scale::One));
    let ms = |name, number| of(name, Shape::Integer, To::Number(number, MS));
    match alias {
        "ci" => of("%ci", WORD, To::Client),
        "cp" => count("%cp", Number::ClientPort),
        "t" => of("%t", Shape::Date(Date::Local), To::Time),
        "tr" => of("%tr", Shape::Date(Date::Local), To::Time),
        "T" => of("%T", Shape::Date(Date::Clf), To::Time),
        "Tl" => of("%Tl", Shape::Date(Date::Clf), To::Time),
        "trg" => of("%trg", Shape::Date(Date::Clf), To::Time),
        "trl" => of("%trl", Shape::Date(Date::Clf), To::Time),
        "Ts" => of("%Ts", Shape::Integer, To::Number(Number::Epoch, Scale::Times(1_000_000))),
        "ms" => ms("%ms", Number::Fraction),
        "f" => of("%f", NAME, To::Text(Text::Vip)),
        "ft" => of("%ft", NAME, To::Text(Text::Vip)),
        "b" => of("%b", NAME, To::Text(Text::Backend)),
        "s" => of("%s", NAME, To::Text(Text::Server)),
        "TR" => ms("%TR", Number::ClientIn),
        "Tw" => ms("%Tw", Number::Queue),
        "Tc" => ms("%Tc", Number::Connect),
        "Tr" => ms("%Tr", Number::Wait),
        "Ta" => ms("%Ta", Number::Total),
        "Tt" => ms("%Tt", Number::Session),
        "Td" => ms("%Td", Number::Body),
        "Th" => ms("%Th", Number::Handshake),
        "Ti" => ms("%Ti", Number::Idle),
        "Tq" => ms("%Tq", Number::Arrival),
        "ST" => count("%ST", Number::Code),
        "B" => count("%B", Number::BytesOut),
        "U" => count("%U", Number::BytesIn),
        "tsc" => of("%tsc", WORD, To::Text(Text::Flags)),
        "ts" => of("%ts", WORD, To::Text(Text::Flags)),
        "sc" => count("%sc", Number::ServerConns),
        "rc" => count("%rc", Number::Retries),
        "sq" => count("%sq", Number::ServerQueue),
        "bq" => count("%bq", Number::BackendQueue),
        "lc" => count("%lc", Number::Sequence),
        "ID" => of("%ID", WORD, To::Text(Text::RequestId)),
        "r" => of("%r", TEXT, To::Text(Text::Request)),
        "HM" => of("%HM", WORD, To::Text(Text::Method)),
        "HP" => of("%HP", WORD, PATH),
        "HPO" => of("%HPO", WORD, PATH),
        "HU" => of("%HU", WORD, PATH),
        _ => passed_over(alias),
    }
}

/// Aliases that say nothing we keep.
fn passed_over(alias: &str) -> Option<Item> {
    let (name, shape) = match alias {
        "ac" => ("%ac", Shape::Integer),
        "fc" => ("%fc", Shape::Integer),
        "bc" => ("%bc", Shape::Integer),
        "rt" => ("%rt", Shape::Integer),
        "bp" => ("%bp", Shape::Integer),
        "fp" => ("%fp", Shape::Integer),
        "sp" => ("%sp", Shape::Integer),
        "pid" => ("%pid", Shape::Integer),
        "Tu" => ("%Tu", Shape::Integer),
        "bi" => ("%bi", WORD),
        "fi" => ("%fi", WORD),
        "si" => ("%si", WORD),
        "H" => ("%H", WORD),
        "HV" => ("%HV", WORD),
        "HQ" => ("%HQ", WORD),
        "CC" => ("%CC", WORD),
        "CS" => ("%CS", WORD),
        "sslc" => ("%sslc", WORD),
        "sslv" => ("%sslv", WORD),
        "hr" => ("%hr", Shape::Braced),
        "hs" => ("%hs", Shape::Braced),
        "hrl" => ("%hrl", TEXT),
        "hsl" => ("%hsl", TEXT),
        _ => return None,
    };
    Some(Item { name, shape, to: To::Nothing })
}
