//! `/events/get_data`: marks as Graphite's events, which dashboards draw as annotations.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use whyslow_model::Wall;
use whyslow_model::limits::OBSERVATIONS_PER_PAGE_MAX;
use whyslow_model::observation::{Observation, Plane};

use super::find::Times;
use crate::storage::{ObservationFilter, PageRequest};
use crate::web::api::prometheus::params::Params;
use crate::web::problem::Problem;
use crate::web::state::{AppState, storage_problem};

/// The marks between `from` and `until`, oldest first, that bear all `tags`, or with `set=union`
/// any of them; where there are more than a page holds, the newest. A mark's tags are `mark` and
/// its service.
///
/// # Errors
/// [`Problem`] for times that cannot be read, or a store that cannot.
pub(super) async fn events(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Vec<Value>>, Problem> {
    let times = Times::read(&params, &state)?;
    let filter = ObservationFilter {
        plane: Some(Plane::Mark),
        from: Some(Wall::from_millis(times.from_ms)),
        to: Some(Wall::from_millis(times.to_ms)),
        ..ObservationFilter::default()
    };
    let wanted: BTreeSet<String> = params
        .first("tags")
        .into_iter()
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    let any = params.first("set") == Some("union");
    let db = state.db.clone();
    let page = PageRequest { limit: OBSERVATIONS_PER_PAGE_MAX, after: None };
    let reading = tokio::task::spawn_blocking(move || db.observations(&filter, &page));
    let found = reading.await.map_err(|_| Problem::internal("marks could not be read"))?;
    let mut marks = found.map_err(|e| storage_problem(&e))?.observations;
    marks.reverse();
    let bears = |mark: &&Observation| {
        let own = tags(mark);
        let is = |tag: &String| own.contains(&tag.as_str());
        wanted.is_empty() || if any { wanted.iter().any(is) } else { wanted.iter().all(is) }
    };
    Ok(Json(marks.iter().filter(bears).map(event).collect()))
}

fn tags(mark: &Observation) -> Vec<&str> {
    std::iter::once("mark").chain(mark.cohort.service.as_deref()).collect()
}

fn event(mark: &Observation) -> Value {
    json!({
        "id": mark.at.as_millis(),
        "when": mark.at.as_millis().div_euclid(1000),
        "what": mark.words.get("text"),
        "tags": tags(mark),
        "data": "",
    })
}
