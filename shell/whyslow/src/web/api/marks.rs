//! `/api/v1/marks`: changes somebody made and wrote down, kept as observations of plane `mark`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use whyslow_model::Wall;
use whyslow_model::limits::MARK_TEXT_BYTES_MAX;
use whyslow_model::observation::{Cohort, Locus, Observation, Plane};

use super::observations;
use super::prometheus::params::Params;
use crate::storage::Batch;
use crate::web::login::own_path;
use crate::web::problem::Problem;
use crate::web::state::{AppState, storage_problem};

/// What a person or a deploy script says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMark {
    /// What was changed.
    text: String,
    /// The service it concerns; all of them where left out.
    #[serde(default)]
    service: Option<String>,
    /// When; now where left out.
    #[serde(default)]
    at: Option<Wall>,
    /// The page to go back to, from a form.
    #[serde(default)]
    back: Option<String>,
}

/// `GET`: newest first, as observations.
///
/// # Errors
/// [`Problem`] for a parameter that makes no sense or a store that cannot be read.
pub async fn list(State(state): State<Arc<AppState>>, params: Params) -> Result<Response, Problem> {
    let mut filter = observations::filter(&params)?;
    filter.plane = Some(Plane::Mark);
    observations::page(&state, filter, &params).await
}

/// `POST`: JSON, or the form of a page. Acknowledged after the commit; the same mark sent twice
/// with its own time is one mark.
///
/// # Errors
/// [`Problem`] for a mark without text, one of an unknown service, or a store that takes nothing.
pub async fn post(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, Problem> {
    let (mark, from_form) = read(request).await?;
    let text = mark.text.trim();
    if text.is_empty() || text.len() > MARK_TEXT_BYTES_MAX {
        let what = format!("a mark is a text of 1 to {MARK_TEXT_BYTES_MAX} bytes");
        return Err(Problem::bad_data(what).hint("say what was changed, such as 'timestamps on'"));
    }
    let service = mark.service.filter(|s| !s.is_empty());
    if let Some(unknown) = service.as_ref().filter(|s| !state.config().services.contains_key(*s)) {
        return Err(Problem::bad_data(format!("there is no service {unknown:?}"))
            .hint("leave `service` out for a change that concerns all of them"));
    }
    let kept = observation(
        text,
        service,
        mark.at.unwrap_or_else(|| state.now()),
        &state.config().vantage.name,
    );
    let batch = Batch { observations: vec![kept.clone()], ..Batch::default() };
    state.db.append(batch).await.map_err(|e| storage_problem(&e))?;
    if from_form {
        let back = mark.back.unwrap_or_default();
        return Ok(Redirect::to(own_path(&back)).into_response());
    }
    let body = json!({"status": "success", "data": kept});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn read(request: Request) -> Result<(NewMark, bool), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if kind.is_some_and(|k| k.starts_with("application/x-www-form-urlencoded")) {
        let form = axum::Form::<NewMark>::from_request(request, &()).await;
        return form.map(|f| (f.0, true)).map_err(|e| Problem::bad_data(e.body_text()));
    }
    let document = Json::<NewMark>::from_request(request, &()).await;
    document.map(|d| (d.0, false)).map_err(|e| Problem::new(e.status(), "bad_data", e.body_text()))
}

/// The fact that somebody wrote `text` down; the same text at the same time is the same fact.
pub fn observation(text: &str, service: Option<String>, at: Wall, agent: &str) -> Observation {
    let named = format!("{}\0{text}", service.as_deref().unwrap_or(""));
    let digest = Sha256::digest(named.as_bytes());
    let short: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
    Observation {
        id: format!("mark/{}/{short}", at.as_nanos()),
        at,
        clock_error_ms: None,
        plane: Plane::Mark,
        agent: agent.to_owned(),
        cohort: Cohort { service, ..Cohort::default() },
        locus: Locus::default(),
        values: BTreeMap::new(),
        words: BTreeMap::from([("text".to_owned(), text.to_owned())]),
        evidence: Vec::new(),
        gaps: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_marks_of_one_moment_are_two_and_one_mark_sent_twice_is_one() {
        let at = Wall::from_millis(1);
        let id = |text, service: Option<&str>| {
            observation(text, service.map(str::to_owned), at, "lon1").id
        };
        assert_eq!(id("a", None), id("a", None));
        assert_ne!(id("a", None), id("b", None));
        assert_ne!(id("a", None), id("a", Some("shop")));
    }
}
