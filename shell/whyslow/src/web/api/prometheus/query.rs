//! `/api/v1/query` and `/api/v1/query_range`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use whyslow_model::limits::{QUERY_STEPS_MAX, QUERY_TIME_MAX};
use whyslow_model::seeded::Seed;
use whyslow_promql::{Answer, EvalError, EvalOptions, InstantValue, Query, RangeAnswer};

use super::json;
use super::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

const TRUNCATED: &str = "results truncated due to limit";

/// Answers a query for one time.
///
/// # Errors
/// [`Problem`] in Prometheus' words.
pub async fn instant(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let at_ms = params.time("time")?.unwrap_or_else(|| state.now().as_millis());
    let query = parsed(&params)?;
    let limit = params.count("limit")?.unwrap_or(0);
    let options = Options::read(&params)?;
    let db = state.db.clone();
    let answer = state.queries.run(options.time_max, move |stop| {
        query.instant(&db.reader(), at_ms, &options.for_eval(db.seed(), stop))
    });
    Ok(instant_answer(answer.await?, limit))
}

/// Answers a query for many times.
///
/// # Errors
/// [`Problem`] in Prometheus' words.
pub async fn range(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let missing =
        |name: &str| Problem::bad_data(format!("invalid parameter {name:?}: it is missing"));
    let from_ms = params.time("start")?.ok_or_else(|| missing("start"))?;
    let to_ms = params.time("end")?.ok_or_else(|| missing("end"))?;
    let step = params.duration("step")?.ok_or_else(|| missing("step"))?;
    let step_ms = checked_step(from_ms, to_ms, step)?;
    let query = parsed(&params)?;
    let limit = params.count("limit")?.unwrap_or(0);
    let options = Options::read(&params)?;
    let db = state.db.clone();
    let answer = state.queries.run(options.time_max, move |stop| {
        query.range(&db.reader(), from_ms, to_ms, step_ms, &options.for_eval(db.seed(), stop))
    });
    Ok(range_answer(answer.await?, limit))
}

/// What the asker may choose about the evaluation.
struct Options {
    time_max: Duration,
    lookback_ms: Option<i64>,
}

impl Options {
    fn read(params: &Params) -> Result<Self, Problem> {
        let asked = params.duration("timeout")?.unwrap_or(QUERY_TIME_MAX);
        let lookback = params.duration("lookback_delta")?.filter(|d| !d.is_zero());
        Ok(Self {
            time_max: asked.min(QUERY_TIME_MAX),
            lookback_ms: lookback.and_then(|d| i64::try_from(d.as_millis()).ok()),
        })
    }

    fn for_eval<'a>(&self, seed: Seed, stop: &'a dyn Fn() -> bool) -> EvalOptions<'a> {
        let own = EvalOptions::default();
        let lookback_ms = self.lookback_ms.unwrap_or(own.lookback_ms);
        EvalOptions { stop: Some(stop), lookback_ms, seed, ..own }
    }
}

fn parsed(params: &Params) -> Result<Query, Problem> {
    let text = params.needed("query")?;
    whyslow_promql::parse(text).map_err(|error| {
        let problem = Problem::bad_data(format!("invalid parameter \"query\": {error}"));
        match error.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })
}

/// The step in milliseconds, once the three make sense together.
fn checked_step(from_ms: i64, to_ms: i64, step: Duration) -> Result<i64, Problem> {
    let invalid = |name, why| Problem::bad_data(format!("invalid parameter {name:?}: {why}"));
    if to_ms < from_ms {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    if step_ms == 0 {
        return Err(invalid(
            "step",
            "zero or negative query resolution step widths are not accepted",
        ));
    }
    let steps = to_ms.saturating_sub(from_ms) / step_ms;
    if usize::try_from(steps).map_or(true, |n| n > QUERY_STEPS_MAX) {
        let text =
            format!("exceeded maximum resolution of {QUERY_STEPS_MAX} points per timeseries");
        return Err(Problem::bad_data(text).hint("ask for a longer step or a shorter range"));
    }
    Ok(step_ms)
}

fn instant_answer(answer: Answer, limit: usize) -> Response {
    let at_ms = answer.at_ms;
    let mut warnings = answer.warnings;
    match answer.value {
        InstantValue::Scalar(value) => {
            json::single("scalar", at_ms, &warnings, |out| json::push_quoted_value(out, value))
        }
        InstantValue::Text(text) => {
            json::single("string", at_ms, &warnings, |out| json::push_text(out, &text))
        }
        InstantValue::Vector(mut samples) => {
            truncate(&mut samples, limit, &mut warnings);
            json::result("vector", samples, &warnings, |out, s| {
                json::push_vector_item(out, &s.labels, s.at_ms, s.value);
            })
        }
        InstantValue::Matrix(matrix) => range_answer(RangeAnswer { matrix, warnings }, limit),
    }
}

fn range_answer(answer: RangeAnswer, limit: usize) -> Response {
    let RangeAnswer { mut matrix, mut warnings } = answer;
    truncate(&mut matrix, limit, &mut warnings);
    json::result("matrix", matrix, &warnings, |out, series| {
        let points = series.times_ms.iter().copied().zip(series.values.iter().copied());
        json::push_matrix_item(out, &series.labels, points);
    })
}

/// Keeps the first `limit` items, all of them where it is zero, and says so.
pub(super) fn truncate<T>(items: &mut Vec<T>, limit: usize, warnings: &mut Vec<String>) {
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        warnings.push(TRUNCATED.to_owned());
    }
}

/// What a failed read is to somebody who asked for names.
pub(super) fn read_failed(error: whyslow_model::read::ReadError) -> EvalError {
    EvalError::from(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_makes_no_sense_is_refused_before_any_data_is_read() {
        let second = Duration::from_secs(1);
        assert_eq!(checked_step(0, 11_000_000, second), Ok(1000));
        assert!(checked_step(0, 11_001_000, second).is_err());
        assert!(checked_step(1, 0, second).is_err());
        assert!(checked_step(0, 1, Duration::ZERO).is_err());
        assert!(checked_step(i64::MIN, i64::MAX, second).is_err());
    }
}
