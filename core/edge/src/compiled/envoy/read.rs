//! From Envoy's commands to a record. `COMMON_DURATION` tells each phase by itself; the older
//! durations leave the server's share mixed with connecting, or with the client's.

use super::super::values::{Number, Text, Values};
use crate::blame;
use crate::record::{EdgePhase, Record, Span};

/// Fills what Envoy alone says; `server` where the format names the server.
pub(in super::super) fn read<'a>(record: &mut Record<'a>, values: &Values<'a>, server: bool) {
    // The duration between two points may be finer than the duration as such.
    let total = values.natural(Number::Session).or_else(|| values.natural(Number::Total));
    record.total = total.map_or(Span::ABSENT, Span::exact);
    record.retries = values.tiny(Number::Attempts).saturating_sub(1);
    phases(record, values, total);
    let flags = values.told(Text::Flags);
    let blame = blame::envoy(flags, record.code);
    record.end.flags = flags;
    record.end.blames = blame.blames;
    record.end.client_aborted = blame.client_aborted;
    // What no server was asked for, and no fault kept from one, Envoy answered itself.
    let own = server && record.server.is_empty() && record.code != 0 && blame.blames.is_none();
    record.end.local = blame.local || own;
}

fn phases(record: &mut Record<'_>, values: &Values<'_>, total: Option<u64>) {
    let exact = [
        (EdgePhase::ClientIn, Number::ClientIn),
        (EdgePhase::Queue, Number::Queue),
        (EdgePhase::Connect, Number::Connect),
        (EdgePhase::Wait, Number::Wait),
        (EdgePhase::Body, Number::Body),
        (EdgePhase::ClientOut, Number::ClientOut),
    ];
    for (phase, number) in exact {
        let span = values.natural(number).map_or(Span::ABSENT, Span::exact);
        record.phases.set(phase, span);
    }
    let mut fill = |phase: EdgePhase, span: Option<Span>| {
        if let Some(span) = span.filter(|_| record.phases.of(phase) == Span::ABSENT) {
            record.phases.set(phase, span);
        }
    };
    let upload = values.natural(Number::Upload);
    let first = values.natural(Number::FirstByte);
    let service = values.natural(Number::Service);
    fill(EdgePhase::ClientIn, upload.map(Span::exact));
    let answered = first.map(|f| f.saturating_sub(upload.unwrap_or(0))).or(service);
    fill(EdgePhase::Wait, answered.map(Span::mixed));
    let rest = |before: u64| total.map(|t| t.saturating_sub(before));
    let download = values.natural(Number::Download).or_else(|| rest(first.or(service)?));
    fill(EdgePhase::Body, download.map(Span::mixed));
}
