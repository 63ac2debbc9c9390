//! Access log entries of an AWS Application Load Balancer.
//!
//! It does not tell how long the answer took to be sent: its last stamp is when sending began.

use super::client;
use super::json::decimal;
use super::request::{self, NO_SERVER};
use crate::blame;
use crate::cursor::Cursor;
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, End, Record, Span};
use crate::stamp;

/// One entry a line, fields separated by spaces.
pub(super) const FORMAT: Format = Format {
    name: "alb",
    summary: "AWS Application Load Balancer: access log entries",
    looks_like: "an AWS ALB access log",
    example: "https 2026-02-06T12:14:14.726641Z app/shop-lb/50dc6c495c0c9188 192.0.2.7:51284 10.0.0.7:80 \
              0.002 0.069 0.000 200 200 310 2750 \"GET https://shop.example:443/index.html?q=1 HTTP/2.0\" \
              \"curl/7.88\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 \
              arn:aws:elasticloadbalancing:eu-west-2:123456789012:targetgroup/shop/73e2d6bc24d8a067 \
              \"Root=1-58337281-1d84f3d73c47ec4e58577259\" \"shop.example\" \"session-reused\" 1 \
              2026-02-06T12:14:14.655000Z \"forward\" \"-\" \"-\" \"10.0.0.7:80\" \"200\" \"-\" \"-\"",
    parser: || Box::new(Alb),
};

#[derive(Debug)]
struct Alb;

impl Parse for Alb {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        _scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut cursor = Cursor::new(line);
        let kind = cursor.until(b' ').ok_or(Reject::Incomplete("the type"))?;
        if !matches!(kind, b"http" | b"https" | b"h2" | b"grpcs" | b"ws" | b"wss") {
            return Err(Reject::Malformed("the type"));
        }
        let written = stamp::rfc3339(&mut cursor, context).filter(|_| cursor.eat(b' '));
        let written = written.ok_or(Reject::Malformed("the time"))?;
        let vip = name(cursor.until(b' ').ok_or(Reject::Incomplete("the balancer"))?);
        let mut record = Record { vip, ..Record::default() };
        let asker = cursor.until(b' ').ok_or(Reject::Incomplete("the client"))?;
        (record.client, record.client_port) = client::address(asker);
        let target = cursor.until(b' ').ok_or(Reject::Incomplete("the target"))?;
        record.server = if target == b"-" { NO_SERVER } else { target };
        let numbers =
            numbers(&mut cursor, &mut record).ok_or(Reject::Malformed("times and codes"))?;
        asked(&mut cursor, &mut record)?;
        let (created, forwarded) = rest(&mut cursor, &mut record, context);
        record.at_us = Some(created.unwrap_or(written));
        finish(
            &mut record,
            &numbers,
            created.map(|created| written.saturating_sub(created)),
            forwarded,
        );
        Ok(record)
    }
}

/// `app/shop-lb/50dc6c495c0c9188`, `targetgroup/shop/73e2…`: the name in the middle.
fn name(resource: &[u8]) -> &[u8] {
    let mut parts = resource.split(|&byte| byte == b'/');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(name), Some(_)) => name,
        _ => resource,
    }
}

/// Microseconds of each stretch; `None` of `-1`, which is no zero and blames nobody by itself.
struct Numbers {
    request: Option<u64>,
    target: Option<u64>,
    response: Option<u64>,
    target_answered: bool,
}

fn numbers(cursor: &mut Cursor<'_>, record: &mut Record<'_>) -> Option<Numbers> {
    let mut time = || match cursor.until(b' ')? {
        b"-1" | b"-1.000" => Some(None),
        text => Some(Some(decimal(text, 6)?)),
    };
    let (request, target, response) = (time()?, time()?, time()?);
    let code = cursor.until(b' ')?;
    record.code = if code == b"-" { 0 } else { u16::try_from(crate::cursor::whole(code)?).ok()? };
    let target_answered = cursor.until(b' ')? != b"-";
    record.bytes_in = Some(cursor.number_then(b' ')?);
    record.bytes_out = Some(cursor.number_then(b' ')?);
    (record.code <= 999).then_some(Numbers { request, target, response, target_answered })
}

fn asked<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>) -> Result<(), Reject> {
    let (asked, closed) = cursor.quoted().ok_or(Reject::Incomplete("the request"))?;
    record.truncated = !closed;
    request::line(asked, record);
    // `- http://host:80- `: what was not understood.
    if asked.starts_with(b"-") {
        (record.method, record.path) = (b"", request::BAD);
    }
    cursor.eat(b' ');
    Ok(())
}

/// What follows the request: group, trace, domain, the time of creation, and whether a rule
/// forwarded it (unknown in entries of older shape).
fn rest<'a>(
    cursor: &mut Cursor<'a>,
    record: &mut Record<'a>,
    context: &Context,
) -> (Option<i64>, Option<bool>) {
    let mut field = || {
        let (text, closed) = cursor.quoted().or_else(|| cursor.word().map(|word| (word, true)))?;
        cursor.eat(b' ');
        closed.then_some(text)
    };
    // User agent, cipher, protocol.
    let (_, _, _) = (field(), field(), field());
    if let Some(group) = field() {
        let at = memchr::memmem::find(group, b"targetgroup/");
        record.backend = at.and_then(|at| group.get(at..)).map(name).unwrap_or_default();
    }
    record.request_id = field().unwrap_or_default();
    match field() {
        None | Some(b"-") => {}
        Some(domain) => record.host = domain,
    }
    // Certificate, rule.
    let (_, _) = (field(), field());
    let created = field().and_then(|text| stamp::rfc3339(&mut Cursor::new(text), context));
    let forwarded = field().map(|actions| memchr::memmem::find(actions, b"forward").is_some());
    (created, forwarded)
}

fn finish(record: &mut Record<'_>, n: &Numbers, took_us: Option<i64>, forwarded: Option<bool>) {
    // Reading the request, choosing a target and connecting to it.
    record.phases.set(EdgePhase::Queue, n.request.map_or(Span::ABSENT, Span::mixed));
    let uploads = request::uploads(record.method);
    let wait = n.target.map(|us| if uploads { Span::mixed(us) } else { Span::exact(us) });
    record.phases.set(EdgePhase::Wait, wait.unwrap_or(Span::ABSENT));
    let took = took_us.and_then(|us| u64::try_from(us).ok());
    let sum = n
        .request
        .zip(n.target)
        .zip(n.response)
        .map(|((a, b), c)| a.saturating_add(b).saturating_add(c));
    record.total = match (took.or(sum), sum) {
        (Some(micros), Some(_)) => Span::exact(micros),
        // A stretch was never finished: it took at least this long.
        (Some(micros), None) => Span::bound(micros),
        (None, _) => Span::ABSENT,
    };
    let blame = blame::alb(record.code, n.target_answered);
    let own = record.server == NO_SERVER && blame.blames.is_none() && !blame.client_aborted;
    record.end = End { local: own && forwarded != Some(true), ..blame.end(b"") };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read, served_by};
    use super::*;
    use whyslow_model::Segment;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!(served_by(&r), ["shop-lb", "shop", "10.0.0.7:80"]);
        assert_eq!((asked_for(&r), r.code), (["GET", "/index.html", "shop.example"], 200));
        assert_eq!((r.total, r.at_us), (Span::exact(71_641), Some(1_770_380_054_655_000)));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::mixed(2000));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::exact(69_000));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::ABSENT);
        assert_eq!((r.bytes_in, r.bytes_out, r.truncated), (Some(310), Some(2750), false));
    }

    fn entry(target: &str, times: &str, codes: &str, actions: &str) -> Record<'static> {
        let line = format!(
            "http 2026-02-06T12:14:14.726Z app/lb/1 192.0.2.7:5 {target} {times} {codes} 0 0 \
             \"GET http://a:80/x HTTP/1.1\" \"-\" - - - \"-\" \"-\" \"-\" 0 2026-02-06T12:14:14.655Z \"{actions}\" \"-\" \"-\"",
        );
        read(&FORMAT, line.leak()).unwrap()
    }

    #[test]
    fn minus_one_is_absent_and_the_codes_say_whose_it_was() {
        let r = entry("10.0.0.7:80", "0.000 -1 -1", "504 -", "forward");
        assert_eq!((r.total, r.timed()), (Span::bound(71_000), false));
        assert_eq!(
            (r.phases.of(EdgePhase::Wait), r.end.blames),
            (Span::ABSENT, Some(Segment::Backend))
        );
        let r = entry("10.0.0.7:80", "0.000 -1 -1", "460 -", "forward");
        assert_eq!((r.end.client_aborted, r.end.blames), (true, None));
        let r = entry("-", "-1 -1 -1", "400 -", "-");
        assert_eq!((r.end.blames, r.server), (Some(Segment::Client), NO_SERVER));
        let r = entry("-", "-1 -1 -1", "301 -", "redirect");
        assert!(r.end.local);
        let r = entry("-", "-1 -1 -1", "503 -", "forward");
        assert!(!r.end.local);
    }

    #[test]
    fn other_lines_are_not_its() {
        for line in [
            "",
            "http",
            "http x",
            "tcp 2026-02-06T12:14:14.726Z a b c",
            "http 2026-02-06T12:14:14.726Z app/lb/1 192.0.2.7:5 - 1 2",
        ] {
            assert!(read(&FORMAT, line).is_err(), "{line}");
        }
    }
}
