//! From nginx's variables to a record.
//!
//! nginx keeps one time per server it asked, counted from the start of that attempt:
//! connect ≤ header ≤ response. `a, b` is the next server of one group, `a : b` an internal
//! redirect to another group, `-` a point never reached (`ngx_http_upstream.c`). The server's
//! figures are the last one's; what failed before it is kept beside it. What the request took
//! beyond all attempts went to receiving it, sending the answer, and nginx's own work.

use whyslow_model::limits::EDGE_ATTEMPTS_MAX;

use super::super::layout::Layout;
use super::super::number;
use super::super::values::{Number, Text, Values};
use crate::blame;
use crate::record::{Attempt, EdgePhase, Record, Span};

/// A body of more bytes than nginx holds in memory for one response by default (8 buffers of 8 KiB)
/// and the client's socket takes in besides: its pace may be the client's.
const BUFFERED_BYTES: u64 = 64 << 10;
/// How far apart the two clocks of `$request_time` and `$upstream_response_time` may be: nginx
/// reads a cached clock, which lags while it works.
const CLOCKS_APART_US: u64 = 5_000;
/// Headers count among the bytes received from the server, not among those of the body sent.
const HEADERS_BYTES: u64 = 16 << 10;

/// What a format tells at all, so that an empty field is not taken for an absent one.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Facts {
    /// It names the server, its code or its response time.
    upstream: bool,
    /// It has the header time.
    header: bool,
    /// It has `$request_completion`.
    completion: bool,
}

impl Facts {
    pub(in super::super) fn of(layout: &Layout) -> Self {
        let upstream = [Text::UpstreamAddr, Text::UpstreamStatus, Text::UpstreamResponse];
        Self {
            upstream: upstream.iter().any(|t| layout.has_text(*t)),
            header: layout.has_text(Text::UpstreamHeader),
            completion: layout.has_text(Text::Completion),
        }
    }
}

/// Fills what nginx alone says.
pub(in super::super) fn read<'a>(record: &mut Record<'a>, values: &Values<'a>, facts: Facts) {
    let total = values.natural(Number::Total);
    record.total = total.map_or(Span::ABSENT, Span::exact);
    let tried = tried(record, values);
    record.end.local = facts.upstream && tried.is_none();
    // A server that was asked and had not answered kept the client waiting.
    let kept_waiting = tried.as_ref().is_some_and(|t| t.last.header_us.is_none());
    let blame = blame::nginx(record.code, kept_waiting);
    record.end.blames = blame.blames;
    record.end.client_aborted = blame.client_aborted
        || facts.completion && values.told(Text::Completion).is_empty() && cut_short(values);
    if let Some(Tried { last, total_us }) = &tried {
        server_phases(record, last, facts);
        if values.wanted.phases
            && let (Some(total), Some(_)) = (total, last.response_us)
        {
            let elsewhere = total.saturating_sub(*total_us);
            record.phases.set(EdgePhase::ClientOut, Span::mixed(elsewhere));
            if let Some(body) = last.body() {
                let span = body_span(record, body, elsewhere);
                record.phases.set(EdgePhase::Body, span);
            }
        }
    }
}

/// One server's times, from the start of its attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    connect_us: Option<u64>,
    header_us: Option<u64>,
    response_us: Option<u64>,
}

impl Times {
    /// From the response's headers to its end.
    const fn body(&self) -> Option<u64> {
        match (self.header_us, self.response_us) {
            (Some(header), Some(response)) => Some(response.saturating_sub(header)),
            _ => None,
        }
    }
}

/// All attempts of one request.
#[derive(Debug)]
struct Tried {
    last: Times,
    /// The response times of all attempts.
    total_us: u64,
}

/// Reads the lists together by index; none where no server was asked.
fn tried<'a>(record: &mut Record<'a>, values: &Values<'a>) -> Option<Tried> {
    let mut lists = Lists {
        addr: values.text(Text::UpstreamAddr),
        status: values.text(Text::UpstreamStatus),
        connect: values.text(Text::UpstreamConnect),
        header: values.text(Text::UpstreamHeader),
        response: values.text(Text::UpstreamResponse),
    };
    if let Some((attempt, times)) = lists.only() {
        record.server = attempt.server;
        return Some(Tried { last: times, total_us: attempt.micros.unwrap_or(0) });
    }
    let mut tried: Option<Tried> = None;
    let mut before: Option<Attempt<'a>> = None;
    while let Some((attempt, times, redirected)) = lists.next() {
        if let Some(failed) =
            before.take().filter(|a| !redirected || a.code.is_none_or(|c| c >= 400))
        {
            record.redispatched |= failed.server != attempt.server;
            record.retries = record.retries.saturating_add(1);
            // A request of more attempts keeps the first ones and the last; the count is whole.
            if record.attempts.len() < EDGE_ATTEMPTS_MAX {
                record.attempts.push(failed);
            }
        }
        let so_far = tried.as_ref().map_or(0, |t| t.total_us);
        let total_us = so_far.saturating_add(attempt.micros.unwrap_or(0));
        record.server = attempt.server;
        before = Some(attempt);
        tried = Some(Tried { last: times, total_us });
    }
    tried
}

/// What is left of the five lists.
struct Lists<'a> {
    addr: &'a [u8],
    status: &'a [u8],
    connect: &'a [u8],
    header: &'a [u8],
    response: &'a [u8],
}

impl<'a> Lists<'a> {
    /// The one attempt that most requests are; none where there may be more, or none.
    fn only(&self) -> Option<(Attempt<'a>, Times)> {
        // Three digits, or a time of four, are one entry: the lists have theirs together.
        let code = match (self.status, self.response) {
            _ if matches!(self.addr, b"" | b"-") => return None,
            ([_, _, _], _) => Some(u16::try_from(number::integer(self.status)?.value?).ok()?),
            ([], [_, b'.', _, _, _]) => None,
            _ => return None,
        };
        let times = Times {
            connect_us: micros(self.connect),
            header_us: micros(self.header),
            response_us: micros(self.response),
        };
        let attempt = Attempt { server: self.addr, code, micros: times.response_us };
        Some((attempt, times))
    }

    /// The next attempt, its times, and whether an internal redirect led to it.
    fn next(&mut self) -> Option<(Attempt<'a>, Times, bool)> {
        loop {
            let lists = [self.addr, self.status, self.connect, self.header, self.response];
            if lists.iter().all(|l| l.is_empty()) {
                return None;
            }
            let (server, by_addr) = entry(&mut self.addr);
            let (status, by_status) = entry(&mut self.status);
            let (connect, _) = entry(&mut self.connect);
            let (header, _) = entry(&mut self.header);
            let (response, by_response) = entry(&mut self.response);
            let nothing = |e: &[u8]| matches!(e, b"" | b"-");
            if [server, status, response].iter().all(|e| nothing(e)) {
                // The mark of a redirect that asked no server, or a request that asked none.
                continue;
            }
            let code = number::integer(status).and_then(|r| r.value);
            let times = Times {
                connect_us: micros(connect),
                header_us: micros(header),
                response_us: micros(response),
            };
            let code = code.and_then(|c| u16::try_from(c).ok()).filter(|c| *c != 0);
            let server = if nothing(server) { b"" } else { server };
            let attempt = Attempt { server, code, micros: times.response_us };
            return Some((attempt, times, by_addr || by_status || by_response));
        }
    }
}

/// Cuts the first entry off a list, and says whether a redirect stands before it.
fn entry<'a>(list: &mut &'a [u8]) -> (&'a [u8], bool) {
    let redirected = list.starts_with(b": ");
    let rest: &'a [u8] = if redirected { &list[2..] } else { list };
    let end = rest.iter().position(|b| matches!(b, b',' | b' ')).unwrap_or(rest.len());
    let (entry, tail) = rest.split_at(end);
    *list = tail.strip_prefix(b", ").or_else(|| tail.strip_prefix(b" ")).unwrap_or(b"");
    (entry, redirected)
}

fn micros(entry: &[u8]) -> Option<u64> {
    u64::try_from(number::decimal(entry)?.value?).ok()
}

/// Connecting and waiting, as the last server's times tell them.
fn server_phases(record: &mut Record<'_>, last: &Times, facts: Facts) {
    let connect = match (last.connect_us, last.response_us) {
        (Some(connect), _) => Span::exact(connect),
        // The attempt ended before there was a connection.
        (None, Some(response)) if facts.header && last.header_us.is_none() => Span::bound(response),
        (None, _) => Span::ABSENT,
    };
    record.phases.set(EdgePhase::Connect, connect);
    let wait = match (last.header_us, last.connect_us, last.response_us) {
        (Some(header), Some(connect), _) => Span::exact(header.saturating_sub(connect)),
        (Some(header), None, _) => Span::mixed(header),
        // No headers came while it waited this long.
        (None, Some(connect), Some(response)) if facts.header => {
            Span::bound(response.saturating_sub(connect))
        }
        // Without the header time, the body is in it.
        (None, connect, Some(response)) if !facts.header => {
            Span::mixed(response.saturating_sub(connect.unwrap_or(0)))
        }
        (None, _, _) => Span::ABSENT,
    };
    record.phases.set(EdgePhase::Wait, wait);
}

/// The server's sending of the body: its own pace only where nginx could take it in as it came.
fn body_span(record: &Record<'_>, body_us: u64, elsewhere_us: u64) -> Span {
    let small = record.bytes_out.is_some_and(|b| b <= BUFFERED_BYTES) && !record.end.client_aborted;
    // A client that took clearly longer than the server was not what the server waited for; but
    // with an upload the time beyond the server's may be that.
    let uploads = matches!(record.method, b"POST" | b"PUT" | b"PATCH");
    let outlasted = elsewhere_us > CLOCKS_APART_US && elsewhere_us > body_us / 4 && !uploads;
    if small || outlasted || body_us <= CLOCKS_APART_US {
        Span::exact(body_us)
    } else {
        Span::mixed(body_us)
    }
}

/// Whether less went to the client than came from the server.
fn cut_short(values: &Values<'_>) -> bool {
    let list = values.text(Text::UpstreamBytes);
    let last = list.rsplit(|b| matches!(b, b' ' | b',')).next().unwrap_or_default();
    let received = number::integer(last).and_then(|r| r.value).and_then(|n| u64::try_from(n).ok());
    let sent = values.natural(Number::BodyOut).or_else(|| values.natural(Number::BytesOut));
    match (received, sent) {
        (Some(received), Some(sent)) => received > sent.saturating_add(HEADERS_BYTES),
        _ => false,
    }
}
