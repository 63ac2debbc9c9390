//! `/tags…`: tags and their values. Every series but bare paths has some.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use regex::Regex;
use serde_json::{Value, json};
use whyslow_graphite::path::{is_tagged, name_of, tags_of};
use whyslow_graphite::tags::{TagExpression, selections};
use whyslow_model::limits::QUERY_TIME_MAX;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::SeriesReader;
use whyslow_promql::EvalError;

use super::find::Times;
use crate::web::api::prometheus::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How many completions are given where nothing else is said.
const COMPLETIONS: usize = 100;

/// All tags, or those whose names match `filter`.
///
/// # Errors
/// [`Problem`] for a bad filter, or where a limit is hit.
pub(super) async fn tags(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&params)?;
    let found = names(&look(&state, &params).await?);
    let wanted = found.iter().filter(|t| filter.as_ref().is_none_or(|f| f.is_match(t)));
    Ok(Json(wanted.map(|tag| json!({"tag": tag})).collect()))
}

/// The values of one tag, and how many series have each.
///
/// # Errors
/// As [`tags`].
pub(super) async fn values(
    State(state): State<Arc<AppState>>,
    Path(tag): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&params)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for mut series in look(&state, &params).await? {
        if let Some(value) = series.remove(&tag) {
            *counts.entry(value).or_default() += 1;
        }
    }
    let wanted = counts.iter().filter(|(v, _)| filter.as_ref().is_none_or(|f| f.is_match(v)));
    let values: Vec<Value> = wanted.map(|(v, n)| json!({"count": n, "value": v})).collect();
    Ok(Json(json!({"tag": tag, "values": values})))
}

/// The names of series whose tags satisfy every `expr`.
///
/// # Errors
/// As [`tags`]; also without an expression.
pub(super) async fn find_series(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<BTreeSet<String>>, Problem> {
    if params.all("expr").next().is_none() {
        return Err(Problem::bad_data("invalid parameter \"expr\": it is missing"));
    }
    Ok(Json(look(&state, &params).await?.iter().map(name_of).collect()))
}

/// Tags that begin with `tagPrefix`, of series that satisfy every `expr`, beside those asked for.
///
/// # Errors
/// As [`tags`].
pub(super) async fn complete_tags(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Vec<String>>, Problem> {
    let prefix = params.first("tagPrefix").unwrap_or("").to_owned();
    let limit = params.count("limit")?.unwrap_or(COMPLETIONS);
    let used: Vec<String> = expressions(&params)?.into_iter().map(|e| e.tag).collect();
    let found = names(&look(&state, &params).await?);
    let fits = |tag: &String| tag.starts_with(&prefix) && !used.contains(tag);
    Ok(Json(found.into_iter().filter(fits).take(limit).collect()))
}

/// Values of `tag` that begin with `valuePrefix`, of series that satisfy every `expr`.
///
/// # Errors
/// As [`tags`].
pub(super) async fn complete_values(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Vec<String>>, Problem> {
    let tag = params.needed("tag")?.to_owned();
    let prefix = params.first("valuePrefix").unwrap_or("").to_owned();
    let limit = params.count("limit")?.unwrap_or(COMPLETIONS);
    let all = look(&state, &params).await?;
    let values: BTreeSet<String> =
        all.into_iter().filter_map(|mut series| series.remove(&tag)).collect();
    Ok(Json(values.into_iter().filter(|v| v.starts_with(&prefix)).take(limit).collect()))
}

type Tags = BTreeMap<String, String>;

fn names(all: &[Tags]) -> BTreeSet<String> {
    all.iter().flat_map(|series| series.keys().cloned()).collect()
}

fn filter(params: &Params) -> Result<Option<Regex>, Problem> {
    let Some(text) = params.first("filter") else { return Ok(None) };
    // As in Graphite, from the beginning.
    let filter = Regex::new(&format!("^(?:{text})"));
    let bad = |_| Problem::bad_data(format!("invalid parameter \"filter\": {text:?}"));
    filter.map(Some).map_err(bad)
}

fn expressions(params: &Params) -> Result<Vec<TagExpression>, Problem> {
    let parse = |text: &str| TagExpression::parse(text);
    let all: Result<Vec<_>, _> = params.all("expr").map(parse).collect();
    all.map_err(|e| Problem::bad_data(format!("invalid parameter \"expr\": {e}")))
}

/// The tags of every tagged series that satisfies all expressions.
async fn look(state: &AppState, params: &Params) -> Result<Vec<Tags>, Problem> {
    let expressions = expressions(params)?;
    let bad = |e| Problem::bad_data(format!("invalid parameter \"expr\": {e}"));
    let selections: Vec<Vec<Matcher>> = if expressions.is_empty() {
        vec![Vec::new()]
    } else {
        selections(&expressions).map_err(bad)?
    };
    let times = Times::read(params, state)?;
    let db = state.db.clone();
    let find = move |_: &dyn Fn() -> bool| {
        let mut all = Vec::new();
        for matchers in &selections {
            let found = db.reader().series(matchers, times.from_ms, times.to_ms);
            let found = found.map_err(EvalError::from)?;
            all.extend(found.iter().filter(|l| is_tagged(l)).map(tags_of));
        }
        Ok(all)
    };
    state.queries.run(QUERY_TIME_MAX, find).await
}
