//! `GET /api/v1/edge/sources`, and the same counts in `/metrics`: how the balancers' logs fare
//! that are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use whyslow_edge::completeness::Completeness;
use whyslow_model::Wall;

use super::exposition::{Exposition, Kind, float};
use crate::edge::SourceStatus;
use crate::edge::counters::Sample;
use crate::web::state::AppState;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    sources: Vec<Source>,
}

/// One source. Counts are since it was started.
#[derive(Debug, Serialize)]
struct Source {
    name: String,
    input: String,
    format: String,
    /// The format that `auto` found.
    found_format: Option<&'static str>,
    service: Option<String>,
    since: Wall,
    /// Why nothing is read, or why most lines are not requests of the format, and what to do.
    problem: Option<String>,
    lines: Lines,
    /// Lines the balancer, or the kernel, says there were, and how many of them came; absent where
    /// nothing can tell.
    expected: Option<u64>,
    seen: Option<u64>,
    /// 0 to 1.
    completeness: Option<f64>,
    bytes: u64,
    /// The latest time a request bore.
    newest: Option<Wall>,
    files: u64,
    /// Bytes that are in the files and not yet read.
    behind_bytes: u64,
    connections: u64,
    connections_total: u64,
    turned_away: u64,
    /// Streams whose octet counts broke off.
    broken: u64,
    refused: u64,
    /// Datagrams the kernel dropped before we could take them.
    kernel_dropped: u64,
    buffer_bytes: u64,
    /// Files that were truncated or gone before all of them had surely been read.
    unsure: u64,
}

/// What became of the lines.
#[derive(Debug, Serialize)]
struct Lines {
    parsed: u64,
    rejected: u64,
    too_long: u64,
    seen_before: u64,
    by_reason: BTreeMap<String, u64>,
    /// The last line that was rejected.
    sample: Option<Sample>,
    /// A line of each reason.
    samples: Vec<Sample>,
}

/// How each source fares.
pub async fn list(State(state): State<Arc<AppState>>) -> Json<Document> {
    let sources = state.edge.sources().into_iter().map(source).collect();
    Json(Document { schema: "whyslow.edge.sources/1", sources })
}

fn source(of: SourceStatus) -> Source {
    let SourceStatus { name, input, format, service, since, tally, completeness, gauges } = of;
    let lines = Lines {
        parsed: tally.parsed,
        rejected: tally.rejected(),
        too_long: tally.too_long,
        seen_before: tally.seen_before,
        by_reason: tally.rejected.iter().map(|(reason, n)| (reason.to_string(), *n)).collect(),
        sample: tally.sample,
        samples: tally.samples.into_values().collect(),
    };
    Source {
        name,
        input,
        format,
        found_format: gauges.format,
        service,
        since,
        problem: gauges.problem,
        lines,
        expected: completeness.map(|c| c.expected),
        seen: completeness.map(|c| c.seen),
        completeness: completeness.map(Completeness::share),
        bytes: tally.bytes,
        newest: tally.newest_at_us.map(|us| Wall::from_nanos(us.saturating_mul(1000))),
        files: gauges.files,
        behind_bytes: gauges.behind_bytes,
        connections: gauges.connections,
        connections_total: tally.connected,
        turned_away: tally.turned_away,
        broken: tally.broken,
        refused: tally.refused,
        kernel_dropped: tally.kernel_dropped,
        buffer_bytes: gauges.buffer_bytes,
        unsure: tally.unsure,
    }
}

/// The sources' families.
pub(super) fn about_edge(out: &mut Exposition, sources: &[SourceStatus]) {
    if sources.is_empty() {
        return;
    }
    let name = "whyslow_edge_lines_total";
    out.family(name, Kind::Counter, "Lines of balancers' logs, by what became of them.");
    for source in sources {
        let tally = &source.tally;
        for (result, n) in [
            ("parsed", tally.parsed),
            ("rejected", tally.rejected() - tally.too_long),
            ("too_long", tally.too_long),
            ("seen_before", tally.seen_before),
        ] {
            out.sample(name, [("source", &*source.name), ("result", result)], float(n));
        }
    }
    for (name, help, value) in COUNTERS {
        out.family(name, Kind::Counter, help);
        for source in sources {
            out.sample(name, [("source", &*source.name)], float(value(source)));
        }
    }
    for (name, help, value) in GAUGES {
        out.family(name, Kind::Gauge, help);
        for source in sources {
            out.sample(name, [("source", &*source.name)], float(value(source)));
        }
    }
}

/// A family of one value a source: name, help, value.
type Family = (&'static str, &'static str, fn(&SourceStatus) -> u64);

const COUNTERS: [Family; 10] = [
    (
        "whyslow_edge_missing_lines_total",
        "Lines that the balancer numbered or the kernel dropped, and that never came.",
        |s| s.completeness.map_or(0, |c| c.missing()),
    ),
    (
        "whyslow_edge_late_total",
        "Requests that came after their window had been stored, and revised it.",
        |s| s.gauges.windows.late,
    ),
    ("whyslow_edge_too_late_total", "Requests that came too late for any window.", |s| {
        s.gauges.windows.beyond
    }),
    ("whyslow_edge_bytes_total", "Bytes of balancers' logs that were read.", |s| s.tally.bytes),
    (
        "whyslow_edge_kernel_dropped_total",
        "Datagrams the kernel dropped before they could be taken.",
        |s| s.tally.kernel_dropped,
    ),
    ("whyslow_edge_refused_total", "Datagrams from networks that may not send.", |s| {
        s.tally.refused
    }),
    ("whyslow_edge_connections_total", "Connections taken.", |s| s.tally.connected),
    (
        "whyslow_edge_turned_away_total",
        "Connections turned away: too many, or from networks that may not send.",
        |s| s.tally.turned_away,
    ),
    (
        "whyslow_edge_broken_streams_total",
        "Connections closed because their octet counts broke off.",
        |s| s.tally.broken,
    ),
    (
        "whyslow_edge_unsure_total",
        "Files truncated or gone before all of them had surely been read.",
        |s| s.tally.unsure,
    ),
];

const GAUGES: [Family; 5] = [
    ("whyslow_edge_connections", "Connections open.", |s| s.gauges.connections),
    ("whyslow_edge_files", "Files followed.", |s| s.gauges.files),
    ("whyslow_edge_behind_bytes", "Bytes that are in the files and not yet read.", |s| {
        s.gauges.behind_bytes
    }),
    ("whyslow_edge_socket_buffer_bytes", "Bytes the kernel may keep for datagram sockets.", |s| {
        s.gauges.buffer_bytes
    }),
    (
        "whyslow_edge_problem",
        "1 while something stands in the way of reading, or most lines are not of the format.",
        |s| u64::from(s.gauges.problem.is_some()),
    ),
];
