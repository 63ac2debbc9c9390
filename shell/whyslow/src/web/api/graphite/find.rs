//! `/metrics/find`, `/metrics/expand`, `/metrics/index.json`: the tree of paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use whyslow_graphite::find::{Node, nodes};
use whyslow_graphite::path::{METRIC, PATH, is_tagged};
use whyslow_graphite::{Glob, attime};
use whyslow_model::labels::NAME;
use whyslow_model::limits::QUERY_TIME_MAX;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::SeriesReader;
use whyslow_promql::EvalError;

use crate::storage::Db;
use crate::web::api::prometheus::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The nodes that match `query`: `format` is `treejson`, `completer`, `json` or `nodelist`.
///
/// # Errors
/// [`Problem`] for what cannot be read, or where a limit is hit.
pub(super) async fn find(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let query = params.needed("query")?.to_owned();
    let format = params.first("format").unwrap_or("treejson").to_owned();
    let leaves_only = params.first("leavesOnly").is_some_and(|v| v != "0");
    let wildcard = params.first("wildcards").is_some_and(|v| v != "0");
    let times = Times::read(&params, &state)?;
    let pattern = match &*format {
        "completer" => completed(&query),
        "treejson" | "json" | "nodelist" => query.clone(),
        other => {
            let text = format!("invalid parameter \"format\": {other:?}");
            return Err(Problem::bad_data(text).hint("treejson, completer, json or nodelist"));
        }
    };
    let mut found = look(&state, vec![pattern], times).await?.pop().unwrap_or_default();
    if leaves_only {
        found.retain(|n| n.leaf);
    }
    Ok(Json(match &*format {
        "completer" => completions(&found, wildcard),
        "json" => found.iter().map(|n| json!({"path": n.path, "is_leaf": n.leaf})).collect(),
        "nodelist" => json!({"nodes": texts(&found)}),
        _ => tree(&found, &query, wildcard),
    }))
}

/// The paths that match any `query`.
///
/// # Errors
/// As [`find`].
pub(super) async fn expand(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let is = |name| params.first(name).is_some_and(|v| v != "0");
    let (by_query, leaves_only) = (is("groupByExpr"), is("leavesOnly"));
    let queries: Vec<String> = params.all("query").map(str::to_owned).collect();
    if queries.is_empty() {
        return Err(Problem::bad_data("invalid parameter \"query\": it is missing"));
    }
    let times = Times::read(&params, &state)?;
    let found = look(&state, queries.clone(), times).await?;
    let paths = |all: &[Node]| -> BTreeSet<String> {
        all.iter().filter(|n| n.leaf || !leaves_only).map(|n| n.path.clone()).collect()
    };
    let results = if by_query {
        let each: BTreeMap<&String, BTreeSet<String>> =
            queries.iter().zip(&found).map(|(q, all)| (q, paths(all))).collect();
        json!(each)
    } else {
        json!(found.iter().flat_map(|all| paths(all)).collect::<BTreeSet<_>>())
    };
    Ok(Json(json!({"results": results})))
}

/// Every path.
///
/// # Errors
/// [`Problem`] where a limit is hit.
pub(super) async fn index(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Json<Vec<String>>, Problem> {
    let times = Times::read(&params, &state)?;
    let db = state.db.clone();
    let all = move |_: &dyn Fn() -> bool| {
        paths(&db, &[Matcher::equal(NAME, METRIC)], times).map_err(EvalError::from)
    };
    state.queries.run(QUERY_TIME_MAX, all).await.map(Json)
}

/// When a path must have had a value, in milliseconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Times {
    /// `from` and `until`, everything where they are left out.
    pub(super) fn read(params: &Params, state: &AppState) -> Result<Self, Problem> {
        let now_s = state.now().as_millis().div_euclid(1000);
        let time = |name: &str| {
            let given = params.first(name).filter(|text| *text != "-1");
            given
                .map(|text| attime::parse(text, now_s))
                .transpose()
                .map_err(|error| Problem::bad_data(format!("invalid parameter {name:?}: {error}")))
        };
        let (from, until) = (time("from")?, time("until")?);
        Ok(Self {
            from_ms: from.map_or(i64::MIN / 2, |s| s.saturating_mul(1000)),
            to_ms: until.map_or(i64::MAX / 2, |s| s.saturating_mul(1000).saturating_add(999)),
        })
    }
}

/// The nodes that match each pattern.
async fn look(
    state: &AppState,
    patterns: Vec<String>,
    times: Times,
) -> Result<Vec<Vec<Node>>, Problem> {
    let db = state.db.clone();
    let each = move |_: &dyn Fn() -> bool| {
        patterns.iter().map(|pattern| matching(&db, pattern, times)).collect()
    };
    state.queries.run(QUERY_TIME_MAX, each).await
}

fn matching(db: &Db, pattern: &str, times: Times) -> Result<Vec<Node>, EvalError> {
    let bad = |error: whyslow_graphite::BadGlob| EvalError::BadQuery(error.to_string());
    let glob = Glob::new(pattern).map_err(bad)?;
    let matchers = [Matcher::equal(NAME, METRIC), glob.matcher_below().map_err(bad)?];
    let paths = paths(db, &matchers, times)?;
    Ok(nodes(paths.iter().map(String::as_str), glob.depth()))
}

fn paths(
    db: &Db,
    matchers: &[Matcher],
    times: Times,
) -> Result<Vec<String>, whyslow_model::read::ReadError> {
    let all = db.reader().series(matchers, times.from_ms, times.to_ms)?;
    let bare = all.iter().filter(|labels| !is_tagged(labels));
    Ok(bare.filter_map(|labels| labels.value(PATH)).map(str::to_owned).collect())
}

/// What stands for the query of somebody who has typed so far.
fn completed(query: &str) -> String {
    let whole = query.replace("..", "*.");
    if whole.ends_with('*') { whole } else { format!("{whole}*") }
}

fn completions(found: &[Node], wildcard: bool) -> Value {
    let one = |n: &Node| {
        let path = if n.leaf { n.path.clone() } else { format!("{}.", n.path) };
        json!({"path": path, "name": n.text, "is_leaf": if n.leaf { "1" } else { "0" }})
    };
    let mut all: Vec<Value> = found.iter().map(one).collect();
    if wildcard && all.len() > 1 {
        all.push(json!({"name": "*"}));
    }
    json!({"metrics": all})
}

fn texts(found: &[Node]) -> BTreeSet<&str> {
    found.iter().map(|n| n.text.as_str()).collect()
}

/// Branches, then leaves, each under the pattern's own beginning.
fn tree(found: &[Node], query: &str, wildcard: bool) -> Value {
    let base = query.rsplit_once('.').map_or(String::new(), |(base, _)| format!("{base}."));
    let mut by_text: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for node in found {
        let (leaf, branch) = by_text.entry(&node.text).or_default();
        *leaf |= node.leaf;
        *branch |= node.branch;
    }
    let entry = |text: &str, leaf: bool, branch: bool| {
        json!({
            "text": text,
            "id": format!("{base}{text}"),
            "allowChildren": u8::from(branch),
            "expandable": u8::from(branch),
            "leaf": u8::from(leaf),
        })
    };
    let mut all = Vec::new();
    if wildcard && by_text.len() > 1 {
        let any_branch = by_text.values().any(|(_, branch)| *branch);
        all.push(entry("*", !any_branch, any_branch));
    }
    let (branches, leaves): (Vec<_>, Vec<_>) = by_text.iter().partition(|(_, (_, b))| *b);
    let both = branches.into_iter().chain(leaves);
    all.extend(both.map(|(text, (leaf, branch))| entry(text, *leaf, *branch)));
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_shows_branches_before_leaves_under_the_pattern() {
        let found = nodes(["a.x.leaf", "a.y.down.deep", "a.z.down.deep"], 3);
        let shown = tree(&found, "a.*.*", true);
        let ids: Vec<_> = shown.as_array().unwrap().iter().map(|n| &n["id"]).collect();
        assert_eq!(ids, ["a.*.*", "a.*.down", "a.*.leaf"]);
        assert_eq!((&shown[1]["expandable"], &shown[2]["leaf"]), (&json!(1), &json!(1)));
        assert_eq!(completed("a.."), "a*.*");
        let completions = completions(&found, false);
        assert_eq!(completions["metrics"][1]["path"], "a.y.down.");
    }
}
