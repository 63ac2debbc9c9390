//! `…_over_time`: the points of a window as one number.

use crate::error::EvalError;
use crate::eval::{Evaluator, Window, quantile};

pub(super) fn sum(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for v in w.values {
        (sum, lost) = add_exactly(*v, sum, lost);
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

/// A running mean, which does not overflow where the sum would.
pub(super) fn avg(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let (mut mean, mut count, mut lost) = (0.0_f64, 0.0, 0.0);
    for v in w.values {
        count += 1.0;
        if mean.is_infinite() {
            let same_infinity = v.is_infinite() && (mean > 0.0) == (*v > 0.0);
            if same_infinity || (!v.is_infinite() && !v.is_nan()) {
                // Infinity stays; the difference below would make it NaN.
                continue;
            }
        }
        (mean, lost) = add_exactly(v / count - mean / count, mean, lost);
    }
    if mean.is_infinite() { mean } else { mean + lost }
}

pub(super) fn min(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let mut lowest = w.values[0];
    for v in w.values {
        if *v < lowest || lowest.is_nan() {
            lowest = *v;
        }
    }
    lowest
}

pub(super) fn max(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let mut highest = w.values[0];
    for v in w.values {
        if *v > highest || highest.is_nan() {
            highest = *v;
        }
    }
    highest
}

pub(super) fn count(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 points")]
    let count = w.values.len() as f64;
    count
}

pub(super) fn last(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    w.values[w.values.len() - 1]
}

pub(super) fn present(_: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    1.0
}

/// From NaN to NaN is no change.
pub(super) fn changes(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let mut count = 0.0;
    for pair in w.values.windows(2) {
        #[expect(clippy::float_cmp, reason = "any difference is a change")]
        if pair[1] != pair[0] && !(pair[1].is_nan() && pair[0].is_nan()) {
            count += 1.0;
        }
    }
    count
}

pub(super) fn stdvar(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let (mut count, mut mean, mut mean_lost) = (0.0, 0.0, 0.0);
    let (mut squares, mut squares_lost) = (0.0, 0.0);
    for v in w.values {
        count += 1.0;
        let before = v - (mean + mean_lost);
        (mean, mean_lost) = add_exactly(before / count, mean, mean_lost);
        let after = v - (mean + mean_lost);
        (squares, squares_lost) = add_exactly(before * after, squares, squares_lost);
    }
    (squares + squares_lost) / count
}

pub(super) fn stddev(w: &Window<'_>, scratch: &mut Vec<f64>) -> f64 {
    stdvar(w, scratch).sqrt()
}

pub(super) fn quantile_of(w: &Window<'_>, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(w.values);
    quantile(w.args[0], scratch)
}

pub(super) fn check_quantile(e: &Evaluator<'_>, columns: &[Vec<f64>]) -> Result<(), EvalError> {
    e.warn_of_quantiles(&columns[0]);
    Ok(())
}

/// One step of a compensated sum: the new sum and what rounding lost so far (Neumaier 1974).
pub(super) fn add_exactly(value: f64, sum: f64, lost: f64) -> (f64, f64) {
    let total = sum + value;
    let rounding =
        if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
    (total, lost + rounding)
}
