//! What the asker may choose, and the bounds of one query.

use std::fmt;

use whyslow_model::limits;
use whyslow_model::seeded::Seed;

/// Whether a point exactly at the old end of a range belongs to it.
///
/// It matters where samples fall on the very millisecond of the steps: with points every 10 s
/// `count_over_time(x[1m])` is then 6 when open and 7 when closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftEdge {
    /// `(t - range, t]`, as Prometheus 3 has it: neighbouring ranges share no point.
    #[default]
    Open,
    /// `[t - range, t]`, as Prometheus 2 had it.
    Closed,
}

/// How to evaluate; [`EvalOptions::default`] is what a dashboard expects.
#[derive(Clone, Copy)]
pub struct EvalOptions<'a> {
    /// How old the newest sample of a series may be to stand for the present, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// The old end of ranges and of the look-back.
    pub left_edge: LeftEdge,
    /// Samples one query may read, and half of how many values it may compute.
    pub samples_max: usize,
    /// Series one selector may match.
    pub series_max: usize,
    /// Steps of a range query.
    pub steps_max: usize,
    /// Seed of the tables keyed by label sets.
    pub seed: Seed,
    /// Asked now and then; `true` ends the query with [`crate::EvalError::Cancelled`].
    pub stop: Option<&'a dyn Fn() -> bool>,
}

impl Default for EvalOptions<'_> {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60 * 1000,
            subquery_step_ms: 60 * 1000,
            left_edge: LeftEdge::default(),
            samples_max: limits::QUERY_SAMPLES_MAX,
            series_max: limits::QUERY_SERIES_MAX,
            steps_max: limits::QUERY_STEPS_MAX,
            seed: Seed(0),
            stop: None,
        }
    }
}

impl fmt::Debug for EvalOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvalOptions")
            .field("lookback_ms", &self.lookback_ms)
            .field("subquery_step_ms", &self.subquery_step_ms)
            .field("left_edge", &self.left_edge)
            .field("samples_max", &self.samples_max)
            .field("series_max", &self.series_max)
            .field("steps_max", &self.steps_max)
            .finish_non_exhaustive()
    }
}
