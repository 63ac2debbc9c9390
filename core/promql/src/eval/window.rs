//! Where a range's points come from: a selector, or a subquery evaluated at its own steps.

use whyslow_model::read::{SelectHint, SeriesPoints};

use crate::ast::{Expr, Selector, Shift};
use crate::error::EvalError;

use super::block::is_absent;
use super::{Evaluator, Steps, Value};

/// The points of a range at all steps, staleness markers removed, and where it looks.
pub(crate) struct Ranges {
    pub(crate) series: Vec<SeriesPoints>,
    /// The new end of each step's range.
    pub(crate) looks: Steps,
    pub(crate) range_ms: i64,
}

impl Evaluator<'_> {
    /// The points a range expression covers at all steps.
    pub(crate) fn ranges(
        &self,
        expr: &Expr,
        steps: Steps,
        function: &str,
    ) -> Result<Ranges, EvalError> {
        if let Expr::Range { selector, range_ms } = expr {
            return self.range_selector(selector, *range_ms, steps, function);
        }
        let Expr::Subquery { inner, range_ms, step_ms, shift } = expr else {
            unreachable!("the parser checks types");
        };
        self.subquery(inner, *range_ms, *step_ms, *shift, steps)
    }

    /// The points of a range that is asked for by itself, at the only step.
    pub(crate) fn points_at(
        &self,
        expr: &Expr,
        steps: Steps,
    ) -> Result<Vec<SeriesPoints>, EvalError> {
        let mut ranges = self.ranges(expr, steps, "")?;
        let (to_ms, oldest) =
            (ranges.looks.last(), self.oldest(ranges.looks.last(), ranges.range_ms));
        for points in &mut ranges.series {
            keep_between(points, oldest, to_ms);
        }
        ranges.series.retain(|s| !s.times_ms.is_empty());
        Ok(ranges.series)
    }

    fn range_selector(
        &self,
        selector: &Selector,
        range_ms: i64,
        steps: Steps,
        function: &str,
    ) -> Result<Ranges, EvalError> {
        let looks = self.shifted(selector.shift, steps);
        let hint = SelectHint {
            from_ms: self.oldest(looks.from_ms, range_ms),
            to_ms: looks.last(),
            step_ms: steps.step_ms,
            range_ms,
            function: (!function.is_empty()).then_some(function),
            samples_max: self.budget.readable(),
        };
        let mut series = self.fetch(selector, &hint)?;
        series.iter_mut().for_each(drop_absent);
        Ok(Ranges { series, looks, range_ms })
    }

    fn subquery(
        &self,
        inner: &Expr,
        range_ms: i64,
        step_ms: Option<i64>,
        shift: Shift,
        steps: Steps,
    ) -> Result<Ranges, EvalError> {
        let looks = self.shifted(shift, steps);
        let step_ms = step_ms.unwrap_or(self.options.subquery_step_ms.max(1));
        // Inner steps lie on multiples of their step, so that answers do not depend on when
        // they are asked for.
        let oldest = self.oldest(looks.from_ms, range_ms);
        let from_ms = aligned(oldest, step_ms);
        let span_ms = looks.last() - from_ms;
        if span_ms < 0 {
            return Ok(Ranges { series: Vec::new(), looks, range_ms });
        }
        let count = usize::try_from(span_ms / step_ms + 1).unwrap_or(usize::MAX);
        self.budget.compute(count)?;
        let block = match self.eval(inner, Steps { from_ms, step_ms, count })? {
            Value::Vector(block) => self.settle(block)?,
            Value::Scalar(_) | Value::Text(_) => unreachable!("the parser checks types"),
        };
        self.budget.compute(block.values.len())?;
        let inner_steps = Steps { from_ms, step_ms, count };
        let mut series = Vec::with_capacity(block.labels.len());
        for (labels, row) in block.rows() {
            let mut points = SeriesPoints {
                labels: labels.clone(),
                times_ms: (0..count).map(|i| inner_steps.at(i)).collect(),
                values: row.to_vec(),
            };
            drop_absent(&mut points);
            series.push(points);
        }
        Ok(Ranges { series, looks, range_ms })
    }
}

/// The first multiple of `step_ms` not before `oldest_ms`.
fn aligned(oldest_ms: i64, step_ms: i64) -> i64 {
    oldest_ms.div_euclid(step_ms) * step_ms
        + if oldest_ms.rem_euclid(step_ms) == 0 { 0 } else { step_ms }
}

/// Removes points that are no values: ranges pass over staleness markers.
fn drop_absent(points: &mut SeriesPoints) {
    let Some(first) = points.values.iter().position(|v| is_absent(*v)) else {
        return;
    };
    let mut kept = first;
    for i in first..points.values.len() {
        if !is_absent(points.values[i]) {
            points.values[kept] = points.values[i];
            points.times_ms[kept] = points.times_ms[i];
            kept += 1;
        }
    }
    points.values.truncate(kept);
    points.times_ms.truncate(kept);
}

/// Cuts off what a reader gave beyond what was asked.
fn keep_between(points: &mut SeriesPoints, oldest_ms: i64, newest_ms: i64) {
    let to = points.times_ms.partition_point(|t| *t <= newest_ms);
    let from = points.times_ms[..to].partition_point(|t| *t < oldest_ms);
    points.times_ms.truncate(to);
    points.values.truncate(to);
    points.times_ms.drain(..from);
    points.values.drain(..from);
}
