//! Traefik's access log as JSON (`accessLog: {format: json}`); `pkg/middlewares/accesslog`.

use super::client;
use super::json::{Value, each, plain};
use super::request::{self, NO_SERVER};
use crate::blame;
use crate::cursor::Cursor;
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, End, Record, Span};
use crate::stamp;

/// One object a line.
pub(super) const FORMAT: Format = Format {
    name: "traefik",
    summary: "Traefik: access log as JSON",
    looks_like: "Traefik JSON",
    example: r#"{"ClientAddr":"10.0.1.2:51284","ClientHost":"10.0.1.2","ClientPort":"51284","DownstreamContentSize":2750,"DownstreamStatus":200,"Duration":71003000,"OriginContentSize":2750,"OriginDuration":69101000,"OriginStatus":200,"Overhead":1902000,"RequestAddr":"shop.example","RequestContentSize":0,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/index.html?a=1\u0026b=2","RequestProtocol":"HTTP/2.0","RetryAttempts":0,"RouterName":"shop@docker","ServiceAddr":"10.0.0.7:80","ServiceName":"shop@docker","StartUTC":"2026-02-06T12:14:14.655123456Z","entryPointName":"websecure","level":"info","msg":"","time":"2026-02-06T12:14:14Z"}"#,
    parser: || Box::new(Traefik),
};

#[derive(Debug)]
struct Traefik;

/// What the record is made of once all members are known, in nanoseconds.
#[derive(Default)]
struct Seen<'a> {
    path: &'a [u8],
    duration: Option<Value<'a>>,
    origin: Option<Value<'a>>,
    origin_status: u16,
    any: bool,
}

impl Parse for Traefik {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        let mut seen = Seen::default();
        each(line, |key, value| {
            member(&mut record, &mut seen, key, value, context);
            Ok(())
        })?;
        if !seen.any {
            return Err(Reject::Malformed("DownstreamStatus and RouterName of Traefik"));
        }
        request::target(plain(seen.path, &mut scratch.text), &mut record);
        finish(&mut record, &seen);
        Ok(record)
    }
}

fn member<'a>(
    record: &mut Record<'a>,
    seen: &mut Seen<'a>,
    key: &[u8],
    value: Value<'a>,
    context: &Context,
) {
    match key {
        b"ClientAddr" => (record.client, record.client_port) = client::address(value.text()),
        b"ClientHost" if record.client.is_none() => record.client = client::ip(value.text()),
        b"StartUTC" => record.at_us = stamp::rfc3339(&mut Cursor::new(value.text()), context),
        b"StartLocal" | b"time" if record.at_us.is_none() => {
            record.at_us = stamp::rfc3339(&mut Cursor::new(value.text()), context);
        }
        b"entryPointName" => record.vip = value.text(),
        b"ServiceName" => record.backend = value.text(),
        b"ServiceAddr" => record.server = value.text(),
        b"RequestMethod" => record.method = value.text(),
        b"RequestHost" => record.host = value.text(),
        b"RequestPath" => seen.path = value.text(),
        b"DownstreamStatus" => {
            record.code = value.code();
            seen.any = true;
        }
        b"DownstreamContentSize" => record.bytes_out = value.whole(),
        b"RequestContentSize" => record.bytes_in = value.whole(),
        b"RetryAttempts" => {
            let attempts = value.whole().unwrap_or(0);
            record.retries = u16::try_from(attempts).unwrap_or(u16::MAX);
        }
        b"Duration" => seen.duration = Some(value),
        b"OriginDuration" => seen.origin = Some(value),
        b"OriginStatus" => seen.origin_status = value.code(),
        _ => {}
    }
}

/// Durations are in nanoseconds. What Traefik calls the origin's holds connecting, waiting and the
/// body, a slow reader's share of it too; the overhead holds the upload and its own queue.
fn finish(record: &mut Record<'_>, seen: &Seen<'_>) {
    let duration = seen.duration.and_then(|value| value.micros(-3));
    let origin = seen.origin.and_then(|value| value.micros(-3));
    let asked = seen.origin_status != 0;
    record.total = duration.map_or(Span::ABSENT, Span::exact);
    if let (true, Some(origin)) = (asked, origin) {
        record.phases.set(EdgePhase::Wait, Span::mixed(origin));
        if let Some(duration) = duration {
            record.phases.set(EdgePhase::Queue, Span::mixed(duration.saturating_sub(origin)));
        }
    }
    if record.server.is_empty() {
        record.server = NO_SERVER;
    }
    // It counts as nginx does: 499 is a client that left, 502 and 504 a server that failed.
    let blame = blame::nginx(record.code, true);
    let local = !asked && blame.blames.is_none() && !blame.client_aborted;
    record.end = End { local, ..blame.end(b"") };
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read, served_by};
    use super::*;
    use whyslow_model::Segment;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!(served_by(&r), ["websecure", "shop@docker", "10.0.0.7:80"]);
        assert_eq!((asked_for(&r), r.code), (["GET", "/index.html", "shop.example"], 200));
        assert_eq!((r.client_port, r.at_us), (51284, Some(1_770_380_054_655_123)));
        assert_eq!((r.total, r.bytes_out), (Span::exact(71_003), Some(2750)));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(69_101));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::mixed(1902));
        assert!(r.timed());
    }

    #[test]
    fn without_an_origin_it_answered_itself() {
        let r = read(&FORMAT, r#"{"DownstreamStatus":404,"Duration":31000,"RequestPath":"/x"}"#)
            .unwrap();
        assert!(r.end.local && !r.timed());
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::ABSENT);
        let r = read(&FORMAT, r#"{"DownstreamStatus":502,"Duration":31000,"RequestPath":"/x"}"#)
            .unwrap();
        assert_eq!((r.end.local, r.end.blames), (false, Some(Segment::Backend)));
        assert!(read(&FORMAT, r#"{"level":"info","msg":"Starting"}"#).is_err());
    }
}
