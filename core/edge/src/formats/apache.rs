//! Apache: the formats of its stock configuration. A format with durations is given as its string,
//! since nothing in a line tells microseconds from bytes.

use super::combined;
use super::nginx::Strings;
use crate::compiled::Language;
use crate::format::Format;

/// Any of them, told apart by the line.
pub(super) const FORMAT: Format = Format {
    name: "apache",
    summary: "Apache's stock formats: combinedio, vhost_combined, combined, common (no durations)",
    looks_like: "an Apache log",
    example: "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET /index.html HTTP/1.1\" 200 2750 \
              \"-\" \"curl/7.88.1\" 77 2990",
    parser: || {
        Strings::of(&[
            (Language::Apache, IO),
            (Language::Apache, VHOST),
            (Language::Nginx, combined::COMBINED),
            (Language::Nginx, combined::COMMON),
        ])
    },
};

/// `combinedio` of the stock configuration.
const IO: &str = "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %I %O";
/// `vhost_combined` of Debian's configuration.
const VHOST: &str = "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::compile;
    use crate::format::{Context, Scratch};
    use crate::record::Span;

    #[test]
    fn each_is_told_by_its_lines() {
        for string in [IO, VHOST] {
            compile(string).unwrap_or_else(|e| panic!("{string}: {e}"));
        }
        let context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 0 };
        let (parser, mut scratch) = ((FORMAT.parser)(), Scratch::default());
        let record = parser.parse(FORMAT.example.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((record.bytes_in, record.bytes_out), (Some(77), Some(2990)));
        let start = FORMAT.example.strip_suffix(" 77 2990").unwrap();
        let vhost = format!("shop.example:443 {start}");
        let record = parser.parse(vhost.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((record.vip, record.total), (&b"shop.example"[..], Span::ABSENT));
        let record = parser.parse(start.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!((record.vip, record.code), (&b""[..], 200));
    }
}
