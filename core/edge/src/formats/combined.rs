//! The common and the combined log format of Apache, nginx and many others: no time spent, only
//! who asked for what, when, and the answer's code and size.

use super::nginx::Strings;
use crate::format::Format;

/// Both, told apart by the line.
pub(super) const FORMAT: Format = Format {
    name: "common",
    summary: "the common and the combined log format (no durations)",
    looks_like: "the common or combined log format",
    example: "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET /index.html HTTP/1.1\" 200 2750 \
              \"-\" \"curl/7.88.1\"",
    parser: || Strings::parser(&[COMBINED, COMMON]),
};

/// As nginx ships it under this name. Ident and user are one text: neither is kept.
pub(super) const COMBINED: &str = "$remote_addr $ident $remote_user [$time_local] \"$request\" \
                                   $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
pub(super) const COMMON: &str =
    "$remote_addr $ident $remote_user [$time_local] \"$request\" $status $body_bytes_sent";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Context, Scratch};

    #[test]
    fn both_are_read() {
        let context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 0 };
        let (parser, mut scratch) = ((FORMAT.parser)(), Scratch::default());
        let record = parser.parse(FORMAT.example.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((record.code, record.bytes_out), (200, Some(2750)));
        assert_eq!(record.at_us, Some(1_233_918_854_000_000));
        let common =
            "web1.lan ident ann smith [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" 304 -";
        let record = parser.parse(common.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((record.client, record.code, record.bytes_out), (None, 304, None));
    }
}
