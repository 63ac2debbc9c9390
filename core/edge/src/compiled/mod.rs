//! The balancer's own format string, compiled into a parser.
//!
//! One engine for all languages: a string becomes literals and fields (`layout`), a line is read
//! by them (`scan`) into numbers and texts (`values`), and each language knows what these say
//! of a request. What the string holds and we do not know is skipped; where a field ends must be
//! certain, or the string is refused.
//!
//! ```text
//! '$remote_addr "$request" $status' ─ nginx ─┐
//! '%ci:%cp [%tr] %ft %b/%s %TR…'  ─ haproxy ─┤
//! '%h %l %u %t "%r" %>s %b %D'     ─ apache ──┼─ Layout ─ line ─ Values ─ Record
//! '[%START_TIME%] %RESPONSE_CODE%' ─ envoy ───┤
//! '#Fields: date time c-ip'        ─ w3c ─────┘
//! ```

mod apache;
mod bytes;
mod date;
mod envoy;
mod error;
mod haproxy;
mod language;
mod layout;
mod nginx;
mod number;
mod request;
mod scan;
mod values;
mod w3c;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use error::FormatError;
pub use language::{Language, is_format_string};
pub use values::Fields;

use layout::{Layout, To};
use values::{Number, Text, Values};

use crate::format::{Context, Parse, Reject, Scratch, Wanted};
use crate::record::Record;

/// A parser made of a format string.
#[derive(Clone, Debug)]
pub struct Compiled {
    layout: Layout,
    has: Has,
    reading: Reading,
}

/// What the string has at all, so that an empty field is not taken for none.
#[derive(Clone, Copy, Debug)]
struct Has {
    /// The request line.
    request: bool,
    /// The path by itself.
    path: bool,
    /// The server's name, or nginx's list of them.
    server: bool,
}

/// What a language knows of its fields beyond their names.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Haproxy,
    Nginx(nginx::Facts),
    Apache,
    Envoy,
    W3c,
}

/// Compiles a format string whose language is told by its own signs.
///
/// The string may stand as in the balancer's configuration: with its directive (`log-format`,
/// `log_format NAME`) and its quotes, or without them.
///
/// # Errors
/// [`FormatError`], with a hint.
pub fn compile(format: &str) -> Result<Compiled, FormatError> {
    compile_as(language::detect(format)?, format)
}

/// Compiles a format string of this language.
///
/// # Errors
/// [`FormatError`], with a hint.
pub fn compile_as(language: Language, format: &str) -> Result<Compiled, FormatError> {
    let (layout, reading) = match language {
        Language::Haproxy => (haproxy::layout(format)?, Reading::Haproxy),
        Language::Nginx => {
            let layout = nginx::layout(format)?;
            let facts = nginx::Facts::of(&layout);
            (layout, Reading::Nginx(facts))
        }
        Language::Apache => (apache::layout(format)?, Reading::Apache),
        Language::Envoy => (envoy::layout(format)?, Reading::Envoy),
        Language::W3c => (w3c::layout(format)?, Reading::W3c),
    };
    let has = Has {
        request: layout.has_text(Text::Request),
        path: layout.has_text(Text::Path),
        server: layout.has_text(Text::Server) || layout.has_text(Text::UpstreamAddr),
    };
    Ok(Compiled { layout, has, reading })
}

impl Compiled {
    /// The language the string was of.
    pub const fn language(&self) -> Language {
        match self.reading {
            Reading::Haproxy => Language::Haproxy,
            Reading::Nginx(_) => Language::Nginx,
            Reading::Apache => Language::Apache,
            Reading::Envoy => Language::Envoy,
            Reading::W3c => Language::W3c,
        }
    }

    /// The items that say something of a request.
    pub fn used(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.layout.steps.iter().filter(|s| s.item.to != To::Nothing).map(|s| s.item.name)
    }
}

impl Compiled {
    /// Whether a line, not cut short, is of this format.
    ///
    /// # Errors
    /// Why it is not.
    pub fn fits(&self, line: &[u8], context: &Context, fields: &mut Fields) -> Result<(), Reject> {
        // None of them is looked at.
        let nothing = Wanted { client: false, request: false, phases: false, counters: false };
        let values = self.values(line, context, fields, nothing)?;
        if values.truncated { Err(Reject::Incomplete("the end of line")) } else { Ok(()) }
    }

    fn values<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        fields: &'a mut Fields,
        wanted: Wanted,
    ) -> Result<Values<'a>, Reject> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'#') && matches!(self.reading, Reading::W3c) {
            return Err(Reject::NotARequest("a line of the header"));
        }
        let mut values = Values::new(line, fields, wanted);
        scan::scan(&self.layout, context.zone_s, &mut values)?;
        if values.number(Number::Code).is_some_and(|code| code > 999) {
            return Err(Reject::Malformed("status"));
        }
        if values.truncated && values.time_us().is_none() {
            return Err(Reject::Incomplete("the time"));
        }
        Ok(values)
    }
}

impl Parse for Compiled {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        self.parse_into(line, context, scratch, &mut record)?;
        Ok(record)
    }

    fn parse_into<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), Reject> {
        let Scratch { text, fields, wanted, .. } = scratch;
        let values = self.values(line, context, fields, *wanted)?;
        (record.at_us, record.truncated) = (values.time_us(), values.truncated);
        fill(record, &values);
        // Other balancers' ends are read by the request too, not their phases alone.
        let Wanted { request, phases, .. } = values.wanted;
        if request || phases || !matches!(self.reading, Reading::Nginx(_)) {
            request::fill(record, &values, self.has, text);
        }
        match &self.reading {
            Reading::Haproxy => haproxy::read(record, &values),
            Reading::Nginx(facts) => nginx::read(record, &values, *facts),
            Reading::Apache => apache::read(record, &values),
            Reading::Envoy => envoy::read(record, &values, self.has.server),
            Reading::W3c => w3c::read(record, &values),
        }
        if self.has.server && record.server.is_empty() {
            record.server = NO_SERVER;
        }
        Ok(())
    }
}

/// Stands for a server where none was chosen, in the word of `HAProxy`.
const NO_SERVER: &[u8] = b"<NOSRV>";

/// What all languages say alike.
fn fill<'a>(record: &mut Record<'a>, values: &Values<'a>) {
    record.client = values.client;
    record.client_port = values.tiny(Number::ClientPort);
    record.vip = values.told(Text::Vip);
    record.backend = values.told(Text::Backend);
    record.server = values.told(Text::Server);
    record.host = values.told(Text::Host);
    record.request_id = values.told(Text::RequestId);
    record.code = values.tiny(Number::Code);
    record.bytes_out = values.natural(Number::BytesOut).or_else(|| values.natural(Number::BodyOut));
    record.bytes_in = values.natural(Number::BytesIn);
    record.client_rtt_us = values.small(Number::ClientRtt);
    record.client_retransmits = values.small(Number::ClientRetransmits);
    record.sequence = values.natural(Number::Sequence);
    record.client_country = <[u8; 2]>::try_from(values.told(Text::Country)).ok();
}

/// The parser of what `--format` or a configuration names: a format of the list, or a balancer's
/// own format string.
///
/// # Errors
/// None where the name is no format's; [`FormatError`] of a string that cannot be read by.
pub fn parser(named: &str) -> Option<Result<Box<dyn Parse>, FormatError>> {
    if let Some(format) = crate::formats::find(named) {
        return Some(Ok((format.parser)()));
    }
    let boxed = |compiled| Box::new(compiled) as Box<dyn Parse>;
    is_format_string(named).then(|| compile(named).map(boxed))
}

/// For the fuzzer: the first line is a format string, the others are lines of it.
pub fn fuzz_compiled(data: &[u8]) {
    let mut lines = data.split(|b| *b == b'\n');
    let Some(Ok(format)) = lines.next().map(std::str::from_utf8) else { return };
    let compiled = match compile(format) {
        Ok(compiled) => compiled,
        Err(refused) => {
            assert!(!refused.hint().is_empty(), "{refused} has a hint");
            return;
        }
    };
    let lines = data.get(format.len() + 1..).unwrap_or_default();
    crate::fuzz::read_every_way(&compiled, lines);
    let context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 0 };
    let mut fields = Fields::default();
    for line in lines.split(|b| *b == b'\n') {
        let mut scratch = Scratch::default();
        let read = compiled.parse(line, &context, &mut scratch).is_ok_and(|r| !r.truncated);
        assert_eq!(
            read,
            compiled.fits(line, &context, &mut fields).is_ok(),
            "whole lines are those that fit"
        );
    }
}
