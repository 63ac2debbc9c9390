//! An instant vector at all steps: a row per series, a column per step.

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::sample::{STALE_NAN_BITS, stale_nan};
use whyslow_model::seeded::Seed;

use crate::error::EvalError;

use super::Evaluator;

/// Stands for "this series has no value at this step".
///
/// It is the staleness marker, which can never be a value of an instant vector.
pub(crate) const ABSENT: f64 = stale_nan();

/// Whether the cell holds no value.
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Series that share their steps. Invariant: `values.len() == labels.len() * steps`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) labels: Vec<Labels>,
    /// Row after row.
    pub(crate) values: Vec<f64>,
    pub(crate) steps: usize,
    /// The metric names no longer count, but are not cut off yet: an aggregation above would
    /// drop them anyway, and cutting them off costs an allocation a series.
    pub(crate) nameless: bool,
}

impl Block {
    pub(crate) fn empty(steps: usize) -> Self {
        Self { labels: Vec::new(), values: Vec::new(), steps, nameless: false }
    }

    /// One series without labels.
    pub(crate) fn of_scalar(column: Vec<f64>) -> Self {
        let steps = column.len();
        Self { labels: vec![Labels::empty()], values: column, steps, nameless: false }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Labels, &[f64])> {
        self.labels.iter().zip(self.values.chunks(self.steps))
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.steps..(i + 1) * self.steps]
    }

    /// Adds a series whose cells `fill` sets, all absent before; keeps it only if it got any.
    pub(crate) fn push_filled(&mut self, labels: Labels, fill: impl FnOnce(&mut [f64])) {
        let from = self.values.len();
        self.values.resize(from + self.steps, ABSENT);
        fill(&mut self.values[from..]);
        if self.values[from..].iter().all(|v| is_absent(*v)) {
            self.values.truncate(from);
        } else {
            self.labels.push(labels);
        }
    }

    /// Replaces every present value.
    pub(crate) fn map(&mut self, f: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            if !is_absent(*value) {
                *value = f(*value);
            }
        }
    }

    /// Replaces every present value, the step's index at hand; the result may be [`ABSENT`].
    pub(crate) fn map_steps(&mut self, mut f: impl FnMut(usize, f64) -> f64) {
        for row in self.values.chunks_mut(self.steps) {
            for (i, value) in row.iter_mut().enumerate() {
                if !is_absent(*value) {
                    *value = f(i, *value);
                }
            }
        }
    }

    /// What nearly every function and operator does: its result is another metric.
    pub(crate) fn drop_names(&mut self) {
        self.nameless = true;
    }

    /// The metric names differ, so that dropping them may make two series one.
    fn several_names(&self) -> bool {
        let mut names = self.labels.iter().map(Labels::metric);
        let first = names.next();
        names.any(|name| Some(name) != first)
    }
}

impl Evaluator<'_> {
    /// Cuts off metric names that no longer count. Series that then are one are merged.
    pub(crate) fn settle(&self, mut block: Block) -> Result<Block, EvalError> {
        if !block.nameless {
            return Ok(block);
        }
        let several = block.several_names();
        block.nameless = false;
        for labels in &mut block.labels {
            if labels.metric().is_some() {
                *labels = labels.without_metric();
            }
        }
        if several { merge_equal(&block, self.options().seed) } else { Ok(block) }
    }

    /// As [`Evaluator::settle`], but leaves names on where nothing can become ambiguous; who
    /// reads the labels next must then pass over [`NAME`] while `nameless` is set.
    pub(crate) fn settle_ambiguous(&self, block: Block) -> Result<Block, EvalError> {
        let ambiguous = block.nameless && block.several_names();
        if ambiguous { self.settle(block) } else { Ok(block) }
    }
}

/// Joins rows with equal labels.
///
/// # Errors
/// [`EvalError::Execution`] where two of them have a value at the same step.
pub(crate) fn merge_equal(block: &Block, seed: Seed) -> Result<Block, EvalError> {
    let mut places = seed.map::<Labels, usize>();
    let mut merged =
        Block { values: Vec::with_capacity(block.values.len()), ..Block::empty(block.steps) };
    for (labels, row) in block.rows() {
        let Some(place) = places.get(labels) else {
            places.insert(labels.clone(), merged.labels.len());
            merged.labels.push(labels.clone());
            merged.values.extend_from_slice(row);
            continue;
        };
        let from = place * block.steps;
        for (cell, value) in merged.values[from..from + block.steps].iter_mut().zip(row) {
            if is_absent(*value) {
                continue;
            }
            if !is_absent(*cell) {
                let message = format!("the vector holds two series with the labels {labels}");
                return Err(EvalError::Execution(message));
            }
            *cell = *value;
        }
    }
    Ok(merged)
}

/// Whether a label of a block's series counts.
pub(crate) fn counts(name: &str, nameless: bool) -> bool {
    !(nameless && name == NAME)
}
