//! `/functions`, `/functions/NAME`, `/version`: what this Graphite can do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value};
use whyslow_graphite::functions;

use crate::web::api::prometheus::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The Graphite whose API this is; clients choose features by it.
const SPEAKS: &str = "1.1.8";

/// Every function, or those of one `group`; with `grouped=1` by group.
pub(super) async fn all(params: Params) -> Json<Value> {
    let group = params.first("group");
    let grouped = params.first("grouped").is_some_and(|v| v == "1" || v == "true");
    let mut all = Map::new();
    for function in functions::all().filter(|f| group.is_none_or(|g| g == f.group)) {
        let place = if grouped {
            let group = all.entry(function.group).or_insert_with(|| Value::Object(Map::new()));
            match group {
                Value::Object(group) => group,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => continue,
            }
        } else {
            &mut all
        };
        place.insert(function.name.to_owned(), function.to_json());
    }
    Json(Value::Object(all))
}

/// One function.
///
/// # Errors
/// 404 where there is none of this name.
pub(super) async fn one(Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let found = functions::find(&name);
    let nothing = || Problem::not_found("there is no function of this name");
    found.map(|f| Json(f.to_json())).ok_or_else(nothing)
}

/// The version whose API this is.
pub(super) async fn version(State(_): State<Arc<AppState>>) -> &'static str {
    SPEAKS
}
