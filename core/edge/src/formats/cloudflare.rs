//! Cloudflare Logpush, data set `http_requests`, one JSON object a line.
//!
//! Its time to first byte holds the client's TLS handshake, so that what is left of it beside the
//! origin's is mixed; and body and client overlap while it streams.

use super::client;
use super::json::{Value, each, plain};
use super::request;
use crate::blame;
use crate::cursor::Cursor;
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, Record, Span};
use crate::stamp;

/// One object a line.
pub(super) const FORMAT: Format = Format {
    name: "cloudflare",
    summary: "Cloudflare: Logpush http_requests",
    looks_like: "Cloudflare Logpush",
    example: r#"{"CacheCacheStatus":"dynamic","ClientASN":64500,"ClientCountry":"gb","ClientIP":"192.0.2.7","ClientRequestBytes":310,"ClientRequestHost":"shop.example","ClientRequestMethod":"GET","ClientRequestURI":"/index.html?q=1","ClientSrcPort":51284,"ClientTCPRTTMs":23,"EdgeColoCode":"LHR","EdgeEndTimestamp":"2026-02-06T12:14:14.755Z","EdgeResponseBytes":2750,"EdgeResponseStatus":200,"EdgeStartTimestamp":"2026-02-06T12:14:14.655Z","EdgeTimeToFirstByteMs":95,"OriginIP":"198.51.100.7","OriginRequestHeaderSendDurationMs":0,"OriginResponseDurationMs":72,"OriginResponseHeaderReceiveDurationMs":60,"OriginResponseStatus":200,"OriginTCPHandshakeDurationMs":4,"OriginTLSHandshakeDurationMs":6,"RayID":"7a1b2c3d4e5f6789","ZoneName":"shop.example"}"#,
    parser: || Box::new(Cloudflare),
};

#[derive(Debug)]
struct Cloudflare;

/// Milliseconds as microseconds, as far as the job's fields tell them.
#[derive(Default)]
struct Seen<'a> {
    target: &'a [u8],
    start: Option<(i64, bool)>,
    end: Option<(i64, bool)>,
    first_byte: Option<u64>,
    origin: Option<u64>,
    tcp: Option<u64>,
    tls: Option<u64>,
    send: Option<u64>,
    headers: Option<u64>,
    origin_status: u16,
    any: bool,
}

impl Parse for Cloudflare {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        let mut seen = Seen::default();
        each(line, |key, value| {
            if !times(&mut seen, key, value, context) {
                member(&mut record, &mut seen, key, value);
            }
            Ok(())
        })?;
        if !seen.any {
            return Err(Reject::Malformed("EdgeResponseStatus of Cloudflare"));
        }
        request::target_beside_names(plain(seen.target, &mut scratch.text), &mut record);
        spans(&mut record, &seen);
        record.end = blame::cloudflare(record.code, seen.origin_status).end(b"");
        Ok(record)
    }
}

fn times(seen: &mut Seen<'_>, key: &[u8], value: Value<'_>, context: &Context) -> bool {
    let slot = match key {
        b"EdgeStartTimestamp" => {
            seen.start = instant(value, context);
            return true;
        }
        b"EdgeEndTimestamp" => {
            seen.end = instant(value, context);
            return true;
        }
        b"EdgeTimeToFirstByteMs" => &mut seen.first_byte,
        b"OriginResponseDurationMs" => &mut seen.origin,
        b"OriginTCPHandshakeDurationMs" => &mut seen.tcp,
        b"OriginTLSHandshakeDurationMs" => &mut seen.tls,
        b"OriginRequestHeaderSendDurationMs" => &mut seen.send,
        b"OriginResponseHeaderReceiveDurationMs" => &mut seen.headers,
        _ => return false,
    };
    *slot = value.micros(3);
    true
}

/// A job writes RFC 3339, seconds or nanoseconds; and whether it is finer than a second.
fn instant(value: Value<'_>, context: &Context) -> Option<(i64, bool)> {
    let text = value.text();
    if let Some(number) = value.whole() {
        let number = i64::try_from(number).ok()?;
        return Some(if text.len() > 12 {
            (number / 1000, true)
        } else {
            (number * 1_000_000, false)
        });
    }
    let at = stamp::rfc3339(&mut Cursor::new(text), context)?;
    Some((at, memchr::memchr(b'.', text).is_some()))
}

fn member<'a>(record: &mut Record<'a>, seen: &mut Seen<'a>, key: &[u8], value: Value<'a>) {
    match key {
        b"ClientIP" => record.client = client::ip(value.text()),
        b"ClientSrcPort" => {
            let port = value.whole().and_then(|port| u16::try_from(port).ok());
            record.client_port = port.unwrap_or(0);
        }
        b"ClientASN" => {
            let asn = value.whole().and_then(|asn| u32::try_from(asn).ok());
            record.client_asn = asn.filter(|asn| *asn != 0);
        }
        b"ClientCountry" => {
            let letters: Option<[u8; 2]> = value.text().try_into().ok();
            let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_alphabetic));
            record.client_country = letters.map(|letters| letters.map(|l| l.to_ascii_uppercase()));
        }
        b"ClientTCPRTTMs" => {
            // Zero: not measured, as over QUIC.
            let micros = value.micros(3).filter(|us| *us > 0);
            record.client_rtt_us = micros.and_then(|us| u32::try_from(us).ok());
        }
        b"ClientRequestHost" => record.host = value.text(),
        b"ClientRequestMethod" => record.method = value.text(),
        b"ClientRequestURI" => seen.target = value.text(),
        b"ClientRequestPath" if seen.target.is_empty() => seen.target = value.text(),
        b"ClientRequestBytes" => record.bytes_in = value.whole(),
        b"EdgeResponseBytes" => record.bytes_out = value.whole(),
        b"EdgeResponseStatus" => {
            record.code = value.code();
            seen.any = true;
        }
        b"OriginIP" => record.server = value.text(),
        b"OriginResponseStatus" => seen.origin_status = value.code(),
        b"ZoneName" => record.vip = value.text(),
        b"RayID" => record.request_id = value.text(),
        _ => {}
    }
}

fn spans(record: &mut Record<'_>, seen: &Seen<'_>) {
    record.at_us = seen.start.map(|(at, _)| at);
    // Whole seconds, as jobs write by default, cannot time a request: it took at least as long as
    // to its first byte.
    record.total = match (seen.start, seen.end) {
        (Some((start, true)), Some((end, true))) => {
            Span::exact(u64::try_from(end.saturating_sub(start)).unwrap_or(0))
        }
        _ => seen.first_byte.map_or(Span::ABSENT, Span::bound),
    };
    let asked = seen.origin_status != 0;
    let mut known = 0_u64;
    if let (true, Some(tcp)) = (asked, seen.tcp) {
        // Zero where the connection was there already.
        let connect = tcp.saturating_add(seen.tls.unwrap_or(0));
        record.phases.set(EdgePhase::Connect, Span::exact(connect));
        known = connect;
    }
    if let (true, Some(headers)) = (asked, seen.headers) {
        record.phases.set(EdgePhase::Wait, Span::exact(headers));
        known = known.saturating_add(headers).saturating_add(seen.send.unwrap_or(0));
    }
    let (true, Some(origin)) = (asked, seen.origin) else { return };
    if let Some(first_byte) = seen.first_byte {
        let before = if seen.headers.is_some() { known } else { origin };
        record.phases.set(EdgePhase::Queue, Span::mixed(first_byte.saturating_sub(before)));
    }
    if seen.headers.is_some() {
        record.phases.set(EdgePhase::Body, Span::mixed(origin.saturating_sub(known)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read};
    use super::*;
    use whyslow_model::Segment;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!((r.vip, r.code), (&b"shop.example"[..], 200));
        assert_eq!(asked_for(&r), ["GET", "/index.html", "shop.example"]);
        assert_eq!(
            (r.client_asn, r.client_country, r.client_rtt_us),
            (Some(64500), Some(*b"GB"), Some(23_000))
        );
        assert_eq!((r.total, r.at_us), (Span::exact(100_000), Some(1_770_380_054_655_000)));
        assert_eq!(r.phases.of(EdgePhase::Connect), Span::exact(10_000));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::exact(60_000));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::mixed(25_000));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::mixed(2000));
        assert!(r.timed());
    }

    #[test]
    fn whole_seconds_time_nothing() {
        let r = read(&FORMAT, r#"{"EdgeResponseStatus":200,"EdgeStartTimestamp":"2026-02-06T12:14:14Z","EdgeEndTimestamp":"2026-02-06T12:14:15Z","EdgeTimeToFirstByteMs":95,"OriginResponseStatus":200}"#).unwrap();
        assert_eq!((r.total, r.timed()), (Span::bound(95_000), false));
        let r = read(&FORMAT, r#"{"EdgeResponseStatus":200,"EdgeStartTimestamp":1770380054655000000,"EdgeEndTimestamp":1770380054755000000}"#).unwrap();
        assert_eq!((r.total, r.at_us), (Span::exact(100_000), Some(1_770_380_054_655_000)));
        assert!(r.end.local, "no origin was asked");
    }

    #[test]
    fn its_own_codes_blame_the_origin() {
        let r = read(
            &FORMAT,
            r#"{"EdgeResponseStatus":522,"OriginResponseStatus":0,"OriginIP":"198.51.100.7"}"#,
        )
        .unwrap();
        assert_eq!((r.end.blames, r.end.local), (Some(Segment::Backend), false));
    }
}
