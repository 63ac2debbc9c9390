//! The W3C extended log format, as IIS writes it: a `#Fields:` line names the columns.

use super::bytes::ByteSet;
use super::date::Date;
use super::error::FormatError;
use super::layout::{Builder, Item, Layout, Scale, Shape, To};
use super::values::{Number, Text, Values};
use crate::record::{Record, Span};

/// What a line with the names of the columns begins with.
pub(super) const FIELDS: &str = "#Fields:";

/// The layout of the lines behind a `#Fields:` line.
pub(super) fn layout(header: &str) -> Result<Layout, FormatError> {
    let header = header.trim();
    let names = header.strip_prefix(FIELDS).unwrap_or(header);
    let mut builder = Builder::new(header)?;
    let mut at = header.len() - names.len();
    for (index, name) in names.split_ascii_whitespace().enumerate() {
        if index > 0 {
            builder.literal(b" ");
        }
        let start = header[at..].find(name).map_or(at, |n| at + n);
        at = start + name.len();
        builder.item(item(name), start..at)?;
    }
    builder.finish()
}

fn item(name: &str) -> Item {
    let word = Shape::Text { of: ByteSet::ANY.without(b" "), escaped: false };
    let of = |name, shape, to| Item { name, shape, to };
    let number = |name, number, scale| of(name, Shape::Integer, To::Number(number, scale));
    match name {
        "date" => of("date", Shape::Date(Date::Day), To::Number(Number::Day, Scale::One)),
        "time" => of("time", Shape::Date(Date::Time), To::Number(Number::DayTime, Scale::One)),
        "c-ip" => of("c-ip", word, To::Client),
        "c-port" => number("c-port", Number::ClientPort, Scale::One),
        "s-sitename" => of("s-sitename", word, To::Text(Text::Vip)),
        "s-computername" => of("s-computername", word, To::Text(Text::Server)),
        "cs-method" => of("cs-method", word, To::Text(Text::Method)),
        "cs-uri-stem" => of("cs-uri-stem", word, To::Text(Text::Path)),
        "cs-host" => of("cs-host", word, To::Text(Text::Host)),
        "sc-status" => number("sc-status", Number::Code, Scale::One),
        "sc-win32-status" => number("sc-win32-status", Number::SocketError, Scale::One),
        "sc-bytes" => number("sc-bytes", Number::BytesOut, Scale::One),
        "cs-bytes" => number("cs-bytes", Number::BytesIn, Scale::One),
        "time-taken" => number("time-taken", Number::Total, Scale::Times(1000)),
        _ => of("column", word, To::Nothing),
    }
}

/// Fills what IIS alone says. Its time goes on until the client has acknowledged the answer
/// (Microsoft's article 944884), so that nothing inside it can be told apart.
pub(super) fn read(record: &mut Record<'_>, values: &Values<'_>) {
    record.total = values.natural(Number::Total).map_or(Span::ABSENT, Span::exact);
    // ERROR_NETNAME_DELETED and ERROR_CONNECTION_ABORTED.
    let error = values.number(Number::SocketError);
    record.end.client_aborted = matches!(error, Some(64 | 1236));
}
