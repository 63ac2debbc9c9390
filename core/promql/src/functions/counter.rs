//! Growth of counters and movement of gauges.
//!
//! `rate`, `increase` and `delta` extrapolate from the first and last point to the ends of the
//! range, as Prometheus 2.42 does it: by the whole distance where that is below 1.1 times the
//! mean distance of points, else by half of that mean; and a counter not to below zero.

use crate::eval::{ABSENT, Window, seconds};

pub(super) fn rate(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    extrapolated(w, growth(w), true, w.range_s())
}

pub(super) fn increase(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    extrapolated(w, growth(w), true, 1.0)
}

pub(super) fn delta(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    extrapolated(w, w.values[w.values.len() - 1] - w.values[0], false, 1.0)
}

pub(super) fn irate(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let Some((elapsed_s, before, last)) = last_two(w) else {
        return ABSENT;
    };
    let grown = if last < before { last } else { last - before };
    grown / elapsed_s
}

pub(super) fn idelta(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    let Some((_, before, last)) = last_two(w) else {
        return ABSENT;
    };
    last - before
}

pub(super) fn resets(w: &Window<'_>, _: &mut Vec<f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 points")]
    let count = w.falls.len() as f64;
    count
}

/// A counter that falls has started again from zero.
fn growth(w: &Window<'_>) -> f64 {
    let mut grown = w.values[w.values.len() - 1] - w.values[0];
    for peak in w.peaks() {
        grown += peak;
    }
    grown
}

fn last_two(w: &Window<'_>) -> Option<(f64, f64, f64)> {
    let n = w.values.len();
    if n < 2 {
        return None;
    }
    let elapsed_s = seconds(w.times_ms[n - 1] - w.times_ms[n - 2]);
    Some((elapsed_s, w.values[n - 2], w.values[n - 1]))
}

fn extrapolated(w: &Window<'_>, moved: f64, counter: bool, divisor: f64) -> f64 {
    let n = w.values.len();
    if n < 2 {
        return ABSENT;
    }
    let (first_ms, last_ms) = (w.times_ms[0], w.times_ms[n - 1]);
    let mut to_start_s = seconds(first_ms - w.from_ms);
    let to_end_s = seconds(w.to_ms - last_ms);
    let sampled_s = seconds(last_ms - first_ms);
    #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 points")]
    let mean_s = sampled_s / (n - 1) as f64;
    if counter && moved > 0.0 && w.values[0] >= 0.0 {
        // Where the counter would have been zero, had it always grown at this speed.
        let to_zero_s = sampled_s * (w.values[0] / moved);
        to_start_s = to_start_s.min(to_zero_s);
    }
    let near_s = mean_s * 1.1;
    let reach = |distance_s: f64| if distance_s < near_s { distance_s } else { mean_s / 2.0 };
    let covered_s = sampled_s + reach(to_start_s) + reach(to_end_s);
    moved * (covered_s / sampled_s / divisor)
}
