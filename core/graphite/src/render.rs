//! Answers targets: evaluates expressions over the store's read trait.

use whyslow_model::labels::{Labels, NAME};
use whyslow_model::limits::{
    GRAPHITE_ANSWER_NAME_BYTES_MAX, GRAPHITE_POINTS_MAX, QUERY_SAMPLES_MAX,
};
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{SelectHint, SeriesPoints, SeriesReader};
use whyslow_model::sample::is_stale;

use crate::consolidate::Reduction;
use crate::error::RenderError;
use crate::functions::{self, Call};
use crate::glob::Glob;
use crate::path::{METRIC, is_tagged};
use crate::series::{Series, lay_out, length_of};
use crate::tags::{BadTagExpression, TagExpression, selections};
use crate::target::{self, Argument, Expression};

/// A stretch of time; its start is excluded, its end included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Seconds since the epoch.
    pub from_s: i64,
    /// Seconds since the epoch.
    pub until_s: i64,
}

/// What a request needs besides its targets.
#[expect(missing_debug_implementations, reason = "it holds a reader and a check")]
#[derive(Clone, Copy)]
pub struct Render<'a> {
    /// The stored series.
    pub reader: &'a dyn SeriesReader,
    /// The time asked for.
    pub window: Window,
    /// Says when to stop.
    pub stop: &'a dyn Fn() -> bool,
}

/// Answers one target.
///
/// # Errors
/// [`RenderError`]: the target cannot be read or called so, a limit is hit, or the store fails.
pub fn render(request: Render<'_>, target: &str) -> Result<Vec<Series>, RenderError> {
    let expression = target::parse(target)?;
    let room = GRAPHITE_POINTS_MAX;
    let mut evaluation = Evaluation { request, room, samples: QUERY_SAMPLES_MAX };
    evaluation.series(&expression, request.window, Reduction::Average)
}

/// One target's evaluation.
pub(crate) struct Evaluation<'a> {
    pub(crate) request: Render<'a>,
    /// Points that may still be laid out.
    room: usize,
    /// Samples that may still be read.
    samples: usize,
}

impl Evaluation<'_> {
    /// The series that an expression gives in a window.
    pub(crate) fn series(
        &mut self,
        expression: &Expression,
        window: Window,
        reduction: Reduction,
    ) -> Result<Vec<Series>, RenderError> {
        match expression {
            Expression::Path(path) => self.of_path(path, window, reduction),
            Expression::Call { name, arguments } if name == "seriesByTag" => {
                self.of_tags(arguments, window, reduction)
            }
            Expression::Call { name, arguments } => {
                let function = functions::find(name)
                    .ok_or_else(|| RenderError::NoFunction(name.chars().take(80).collect()))?;
                named_within_limit((function.run)(&mut Call::new(
                    self, function, arguments, window,
                )?)?)
            }
            Expression::Number(_)
            | Expression::Text(_)
            | Expression::Boolean(_)
            | Expression::Nothing => {
                Err(RenderError::BadTarget("a number or a text is no series".to_owned()))
            }
        }
    }

    /// Takes room for points about to be laid out.
    pub(crate) fn charge(&mut self, points: usize) -> Result<(), RenderError> {
        if (self.request.stop)() {
            return Err(RenderError::Stopped);
        }
        let limit = RenderError::Limit { what: "points", limit: GRAPHITE_POINTS_MAX };
        self.room = self.room.checked_sub(points).ok_or(limit)?;
        Ok(())
    }

    fn of_path(
        &mut self,
        path: &str,
        window: Window,
        reduction: Reduction,
    ) -> Result<Vec<Series>, RenderError> {
        let bad = |e: crate::BadGlob| RenderError::BadTarget(e.to_string());
        // A name with tags is that one series.
        let matchers = if let Some((name, _)) = path.split_once(';') {
            let Ok(labels) = crate::line::name_labels(path) else {
                return Err(RenderError::BadTarget(format!("bad tags behind {name:?}")));
            };
            labels.iter().map(|(n, v)| Matcher::equal(n, v)).collect()
        } else {
            let glob = Glob::new(path).map_err(bad)?;
            vec![Matcher::equal(NAME, METRIC), glob.matcher().map_err(bad)?]
        };
        let exact = path.contains(';');
        let keep = |l: &Labels| exact || !is_tagged(l);
        let found = self.select(&[matchers], window, reduction, keep)?;
        self.lay_out_all(&found, path, window, reduction)
    }

    fn of_tags(
        &mut self,
        arguments: &[Argument],
        window: Window,
        reduction: Reduction,
    ) -> Result<Vec<Series>, RenderError> {
        let mut expressions = Vec::new();
        let mut texts = Vec::new();
        for argument in arguments {
            let Expression::Text(text) = &argument.value else {
                return Err(RenderError::BadTarget(
                    "seriesByTag takes texts such as 'name=cpu'".to_owned(),
                ));
            };
            let bad = |e: BadTagExpression| RenderError::BadTarget(e.to_string());
            expressions.push(TagExpression::parse(text).map_err(bad)?);
            texts.push(format!("'{text}'"));
        }
        let selections =
            selections(&expressions).map_err(|e| RenderError::BadTarget(e.to_string()))?;
        let found = self.select(&selections, window, reduction, is_tagged)?;
        let expression = format!("seriesByTag({})", texts.join(","));
        self.lay_out_all(&found, &expression, window, reduction)
    }

    /// What any selection finds; series of nothing but staleness markers are not there.
    fn select(
        &mut self,
        selections: &[Vec<Matcher>],
        window: Window,
        reduction: Reduction,
        keep: impl Fn(&Labels) -> bool,
    ) -> Result<Vec<SeriesPoints>, RenderError> {
        let mut found = Vec::new();
        for matchers in selections {
            let function = if counts_up(matchers) { "last_over_time" } else { reduction.hint() };
            let hint = SelectHint {
                from_ms: window.from_s.saturating_mul(1000).saturating_add(1000),
                to_ms: window.until_s.saturating_mul(1000).saturating_add(999),
                // Samples wherever they are kept: functions see what was measured.
                step_ms: 0,
                // Wide, so that a bucket of a roll-up is one point.
                range_ms: 2 * 3_600_000,
                function: Some(function),
                samples_max: self.samples,
            };
            let mut points = self.request.reader.select(matchers, &hint)?;
            points.retain(|p| keep(&p.labels) && p.values.iter().any(|v| !is_stale(*v)));
            let samples: usize = points.iter().map(|p| p.times_ms.len()).sum();
            self.samples = self.samples.saturating_sub(samples);
            found.append(&mut points);
        }
        Ok(found)
    }

    fn lay_out_all(
        &mut self,
        found: &[SeriesPoints],
        expression: &str,
        window: Window,
        reduction: Reduction,
    ) -> Result<Vec<Series>, RenderError> {
        let mut all = Vec::with_capacity(found.len());
        for points in found {
            self.charge(length_of(points, window.from_s, window.until_s))?;
            all.push(lay_out(points, expression, window.from_s, window.until_s, reduction));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

/// Functions make names of names: each may be longer than the one within.
fn named_within_limit(series: Vec<Series>) -> Result<Vec<Series>, RenderError> {
    let most = series.iter().map(|s| s.name.len().max(s.expression.len())).max();
    if most.is_some_and(|most| most > GRAPHITE_ANSWER_NAME_BYTES_MAX) {
        return Err(RenderError::NAME_TOO_LONG);
    }
    Ok(series)
}

/// Whether the metric is a counter by its name, so that its last value says more than its mean.
fn counts_up(matchers: &[Matcher]) -> bool {
    let named = matchers.iter().find(|m| m.name == NAME);
    named.is_some_and(|m| {
        ["_total", "_count", "_sum", "_bucket"].iter().any(|end| m.value.ends_with(end))
    })
}
