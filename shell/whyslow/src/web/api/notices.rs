//! `/api/v1/readings`, `/api/v1/findings` and the wire's own: what detectors said, and what stayed
//! abnormal. Each plane's address gives that plane's alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use whyslow_model::reading;

use super::prometheus::params::Params;
use super::wire_events::range;
use crate::storage::{FindingQuery, ReadingQuery};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// `GET /api/v1/readings`: what the edge's detectors said, newest first; by `code`, `status`,
/// `from`, `to`.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn readings(state: State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    readings_of(state, &params, whyslow_edge::detect::codes()).await
}

/// `GET /api/v1/wire/readings`: the same of the wire's detectors.
///
/// # Errors
/// As [`readings`].
pub async fn wire_readings(
    state: State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    readings_of(state, &params, whyslow_wire::detect::codes()).await
}

/// `GET /api/v1/findings`: what stayed abnormal at the edge, newest first; by `code`, `open`,
/// `from`, `to`.
///
/// # Errors
/// As [`readings`].
pub async fn findings(state: State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    findings_of(state, &params, whyslow_edge::detect::codes()).await
}

/// `GET /api/v1/wire/findings`: the same of the wire.
///
/// # Errors
/// As [`readings`].
pub async fn wire_findings(
    state: State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    findings_of(state, &params, whyslow_wire::detect::codes()).await
}

async fn readings_of(
    State(state): State<Arc<AppState>>,
    params: &Params,
    codes: Vec<String>,
) -> Result<Response, Problem> {
    let status = |word: &str| {
        serde_json::from_value::<reading::Status>(word.into()).map_err(|_| {
            Problem::bad_data(format!("invalid parameter \"status\": there is no status {word:?}"))
                .hint("normal, abnormal, too_few or blind")
        })
    };
    let (from, to) = range(params)?;
    let query = ReadingQuery {
        from,
        to,
        codes: wanted(params, codes)?,
        statuses: params.all("status").map(status).collect::<Result<_, _>>()?,
        limit: params.count("limit")?.unwrap_or(0),
        ..ReadingQuery::default()
    };
    let found = state.read_store(move |db| db.readings(&query)).await?;
    Ok(Json(json!({"schema": "whyslow.readings/1", "readings": found})).into_response())
}

async fn findings_of(
    State(state): State<Arc<AppState>>,
    params: &Params,
    codes: Vec<String>,
) -> Result<Response, Problem> {
    let (from, to) = range(params)?;
    let query = FindingQuery {
        from,
        to,
        codes: wanted(params, codes)?,
        open_only: params.first("open").is_some_and(|open| open != "0" && open != "false"),
        limit: params.count("limit")?.unwrap_or(0),
    };
    let found = state.read_store(move |db| db.findings(&query)).await?;
    Ok(Json(json!({"schema": "whyslow.findings/1", "findings": found})).into_response())
}

/// The codes asked for, or all of the plane where none is.
fn wanted(params: &Params, all: Vec<String>) -> Result<Vec<String>, Problem> {
    let asked: Vec<String> = params.all("code").map(str::to_owned).collect();
    if let Some(strange) = asked.iter().find(|code| !all.contains(code)) {
        let what = format!("invalid parameter \"code\": there is no code {strange:?} here");
        return Err(Problem::bad_data(what).hint(all.join(", ")));
    }
    Ok(if asked.is_empty() { all } else { asked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planes_address_takes_its_own_codes_alone() {
        let of =
            |text: &str| wanted(&Params::parse(text.as_bytes()), whyslow_edge::detect::codes());
        assert_eq!(of(""), Ok(whyslow_edge::detect::codes()));
        let wire = whyslow_wire::detect::codes();
        assert!(wire.iter().all(|code| !whyslow_edge::detect::codes().contains(code)));
        assert!(of(&format!("code={}", wire[0])).is_err());
        assert_eq!(of(&format!("code={}", whyslow_edge::detect::codes()[0])).unwrap().len(), 1);
    }
}
