//! What a fuzzer drives: text to query to answer, within tight bounds.

use std::cell::Cell;

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};
use whyslow_model::sample::stale_nan;

use crate::{EvalOptions, LeftEdge, parse, parse_selector};

/// How often the evaluator may ask whether to go on before it is told to stop.
const CHECKS_MAX: u32 = 2000;

/// Feeds any bytes to the parser and, where they are a query, to the evaluator over a store of
/// a few odd series. It must neither panic nor run away.
pub fn fuzz_promql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = parse_selector(text);
    let Ok(query) = parse(text) else {
        return;
    };
    let checks = Cell::new(0);
    let stop = || {
        checks.set(checks.get() + 1);
        checks.get() > CHECKS_MAX
    };
    for left_edge in [LeftEdge::Open, LeftEdge::Closed] {
        let options = EvalOptions {
            left_edge,
            samples_max: 20_000,
            series_max: 100,
            steps_max: 100,
            stop: Some(&stop),
            ..EvalOptions::default()
        };
        // Errors are answers too; only a panic or an endless run is a fault.
        let _ = query.instant(&Odd, 100_000, &options);
        let _ = query.range(&Odd, -5000, 95_000, 9973, &options);
    }
}

/// Every selector finds the same few series, whatever it asks for.
struct Odd;

impl SeriesReader for Odd {
    fn select(&self, _: &[Matcher], hint: &SelectHint<'_>) -> Result<Vec<SeriesPoints>, ReadError> {
        let columns: [&[f64]; 4] = [
            &[1.0, 2.0, 0.5, f64::NAN, 3.0],
            &[f64::INFINITY, -0.0, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE],
            &[stale_nan(), 1e300, stale_nan(), -1e300, 7.0],
            &[0.0, 10.0, 20.0, 30.0, 40.0],
        ];
        let labels = [
            Labels::from_pairs([(NAME, "a"), ("le", "1")]),
            Labels::from_pairs([(NAME, "a"), ("le", "+Inf")]),
            Labels::from_pairs([(NAME, "b"), ("x", "y")]),
            Labels::empty(),
        ];
        let mut found = Vec::new();
        for (labels, values) in labels.into_iter().zip(columns) {
            let times = [0, 9999, 10_000, 50_000, 99_999];
            let kept: Vec<usize> = (0..times.len())
                .filter(|i| (hint.from_ms..=hint.to_ms).contains(&times[*i]))
                .collect();
            if !kept.is_empty() {
                found.push(SeriesPoints {
                    labels,
                    times_ms: kept.iter().map(|i| times[*i]).collect(),
                    values: kept.iter().map(|i| values[*i]).collect(),
                });
            }
        }
        Ok(found)
    }

    fn series(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, ReadError> {
        Ok(Vec::new())
    }
}
