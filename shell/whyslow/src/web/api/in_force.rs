//! `GET /api/v1/config`: the configuration in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::config::redacted;
use crate::web::state::AppState;

/// What the file and the command line say, without what pages added, secrets covered; and whether
/// the last attempt to replace it was refused.
pub async fn in_force(State(state): State<Arc<AppState>>) -> Response {
    let snapshot = state.current.snapshot();
    let mut config = redacted(&snapshot.config);
    config.services.retain(|name, _| !snapshot.added.contains(name));
    let data = json!({
        "generation": snapshot.generation,
        "since": snapshot.since,
        "refused": snapshot.refused.as_ref().map(|r| &r.summary),
        "added": snapshot.added,
        "config": config,
    });
    Json(json!({"status": "success", "data": data})).into_response()
}
