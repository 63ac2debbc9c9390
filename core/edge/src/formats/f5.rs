//! Lines of `key="value"` as F5 BIG-IP sends them: high-speed logging from an iRule
//! (`docs/formats/edge.md` has one), a request-logging profile, and AVR's captured transactions.
//! AVR's aggregates, many requests in one line, are no requests.

use super::client;
use super::json::decimal;
use super::request;
use crate::cursor::{Cursor, whole};
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, Record, Span};
use crate::stamp;

/// Keys in any order, commas or spaces between.
pub(super) const FORMAT: Format = Format {
    name: "f5",
    summary: "F5 BIG-IP: key=\"value\" lines of high-speed logging and AVR",
    looks_like: "F5 key=\"value\" lines",
    example: "time=\"2026-02-06T12:14:14.655Z\",client_ip=\"192.0.2.7\",client_port=\"51284\",vip=\"/Common/shop\",\
              pool=\"/Common/app\",member=\"10.0.0.7:80\",method=\"GET\",host=\"shop.example\",uri=\"/index.html?q=1\",\
              status=\"200\",bytes_out=\"2750\",queue_ms=\"2\",wait_ms=\"69\",total_ms=\"72\"",
    parser: || Box::new(F5),
};

#[derive(Debug)]
struct F5;

#[derive(Default)]
struct Seen<'a> {
    target: &'a [u8],
    total: Option<u64>,
    hits: u64,
    fields: usize,
}

impl Parse for F5 {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        _scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        let mut seen = Seen::default();
        let mut cursor = Cursor::new(line);
        while !cursor.rest().is_empty() {
            let Some((key, value)) = pair(&mut cursor, &mut record.truncated) else {
                return Err(Reject::Malformed("a key=\"value\" pair"));
            };
            if !value.is_empty() {
                seen.fields += usize::from(named(&mut record, &mut seen, key, value, context));
            }
        }
        if seen.hits > 1 {
            return Err(Reject::NotARequest("an aggregate of many requests"));
        }
        // One known key may be chance; a request has a target or a code, and a few more.
        if seen.fields < 3 || seen.target.is_empty() && record.code == 0 {
            return Err(Reject::Incomplete("uri or status, and two more keys known"));
        }
        request::target_beside_names(seen.target, &mut record);
        record.total = seen.total.map_or(Span::ABSENT, Span::exact);
        Ok(record)
    }
}

/// A key and its quoted value; the last one's quote may be cut off.
fn pair<'a>(cursor: &mut Cursor<'a>, cut: &mut bool) -> Option<(&'a [u8], &'a [u8])> {
    let key = cursor.until(b'=')?;
    if key.is_empty()
        || key.len() > 64
        || !key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    {
        return None;
    }
    let (value, closed) = cursor.quoted()?;
    *cut |= !closed;
    while cursor.eat(b',') || cursor.eat(b' ') || cursor.eat(b';') {}
    Some((key, value))
}

/// Whether the key is known. Case does not count: iRules are written by hand.
fn named<'a>(
    record: &mut Record<'a>,
    seen: &mut Seen<'a>,
    key: &[u8],
    value: &'a [u8],
    context: &Context,
) -> bool {
    let is = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
    let number = || whole(value);
    let port = || number().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    if is(&["time", "date_time", "EOCTimestamp", "date"]) {
        record.at_us = instant(value, context);
    } else if is(&["client_ip", "ClientIP", "src_ip", "ip_client"]) {
        record.client = client::ip(value);
    } else if is(&["client_port", "ClientPort", "src_port"]) {
        record.client_port = port();
    } else if is(&["vip", "virtual", "vs_name", "VSName", "virtual_server"]) {
        record.vip = value;
    } else if is(&["pool", "PoolName", "pool_name", "ApplicationName"]) {
        record.backend = value;
    } else if is(&["member", "server", "pool_member", "PoolMember", "server_ip"]) {
        record.server = value;
    } else if is(&["method", "http_method"]) {
        record.method = value;
    } else if is(&["host", "http_host"]) {
        record.host = value;
    } else if is(&["uri", "url", "URLString", "http_uri", "path"]) {
        seen.target = value;
    } else if is(&["status", "response_code", "ResponseCode", "http_status"]) {
        let code = number().and_then(|code| u16::try_from(code).ok());
        record.code = code.filter(|code| *code <= 999).unwrap_or(0);
    } else if is(&["bytes_out", "response_size", "http_response_size"]) {
        record.bytes_out = number();
    } else if is(&["bytes_in", "request_size", "http_request_size"]) {
        record.bytes_in = number();
    } else if is(&["HitCount"]) {
        seen.hits = number().unwrap_or(0);
    } else {
        return times(record, seen, key, value);
    }
    true
}

/// Milliseconds an iRule worked out from its own stamps.
fn times(record: &mut Record<'_>, seen: &mut Seen<'_>, key: &[u8], value: &[u8]) -> bool {
    let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
    let micros = decimal(value, 3);
    let told = |mark: fn(u64) -> Span| micros.map_or(Span::ABSENT, mark);
    if is("queue_ms") {
        // HTTP_REQUEST to HTTP_REQUEST_SEND: other rules and connecting are in it.
        record.phases.set(EdgePhase::Queue, told(Span::mixed));
    } else if is("wait_ms") || is("ServerLatency") {
        // HTTP_REQUEST_SEND to HTTP_RESPONSE: an upload is in it.
        record.phases.set(EdgePhase::Wait, told(Span::mixed));
    } else if is("total_ms") || is("response_ms") || is("latency_ms") {
        seen.total = micros;
    } else {
        return false;
    }
    true
}

/// RFC 3339, or seconds or milliseconds since the epoch.
fn instant(value: &[u8], context: &Context) -> Option<i64> {
    match decimal(value, 6) {
        Some(us) if us > MILLISECONDS_FROM => i64::try_from(us / 1000).ok(),
        Some(us) => i64::try_from(us).ok(),
        None => stamp::rfc3339(&mut Cursor::new(value), context),
    }
}

/// Read as seconds this would be the year 5138: such numbers are milliseconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read, served_by};
    use super::*;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!(served_by(&r), ["/Common/shop", "/Common/app", "10.0.0.7:80"]);
        assert_eq!((asked_for(&r), r.code), (["GET", "/index.html", "shop.example"], 200));
        assert_eq!((r.total, r.at_us), (Span::exact(72_000), Some(1_770_380_054_655_000)));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::mixed(2000));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(69_000));
    }

    #[test]
    fn times_are_seconds_milliseconds_or_dates() {
        for time in ["1770380054.655", "1770380054655", "2026-02-06T12:14:14.655Z"] {
            let line = format!("time=\"{time}\" uri=\"/\" status=\"200\"");
            let r = read(&FORMAT, line.leak()).unwrap();
            assert_eq!(r.at_us, Some(1_770_380_054_655_000), "{time}");
        }
    }

    #[test]
    fn aggregates_are_no_requests_and_a_cut_value_is_said() {
        let many =
            "EOCTimestamp=\"1770380050\",HitCount=\"17\",VSName=\"/Common/shop\",URLString=\"/x\"";
        assert!(matches!(read(&FORMAT, many), Err(Reject::NotARequest(_))));
        let r = read(&FORMAT, "vip=\"a\",status=\"200\",uri=\"/x/y").unwrap();
        assert_eq!((r.path, r.truncated), (&b"/x/y"[..], true));
        for line in ["", "a=b", "level=\"info\",msg=\"started\"", "vip=\"a\",pool=\"b\",host=\"c\""]
        {
            assert!(read(&FORMAT, line).is_err(), "{line}");
        }
    }
}
