//! Straight lines and smoothing.

use crate::error::EvalError;
use crate::eval::{ABSENT, Evaluator, Window, seconds};

use super::over_time::add_exactly;

pub(super) fn deriv(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    if w.values.len() < 2 {
        return ABSENT;
    }
    // From the first point on, so that the squares of the times stay small.
    regression(w, w.times_ms[0]).0
}

pub(super) fn predict_linear(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    if w.values.len() < 2 {
        return ABSENT;
    }
    let (slope, now) = regression(w, w.at_ms);
    slope * w.args[0] + now
}

/// Double exponential smoothing: a level and a trend, each moved by its factor a point.
pub(super) fn holt_winters(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    if w.values.len() < 2 {
        return ABSENT;
    }
    let (level_factor, trend_factor) = (w.args[0], w.args[1]);
    let (mut level_before, mut level) = (0.0, w.values[0]);
    let mut trend = w.values[1] - w.values[0];
    for (i, value) in w.values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - level_before) + (1.0 - trend_factor) * trend;
        }
        level_before = level;
        level = level_factor * value + (1.0 - level_factor) * (level + trend);
    }
    level
}

pub(super) fn check_factors(_: &Evaluator<'_>, columns: &[Vec<f64>]) -> Result<(), EvalError> {
    for (column, what) in columns.iter().zip(["smoothing", "trend"]) {
        let outside = column.iter().find(|f| !(**f > 0.0 && **f < 1.0));
        if let Some(factor) = outside {
            let message = format!("the {what} factor must lie between 0 and 1, not at {factor}");
            return Err(EvalError::Execution(message));
        }
    }
    Ok(())
}

/// The slope a second and the value at `origin_ms` of the line with the least squared error.
fn regression(w: &Window<'_>, origin_ms: i64) -> (f64, f64) {
    let first = w.values[0];
    #[expect(clippy::float_cmp, reason = "only an exactly constant series is a special case")]
    let constant = w.values.iter().all(|v| *v == first);
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut n, mut sums) = (0.0, [(0.0, 0.0); 4]);
    for (at_ms, y) in w.times_ms.iter().zip(w.values) {
        n += 1.0;
        let x = seconds(at_ms - origin_ms);
        for (sum, term) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            *sum = add_exactly(term, sum.0, sum.1);
        }
    }
    let [x, y, xy, xx] = sums.map(|(sum, lost)| sum + lost);
    let covariance = xy - x * y / n;
    let variance = xx - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}
