//! `/api/v1/observations`: what was seen, read by filters and posted by agents.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use whyslow_model::Observation;
use whyslow_model::limits::{
    LABEL_VALUE_BYTES_MAX, OBSERVATION_BYTES_MAX, OBSERVATIONS_PER_PAGE_MAX,
    OBSERVATIONS_PER_POST_MAX,
};
use whyslow_model::observation::Plane;

use super::prometheus::params::Params;
use crate::storage::{Appended, Batch, ObservationFilter, PageRequest};
use crate::web::access::Caller;
use crate::web::problem::Problem;
use crate::web::state::{AppState, storage_problem};

/// Observations on one page where nothing is said.
const PAGE: usize = 100;
/// Lines of a post whose mistakes are listed; further ones are only counted.
const ERRORS_LISTED_MAX: usize = 100;

/// `GET`: newest first; `next` in the answer is the `cursor` of the following page.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn list(State(state): State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    let filter = filter(&params)?;
    page(&state, filter, &params).await
}

/// The page of observations that `cursor` and `limit` ask for.
pub(super) async fn page(
    state: &AppState,
    filter: ObservationFilter,
    params: &Params,
) -> Result<Response, Problem> {
    let request = PageRequest {
        limit: params.count("limit")?.unwrap_or(PAGE).clamp(1, OBSERVATIONS_PER_PAGE_MAX),
        after: params.first("cursor").map(str::to_owned),
    };
    let found = state.read_store(move |db| db.observations(&filter, &request)).await?;
    let body = json!({"status": "success", "data": found.observations, "next": found.next});
    Ok(Json(body).into_response())
}

/// What to look for, as the parameters say.
///
/// # Errors
/// [`Problem`] for a plane or a time that is none.
pub fn filter(params: &Params) -> Result<ObservationFilter, Problem> {
    let text = |name| params.first(name).map(str::to_owned);
    Ok(ObservationFilter {
        service: text("service"),
        path: text("path"),
        check: text("check"),
        vantage: text("vantage"),
        plane: params.first("plane").map(plane).transpose()?,
        outcomes: params.all("outcome").filter(|o| !o.is_empty()).map(str::to_owned).collect(),
        from: params.time("from")?.map(whyslow_model::Wall::from_millis),
        to: params.time("to")?.map(whyslow_model::Wall::from_millis),
    })
}

/// `POST`: JSON lines by an agent. Good lines are kept, bad ones reported by their number; the
/// answer comes after the commit. Sending a line again changes nothing.
///
/// # Errors
/// [`Problem`] for a caller who is no agent, too many lines, or a store that takes nothing now.
pub async fn post(
    State(state): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Problem> {
    let may_speak_for = match &caller {
        Caller::Operator => None,
        Caller::Agent(name) => Some(name.as_str()),
        Caller::Anyone | Caller::Stranger => {
            return Err(Problem::unauthorized("only agents may post observations").hint(
                "name the agent under `agents:` and send its token as `Authorization: Bearer …`",
            ));
        }
    };
    let read = read_lines(&body, may_speak_for)?;
    let lines = read.good.len() + read.bad;
    let mut appended = Appended::default();
    if !read.good.is_empty() {
        let batch = Batch { observations: read.good, ..Batch::default() };
        appended = state.db.append(batch).await.map_err(|e| storage_problem(&e))?;
    }
    Ok(report(lines, read.bad, &appended, &read.errors))
}

/// What became of the lines; those neither new nor refused were known already.
fn report(lines: usize, bad: usize, appended: &Appended, errors: &[Value]) -> Response {
    let refused = bad as u64 + appended.observations_refused;
    let known = (lines as u64).saturating_sub(refused + appended.observations);
    let data = json!({
        "lines": lines,
        "new": appended.observations,
        "known": known,
        "refused": refused,
        "out_of_time": appended.observations_refused,
        "errors": errors,
    });
    if refused == 0 {
        return Json(json!({"status": "success", "data": data})).into_response();
    }
    let body = json!({
        "status": "error",
        "errorType": "bad_data",
        "error": format!("{refused} of {lines} lines refused"),
        "hint": "all other lines are stored; do not send the refused ones again",
        "data": data,
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

#[derive(Debug, Default)]
struct Lines {
    good: Vec<Observation>,
    bad: usize,
    errors: Vec<Value>,
}

fn read_lines(body: &[u8], may_speak_for: Option<&str>) -> Result<Lines, Problem> {
    let mut lines = Lines::default();
    for (i, line) in body.split(|b| *b == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if lines.good.len() + lines.bad == OBSERVATIONS_PER_POST_MAX {
            let text = format!("more than {OBSERVATIONS_PER_POST_MAX} observations in one request");
            let p = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", text);
            return Err(p.hint("send several requests; nothing of this one is stored"));
        }
        match read_line(line, may_speak_for) {
            Ok(observation) => lines.good.push(observation),
            Err(error) => {
                lines.bad += 1;
                if lines.errors.len() < ERRORS_LISTED_MAX {
                    lines.errors.push(json!({"line": i + 1, "error": error}));
                }
            }
        }
    }
    Ok(lines)
}

fn read_line(line: &[u8], may_speak_for: Option<&str>) -> Result<Observation, String> {
    if line.len() > OBSERVATION_BYTES_MAX {
        return Err(format!("longer than {OBSERVATION_BYTES_MAX} bytes"));
    }
    let observation: Observation = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if observation.id.is_empty() || observation.id.len() > LABEL_VALUE_BYTES_MAX {
        return Err("the id is empty or too long".to_owned());
    }
    match may_speak_for {
        Some(name) if name != observation.agent => {
            Err(format!("the token is {name}'s, the observation {}'s", observation.agent))
        }
        _ => Ok(observation),
    }
}

/// Reads a plane's name.
///
/// # Errors
/// [`Problem`] that lists the names there are.
fn plane(word: &str) -> Result<Plane, Problem> {
    serde_json::from_value(word.into()).map_err(|_| {
        Problem::bad_data(format!("invalid parameter \"plane\": there is no plane {word:?}"))
            .hint("probe, edge, wire, host or mark")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"a/1","at":"2026-05-23T21:32:15Z","plane":"host","agent":"web1"}"#;

    #[test]
    fn bad_lines_are_reported_by_number_and_good_ones_kept() {
        let body = format!("{GOOD}\n\n{{\"id\":1}}\n not json\r\n{GOOD}");
        let lines = read_lines(body.as_bytes(), None).unwrap();
        assert_eq!((lines.good.len(), lines.bad), (2, 2));
        assert_eq!((&lines.errors[0]["line"], &lines.errors[1]["line"]), (&3.into(), &4.into()));
    }

    #[test]
    fn an_agent_speaks_for_itself_only() {
        assert!(read_line(GOOD.as_bytes(), Some("web1")).is_ok());
        assert!(read_line(GOOD.as_bytes(), Some("web2")).unwrap_err().contains("web2"));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let odd = GOOD.replace("\"plane\"", "\"colour\":1,\"plane\"");
        assert!(read_line(odd.as_bytes(), None).is_err());
    }

    #[test]
    fn more_lines_than_one_post_may_carry_are_refused_as_a_whole() {
        let body = "{}\n".repeat(OBSERVATIONS_PER_POST_MAX + 1);
        assert_eq!(read_lines(body.as_bytes(), None).unwrap_err().status.as_u16(), 413);
    }
}
