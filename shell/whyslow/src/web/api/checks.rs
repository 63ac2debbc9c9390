//! `/api/v1/checks`: what is watched and how it stands; adding and taking away by a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use whyslow_model::Wall;
use whyslow_model::observation::Plane;
use whyslow_probe::spec::parse_target_of;
use whyslow_promql::{EvalError, EvalOptions, InstantValue};

use super::observations;
use super::prometheus::params::Params;
use crate::config::planned::DIRECT;
use crate::config::{CheckId, Current, NotInForce, PlannedCheck};
use crate::storage::Db;
use crate::web::login::own_path;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// A state older than this is unknown; rarer checks count for three of their intervals.
const STALE_MS_MIN: i64 = 5 * 60 * 1000;

/// One check on one path, and how it stands.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    service: String,
    check: String,
    path: String,
    kind: &'static str,
    target: String,
    every_s: f64,
    warn_ms: Option<f64>,
    timeout_ms: f64,
    /// `ok`, `degraded`, `down` or `unknown`.
    state: &'static str,
    /// When the newest run began.
    last: Option<Wall>,
    last_total_ms: Option<f64>,
    /// Whether a page added it, and may take it away.
    added: bool,
}

/// `GET`: every check of the configuration, by name.
///
/// # Errors
/// [`Problem`] where the store cannot be read.
pub async fn list(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let snapshot = state.current.snapshot();
    let (db, now, vantage) = (state.db.clone(), state.now(), snapshot.config.vantage.name.clone());
    let time_max = whyslow_model::limits::QUERY_TIME_MAX;
    let newest = state.queries.run(time_max, move |stop| newest(&db, &vantage, now, stop)).await?;
    let planned = snapshot.config.planned_checks();
    let listed = planned.iter().map(|check| {
        let key = (check.id.service.clone(), check.id.check.clone(), check.id.path.clone());
        let added = snapshot.added.contains(&check.id.service);
        listed(check, newest.get(&key), now, added)
    });
    let data: Vec<Listed> = listed.collect();
    Ok(Json(json!({"status": "success", "data": data})).into_response())
}

/// What the newest run of a check wrote.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    at_ms: Option<i64>,
    success: Option<f64>,
    slow: Option<f64>,
    total_s: Option<f64>,
}

type Names = (String, String, String);

fn newest(
    db: &Db,
    vantage: &str,
    now: Wall,
    stop: &dyn Fn() -> bool,
) -> Result<BTreeMap<Names, Newest>, EvalError> {
    let mut all: BTreeMap<Names, Newest> = BTreeMap::new();
    let own = format!("{{vantage={vantage:?},job=\"\",instance=\"\"}}");
    let selectors = [
        format!("timestamp(probe_success{own})"),
        format!("probe_success{own}"),
        format!("whyslow_check_slow{own}"),
        format!("probe_duration_seconds{own}"),
    ];
    for (i, selector) in selectors.iter().enumerate() {
        let query = whyslow_promql::parse(selector)
            .map_err(|e| EvalError::BadQuery(format!("{selector}: {e}")))?;
        let lookback_ms = 3_600_000;
        let standard = EvalOptions { seed: db.seed(), ..EvalOptions::default() };
        let options = EvalOptions { lookback_ms, stop: Some(stop), ..standard };
        let answer = query.instant(&db.reader(), now.as_millis(), &options)?;
        let InstantValue::Vector(samples) = answer.value else { continue };
        for sample in samples {
            let part = |name| sample.labels.value(name).unwrap_or_default().to_owned();
            let one = all.entry((part("service"), part("check"), part("path"))).or_default();
            #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
            match i {
                0 => one.at_ms = Some((sample.value * 1000.0).round() as i64),
                1 => one.success = Some(sample.value),
                2 => one.slow = Some(sample.value),
                _ => one.total_s = Some(sample.value),
            }
        }
    }
    Ok(all)
}

fn listed(check: &PlannedCheck, newest: Option<&Newest>, now: Wall, added: bool) -> Listed {
    let spec = &check.spec;
    let newest = newest.copied().unwrap_or_default();
    let target = parse_target_of(spec.kind, &spec.target);
    Listed {
        id: check.id.to_string(),
        service: check.id.service.clone(),
        check: check.id.check.clone(),
        path: check.id.path.clone(),
        kind: spec.kind.as_str(),
        target: target.map_or_else(|_| String::new(), |t| t.shown()),
        every_s: spec.every.as_ms() / 1000.0,
        warn_ms: spec.warn.map(whyslow_model::Duration::as_ms),
        timeout_ms: spec.timeout.as_ms(),
        state: state_word(&newest, spec.every.as_millis(), now),
        last: newest.at_ms.map(Wall::from_millis),
        last_total_ms: newest.total_s.map(|s| s * 1000.0),
        added,
    }
}

/// Not seen for long is unknown, never ok.
fn state_word(newest: &Newest, every_ms: u64, now: Wall) -> &'static str {
    let every_ms = i64::try_from(every_ms).unwrap_or(i64::MAX / 4);
    let fresh = |at: i64| now.as_millis() - at <= every_ms.saturating_mul(3).max(STALE_MS_MIN);
    match (newest.at_ms.filter(|at| fresh(*at)), newest.success, newest.slow) {
        (None, ..) | (_, None, _) => "unknown",
        (_, Some(0.0), _) => "down",
        (_, _, Some(slow)) if slow > 0.0 => "degraded",
        _ => "ok",
    }
}

/// What a person typed into a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCheck {
    /// A URL, or a target as for `whyslow check`.
    #[serde(alias = "target")]
    url: String,
}

/// `POST`: watches one more target, from now on and after a restart.
///
/// # Errors
/// [`Problem`] for a target that is none, one watched already, or a data directory that cannot
/// be written to.
pub async fn add(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, Problem> {
    let is_form = is_form(&request);
    let typed = if is_form {
        let form = axum::Form::<NewCheck>::from_request(request, &()).await;
        form.map_err(|e| Problem::bad_data(e.body_text()))?.0
    } else {
        let document = Json::<NewCheck>::from_request(request, &()).await;
        document.map_err(|e| Problem::new(e.status(), "bad_data", e.body_text()))?.0
    };
    let typed = typed.url.trim().to_owned();
    let current = Arc::clone(&state.current);
    let (service, check) = change(move || current.add(&with_scheme(&typed))).await?;
    if is_form {
        let service = utf8_percent_encode(&service, NON_ALPHANUMERIC);
        return Ok(Redirect::to(&format!("/services/{service}")).into_response());
    }
    let id = CheckId { service, check, path: DIRECT.to_owned() };
    let data = json!({"id": id, "service": id.service, "check": id.check, "path": id.path});
    let body = Json(json!({"status": "success", "data": data}));
    Ok((StatusCode::CREATED, body).into_response())
}

/// People type `shop.example`; they mean the web page.
fn with_scheme(typed: &str) -> String {
    let bare = !typed.contains("://") && !typed.contains(':') && typed.contains('.');
    if bare { format!("https://{typed}") } else { typed.to_owned() }
}

/// `DELETE`, or `POST …/delete` by a form: stops watching the service of a check that a page added.
///
/// # Errors
/// [`Problem`] for a check that no page added.
pub async fn remove(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = known(&state.current, &id)?;
    let current = Arc::clone(&state.current);
    let service = id.service.clone();
    change(move || current.remove(&service)).await?;
    if is_form(&request) {
        return Ok(Redirect::to(own_path("/")).into_response());
    }
    let data = json!({"service": id.service});
    Ok(Json(json!({"status": "success", "data": data})).into_response())
}

/// `GET …/runs`: the runs of one check, newest first, as observations.
///
/// # Errors
/// [`Problem`] for an unknown check, a parameter that makes no sense, or a broken store.
pub async fn runs(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let id: CheckId = id.parse().map_err(|_| unknown(&id))?;
    let mut filter = observations::filter(&params)?;
    filter.plane = Some(Plane::Probe);
    (filter.service, filter.check, filter.path) = (Some(id.service), Some(id.check), Some(id.path));
    observations::page(&state, filter, &params).await
}

/// `GET /api/v1/runs/ID`: the document of one run.
///
/// # Errors
/// [`Problem`] for a run that is not kept, or not any more.
pub async fn run(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let wanted = id.clone();
    let found = state.read_store(move |db| db.run(&wanted)).await?;
    let document = found.ok_or_else(|| {
        Problem::not_found(format!("no run {id:?} is kept"))
            .hint("runs that went well are kept shorter than slow and failed ones")
    })?;
    let body = format!(r#"{{"status":"success","data":{document}}}"#);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn known(current: &Current, id: &str) -> Result<CheckId, Problem> {
    let parsed: CheckId = id.parse().map_err(|_| unknown(id))?;
    let there = current.config().planned_checks().iter().any(|c| c.id == parsed);
    if there { Ok(parsed) } else { Err(unknown(id)) }
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no check {id:?}")).hint("a check is SERVICE:CHECK:PATH")
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|k| k.starts_with("application/x-www-form-urlencoded"))
}

/// Changes the configuration where files may be written.
async fn change<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotInForce> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Problem::internal("the configuration could not be changed"))?;
    done.map_err(|error| not_in_force(&error))
}

/// What a configuration that did not come into force is to a client.
pub fn not_in_force(error: &NotInForce) -> Problem {
    let status = match error {
        NotInForce::Target(_) => StatusCode::BAD_REQUEST,
        NotInForce::Known(_) => StatusCode::CONFLICT,
        NotInForce::NotAdded(_) => StatusCode::NOT_FOUND,
        NotInForce::Load(_) | NotInForce::Open(_) | NotInForce::NoData => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        NotInForce::NotKept(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let problem = Problem::new(status, "bad_data", error.to_string());
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// `POST /api/v1/config/reload`: as SIGHUP does.
///
/// # Errors
/// [`Problem`] with everything that is wrong; the old configuration stays in force.
pub async fn reload(State(state): State<Arc<AppState>>) -> Result<Response, Problem> {
    let current = Arc::clone(&state.current);
    let snapshot = change(move || current.reload()).await.map_err(|problem| {
        let refused = state.current.snapshot().refused.clone();
        let error = refused.map_or_else(|| problem.error.clone(), |r| r.text);
        Problem { error, ..problem }
    })?;
    let data = json!({
        "generation": snapshot.generation,
        "needs_restart": snapshot.needs_restart,
    });
    Ok(Json(json!({"status": "success", "data": data})).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_not_seen_for_long_is_unknown_and_never_ok() {
        let now = Wall::from_millis(10_000_000);
        let seen = |ago_ms: i64, success, slow| {
            let at_ms = Some(10_000_000 - ago_ms);
            let (success, slow, total_s) = (Some(success), Some(slow), None);
            state_word(&Newest { at_ms, success, slow, total_s }, 15_000, now)
        };
        assert_eq!(seen(1000, 1.0, 0.0), "ok");
        assert_eq!(seen(1000, 1.0, 1.0), "degraded");
        assert_eq!(seen(1000, 0.0, 0.0), "down");
        assert_eq!(seen(STALE_MS_MIN + 1, 1.0, 0.0), "unknown");
        assert_eq!(state_word(&Newest::default(), 15_000, now), "unknown");
    }

    #[test]
    fn a_bare_name_is_the_web_page_of_that_name() {
        assert_eq!(with_scheme("shop.example/x"), "https://shop.example/x");
        for kept in ["http://shop.example", "tcp:db:1", "ping:gw", "nonsense"] {
            assert_eq!(with_scheme(kept), kept);
        }
    }
}
