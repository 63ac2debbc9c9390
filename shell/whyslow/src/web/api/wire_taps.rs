//! `GET /api/v1/wire/taps`: how the recorders of interfaces fare.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use whyslow_model::Wall;

use super::exposition::{Exposition, Kind, float};
use crate::web::state::AppState;
use crate::wire::TapStatus;
use crate::wire::store::{NotKept, Storing};

/// The answer.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    taps: Vec<Tap>,
}

/// One recorder. Counts are since it was started.
#[derive(Debug, Serialize)]
struct Tap {
    interface: String,
    service: Option<String>,
    since: Wall,
    /// Why not all is seen, and what to do.
    problem: Option<String>,
    packets: u64,
    /// Packets the ring had no room for.
    drops: u64,
    /// How often it was full.
    freezes: u64,
    ring_bytes: u64,
    /// What it holds of them.
    held_bytes: u64,
    /// How far back that reaches.
    depth_seconds: f64,
    /// The oldest packet that is held.
    oldest: Option<Wall>,
    /// Connections that are followed.
    connections: u64,
    /// Events that somebody was too slow to take, of all recorders together.
    events_lost: u64,
}

/// How each recorder fares.
pub async fn list(State(state): State<Arc<AppState>>) -> Json<Document> {
    let taps = state.wire.taps().into_iter().map(tap).collect();
    Json(Document { schema: "whyslow.wire_taps/1", taps })
}

fn tap(of: TapStatus) -> Tap {
    let TapStatus { interface, service, since, counts, gauges, events_lost } = of;
    let depth = gauges.depth;
    Tap {
        interface,
        service,
        since,
        problem: gauges.problem,
        packets: counts.packets,
        drops: counts.drops,
        freezes: counts.freezes,
        ring_bytes: gauges.ring_bytes,
        held_bytes: depth.map_or(0, |depth| depth.bytes),
        depth_seconds: depth.map_or(0.0, |depth| depth.to.since(depth.from).as_secs_f64()),
        oldest: depth.map(|depth| depth.from),
        connections: gauges.flows,
        events_lost,
    }
}

/// What could not be kept of what recorders told.
pub(super) fn about_storing(out: &mut Exposition, storing: &Storing) {
    let (counter, counted) = (Kind::Counter, storing.counted());
    let name = "whyslow_self_wire_events_not_kept_total";
    out.family(name, counter, "Events of the wire that are counted and not kept by themselves.");
    for kind in NotKept::ALL {
        out.sample(name, [("kind", kind.as_str())], float(counted.of(kind)));
    }
    let help = "Events of the wire that came too late for their window, and are in the next.";
    out.single("whyslow_self_wire_late_total", counter, help, float(counted.late()));
    let help = "Times that a window told no more servers, networks, prefixes or names apart.";
    out.single("whyslow_self_wire_other_total", counter, help, float(counted.other()));
    let help = "Events of the wire that were lost before they were counted.";
    out.single("whyslow_self_wire_events_lost_total", counter, help, float(counted.lost()));
    let (name, names) = ("whyslow_self_wire_names_total", storing.names());
    out.family(name, counter, "Clients whose names were looked for, by what came of it.");
    for (result, n) in [
        ("found", names.found),
        ("nameless", names.nameless),
        ("failed", names.failed),
        ("not_asked", names.not_asked),
    ] {
        out.sample(name, [("result", result)], float(n));
    }
}
