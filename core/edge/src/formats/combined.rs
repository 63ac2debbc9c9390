//! The common and the combined log format of Apache, nginx and many others: no time spent, only
//! who asked for what, when, and the answer's code and size.

use super::nginx::Strings;
use crate::compiled::Language;
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

/// Any of these with more behind it: what most make of the format for themselves.
pub(super) const START: Format = Format {
    name: "combined-start",
    summary: "logs that begin as the combined log format; what stands behind it is not read",
    looks_like: "a log that begins as the combined log format",
    example: "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET /index.html HTTP/1.1\" 200 2750 \
              \"-\" \"curl/7.88.1\" rt=0.012 us=10.0.0.1:80",
    parser: || {
        Strings::of(&[
            (Language::Apache, VHOST_MORE),
            (Language::Nginx, MORE),
            (Language::Nginx, COMBINED),
        ])
    },
};

/// The last variable is no server's: text to the line's end.
const MORE: &str = "$remote_addr $ident $remote_user [$time_local] \"$request\" $status \
                    $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $rest";
const VHOST_MORE: &str =
    "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %{rest}n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::compile;
    use crate::format::{Context, Scratch};
    use crate::record::Span;

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

    #[test]
    fn what_stands_behind_a_beginning_is_not_read() {
        for string in [MORE, VHOST_MORE] {
            compile(string).unwrap_or_else(|e| panic!("{string}: {e}"));
        }
        let context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 0 };
        let (parser, mut scratch) = ((START.parser)(), Scratch::default());
        let mut read = |line: &str| {
            let r = parser.parse(line.as_bytes(), &context, &mut scratch).unwrap();
            assert_eq!((r.code, r.bytes_out, r.path), (200, Some(2750), &b"/index.html"[..]));
            assert_eq!((r.total, r.server), (Span::ABSENT, &b""[..]));
            String::from_utf8_lossy(r.vip).into_owned()
        };
        assert_eq!(read(START.example), "");
        assert_eq!(read(FORMAT.example), "");
        assert_eq!(read(&format!("shop.example:443 {}", START.example)), "shop.example");
        for rest in ["\"-\"", "801", "\"a\" \"b", "x"] {
            read(&format!("{} {rest}", FORMAT.example));
        }
        // A time or anything else in the size's place is none of it.
        let other = START.example.replace("2750", "0.801 2750");
        assert!(parser.parse(other.as_bytes(), &context, &mut Scratch::default()).is_err());
    }
}
