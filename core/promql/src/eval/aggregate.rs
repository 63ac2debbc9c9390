//! Aggregations that need a few numbers a group and step: sum, count, mean, extremes, variance.

use whyslow_model::Labels;

use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::error::EvalError;

use super::block::{counts, is_absent};
use super::{ABSENT, Block, Evaluator, Steps};

/// Which group each row belongs to.
pub(super) struct Groups {
    /// The groups' labels, by first appearance.
    pub(super) labels: Vec<Labels>,
    /// The group of each row.
    pub(super) of_row: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &self,
        aggregate: &Aggregate,
        steps: Steps,
    ) -> Result<Block, EvalError> {
        let inner = self.vector(&aggregate.inner, steps)?;
        let inner = self.settle_ambiguous(inner)?;
        if let Some(param) = &aggregate.param {
            return self.ranked(aggregate, param, inner, steps);
        }
        let groups = self.groups(&aggregate.grouping, &inner);
        self.budget.compute(groups.labels.len().saturating_mul(steps.count).saturating_mul(2))?;
        Ok(match aggregate.op {
            AggregateOp::Sum => fold(&inner, groups, |sum, _, v| *sum += v),
            AggregateOp::Count => fold(&inner, groups, |count, _, _| *count += 1.0),
            AggregateOp::Group => fold(&inner, groups, |one, _, _| *one = 1.0),
            AggregateOp::Min => fold(&inner, groups, |low, n, v| {
                if n == 1.0 || v < *low || low.is_nan() {
                    *low = v;
                }
            }),
            AggregateOp::Max => fold(&inner, groups, |high, n, v| {
                if n == 1.0 || v > *high || high.is_nan() {
                    *high = v;
                }
            }),
            AggregateOp::Avg => fold(&inner, groups, running_mean),
            AggregateOp::Stddev => variance(&inner, groups, f64::sqrt),
            AggregateOp::Stdvar => variance(&inner, groups, |v| v),
            AggregateOp::BottomK
            | AggregateOp::CountValues
            | AggregateOp::LimitK
            | AggregateOp::Quantile
            | AggregateOp::TopK => unreachable!("the parser gives these their parameter"),
        })
    }

    pub(super) fn groups(&self, grouping: &Grouping, block: &Block) -> Groups {
        let mut groups = Groups { labels: Vec::new(), of_row: Vec::new() };
        if matches!(grouping, Grouping::By(labels) if labels.is_empty()) {
            if !block.labels.is_empty() {
                groups.labels.push(Labels::empty());
            }
            groups.of_row = vec![0; block.labels.len()];
            return groups;
        }
        let mut places = self.options.seed.map::<Labels, usize>();
        for labels in &block.labels {
            let key = group_key(grouping, labels, block.nameless);
            let place = *places.entry(key).or_insert_with_key(|key| {
                groups.labels.push(key.clone());
                groups.labels.len() - 1
            });
            groups.of_row.push(place);
        }
        groups
    }
}

fn group_key(grouping: &Grouping, labels: &Labels, nameless: bool) -> Labels {
    match grouping {
        Grouping::By(by) => {
            labels.filtered(|name| counts(name, nameless) && by.iter().any(|l| l == name))
        }
        Grouping::Without(without) => {
            labels.filtered(|name| counts(name, true) && !without.iter().any(|l| l == name))
        }
    }
}

/// Folds each group's present values at each step; `add` gets the state, how many values there
/// are with this one, and the value.
fn fold(inner: &Block, groups: Groups, add: impl Fn(&mut f64, f64, f64)) -> Block {
    let steps = inner.steps;
    let mut states = vec![0.0; groups.labels.len() * steps];
    let mut seen = vec![0.0_f64; states.len()];
    for ((_, row), group) in inner.rows().zip(&groups.of_row) {
        let span = group * steps..(group + 1) * steps;
        let cells = states[span.clone()].iter_mut().zip(&mut seen[span]);
        for ((state, n), value) in cells.zip(row) {
            if !is_absent(*value) {
                *n += 1.0;
                add(state, *n, *value);
            }
        }
    }
    for (state, n) in states.iter_mut().zip(seen) {
        if n == 0.0 {
            *state = ABSENT;
        }
    }
    Block { labels: groups.labels, values: states, steps, nameless: false }
}

/// A mean that does not overflow where the sum would; infinity stays infinite.
fn running_mean(mean: &mut f64, n: f64, value: f64) {
    if mean.is_infinite() {
        let same_infinity = value.is_infinite() && (*mean > 0.0) == (value > 0.0);
        if same_infinity || value.is_finite() {
            return;
        }
    }
    *mean += value / n - *mean / n;
}

/// The population variance by Welford's method, then `finish`.
fn variance(inner: &Block, groups: Groups, finish: impl Fn(f64) -> f64) -> Block {
    let steps = inner.steps;
    // Count, mean and sum of squared distances of each cell.
    let mut states = vec![[0.0_f64; 3]; groups.labels.len() * steps];
    for ((_, row), group) in inner.rows().zip(&groups.of_row) {
        let cells = &mut states[group * steps..(group + 1) * steps];
        for ([n, mean, squares], value) in cells.iter_mut().zip(row) {
            if !is_absent(*value) {
                *n += 1.0;
                let before = value - *mean;
                *mean += before / *n;
                *squares += before * (value - *mean);
            }
        }
    }
    let finished =
        states.iter().map(|[n, _, squares]| if *n == 0.0 { ABSENT } else { finish(squares / n) });
    let values = finished.collect();
    Block { labels: groups.labels, values, steps, nameless: false }
}
