//! A record, borrowed from its line, as a slow request of its own.

use std::fmt::Write;
use std::sync::Arc;

use ipnet::IpNet;
use whyslow_model::Wall;
use whyslow_model::hash::fnv1a;
use whyslow_model::limits::EDGE_SLOW_TEXT_BYTES_MAX;

use super::{Reason, SlowAttempt, SlowPhase, SlowRow};
use crate::record::{EdgePhase, Mark, Record};

/// What a record does not know of itself.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) source: Arc<str>,
    pub(super) route: &'a str,
    pub(super) reason: Reason,
    pub(super) limit_us: u64,
    pub(super) asn: Option<u32>,
    pub(super) prefix: Option<IpNet>,
    pub(super) country: Option<String>,
}

pub(super) fn row_of(record: &Record<'_>, place: Place<'_>) -> SlowRow {
    let phase = |phase: EdgePhase| {
        let span = record.phases.of(phase);
        (span.mark != Mark::Absent).then_some(SlowPhase { phase, us: span.micros, mark: span.mark })
    };
    let phases: Vec<SlowPhase> = EdgePhase::ALL.into_iter().filter_map(phase).collect();
    let attempt = |a: &crate::record::Attempt<'_>| SlowAttempt {
        server: text(a.server),
        code: a.code,
        us: a.micros,
    };
    SlowRow {
        id: id(record, &place.source),
        at: Wall::from_nanos(record.at_us.unwrap_or(0).saturating_mul(1000)),
        source: place.source,
        client: record.client,
        client_port: record.client_port,
        asn: place.asn,
        country: place.country,
        prefix: place.prefix,
        vip: text(record.vip),
        backend: text(record.backend),
        server: text(record.server),
        method: text(record.method),
        host: text(record.host),
        path: text(record.path.split(|b| *b == b'?').next().unwrap_or_default()),
        route: place.route.to_owned(),
        code: record.code,
        flags: text(record.end.flags),
        blamed: record.end.blames,
        client_aborted: record.end.client_aborted,
        dominant: dominant(&phases, record.total.micros),
        phases,
        total_us: record.total.micros,
        total_mark: record.total.mark,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
        retries: record.retries,
        redispatched: record.redispatched,
        attempts: record.attempts.iter().map(attempt).collect(),
        queued: record.queued,
        server_conns: record.server_conns,
        client_rtt_us: record.client_rtt_us,
        client_retransmits: record.client_retransmits,
        request_id: text(record.request_id),
        reason: place.reason,
        limit_us: place.limit_us,
        stands_for: 1.0,
    }
}

/// The phase that took the most, where what is told is at least half of the total.
fn dominant(phases: &[SlowPhase], total_us: u64) -> Option<EdgePhase> {
    let told: u64 = phases.iter().map(|p| p.us).fold(0, u64::saturating_add);
    let longest = phases.iter().max_by_key(|p| p.us).filter(|p| p.us > 0)?;
    (told >= total_us / 2).then_some(longest.phase)
}

/// Text of a log as UTF-8, within its bound.
fn text(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(EDGE_SLOW_TEXT_BYTES_MAX)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    // What replaces a broken character is longer than it.
    text.truncate(text.floor_char_boundary(EDGE_SLOW_TEXT_BYTES_MAX));
    text
}

/// Names a request by what its line says, so that the line read again gives the same name.
fn id(record: &Record<'_>, source: &str) -> String {
    let mut words = String::with_capacity(256);
    let numbers = (record.at_us, record.client, record.client_port, record.total.micros);
    // Writing to a string does not fail.
    let _ = write!(words, "{source}\n{numbers:?}\n{:?}\n{}\n", record.sequence, record.code);
    for part in [record.request_id, record.method, record.host, record.path, record.server] {
        words.push_str(&String::from_utf8_lossy(part));
        words.push('\n');
    }
    format!("{:016x}", fnv1a(&words))
}
