//! Envoy's access log as JSON, with the keys of its manual and of Istio, and those of
//! `examples/envoy-log.yaml`, which has `%COMMON_DURATION(…)%` tell every phase: the only
//! balancer's log that tells a slow server's body from a slow client.

use super::client;
use super::envoy_text::{end, shared_times};
use super::json::{Value, each, plain};
use super::request;
use crate::cursor::Cursor;
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, Record, Span};
use crate::stamp;

/// One object a line.
pub(super) const FORMAT: Format = Format {
    name: "envoy-json",
    summary: "Envoy: JSON with the usual keys, and examples/envoy-log.yaml",
    looks_like: "Envoy JSON",
    example: r#"{"authority":"shop.example","bytes_received":0,"bytes_sent":2750,"downstream_local_address":"10.0.0.1:443","downstream_remote_address":"10.0.1.2:51284","duration":71,"method":"GET","path":"/index.html?q=1","protocol":"HTTP/2","request_id":"5d6a2f1c","response_code":200,"response_code_details":"via_upstream","response_flags":"-","start_time":"2026-02-06T12:14:14.655Z","upstream_cluster":"app","upstream_host":"10.0.0.7:80","upstream_service_time":"69","user_agent":"curl/7.88","x_forwarded_for":"10.0.1.2","client_in_us":35,"queue_us":312,"connect_us":300,"wait_us":68500,"body_us":900,"client_out_us":1100}"#,
    parser: || Box::new(EnvoyJson),
};

#[derive(Debug)]
struct EnvoyJson;

#[derive(Default)]
struct Seen<'a> {
    path: &'a [u8],
    flags: &'a [u8],
    duration: Option<u64>,
    service: Option<u64>,
    phases: [Option<u64>; 6],
    forwarded: &'a [u8],
    any: bool,
}

impl Parse for EnvoyJson {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        let mut seen = Seen::default();
        each(line, |key, value| {
            if !phase(&mut seen, key, value) {
                member(&mut record, &mut seen, key, value, context);
            }
            Ok(())
        })?;
        if !seen.any {
            return Err(Reject::Malformed("response_code and response_flags of Envoy"));
        }
        request::target_beside_names(plain(seen.path, &mut scratch.text), &mut record);
        if record.path.is_empty() {
            record.path = request::BAD;
        }
        if record.client.is_none() {
            record.client = client::last_forwarded(seen.forwarded);
        }
        shared_times(&mut record, seen.duration, seen.service);
        exact_phases(&mut record, &seen.phases);
        record.end = end(seen.flags, &record);
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
        b"start_time" => record.at_us = stamp::rfc3339(&mut Cursor::new(value.text()), context),
        b"method" => record.method = value.text(),
        b"path" => seen.path = value.text(),
        b"authority" => record.host = value.text(),
        b"response_code" => record.code = value.code(),
        b"response_flags" => {
            seen.flags = value.text();
            seen.any = true;
        }
        b"bytes_received" => record.bytes_in = value.whole(),
        b"bytes_sent" => record.bytes_out = value.whole(),
        b"duration" => seen.duration = value.micros(3),
        b"upstream_service_time" => seen.service = value.micros(3),
        b"upstream_cluster" => record.backend = value.text(),
        b"upstream_host" => record.server = value.text(),
        b"upstream_request_attempt_count" => {
            // The first try is an attempt, too.
            let attempts = value.whole().unwrap_or(0).saturating_sub(1);
            record.retries = u16::try_from(attempts).unwrap_or(u16::MAX);
        }
        b"downstream_local_address" => record.vip = value.text(),
        b"downstream_remote_address" => {
            (record.client, record.client_port) = client::address(value.text());
        }
        b"x_forwarded_for" => seen.forwarded = value.text(),
        b"request_id" => record.request_id = value.text(),
        _ => {}
    }
}

/// Takes a phase's duration; whether the key was one.
fn phase(seen: &mut Seen<'_>, key: &[u8], value: Value<'_>) -> bool {
    let Some(name) = key.strip_suffix(b"_us") else { return false };
    let named = |phase: &EdgePhase| phase.as_str().as_bytes() == name;
    let Some(at) = EdgePhase::ALL.iter().position(named) else { return false };
    if let Some(slot) = seen.phases.get_mut(at) {
        *slot = value.micros(0);
    }
    true
}

/// Envoy's own stamps bound each of them, so they are exact but for two: the queue runs until the
/// request is sent and so holds a connect, and the connect's stamps are those of the connection,
/// which may be an older one's. Once one is told, what was worked out from the service time goes:
/// both would count the same time twice.
fn exact_phases(record: &mut Record<'_>, told: &[Option<u64>; 6]) {
    if told.iter().all(Option::is_none) {
        return;
    }
    for (phase, micros) in EdgePhase::ALL.into_iter().zip(told) {
        record.phases.set(phase, micros.map_or(Span::ABSENT, Span::exact));
    }
    let spans = &mut record.phases;
    let queue = spans.of(EdgePhase::Queue).micros();
    let connect = spans.of(EdgePhase::Connect).micros().filter(|us| queue.is_none_or(|q| *us <= q));
    spans.set(EdgePhase::Queue, queue.map_or(Span::ABSENT, Span::mixed));
    spans.set(EdgePhase::Connect, connect.map_or(Span::ABSENT, Span::bound));
}

#[cfg(test)]
mod tests {
    use super::super::request::NO_SERVER;
    use super::super::testing::{asked_for, read, served_by};
    use super::*;

    #[test]
    fn with_the_recommended_format_body_and_client_are_told_apart() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        let spans = EdgePhase::ALL.map(|phase| r.phases.of(phase));
        let [upload, wait, body, out] = [35, 68_500, 900, 1100].map(Span::exact);
        assert_eq!(spans, [upload, Span::mixed(312), Span::bound(300), wait, body, out]);
        assert_eq!((r.total, r.at_us), (Span::exact(71_000), Some(1_770_380_054_655_000)));
        assert_eq!(served_by(&r), ["10.0.0.1:443", "app", "10.0.0.7:80"]);
        assert_eq!(asked_for(&r), ["GET", "/index.html", "shop.example"]);
        assert_eq!((r.code, r.end.flags), (200, &b""[..]));
        assert_eq!((r.client, r.client_port), (client::ip(b"10.0.1.2"), 51284));
    }

    #[test]
    fn with_the_stock_keys_phases_are_mixed_and_an_unreached_one_is_absent() {
        let r = read(&FORMAT, r#"{"response_flags":"-","response_code":200,"duration":71,"upstream_service_time":"69","path":"/a","upstream_host":"h"}"#).unwrap();
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(69_000));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::mixed(2000));
        let r = read(&FORMAT, r#"{"response_flags":"UF","response_code":503,"duration":5,"client_in_us":3,"wait_us":null,"connect_us":"-"}"#).unwrap();
        assert_eq!(r.phases.of(EdgePhase::ClientIn), Span::exact(3));
        assert_eq!(
            (r.phases.of(EdgePhase::Wait), r.phases.of(EdgePhase::Connect)),
            (Span::ABSENT, Span::ABSENT)
        );
        assert_eq!((r.path, r.server), (request::BAD, NO_SERVER));
        let reused = r#"{"response_flags":"-","response_code":200,"queue_us":3,"connect_us":300}"#;
        assert_eq!(read(&FORMAT, reused).unwrap().phases.of(EdgePhase::Connect), Span::ABSENT);
    }

    #[test]
    fn another_balancers_json_is_not_envoys() {
        assert!(read(&FORMAT, super::super::traefik::FORMAT.example).is_err());
        assert!(read(&FORMAT, super::super::caddy::FORMAT.example).is_err());
    }
}
