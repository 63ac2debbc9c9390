//! Instant selectors: at each step, the newest sample that is not too old.

use whyslow_model::read::{SelectHint, SeriesPoints};

use crate::ast::Selector;
use crate::error::EvalError;
use crate::options::LeftEdge;

use super::block::is_absent;
use super::{Block, Evaluator, Steps};

impl Evaluator<'_> {
    pub(super) fn instant(&self, selector: &Selector, steps: Steps) -> Result<Block, EvalError> {
        self.instant_with(selector, steps, None, |_, value| value)
    }

    /// As an instant selector, but `pick` makes the cell from the sample's time and value.
    pub(crate) fn instant_with(
        &self,
        selector: &Selector,
        steps: Steps,
        function: Option<&str>,
        pick: impl Fn(i64, f64) -> f64,
    ) -> Result<Block, EvalError> {
        let looks = self.shifted(selector.shift, steps);
        let lookback_ms = self.options.lookback_ms;
        let hint = SelectHint {
            from_ms: self.oldest(looks.from_ms, lookback_ms),
            to_ms: looks.last(),
            step_ms: steps.step_ms,
            range_ms: 0,
            function,
            samples_max: self.budget.readable(),
        };
        let found = self.fetch(selector, &hint)?;
        self.budget.compute(found.len().saturating_mul(steps.count))?;
        let mut block = Block::empty(steps.count);
        block.values.reserve(found.len() * steps.count);
        block.labels.reserve(found.len());
        for points in found {
            self.budget.check()?;
            block.push_filled(points.labels, |cells| {
                let reach = |t| self.oldest(t, lookback_ms);
                newest(&points.times_ms, &points.values, looks, reach, &pick, cells);
            });
        }
        Ok(block)
    }

    /// Reads a selector's series, counted against the query's bounds.
    pub(super) fn fetch(
        &self,
        selector: &Selector,
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, EvalError> {
        let found = self.reader.select(&selector.matchers, hint)?;
        let samples = found.iter().map(|s| s.times_ms.len()).sum();
        self.budget.fetched(found.len(), samples)?;
        Ok(found)
    }

    /// The oldest time that a look back of `reach_ms` from `at_ms` still covers.
    pub(crate) fn oldest(&self, at_ms: i64, reach_ms: i64) -> i64 {
        match self.options.left_edge {
            LeftEdge::Open => at_ms.saturating_sub(reach_ms).saturating_add(1),
            LeftEdge::Closed => at_ms.saturating_sub(reach_ms),
        }
    }
}

/// Fills each step's cell with the newest point up to then, unless that is stale or too old.
fn newest(
    times_ms: &[i64],
    values: &[f64],
    looks: Steps,
    oldest: impl Fn(i64) -> i64,
    pick: impl Fn(i64, f64) -> f64,
    cells: &mut [f64],
) {
    let mut seen = 0;
    let mut at_ms = looks.from_ms;
    for cell in cells {
        while seen < times_ms.len() && times_ms[seen] <= at_ms {
            seen += 1;
        }
        if seen > 0 && times_ms[seen - 1] >= oldest(at_ms) && !is_absent(values[seen - 1]) {
            *cell = pick(times_ms[seen - 1], values[seen - 1]);
        }
        at_ms += looks.step_ms;
    }
}
