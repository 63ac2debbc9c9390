//! `/render`: targets over a stretch of time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use whyslow_graphite::{Render, Series, Window, attime, render as answer_target};
use whyslow_model::limits::{GRAPHITE_TARGETS_MAX, QUERY_TIME_MAX};

use super::answer::{Format, consolidate};
use super::as_query_error;
use crate::web::api::prometheus::params::Params;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Answers `target`s from `from` until `until`, as JSON unless another `format` is asked for.
///
/// # Errors
/// [`Problem`]: 400 for what cannot be read, 422 where a limit is hit, 503 where it takes too long.
pub(super) async fn render(
    State(state): State<Arc<AppState>>,
    params: Params,
) -> Result<Response, Problem> {
    let now_s = state.now().as_millis().div_euclid(1000);
    let asked = Asked::read(&params, now_s)?;
    let db = state.db.clone();
    let (format, without_gaps) = (asked.format, asked.without_gaps);
    let run = move |stop: &dyn Fn() -> bool| {
        let reader = db.reader();
        let request = Render { reader: &reader, window: asked.window, stop };
        let mut all: Vec<Series> = Vec::new();
        for target in &asked.targets {
            all.append(&mut answer_target(request, target).map_err(as_query_error)?);
        }
        if let Some(most) = asked.points_max {
            consolidate(&mut all, most);
        }
        Ok(all)
    };
    Ok(format.answer(state.queries.run(QUERY_TIME_MAX, run).await?, without_gaps))
}

struct Asked {
    targets: Vec<String>,
    window: Window,
    points_max: Option<usize>,
    format: Format,
    without_gaps: bool,
}

impl Asked {
    fn read(params: &Params, now_s: i64) -> Result<Self, Problem> {
        let targets: Vec<String> = params
            .all("target")
            .chain(params.all("target[]"))
            .filter(|t| !t.trim().is_empty())
            .map(str::to_owned)
            .collect();
        if targets.len() > GRAPHITE_TARGETS_MAX {
            let text = format!("more than {GRAPHITE_TARGETS_MAX} targets in one request");
            return Err(Problem::bad_data(text));
        }
        let name = params.first("format").unwrap_or("json");
        let format = Format::of(name).ok_or_else(|| {
            Problem::bad_data(format!("invalid parameter \"format\": {name:?}"))
                .hint("whyslow answers json, csv and raw, and draws no pictures here")
        })?;
        let points_max = params.count("maxDataPoints")?.filter(|n| *n > 0);
        let window = window(params, now_s)?;
        let without_gaps = params.first("noNullPoints").is_some();
        Ok(Self { targets, window, points_max, format, without_gaps })
    }
}

/// From a day ago until now where nothing else is said.
fn window(params: &Params, now_s: i64) -> Result<Window, Problem> {
    let time = |name: &str, text: &str, now_s| {
        attime::parse(text, now_s).map_err(|error| {
            Problem::bad_data(format!("invalid parameter {name:?}: {error}"))
                .hint("write -1h, now-30min, midnight, 00:00_20261121 or seconds since 1970")
        })
    };
    let now_s = match params.first("now") {
        Some(text) => time("now", text, now_s)?,
        None => now_s,
    };
    let from_s = time("from", params.first("from").unwrap_or("-1d"), now_s)?;
    let until_s = time("until", params.first("until").unwrap_or("now"), now_s)?;
    if from_s == until_s {
        return Err(Problem::bad_data("from and until are the same time"));
    }
    Ok(Window { from_s: from_s.min(until_s), until_s: from_s.max(until_s) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(form: &str) -> Result<Asked, Problem> {
        Asked::read(&Params::parse(form.as_bytes()), 1_000_000)
    }

    #[test]
    fn what_grafana_sends_is_read() {
        let form = "target=a.*&target=b&from=-1h&until=now&format=json&maxDataPoints=500";
        let read = asked(form).unwrap();
        assert_eq!(read.targets, ["a.*", "b"]);
        assert_eq!(read.window, Window { from_s: 996_400, until_s: 1_000_000 });
        assert_eq!((read.points_max, read.format), (Some(500), Format::Json));
        let day = asked("target=a").unwrap();
        assert_eq!(day.window.from_s, 1_000_000 - 86_400);
        let swapped = asked("target=a&from=now&until=-1h").unwrap();
        assert_eq!(swapped.window, read.window);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for form in
            ["format=png", "from=soon", "from=-1h&until=-1h", "maxDataPoints=x", "until=25:00"]
        {
            assert!(asked(form).is_err(), "{form}");
        }
        let many = "target=a&".repeat(GRAPHITE_TARGETS_MAX + 1);
        assert!(asked(&many).is_err());
    }
}
