//! `/api/v1/series`, `/api/v1/labels`, `/api/v1/label/NAME/values`: what there is to ask for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use whyslow_model::labels::Labels;
use whyslow_model::limits::QUERY_TIME_MAX;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SeriesReader};

use super::json;
use super::params::Params;
use super::query::{read_failed, truncate};
use crate::storage::Db;
use crate::web::api::write::names::is_name;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Label sets that satisfy any of `match[]`.
///
/// # Errors
/// [`Problem`] in Prometheus' words.
pub async fn series(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let asked = Asked::read(&params)?;
    if asked.selectors.is_empty() {
        return Err(Problem::bad_data("no match[] parameter provided"));
    }
    let limit = asked.limit;
    let find = move |db: &Db| {
        asked.union(|matchers| db.reader().series(matchers, asked.from_ms, asked.to_ms))
    };
    let found: Vec<Labels> = look(&state, find).await?;
    Ok(answer(found, limit, |out, labels| json::push_labels(out, &labels)))
}

/// Names of labels, of all series or of those that satisfy any of `match[]`.
///
/// # Errors
/// [`Problem`] in Prometheus' words.
pub async fn labels(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let asked = Asked::read(&params)?;
    let limit = asked.limit;
    let find = move |db: &Db| asked.union(|m| db.label_names(m, asked.from_ms, asked.to_ms));
    Ok(answer(look(&state, find).await?, limit, |out, name| json::push_text(out, &name)))
}

/// Values of one label.
///
/// # Errors
/// [`Problem`] in Prometheus' words.
pub async fn values(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    if !is_name(&name, |_| false) {
        return Err(Problem::bad_data(format!("invalid label name: {name:?}")));
    }
    let asked = Asked::read(&params)?;
    let limit = asked.limit;
    let find =
        move |db: &Db| asked.union(|m| db.label_values(&name, m, asked.from_ms, asked.to_ms));
    Ok(answer(look(&state, find).await?, limit, |out, value| json::push_text(out, &value)))
}

/// The parameters the three have in common.
struct Asked {
    selectors: Vec<Vec<Matcher>>,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
}

impl Asked {
    fn read(params: &Params) -> Result<Self, Problem> {
        let parse = |text: &str| {
            whyslow_promql::parse_selector(text).map_err(|error| {
                Problem::bad_data(format!("invalid parameter \"match[]\": {error}"))
            })
        };
        Ok(Self {
            selectors: params.all("match[]").map(parse).collect::<Result<_, _>>()?,
            from_ms: params.time("start")?.unwrap_or(i64::MIN / 2),
            to_ms: params.time("end")?.unwrap_or(i64::MAX / 2),
            limit: params.count("limit")?.unwrap_or(0),
        })
    }

    /// What any of the selectors finds, ascending, nothing twice; without one, everything.
    fn union<T: Ord>(
        &self,
        find: impl Fn(&[Matcher]) -> Result<Vec<T>, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        if self.selectors.is_empty() {
            return find(&[]);
        }
        let mut all = Vec::new();
        for selector in &self.selectors {
            all.append(&mut find(selector)?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

async fn look<T: Send + 'static>(
    state: &AppState,
    find: impl FnOnce(&Db) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let db = state.db.clone();
    state.queries.run(QUERY_TIME_MAX, move |_| find(&db).map_err(read_failed)).await
}

fn answer<T: Send + 'static>(
    mut found: Vec<T>,
    limit: usize,
    push: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
) -> Response {
    let mut warnings = Vec::new();
    truncate(&mut found, limit, &mut warnings);
    json::list(found, &warnings, push)
}
