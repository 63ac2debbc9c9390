//! Range functions: two indexes slide over a series' points, and a function reads what lies
//! between them.

use whyslow_model::read::SeriesPoints;

use crate::error::EvalError;
use crate::options::LeftEdge;

use super::Steps;
use super::budget::Budget;

/// Points read between two looks at whether to go on: well under a tenth of a second's work.
const POINTS_BETWEEN_CHECKS: usize = 1 << 20;

/// The points one call of a range function sees; never empty.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The old end of the range.
    pub(crate) from_ms: i64,
    /// The new end of the range.
    pub(crate) to_ms: i64,
    /// The step's time, from which `offset` and `@` may have moved the range.
    pub(crate) at_ms: i64,
    /// The call's scalar arguments at this step, in order.
    pub(crate) args: &'a [f64],
    /// Where a value is lower than the one before it: ascending indexes into the series, of
    /// which the window's first point has `first`. Filled only for functions that ask for it.
    pub(crate) falls: &'a [usize],
    pub(crate) first: usize,
}

impl Window<'_> {
    /// The range's length in seconds.
    pub(crate) fn range_s(&self) -> f64 {
        seconds(self.to_ms - self.from_ms)
    }

    /// The values before which a counter fell, in order of time.
    pub(crate) fn peaks(&self) -> impl Iterator<Item = f64> {
        self.falls.iter().map(|i| self.values[i - self.first - 1])
    }
}

/// A duration in milliseconds as seconds.
pub(crate) fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times stay within 2^53 ms")]
    let ms = ms as f64;
    ms / 1000.0
}

/// Reads a window; the buffer is for whoever must sort, so that nothing is allocated a step.
pub(crate) type WindowFn = fn(&Window<'_>, &mut Vec<f64>) -> f64;

/// How the windows of one call lie.
pub(super) struct Slide<'a> {
    pub(super) steps: Steps,
    pub(super) looks: Steps,
    pub(super) range_ms: i64,
    pub(super) edge: LeftEdge,
    /// A column per scalar argument.
    pub(super) args: &'a [Vec<f64>],
    pub(super) wants_falls: bool,
    pub(super) function: WindowFn,
}

impl Slide<'_> {
    /// Fills each step's cell with the function of its window; an empty window leaves it absent.
    pub(super) fn over(
        &self,
        points: &SeriesPoints,
        budget: &Budget<'_>,
        scratch: &mut Vec<f64>,
        cells: &mut [f64],
    ) -> Result<(), EvalError> {
        let times = points.times_ms.as_slice();
        let falls = if self.wants_falls { falls(&points.values) } else { Vec::new() };
        let mut arg_row = vec![0.0; self.args.len()];
        let (mut low, mut high, mut falls_low, mut falls_high) = (0, 0, 0, 0);
        let mut unchecked = 0;
        for (i, cell) in cells.iter_mut().enumerate() {
            let to_ms = self.looks.at(i);
            let from_ms = to_ms - self.range_ms;
            let oldest = from_ms + i64::from(self.edge == LeftEdge::Open);
            while high < times.len() && times[high] <= to_ms {
                high += 1;
            }
            while low < high && times[low] < oldest {
                low += 1;
            }
            if low == high {
                continue;
            }
            unchecked += high - low;
            if unchecked > POINTS_BETWEEN_CHECKS {
                unchecked = 0;
                budget.check()?;
            }
            while falls_high < falls.len() && falls[falls_high] < high {
                falls_high += 1;
            }
            while falls_low < falls_high && falls[falls_low] <= low {
                falls_low += 1;
            }
            for (value, column) in arg_row.iter_mut().zip(self.args) {
                *value = column[i];
            }
            let window = Window {
                times_ms: &times[low..high],
                values: &points.values[low..high],
                from_ms,
                to_ms,
                at_ms: self.steps.at(i),
                args: &arg_row,
                falls: &falls[falls_low..falls_high],
                first: low,
            };
            *cell = (self.function)(&window, scratch);
        }
        Ok(())
    }
}

fn falls(values: &[f64]) -> Vec<usize> {
    let pairs = values.windows(2).enumerate();
    pairs.filter(|(_, pair)| pair[1] < pair[0]).map(|(i, _)| i + 1).collect()
}
