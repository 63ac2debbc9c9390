//! The report as the JSON document `whyslow.edge/1`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use whyslow_edge::completeness::Completeness;
use whyslow_edge::record::{EdgePhase, Mark};
use whyslow_edge::report::{Cell, Field, Group, Outcome, Value};
use whyslow_edge::row::{OTHER, PhaseTiming, Timing};
use whyslow_model::Wall;

use super::format::Choice;
use super::tally::Tally;

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    format: &'a str,
    warnings: Vec<&'a str>,
    lines: u64,
    parsed: u64,
    rejected: u64,
    rejects: Vec<Reject<'a>>,
    reasons: &'a BTreeMap<String, u64>,
    first: Option<Wall>,
    last: Option<Wall>,
    completeness: Option<Completeness>,
    to_other: u64,
    notices: &'a [String],
    groups: Vec<GroupOut>,
}

#[derive(Debug, Serialize)]
struct Reject<'a> {
    file_no: usize,
    line_no: u64,
    reason: &'a str,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct GroupOut {
    by: Vec<&'static str>,
    key: Map<String, Json>,
    hits: u64,
    timed: u64,
    tps: Tps,
    latency_ms: Latency,
    server_ms: Latency,
    phases_ms: BTreeMap<&'static str, Phase>,
    codes: BTreeMap<String, u64>,
    bytes_out: u64,
    client_aborted: u64,
    local: u64,
    retries: u64,
}

#[derive(Debug, Serialize)]
struct Tps {
    avg: Option<f64>,
    max: Option<u32>,
}

#[derive(Debug, Default, Serialize)]
struct Latency {
    avg: Option<f64>,
    max: Option<f64>,
    total: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Phase {
    avg: Option<f64>,
    p99: Option<f64>,
    kind: Mark,
}

/// Makes the document.
pub(super) fn document<'a>(
    outcome: &Outcome,
    tally: &'a Tally,
    completeness: Option<Completeness>,
    notices: &'a [String],
    choice: &'a Choice,
) -> Document<'a> {
    let wall = |us: i64| Wall::from_nanos(us.saturating_mul(1000));
    let seconds = seconds(outcome);
    let rejects = tally.samples.iter().map(|sample| Reject {
        file_no: sample.input + 1,
        line_no: sample.line_no,
        reason: &sample.reason,
        text: &sample.text,
    });
    let groups = outcome.tables.iter().flat_map(|table| {
        table.groups.iter().map(move |group| group_out(&table.by, group, seconds))
    });
    Document {
        schema: "whyslow.edge/1",
        format: &choice.name,
        warnings: choice.said.iter().map(|said| &*said.what).collect(),
        lines: tally.lines,
        parsed: tally.parsed,
        rejected: tally.rejected(),
        rejects: rejects.collect(),
        reasons: &tally.reasons,
        first: outcome.span_us.map(|(first, _)| wall(first)),
        last: outcome.span_us.map(|(_, last)| wall(last)),
        completeness,
        to_other: outcome.to_other,
        notices,
        groups: groups.collect(),
    }
}

/// The seconds the requests spread over: last less first, and one more.
pub(super) fn seconds(outcome: &Outcome) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
    outcome.span_us.map(|(first, last)| last.saturating_sub(first) as f64 / 1e6 + 1.0)
}

fn group_out(by: &[Field], group: &Group, seconds: Option<f64>) -> GroupOut {
    let cell = &group.cell;
    GroupOut {
        by: by.iter().map(|field| field.as_str()).collect(),
        key: by.iter().zip(&group.key).map(|(f, v)| (f.as_str().to_owned(), json(v))).collect(),
        hits: cell.hits,
        timed: cell.timed,
        tps: Tps { avg: seconds.map(|s| round(number(cell.hits) / s)), max: cell.seconds.most() },
        latency_ms: latency(&cell.latency),
        server_ms: latency(&cell.server),
        phases_ms: phases(cell),
        codes: cell.codes.iter().map(|(code, n)| (code.to_string(), *n)).collect(),
        bytes_out: cell.bytes_out,
        client_aborted: cell.client_aborted,
        local: cell.local,
        retries: cell.retries,
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Name(name) => Json::from(&**name),
        Value::Code(code) => Json::from(*code),
        Value::Asn(asn) => Json::from(*asn),
        Value::Net(net) => Json::from(net.to_string()),
        Value::Unknown => Json::from("unknown"),
        Value::Other => Json::from(OTHER),
    }
}

fn latency(timing: &Timing) -> Latency {
    let count = timing.histogram.count();
    if count == 0 {
        return Latency::default();
    }
    let quantile = |q| timing.histogram.quantile(q).map(|s| round(s * 1e3));
    Latency {
        avg: Some(round(ms(timing.sum_us) / number(count))),
        max: Some(ms(timing.max_us)),
        total: Some(ms(timing.sum_us)),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
    }
}

fn phases(cell: &Cell) -> BTreeMap<&'static str, Phase> {
    let absent = PhaseTiming::default();
    let out = |phase: EdgePhase| {
        let told = cell.phases.as_ref().map_or(&absent, |p| &p[phase as usize]);
        let figures = latency(&told.timing);
        (phase.as_str(), Phase { avg: figures.avg, p99: figures.p99, kind: told.mark })
    };
    EdgePhase::ALL.into_iter().map(out).collect()
}

fn ms(micros: u64) -> f64 {
    number(micros) / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "figures beyond 2^53 are not exact")]
fn number(n: u64) -> f64 {
    n as f64
}

/// To a thousandth: nothing is known finer.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
