//! Graphite's HTTP API: what Grafana's Graphite data source and dashboards of it ask for.

mod answer;
mod events;
mod find;
mod functions;
mod render;
mod tags;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use whyslow_graphite::RenderError;
use whyslow_promql::EvalError;

use crate::web::state::AppState;

/// The routes outside of `/api`.
pub fn router() -> Router<Arc<AppState>> {
    let mut router = Router::new();
    // Django answers with and without the last slash, and clients use both.
    for slash in ["", "/"] {
        let at = |path: &str| format!("{path}{slash}");
        router = router
            .route(&at("/render"), get(render::render).post(render::render))
            .route(&at("/metrics/find"), get(find::find).post(find::find))
            .route(&at("/metrics/expand"), get(find::expand).post(find::expand))
            .route(&at("/tags"), get(tags::tags))
            .route(&at("/tags/findSeries"), get(tags::find_series).post(tags::find_series))
            .route(&at("/tags/autoComplete/tags"), get(tags::complete_tags))
            .route(&at("/tags/autoComplete/values"), get(tags::complete_values))
            .route(&at("/functions"), get(functions::all))
            .route(&at("/functions/{name}"), get(functions::one))
            .route(&at("/version"), get(functions::version))
            .route(&at("/events/get_data"), get(events::events));
    }
    router.route("/metrics/index.json", get(find::index)).route("/tags/{tag}", get(tags::values))
}

/// What a target that is not answered is to the gate of queries.
fn as_query_error(error: RenderError) -> EvalError {
    match error {
        RenderError::Limit { what, limit } => EvalError::Limit { what, limit },
        RenderError::Stopped => EvalError::Cancelled,
        RenderError::Read(error) => EvalError::from(error),
        RenderError::BadTarget(_) | RenderError::NoFunction(_) | RenderError::BadCall { .. } => {
            EvalError::BadQuery(error.to_string())
        }
    }
}
