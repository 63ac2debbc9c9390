//! From `HAProxy`'s aliases to a record (manual 8.4 and 8.5), as its stock formats are read.

use whyslow_model::Segment;

use super::super::values::{Number, Text, Values};
use crate::blame;
use crate::record::{EdgePhase, End, Record, Span};

/// The timers of a request's way to the server's headers, in their order.
const TIMERS: [Number; 4] = [Number::ClientIn, Number::Queue, Number::Connect, Number::Wait];
/// The kernel sends an unanswered SYN again after a second (RFC 6298, section 2.1).
const SYN_RETRY_US: u64 = 1_000_000;

/// Fills what `HAProxy` alone says.
pub(in super::super) fn read<'a>(record: &mut Record<'a>, values: &Values<'a>) {
    // A tilde tells a TLS frontend, of the same name.
    record.vip = record.vip.strip_suffix(b"~").unwrap_or(record.vip);
    record.retries = values.tiny(Number::Retries);
    record.redispatched = values.plus(Number::Retries);
    record.server_conns = values.small(Number::ServerConns);
    record.queued = values.small(Number::ServerQueue).zip(values.small(Number::BackendQueue));
    let active = active(values);
    record.total = match active {
        None => Span::ABSENT,
        Some(Active { micros, grows: true }) => Span::bound(micros),
        // A request that did not pass all its phases is not timed.
        Some(Active { micros, .. }) if TIMERS.iter().any(|t| never_passed(values, *t)) => {
            Span::bound(micros)
        }
        Some(Active { micros, .. }) => Span::exact(micros),
    };
    phases(record, values, active);
    record.end = end(record, values, active);
}

/// What the balancer spent on a request, keep-alive's idle time left out.
#[derive(Clone, Copy, Debug)]
struct Active {
    micros: u64,
    /// It was written before the end (`option logasap`).
    grows: bool,
}

/// Ta, or what Tt leaves of it.
fn active(values: &Values<'_>) -> Option<Active> {
    let of = |number, micros| Some(Active { micros, grows: values.plus(number) });
    if let Some(micros) = values.natural(Number::Total) {
        return of(Number::Total, micros);
    }
    let before = [Number::Handshake, Number::Idle].map(|n| values.natural(n).unwrap_or(0));
    let whole = values.natural(Number::Session)?;
    of(Number::Session, before.into_iter().fold(whole, u64::saturating_sub))
}

/// The balancer says −1 of it.
fn never_passed(values: &Values<'_>, timer: Number) -> bool {
    values.number(timer).is_some_and(|n| n < 0)
}

fn phases(record: &mut Record<'_>, values: &Values<'_>, active: Option<Active>) {
    let [client_in, queue, connect, wait] = TIMERS.map(|t| values.natural(t));
    let told = |micros: Option<u64>, mixed: bool| match micros {
        None => Span::ABSENT,
        Some(micros) if mixed => Span::mixed(micros),
        Some(micros) => Span::exact(micros),
    };
    // Tq is handshake, idle and TR together.
    let arrival = client_in.is_none().then(|| values.natural(Number::Arrival)).flatten();
    let client_in = client_in.or(arrival);
    record.phases.set(EdgePhase::ClientIn, told(client_in, arrival.is_some()));
    // The pause before a retry counts as queueing, and a redispatch queues anew.
    record.phases.set(EdgePhase::Queue, told(queue, record.retries > 0 || record.redispatched));
    record.phases.set(EdgePhase::Connect, told(connect, false));
    // A body is uploaded after the headers: its time hides in the server's.
    let uploads = matches!(record.method, b"POST" | b"PUT" | b"PATCH");
    record.phases.set(EdgePhase::Wait, told(wait, uploads));
    record.phases.set(EdgePhase::Body, body(values, active));
}

/// Td, or what is left of the total behind the timers the format has: the server's body and the
/// client's reading of it, which `HAProxy` cannot tell apart.
fn body(values: &Values<'_>, active: Option<Active>) -> Span {
    if let Some(data) = values.natural(Number::Body) {
        return Span::mixed(data);
    }
    let Some(Active { micros, grows }) = active else { return Span::ABSENT };
    // A session without requests has queue and connect alone.
    let needed = if values.number(Number::ClientIn).is_none()
        && values.number(Number::Wait).is_none()
        && values.number(Number::Code).is_none()
    {
        &TIMERS[1..3]
    } else {
        &TIMERS[..]
    };
    let mut left = micros;
    for timer in needed {
        let Some(micros) = values.natural(*timer) else { return Span::ABSENT };
        left = left.saturating_sub(micros);
    }
    if grows { Span::bound(left) } else { Span::mixed(left) }
}

/// How it ended. A client that left is to blame for that only where it was not kept waiting.
fn end<'a>(record: &Record<'_>, values: &Values<'a>, active: Option<Active>) -> End<'a> {
    let flags = values.told(Text::Flags);
    let mut blame = blame::haproxy(flags, record.code);
    // `<STATS>`, `<PROMEX>`, `<CACHE>`: services inside the balancer.
    let inside = record.server.starts_with(b"<") && record.server != b"<NOSRV>";
    let [client_in, queue, connect, wait] = TIMERS.map(|t| values.natural(t).unwrap_or(0));
    let active = active.map_or(0, |a| a.micros);
    let kept_waiting = match flags {
        // The answer came, but it was the server that most of the time went to.
        [b'C', b'D', ..] => queue.saturating_add(connect).saturating_add(wait) > active / 2,
        // A connection still not there after a lost SYN would have been sent again.
        [b'C', b'C', ..] => active.saturating_sub(client_in).saturating_sub(queue) >= SYN_RETRY_US,
        _ => false,
    };
    if kept_waiting && blame.blames == Some(Segment::Client) {
        blame.blames = None;
    }
    let local = blame.local || inside;
    End { local, ..blame.end(flags) }
}
