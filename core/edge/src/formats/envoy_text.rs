//! Envoy's default access log as text, and Istio's, which has some fields more.
//!
//! The upstream's service time holds connecting as well as waiting, and what is left of the
//! duration holds the upload, the body and the client's reading: nothing here is exact but the
//! total. `examples/envoy-log.yaml` has a format that tells all phases.

use super::client;
use super::request::{self, NO_SERVER};
use crate::blame;
use crate::cursor::{Cursor, whole};
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::{EdgePhase, End, Record, Span};
use crate::stamp;

/// Either of the two.
pub(super) const FORMAT: Format = Format {
    name: "envoy",
    summary: "Envoy: default text, and Istio's",
    looks_like: "Envoy's default text",
    example: "[2026-02-06T12:14:14.655Z] \"GET /index.html HTTP/1.1\" 200 - 0 2750 71 69 \"10.0.1.2\" \
              \"curl/7.88\" \"5d6a2f1c-7a0e-9d5b-8c1e-3f2a1b0c9d8e\" \"shop.example\" \"10.0.0.7:80\"",
    parser: || Box::new(EnvoyText),
};

#[derive(Debug)]
struct EnvoyText;

impl Parse for EnvoyText {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        _scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut cursor = Cursor::new(line);
        let mut record = Record::default();
        let at = if cursor.eat(b'[') { stamp::rfc3339(&mut cursor, context) } else { None };
        record.at_us = Some(at.ok_or(Reject::Malformed("the date"))?);
        if !cursor.eat_all(b"] ") {
            return Err(Reject::Malformed("the date"));
        }
        let asked = quoted(&mut cursor).ok_or(Reject::Incomplete("the request"))?;
        request::line(asked, &mut record);
        if record.path.is_empty() || asked.starts_with(b"- ") {
            (record.method, record.path) = (b"", request::BAD);
        }
        record.code = code(&mut cursor).ok_or(Reject::Malformed("the response code"))?;
        let flags = cursor.word().ok_or(Reject::Incomplete("the response flags"))?;
        // Istio puts details, termination and failure reason between flags and bytes.
        let istio = !cursor.peek().is_some_and(|byte| byte.is_ascii_digit());
        if istio {
            istio_details(&mut cursor).ok_or(Reject::Incomplete("the response code details"))?;
        }
        times(&mut cursor, &mut record).ok_or(Reject::Malformed("bytes and durations"))?;
        let named = if istio {
            names(&mut cursor, &mut record)
        } else {
            names_from_end(&mut cursor, &mut record)
        };
        named.ok_or(Reject::Incomplete("the upstream host"))?;
        if istio {
            istio_names(&mut cursor, &mut record);
        }
        record.end = end(flags, &record);
        Ok(record)
    }
}

/// Quoted texts as Envoy writes them: no escapes, and a space or the end behind.
fn quoted<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if !cursor.eat(b'"') {
        return None;
    }
    let text = cursor.until_far(b'"')?;
    cursor.eat(b' ');
    Some(text)
}

fn code(cursor: &mut Cursor<'_>) -> Option<u16> {
    let code = u16::try_from(cursor.number_then(b' ')?).ok()?;
    (code <= 999).then_some(code)
}

fn istio_details(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.word()?;
    // The termination's details may be several words: what follows is the quoted reason.
    cursor.until_far(b'"')?;
    cursor.until_far(b'"')?;
    cursor.eat(b' ').then_some(())
}

/// Bytes in and out, duration, the upstream's service time (`-` where none answered).
fn times(cursor: &mut Cursor<'_>, record: &mut Record<'_>) -> Option<()> {
    record.bytes_in = Some(cursor.number_then(b' ')?);
    record.bytes_out = Some(cursor.number_then(b' ')?);
    let duration = cursor.word()?;
    let service = cursor.word()?;
    let total = if duration == b"-" { None } else { Some(whole(duration)?.saturating_mul(1000)) };
    let service = if service == b"-" { None } else { Some(whole(service)?.saturating_mul(1000)) };
    shared_times(record, total, service);
    Some(())
}

/// What the text and the stock JSON both tell, in microseconds.
pub(super) fn shared_times(record: &mut Record<'_>, total: Option<u64>, service: Option<u64>) {
    record.total = total.map_or(Span::ABSENT, Span::exact);
    if let Some(service) = service {
        record.phases.set(EdgePhase::Wait, Span::mixed(service));
        if let Some(total) = total {
            record.phases.set(EdgePhase::Body, Span::mixed(total.saturating_sub(service)));
        }
    }
}

fn names<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>) -> Option<()> {
    record.client = client::last_forwarded(quoted(cursor)?);
    quoted(cursor)?;
    let id = quoted(cursor)?;
    record.request_id = if id == b"-" { b"" } else { id };
    let host = quoted(cursor)?;
    if host != b"-" {
        record.host = host;
    }
    let server = quoted(cursor)?;
    record.server = if server == b"-" { NO_SERVER } else { server };
    Some(())
}

/// The same where nothing stands behind them: the last three are Envoy's, and are read from the
/// end, since a client's user agent may hold quotes that Envoy does not escape.
fn names_from_end<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>) -> Option<()> {
    record.client = client::last_forwarded(quoted(cursor)?);
    let mut rest = cursor.rest().trim_ascii_end();
    let mut last = || {
        let text = rest.strip_suffix(b"\"")?;
        let at = memchr::memmem::rfind(text, b" \"")?;
        rest = &text[..at];
        Some(&text[at + 2..])
    };
    let (server, host, id) = (last()?, last()?, last()?);
    // The user agent is left, between its quotes.
    rest.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    record.request_id = if id == b"-" { b"" } else { id };
    if host != b"-" {
        record.host = host;
    }
    record.server = if server == b"-" { NO_SERVER } else { server };
    Some(())
}

/// Cluster, upstream's and downstream's addresses, server name, route.
fn istio_names<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>) {
    let told = |word: Option<&'a [u8]>| word.filter(|word| *word != b"-").unwrap_or_default();
    record.backend = told(cursor.word());
    cursor.word();
    record.vip = told(cursor.word());
    let (ip, port) = client::address(told(cursor.word()));
    if ip.is_some() {
        (record.client, record.client_port) = (ip, port);
    }
}

/// How it ended, by the flags; what no server was asked for, and no fault kept from one, the
/// balancer answered itself.
pub(super) fn end<'a>(flags: &'a [u8], record: &Record<'_>) -> End<'a> {
    let blame = blame::envoy(flags, record.code);
    let own = record.server == NO_SERVER && record.code != 0 && blame.blames.is_none();
    let flags = if flags == b"-" { b"" } else { flags };
    End { local: blame.local || own, ..blame.end(flags) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{asked_for, read};
    use super::*;
    use whyslow_model::Segment;

    #[test]
    fn the_example_is_read_whole() {
        let r = read(&FORMAT, FORMAT.example).unwrap();
        assert_eq!((asked_for(&r), r.code), (["GET", "/index.html", "shop.example"], 200));
        assert_eq!((r.server, r.bytes_in, r.bytes_out), (&b"10.0.0.7:80"[..], Some(0), Some(2750)));
        assert_eq!((r.total, r.at_us), (Span::exact(71_000), Some(1_770_380_054_655_000)));
        assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(69_000));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::mixed(2000));
        assert_eq!((r.client, r.end.local), (client::ip(b"10.0.1.2"), false));
    }

    #[test]
    fn quotes_in_a_user_agent_forge_no_server() {
        let line = |agent: &str| {
            format!(
                "[2026-02-06T12:14:14.655Z] \"GET / HTTP/1.1\" 200 - 0 5 1 0 \"-\" \"{agent}\" \
                 \"id\" \"shop.example\" \"10.0.0.7:80\""
            )
        };
        for agent in ["odd \"agent\" \\ x", "a\" \"b\" \"c\" \"6.6.6.6:66", "\"", ""] {
            let r = read(&FORMAT, line(agent).leak()).unwrap();
            assert_eq!((r.server, r.host), (&b"10.0.0.7:80"[..], &b"shop.example"[..]), "{agent}");
            assert_eq!((r.request_id, r.total), (&b"id"[..], Span::exact(1000)));
        }
        let whole = line("a");
        for end in 0..whole.len() {
            assert!(read(&FORMAT, whole[..end].to_owned().leak()).is_err(), "{}", &whole[..end]);
        }
    }

    #[test]
    fn istios_line_names_cluster_listener_and_client() {
        let r = read(
            &FORMAT,
            "[2026-02-06T12:14:14.655Z] \"GET /status?x=1 HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{connection_failure} \
             - \"delayed connect error: 111\" 0 91 6 - \"-\" \"curl/7.88\" \"id\" \"httpbin:8000\" \"10.0.0.7:80\" \
             outbound|8000||httpbin 172.30.1.2:40 10.96.0.9:8000 10.0.1.2:56340 - default",
        )
        .unwrap();
        assert_eq!((r.backend, r.vip), (&b"outbound|8000||httpbin"[..], &b"10.96.0.9:8000"[..]));
        assert_eq!((r.client, r.client_port), (client::ip(b"10.0.1.2"), 56340));
        assert_eq!((r.end.flags, r.end.blames), (&b"UF,URX"[..], Some(Segment::Backend)));
        assert_eq!((r.total, r.phases.of(EdgePhase::Wait)), (Span::exact(6000), Span::ABSENT));
    }

    #[test]
    fn a_client_that_left_and_an_answer_of_its_own() {
        let line = |rest: &str| format!("[2026-02-06T12:14:14.655Z] \"GET / HTTP/1.1\" {rest}");
        let left = line("0 DC 0 0 500 - \"-\" \"-\" \"-\" \"a\" \"10.0.0.7:80\"");
        let left = read(&FORMAT, left.leak()).unwrap();
        assert_eq!(
            (left.code, left.end.client_aborted, left.end.blames, left.end.local),
            (0, true, None, false)
        );
        let own =
            read(&FORMAT, line("301 - 0 0 0 - \"-\" \"-\" \"-\" \"a\" \"-\"").leak()).unwrap();
        assert!(own.end.local && own.server == NO_SERVER);
        let none_healthy =
            read(&FORMAT, line("503 UH 0 19 0 - \"-\" \"-\" \"-\" \"a\" \"-\"").leak()).unwrap();
        assert_eq!(
            (none_healthy.end.local, none_healthy.end.blames),
            (false, Some(Segment::Backend))
        );
    }
}
