//! What Prometheus clients ask about the server itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::json;
use super::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The Prometheus whose query language and API this is; clients choose features by it.
const SPEAKS: &str = "2.42.0";

/// `/api/v1/status/buildinfo`
pub async fn buildinfo() -> Response {
    json::data(&json!({
        "version": SPEAKS,
        "revision": concat!("whyslow ", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// `/api/v1/metadata`: kind, help and unit of metric families, by name.
///
/// # Errors
/// [`Problem`] for a limit that is no number.
pub async fn metadata(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let limit = params.count("limit")?.filter(|n| *n > 0).unwrap_or(usize::MAX);
    let only = params.first("metric");
    let known = state.families.all();
    let wanted = known.into_iter().filter(|(name, _)| only.is_none_or(|o| o == name));
    let by_name: Map<String, Value> = wanted
        .take(limit)
        .map(|(name, f)| (name, json!([{"type": f.kind, "help": f.help, "unit": f.unit}])))
        .collect();
    Ok(json::data(&Value::Object(by_name)))
}

/// `/api/v1/rules`: whyslow evaluates no rules.
pub async fn rules() -> Response {
    json::data(&json!({"groups": []}))
}

/// `/api/v1/alerts`: whyslow holds no alerts of rules.
pub async fn alerts() -> Response {
    json::data(&json!({"alerts": []}))
}

/// `/api/v1/targets`: whyslow scrapes nothing.
pub async fn targets() -> Response {
    json::data(&json!({"activeTargets": [], "droppedTargets": []}))
}
