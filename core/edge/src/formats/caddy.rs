//! Caddy's access log as JSON, which is its default. Nothing in it tells upstream and client
//! apart; where `log_append upstream_latency_ms {http.reverse_proxy.upstream.latency_ms}` (and
//! `upstream_address …upstream.address`) is configured, the wait is told too.

use super::client;
use super::json::{Value, each, plain};
use super::request;
use crate::cursor::Cursor;
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, Record, Span};
use crate::stamp;

/// One object a line.
pub(super) const FORMAT: Format = Format {
    name: "caddy",
    summary: "Caddy: access log as JSON",
    looks_like: "Caddy JSON",
    example: r#"{"level":"info","ts":1770380054.726,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.1.2","remote_port":"41342","client_ip":"10.0.1.2","proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/index.html?q=1","headers":{"User-Agent":["curl/7.88"]},"tls":{"resumed":false,"version":772,"server_name":"shop.example"}},"bytes_read":0,"user_id":"","duration":0.071003,"size":2750,"status":200,"resp_headers":{"Server":["Caddy"]},"upstream_latency_ms":69.1,"upstream_address":"10.0.0.7:80"}"#,
    parser: || Box::new(Caddy),
};

#[derive(Debug)]
struct Caddy;

#[derive(Default)]
struct Seen<'a> {
    uri: &'a [u8],
    written: Option<Value<'a>>,
    duration: Option<u64>,
    latency: Option<u64>,
    request: bool,
}

impl Parse for Caddy {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        let mut seen = Seen::default();
        each(line, |key, value| member(&mut record, &mut seen, key, value))?;
        let (true, Some(duration)) = (seen.request, seen.duration) else {
            return Err(match seen.written {
                Some(_) => Reject::NotARequest("a message of Caddy's own"),
                None => Reject::Malformed("request and duration of Caddy"),
            });
        };
        request::target(plain(seen.uri, &mut scratch.text), &mut record);
        // The line is written at the end.
        let written = seen.written.and_then(|value| at(value, context));
        record.at_us = written.map(|us| us.saturating_sub_unsigned(duration));
        record.total = Span::exact(duration);
        if let Some(latency) = seen.latency {
            // From choosing a server to its headers: connecting is in it.
            record.phases.set(EdgePhase::Wait, Span::mixed(latency));
            record.phases.set(EdgePhase::Body, Span::mixed(duration.saturating_sub(latency)));
        }
        Ok(record)
    }
}

/// Seconds with a fraction, or RFC 3339 where the encoder says so.
fn at(value: Value<'_>, context: &Context) -> Option<i64> {
    match value.micros(6) {
        Some(us) => i64::try_from(us).ok(),
        None => stamp::rfc3339(&mut Cursor::new(value.text()), context),
    }
}

fn member<'a>(
    record: &mut Record<'a>,
    seen: &mut Seen<'a>,
    key: &[u8],
    value: Value<'a>,
) -> Result<(), Reject> {
    match (key, value) {
        (b"request", Value::Object(object)) => {
            each(object, |key, value| {
                asked(record, seen, key, value);
                Ok(())
            })?;
            seen.request = true;
        }
        (b"ts", _) => seen.written = Some(value),
        (b"duration", _) => seen.duration = value.micros(6),
        (b"status", _) => record.code = value.code(),
        (b"size", _) => record.bytes_out = value.whole(),
        (b"bytes_read", _) => record.bytes_in = value.whole(),
        (b"upstream_latency_ms", _) => seen.latency = value.micros(3),
        (b"upstream_address", _) => record.server = value.text(),
        _ => {}
    }
    Ok(())
}

fn asked<'a>(record: &mut Record<'a>, seen: &mut Seen<'a>, key: &[u8], value: Value<'a>) {
    match key {
        // Behind trusted proxies this is who they say it is.
        b"client_ip" => record.client = client::ip(value.text()),
        b"remote_ip" if record.client.is_none() => record.client = client::ip(value.text()),
        b"remote_port" => {
            let port = value.whole().and_then(|port| u16::try_from(port).ok());
            record.client_port = port.unwrap_or(0);
        }
        b"method" => record.method = value.text(),
        b"host" => record.host = value.text(),
        b"uri" => seen.uri = value.text(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read};
    use super::*;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!((asked_for(&r), r.code), (["GET", "/index.html", "shop.example"], 200));
        assert_eq!((r.total, r.at_us), (Span::exact(71_003), Some(1_770_380_054_654_997)));
        assert_eq!((r.client, r.client_port), (client::ip(b"10.0.1.2"), 41342));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(69_100));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::mixed(1903));
        assert_eq!(r.server, b"10.0.0.7:80");
    }

    #[test]
    fn without_an_upstreams_latency_only_the_total_is_told() {
        let r =
            read(&FORMAT, r#"{"ts":"2026-02-06T12:14:15Z","request":{"uri":"/"},"duration":1}"#)
                .unwrap();
        assert_eq!((r.at_us, r.total), (Some(1_770_380_054_000_000), Span::exact(1_000_000)));
        assert!(EdgePhase::ALL.iter().all(|phase| r.phases.of(*phase) == Span::ABSENT));
    }

    #[test]
    fn its_other_messages_are_no_requests() {
        let notice = read(
            &FORMAT,
            r#"{"level":"info","ts":1646861401.5,"msg":"serving initial configuration"}"#,
        );
        assert!(matches!(notice, Err(Reject::NotARequest(_))));
        assert!(matches!(read(&FORMAT, "{}"), Err(Reject::Malformed(_))));
    }
}
