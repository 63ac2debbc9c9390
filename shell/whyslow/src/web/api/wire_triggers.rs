//! `GET /api/v1/wire/triggers`: how the logs fare in which incidents are looked for, and what the
//! last lines were that told of some.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use whyslow_model::Wall;

use super::exposition::{Exposition, Kind, float};
use crate::web::state::AppState;
use crate::wire::evidence::{Became, Match, TriggerStatus};

/// The answer.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    triggers: Vec<Trigger>,
}

/// One log. Counts are since it is followed.
#[derive(Debug, Serialize)]
struct Trigger {
    name: String,
    input: String,
    cause: String,
    since: Wall,
    /// Why nothing is read.
    problem: Option<String>,
    lines: Lines,
    incidents: Incidents,
    /// Lines that journald said it threw away.
    dropped: u64,
    /// Times that lines may have been lost.
    gaps: u64,
    /// The last line that said what cannot be.
    odd_line: Option<String>,
    /// The last that told of incidents, the newest first.
    matches: Vec<Matched>,
}

/// What became of lines.
#[derive(Debug, Serialize)]
struct Lines {
    matched: u64,
    faster: u64,
    odd: u64,
    other: u64,
    unreadable: u64,
}

/// What became of the incidents that lines told of.
#[derive(Debug, Serialize)]
struct Incidents {
    kept: u64,
    /// By why.
    not_kept: BTreeMap<&'static str, u64>,
}

/// A line that told of an incident.
#[derive(Debug, Serialize)]
struct Matched {
    noticed: Wall,
    began: Wall,
    ended: Wall,
    duration_ms: Option<f64>,
    client: Option<String>,
    server: Option<String>,
    /// Whether both ends are known, ports and all.
    exact: bool,
    /// The line, control bytes escaped, its end cut off.
    line: String,
    /// `waiting`, `kept` or `not_kept`.
    state: &'static str,
    /// Why it was not kept.
    reason: Option<&'static str>,
    /// Connections that matched.
    candidates: Option<u64>,
    /// Files with their packets.
    files: Vec<String>,
}

/// How each fares.
pub async fn list(State(state): State<Arc<AppState>>) -> Json<Document> {
    let triggers = state.evidence.triggers().into_iter().map(trigger).collect();
    Json(Document { schema: "whyslow.wire_triggers/1", triggers })
}

fn trigger(of: TriggerStatus) -> Trigger {
    let TriggerStatus { name, input, cause, since, counts, fates, problem, odd, recent } = of;
    let lines = Lines {
        matched: counts.matched,
        faster: counts.faster,
        odd: counts.odd,
        other: counts.other,
        unreadable: counts.unreadable,
    };
    let matches = recent.into_iter().rev().map(matched).collect();
    let incidents = Incidents { kept: fates.kept, not_kept: fates.not_kept };
    Trigger {
        name,
        input,
        cause,
        since,
        problem,
        lines,
        incidents,
        dropped: counts.dropped,
        gaps: counts.gaps,
        odd_line: odd,
        matches,
    }
}

fn matched(of: Match) -> Matched {
    let (state, reason, candidates, files) = match of.became {
        Became::Waiting => ("waiting", None, None, Vec::new()),
        Became::Kept { files, candidates } => ("kept", None, Some(candidates), files),
        Became::NotKept(reason) => ("not_kept", Some(reason), None, Vec::new()),
    };
    let ends = of.ends;
    Matched {
        noticed: of.noticed,
        began: of.began,
        ended: of.ended,
        duration_ms: of.duration.map(|lasted| lasted.as_secs_f64() * 1000.0),
        client: ends.client_text(),
        server: ends.server_text(),
        exact: ends.is_exact(),
        line: of.line,
        state,
        reason,
        candidates,
        files,
    }
}

/// What was counted, in `/metrics`.
pub(super) fn about_triggers(out: &mut Exposition, triggers: &[TriggerStatus]) {
    if triggers.is_empty() {
        return;
    }
    let counter = Kind::Counter;
    let name = "whyslow_self_wire_trigger_lines_total";
    out.family(
        name,
        counter,
        "Lines of logs in which incidents are looked for, by what came of it.",
    );
    for TriggerStatus { name: trigger, counts, .. } in triggers {
        for (result, n) in [
            ("matched", counts.matched),
            ("faster", counts.faster),
            ("odd", counts.odd),
            ("other", counts.other),
            ("unreadable", counts.unreadable),
        ] {
            out.sample(name, [("trigger", trigger.as_str()), ("result", result)], float(n));
        }
    }
    let mut each = |name, kind, help, value: fn(&TriggerStatus) -> u64| {
        out.family(name, kind, help);
        for status in triggers {
            out.sample(name, [("trigger", status.name.as_str())], float(value(status)));
        }
    };
    let help = "Lines that journald said it threw away.";
    each("whyslow_self_wire_trigger_dropped_total", counter, help, |of| of.counts.dropped);
    let help = "Times that lines of a log may have been lost.";
    each("whyslow_self_wire_trigger_gaps_total", counter, help, |of| of.counts.gaps);
    let help = "Whether a log in which incidents are looked for is followed.";
    let up = |of: &TriggerStatus| u64::from(of.problem.is_none());
    each("whyslow_self_wire_trigger_up", Kind::Gauge, help, up);
}
