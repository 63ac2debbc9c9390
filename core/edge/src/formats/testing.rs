//! What the formats' tests share.

use whyslow_model::Wall;

use crate::format::{Context, Format, Reject};
use crate::record::Record;

/// Reads a line.
pub(super) fn read(format: &Format, line: &'static str) -> Result<Record<'static>, Reject> {
    let near = Wall::from_nanos(1_770_380_055_000_000_000);
    let context = Context { near, zone_s: 0 };
    let parser = Box::leak((format.parser)());
    parser.parse(line.as_bytes(), &context, Box::leak(Box::default()))
}

/// Vip, backend and server.
pub(super) fn served_by<'a>(record: &Record<'a>) -> [&'a str; 3] {
    [record.vip, record.backend, record.server].map(text)
}

/// Method, path and host.
pub(super) fn asked_for<'a>(record: &Record<'a>) -> [&'a str; 3] {
    [record.method, record.path, record.host].map(text)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("<not text>")
}
