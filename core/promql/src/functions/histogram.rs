//! `histogram_quantile` over classic buckets: counters whose `le` label is an upper bound.

use whyslow_model::Labels;
use whyslow_model::labels::NAME;

use crate::ast::Expr;
use crate::error::EvalError;
use crate::eval::{ABSENT, Block, Evaluator, Steps, Value, is_absent};

/// The label with a bucket's upper bound, inclusive.
const BOUND: &str = "le";

pub(super) fn histogram_quantile(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    let quantiles = e.scalar(&args[0], steps)?;
    e.warn_of_quantiles(&quantiles);
    let block = e.vector(&args[1], steps)?;
    let histograms = by_histogram(e, &block);
    let mut answer = Block::empty(steps.count);
    let mut buckets = Vec::new();
    for (labels, rows) in histograms {
        e.budget().compute(steps.count)?;
        answer.push_filled(labels, |cells| {
            for (i, cell) in cells.iter_mut().enumerate() {
                buckets.clear();
                let present = rows.iter().map(|(bound, row)| (*bound, block.row(*row)[i]));
                buckets.extend(present.filter(|(_, count)| !is_absent(*count)));
                *cell = bucket_quantile(quantiles[i], &mut buckets);
            }
        });
    }
    Ok(Value::Vector(answer))
}

/// Each histogram's labels without name and bound, and its rows by ascending bound.
fn by_histogram(e: &Evaluator<'_>, block: &Block) -> Vec<(Labels, Vec<(f64, usize)>)> {
    let mut places = e.options().seed.map::<Labels, usize>();
    let mut histograms: Vec<(Labels, Vec<(f64, usize)>)> = Vec::new();
    for (i, labels) in block.labels.iter().enumerate() {
        let Some(bound) = labels.value(BOUND).and_then(parsed_bound) else {
            e.warn(|| format!("a series without a number in its {BOUND} label was passed over"));
            continue;
        };
        let key = labels.filtered(|name| name != BOUND && name != NAME);
        let place = *places.entry(key).or_insert_with_key(|key| {
            histograms.push((key.clone(), Vec::new()));
            histograms.len() - 1
        });
        histograms[place].1.push((bound, i));
    }
    for (_, rows) in &mut histograms {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    histograms
}

fn parsed_bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

/// The quantile of one histogram, linear within a bucket. `buckets` ascend by bound and get
/// their equal bounds joined and their counts made monotonic.
fn bucket_quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if buckets.is_empty() {
        return ABSENT;
    }
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if buckets[buckets.len() - 1].0 != f64::INFINITY {
        return f64::NAN;
    }
    join_equal_bounds(buckets);
    make_monotonic(buckets);
    let n = buckets.len();
    let total = buckets[n - 1].1;
    if n < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = q * total;
    let at = buckets[..n - 1].partition_point(|(_, count)| *count < rank || count.is_nan());
    if at == n - 1 {
        // In the bucket without an upper bound: the last finite one is all that is known.
        return buckets[n - 2].0;
    }
    let (bound, count) = buckets[at];
    if at == 0 {
        return if bound <= 0.0 { bound } else { bound * (rank / count) };
    }
    let (lower, below) = buckets[at - 1];
    lower + (bound - lower) * ((rank - below) / (count - below))
}

/// Two spellings of one bound, such as `1` and `1.0`, are one bucket.
fn join_equal_bounds(buckets: &mut Vec<(f64, f64)>) {
    buckets.dedup_by(|next, kept| {
        #[expect(clippy::float_cmp, reason = "bounds are spelled, not computed")]
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

/// Buckets scraped at slightly different moments may seem to shrink; they cannot.
fn make_monotonic(buckets: &mut [(f64, f64)]) {
    let mut highest = f64::NEG_INFINITY;
    for (_, count) in buckets {
        if *count > highest {
            highest = *count;
        } else if *count < highest {
            *count = highest;
        }
    }
}
