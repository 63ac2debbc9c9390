//! What a fuzzer drives: text to query to answer, within tight bounds.

use std::cell::Cell;

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::read::{OddSeries, SeriesPoints};
use whyslow_model::sample::is_stale;

use crate::{EvalOptions, InstantValue, LeftEdge, Matrix, Query, parse, parse_selector};

/// How often the evaluator may ask whether to go on before it is told to stop.
const CHECKS_MAX: u32 = 2000;
/// The range that is asked for.
const FROM_MS: i64 = -5000;
const TO_MS: i64 = 95_000;
const STEP_MS: i64 = 9973;

/// Feeds any bytes to the parser and, where they are a query, to the evaluator over a store of
/// a few odd series. It must not run away, and a range must be answered as each of its times is.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_promql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = parse_selector(text);
    let Ok(query) = parse(text) else {
        return;
    };
    let store = series();
    let checks = Cell::new(0);
    let stop = || {
        checks.set(checks.get() + 1);
        checks.get() > CHECKS_MAX
    };
    // The ends of a range are not those of one of its times.
    let is_of_the_whole = text.contains("start") || text.contains("end");
    for left_edge in [LeftEdge::Open, LeftEdge::Closed] {
        let options = EvalOptions {
            left_edge,
            samples_max: 20_000,
            series_max: 100,
            steps_max: 100,
            stop: Some(&stop),
            ..EvalOptions::default()
        };
        checks.set(0);
        // Errors are answers too; only a panic or an endless run is a fault.
        if let Ok(answer) = query.instant(&store, 100_000, &options) {
            sound(&matrix_of(answer.value));
        }
        checks.set(0);
        let Ok(range) = query.range(&store, FROM_MS, TO_MS, STEP_MS, &options) else { continue };
        sound(&range.matrix);
        if !is_of_the_whole {
            checks.set(0);
            agrees(&query, &store, &range.matrix, &options);
        }
    }
}

/// What holds of every answer: series in order and each but once, times ascending within the
/// range, no staleness marker.
fn sound(matrix: &Matrix) {
    assert!(matrix.is_sorted_by(|a, b| a.labels < b.labels), "series twice or in no order");
    for series in matrix {
        assert_eq!(series.times_ms.len(), series.values.len());
        assert!(series.times_ms.is_sorted_by(|a, b| a < b));
        assert!(!series.values.iter().any(|v| is_stale(*v)), "a marker is no value");
    }
}

/// Each time of the range by itself gives the same values.
fn agrees(query: &Query, store: &OddSeries, matrix: &Matrix, options: &EvalOptions<'_>) {
    let mut at = FROM_MS;
    while at <= TO_MS {
        // One time alone may be asked for less than all together, not for more.
        let Ok(answer) = query.instant(store, at, options) else { return };
        let alone = matrix_of(answer.value);
        let of_range = matrix.iter().filter_map(|series| {
            let place = series.times_ms.binary_search(&at).ok()?;
            Some((&series.labels, series.values[place].to_bits()))
        });
        let alone = alone.iter().map(|series| (&series.labels, series.values[0].to_bits()));
        assert!(alone.eq(of_range), "at {at} alone and in a range differ: {matrix:?}");
        at += STEP_MS;
    }
}

/// An answer for one time as a range's is shown.
fn matrix_of(value: InstantValue) -> Matrix {
    let one =
        |labels, at_ms, value| SeriesPoints { labels, times_ms: vec![at_ms], values: vec![value] };
    let mut matrix = match value {
        InstantValue::Scalar(value) => vec![one(Labels::empty(), 0, value)],
        InstantValue::Vector(samples) => {
            samples.into_iter().map(|s| one(s.labels, s.at_ms, s.value)).collect()
        }
        InstantValue::Matrix(matrix) => matrix,
        InstantValue::Text(_) => Vec::new(),
    };
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    matrix
}

/// What is there to be asked for.
fn series() -> OddSeries {
    let labels = [
        Labels::from_pairs([(NAME, "a"), ("le", "1")]),
        Labels::from_pairs([(NAME, "a"), ("le", "+Inf")]),
        Labels::from_pairs([(NAME, "b"), ("x", "y")]),
        Labels::empty(),
    ];
    OddSeries { labels, times_ms: [0, 9999, 10_000, 50_000, 99_999] }
}
