//! The report as the JSON document `whyslow.wire/1`: its arrays stream, totals follow.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use whyslow_model::Wall;
use whyslow_wire::event::{Ending, Unanswered};
use whyslow_wire::handshake::{Blame, Handshake, VantagePoint};
use whyslow_wire::report::document::{EndingDocument, HandshakeDocument, UnansweredDocument};
use whyslow_wire::report::{Cell, Cohort, Outcome, Table};
use whyslow_wire::watch::Watch;

use super::pass::{Capture, Ended, RingFared};
use super::{Output, Stop};

const SCHEMA: &str = "whyslow.wire/1";
/// What lines begin with whose documents write themselves.
const HANDSHAKE_LINE: &str = r#"{"schema":"whyslow.wire/1","kind":"handshake","#;
const RESET_LINE: &str = r#"{"schema":"whyslow.wire/1","kind":"reset","#;

/// Writes handshakes as they become known, each a line.
#[derive(Debug)]
pub(super) struct Stream {
    /// Whether every line is a document of its own.
    lines: bool,
    written: u64,
}

/// A line of `--json-lines`.
#[derive(Debug, Serialize)]
struct Line<T> {
    schema: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    what: T,
}

impl Stream {
    pub(super) fn new(lines: bool, out: &mut Output) -> Result<Self, Stop> {
        if !lines {
            out.line(format_args!("{{\"schema\":\"{SCHEMA}\",\"handshakes\":["))?;
        }
        Ok(Self { lines, written: 0 })
    }

    pub(super) fn handshake(&mut self, of: &Handshake, out: &mut Output) -> Result<(), Stop> {
        let document = HandshakeDocument::from(of);
        let begin = if self.lines { HANDSHAKE_LINE } else { self.next_element() };
        Ok(out.json_written(begin, |to| document.write_members(to))?)
    }

    pub(super) fn unanswered(&self, of: &Unanswered, out: &mut Output) -> Result<(), Stop> {
        if self.lines {
            return line("unanswered_syn", UnansweredDocument::from(of), out);
        }
        Ok(())
    }

    pub(super) fn ending(&self, of: &Ending, out: &mut Output) -> Result<(), Stop> {
        if self.lines {
            let document = EndingDocument::from(of);
            out.json_written(RESET_LINE, |to| document.write_members(to))?;
        }
        Ok(())
    }

    /// The other arrays, and the totals.
    pub(super) fn finish(
        mut self,
        outcome: &Outcome,
        totals: &Totals,
        out: &mut Output,
    ) -> Result<(), Stop> {
        if self.lines {
            return line("totals", totals, out);
        }
        out.line("],\"unanswered_syns\":[")?;
        for (at, of) in outcome.unanswered.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            out.json_after(comma, &UnansweredDocument::from(of))?;
        }
        out.line("],\"resets\":[")?;
        self.written = 0;
        for of in &outcome.endings {
            let (begin, document) = (self.next_element(), EndingDocument::from(of));
            out.json_written(begin, |to| document.write_members(to))?;
        }
        let totals = text(totals)?;
        // What stands between the braces of the totals goes on in the document's own.
        Ok(out.line(format_args!("],{}", totals.trim_start_matches('{')))?)
    }

    /// What an object of an array begins with.
    const fn next_element(&mut self) -> &'static str {
        self.written += 1;
        if self.written > 1 { ",{" } else { "{" }
    }
}

fn line(kind: &'static str, what: impl Serialize, out: &mut Output) -> Result<(), Stop> {
    out.json_after("", &Line { schema: SCHEMA, kind, what })
}

fn text(document: &impl Serialize) -> Result<String, Stop> {
    serde_json::to_string(document)
        .map_err(|e| Stop::operation(format!("cannot write the result as JSON: {e}")))
}

/// What follows the arrays.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    packets: u64,
    bytes: u64,
    drops: u64,
    vantage_point: VantagePoint,
    first: Option<Wall>,
    last: Option<Wall>,
    /// `whole`, `cut` within a packet, `broken` or `unread` from some place on.
    ended: &'static str,
    interfaces: Vec<Option<String>>,
    /// How the ring fared; only where it is a live tap.
    #[serde(skip_serializing_if = "Option::is_none")]
    ring: Option<RingFared>,
    slow_ms: f64,
    handshake_count: u64,
    slow: u64,
    failed: u64,
    blamed: BTreeMap<&'static str, u64>,
    total_ms: Quantiles,
    by_cohort: Vec<Row>,
    by_server: Vec<Row>,
    unanswered_syn_count: u64,
    reset_count: u64,
    endings: Map<String, Json>,
    plain_tcp: u64,
    wordless: u64,
    quic_initials: u64,
    incomplete: BTreeMap<&'static str, u64>,
    /// What was left out, by reason; only reasons there were.
    left_out: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
}

/// A cohort or a server.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    key: Map<String, Json>,
    handshakes: u64,
    slow: u64,
    blamed: BTreeMap<&'static str, u64>,
    /// Medians.
    server_ms: Option<f64>,
    network_ms: Option<f64>,
    client_ms: Option<f64>,
    total_ms: Quantiles,
}

/// Makes the totals. `name` says whose an autonomous system is.
pub(super) fn totals(
    outcome: &Outcome,
    watch: &Watch,
    capture: &Capture,
    slow_ms: f64,
    name: &dyn Fn(u32) -> Option<String>,
) -> Totals {
    let (packets, connections) = (watch.packets(), watch.connections());
    let cohort = |cohort: &Cohort| match cohort {
        Cohort::Asn(asn) => key([("asn", Json::from(*asn)), ("name", Json::from(name(*asn)))]),
        Cohort::Prefix(net) => key([("prefix", Json::from(net.to_string()))]),
    };
    let server = |server: &std::net::SocketAddr| key([("server", Json::from(server.to_string()))]);
    let endings = outcome.ending_counts.iter().map(|(kind, (all, resets))| {
        let kind = serde_json::to_value(kind).unwrap_or_default();
        let counts = key([("all", Json::from(*all)), ("by_reset", Json::from(*resets))]);
        (kind.as_str().unwrap_or_default().to_owned(), Json::Object(counts))
    });
    Totals {
        packets: packets.packets,
        bytes: packets.bytes,
        drops: capture.lost,
        vantage_point: outcome.vantage,
        first: watch.span().map(|(first, _)| first),
        last: watch.span().map(|(_, last)| last),
        ended: match capture.ended {
            Ended::Whole => "whole",
            Ended::Cut(_) => "cut",
            Ended::Broken(_) => "broken",
            Ended::Unread(_) => "unread",
        },
        interfaces: capture.interfaces.clone(),
        ring: capture.ring,
        slow_ms,
        handshake_count: outcome.total.handshakes,
        slow: outcome.total.slow,
        failed: outcome.total.failed,
        blamed: blamed(&outcome.total),
        total_ms: quantiles(&outcome.total),
        by_cohort: rows(&outcome.cohorts, cohort),
        by_server: rows(&outcome.servers, server),
        unanswered_syn_count: outcome.unanswered_count,
        reset_count: outcome.ending_counts.values().map(|(all, _)| all).sum(),
        endings: endings.collect(),
        plain_tcp: outcome.plain_tcp,
        wordless: outcome.wordless,
        quic_initials: connections.quic_initials,
        incomplete: outcome.incomplete.clone(),
        left_out: left_out(watch, capture),
    }
}

/// Packets and connections that are not in the figures, by reason.
pub(super) fn left_out(watch: &Watch, capture: &Capture) -> BTreeMap<&'static str, u64> {
    let (packets, connections) = (watch.packets(), watch.connections());
    let counts = [
        ("packets without a time", capture.timeless),
        ("packets of unknown link types", capture.unknown_link),
        ("packets cut within their headers", packets.cut),
        ("broken packets", packets.malformed),
        ("copies of packets", watch.copies()),
        ("packets with a time before the last one's", watch.backwards()),
        ("connections cut off, too many at once", connections.evicted),
        ("half-open connections forgotten, too many at once", connections.evicted_half_open),
        ("connections whose end is not told, too many at once", connections.forgotten),
        ("connections at a limit", connections.limited),
    ];
    counts.into_iter().filter(|(_, n)| *n > 0).collect()
}

fn rows<K>(table: &Table<K>, key_of: impl Fn(&K) -> Map<String, Json>) -> Vec<Row> {
    let mut rows: Vec<Row> = table.rows.iter().map(|(key, cell)| row(key_of(key), cell)).collect();
    if table.other.handshakes > 0 {
        rows.push(row(key([("other", Json::from(true))]), &table.other));
    }
    rows
}

fn row(key: Map<String, Json>, cell: &Cell) -> Row {
    let median = |of: &whyslow_model::Histogram| of.quantile(0.5).map(ms);
    Row {
        key,
        handshakes: cell.handshakes,
        slow: cell.slow,
        blamed: blamed(cell),
        server_ms: median(&cell.server),
        network_ms: median(&cell.network),
        client_ms: median(&cell.client),
        total_ms: quantiles(cell),
    }
}

fn key<const N: usize>(members: [(&str, Json); N]) -> Map<String, Json> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn blamed(cell: &Cell) -> BTreeMap<&'static str, u64> {
    let whom = [Blame::Server, Blame::Network, Blame::Client, Blame::Unknown, Blame::None];
    whom.into_iter().map(|whom| (super::table::word(whom), cell.blamed(whom))).collect()
}

fn quantiles(cell: &Cell) -> Quantiles {
    let of = |q| cell.total.quantile(q).map(ms);
    Quantiles { p50: of(0.5), p90: of(0.9), p99: of(0.99) }
}

/// Seconds as milliseconds, to a thousandth.
fn ms(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}
