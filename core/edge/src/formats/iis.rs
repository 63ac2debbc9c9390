//! IIS in the W3C extended format, whose `#Fields:` line names the columns.
//!
//! A parser has no memory, so that lines of one file may be read by several at once: whoever reads
//! a file gives its header to [`with_header`], and without one IIS's own choice of columns is
//! taken. Header lines are no requests.

use crate::compiled::{Compiled, FormatError, Language, compile_as};
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::Record;

/// With the columns that IIS chooses by itself.
pub(super) const FORMAT: Format = Format {
    name: "iis",
    summary: "IIS: W3C extended, with IIS 10's own choice of fields or those of a #Fields: line",
    looks_like: "an IIS log (W3C extended)",
    example: "2009-02-06 11:14:14 10.0.0.1 GET /index.html - 443 - 192.0.2.7 curl/7.88.1 - 200 0 0 109",
    parser: || Box::new(Iis(compile_as(Language::W3c, DEFAULT).ok())),
};

/// IIS 10's choice.
const DEFAULT: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port \
                       cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus \
                       sc-win32-status time-taken";

/// The parser of a file whose header holds this `#Fields:` line; none where it is no such line.
///
/// # Errors
/// [`FormatError`] of columns that cannot be read by.
pub fn with_header(line: &[u8]) -> Option<Result<Compiled, FormatError>> {
    let line = std::str::from_utf8(line).ok()?;
    line.starts_with("#Fields:").then(|| compile_as(Language::W3c, line))
}

#[derive(Debug)]
struct Iis(Option<Compiled>);

impl Parse for Iis {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let compiled = self.0.as_ref().ok_or(Reject::NotARequest("no fields"))?;
        compiled.parse(line, context, scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Span;

    const CONTEXT: Context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 3600 };

    #[test]
    fn iiss_own_choice_is_read_in_utc() {
        let (parser, mut scratch) = ((FORMAT.parser)(), Scratch::default());
        let record = parser.parse(FORMAT.example.as_bytes(), &CONTEXT, &mut scratch).unwrap();
        assert_eq!(record.at_us, Some(1_233_918_854_000_000));
        assert_eq!((record.code, record.total), (200, Span::exact(109_000)));
        assert_eq!((record.method, record.path), (&b"GET"[..], &b"/index.html"[..]));
        let header = parser.parse(b"#Version: 1.0", &CONTEXT, &mut scratch);
        assert!(matches!(header, Err(Reject::NotARequest(_))));
    }

    #[test]
    fn a_files_own_header_names_its_columns() {
        let parser = with_header(b"#Fields: time date sc-status cs-uri-stem\r").unwrap().unwrap();
        let mut scratch = Scratch::default();
        let record = parser.parse(b"11:14:14 2009-02-06 404 /a", &CONTEXT, &mut scratch).unwrap();
        assert_eq!((record.at_us, record.code), (Some(1_233_918_854_000_000), 404));
        assert!(with_header(b"#Version: 1.0").is_none());
        assert!(with_header(b"#Fields: x y").unwrap().is_err());
    }
}
