//! What programs ask for.

pub mod checks;
pub mod edge;
pub mod edge_sources;
pub mod evidence;
pub mod exposition;
pub mod families;
pub mod graphite;
pub mod in_force;
pub(crate) mod links;
pub mod live;
pub mod marks;
pub mod metrics;
pub mod notices;
pub mod observations;
pub mod prometheus;
pub mod wire;
pub mod wire_events;
pub mod wire_evidence;
pub mod wire_taps;
pub mod wire_triggers;
mod wire_unseen;
pub mod wire_windows;
pub mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use whyslow_model::limits::{OBSERVATIONS_POST_BYTES_MAX, REMOTE_WRITE_BYTES_MAX};

use crate::web::state::AppState;

/// The routes below `/api/v1`, `/metrics`, and Graphite's.
pub fn router() -> Router<Arc<AppState>> {
    let large = DefaultBodyLimit::max;
    Router::new()
        .merge(graphite::router())
        .route("/api/v1/query", get(prometheus::query::instant).post(prometheus::query::instant))
        .route("/api/v1/query_range", get(prometheus::query::range).post(prometheus::query::range))
        .route("/api/v1/series", get(prometheus::names::series).post(prometheus::names::series))
        .route("/api/v1/labels", get(prometheus::names::labels).post(prometheus::names::labels))
        .route("/api/v1/label/{name}/values", get(prometheus::names::values))
        .route("/api/v1/metadata", get(prometheus::status::metadata))
        .route("/api/v1/status/buildinfo", get(prometheus::status::buildinfo))
        .route("/api/v1/rules", get(prometheus::status::rules))
        .route("/api/v1/alerts", get(prometheus::status::alerts))
        .route("/api/v1/targets", get(prometheus::status::targets))
        .route("/api/v1/write", post(write::write).layer(large(REMOTE_WRITE_BYTES_MAX)))
        .route(
            "/api/v1/observations",
            get(observations::list)
                .merge(post(observations::post).layer(large(OBSERVATIONS_POST_BYTES_MAX))),
        )
        .route("/api/v1/marks", get(marks::list).post(marks::post))
        .route("/api/v1/checks", get(checks::list).post(checks::add))
        .route("/api/v1/checks/{id}", delete(checks::remove))
        .route("/api/v1/checks/{id}/delete", post(checks::remove))
        .route("/api/v1/checks/{id}/runs", get(checks::runs))
        .route("/api/v1/runs/{*id}", get(checks::run))
        .route("/api/v1/config", get(in_force::in_force))
        .route("/api/v1/config/reload", post(checks::reload))
        .route("/api/v1/edge", get(edge::rows))
        .route("/api/v1/edge.csv", get(edge::csv))
        .route("/api/v1/edge/slow", get(edge::slow))
        .route("/api/v1/edge/slow/facets", get(edge::facets))
        .route("/api/v1/readings", get(notices::readings))
        .route("/api/v1/findings", get(notices::findings))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/edge/sources", get(edge_sources::list))
        .route("/api/v1/wire/keep", post(evidence::keep))
        .route("/api/v1/wire/evidence", get(evidence::list))
        .merge(wire_routes())
        .route("/api/v1/live", get(live::follow))
}

fn wire_routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/v1/wire/windows", get(wire_windows::windows))
        .route("/api/v1/wire/handshakes", get(wire_events::handshakes))
        .route("/api/v1/wire/unanswered", get(wire_events::unanswered))
        .route("/api/v1/wire/endings", get(wire_events::endings))
        .route("/api/v1/wire/events/{id}", get(wire_events::one))
        .route("/api/v1/wire/taps", get(wire_taps::list))
        .route("/api/v1/wire/triggers", get(wire_triggers::list))
        .route("/api/v1/wire/readings", get(notices::wire_readings))
        .route("/api/v1/wire/findings", get(notices::wire_findings))
        .route("/api/v1/wire/evidence/{name}", get(wire_evidence::evidence))
}
