//! The fuzzer's way in: any text as a query over a handful of series.

use whyslow_model::Labels;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};

use crate::EvalOptions;

/// For the fuzzer: whatever parses is answered or refused, within bounds.
pub fn fuzz_promql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = crate::parse_selector(text);
    let Ok(query) = crate::parse(text) else { return };
    let options = EvalOptions {
        samples_max: 20_000,
        series_max: 100,
        steps_max: 100,
        ..EvalOptions::default()
    };
    let _ = query.instant(&Handful, END_MS, &options);
    let _ = query.range(&Handful, END_MS - 600_000, END_MS, 60_000, &options);
}

const END_MS: i64 = 1_700_000_000_000;
const POINTS: i32 = 40;

/// A counter, a gauge with wild values, and a histogram of three buckets, every 30 s.
struct Handful;

impl Handful {
    fn all() -> Vec<SeriesPoints> {
        let wild = [0.0, -1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 4e-320];
        let buckets = [("0.1", 1.0), ("1", 3.0), ("+Inf", 4.0)];
        let mut all = vec![
            Self::one(&[("__name__", "c"), ("job", "a")], |i| f64::from(i % 17)),
            Self::one(&[("__name__", "g"), ("job", "b")], |i| {
                wild[usize::try_from(i).unwrap_or(0) % wild.len()]
            }),
        ];
        all.extend(buckets.map(|(le, rate)| {
            Self::one(&[("__name__", "h_bucket"), ("le", le)], move |i| f64::from(i) * rate)
        }));
        all
    }

    fn one(labels: &[(&str, &str)], value: impl Fn(i32) -> f64) -> SeriesPoints {
        SeriesPoints {
            labels: Labels::from_pairs(labels.iter().copied()),
            times_ms: (0..POINTS).map(|i| END_MS - 30_000 * i64::from(POINTS - i)).collect(),
            values: (0..POINTS).map(value).collect(),
        }
    }
}

impl SeriesReader for Handful {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let mut found = Self::all();
        found.retain(|s| satisfies(&s.labels, matchers));
        let samples: usize = found.iter().map(|s| s.times_ms.len()).sum();
        if samples > hint.samples_max {
            return Err(ReadError::TooManySamples { limit: hint.samples_max });
        }
        Ok(found)
    }

    fn series(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, ReadError> {
        let mut found = Self::all();
        found.retain(|s| satisfies(&s.labels, matchers));
        Ok(found.into_iter().map(|s| s.labels).collect())
    }
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.value(&m.name).unwrap_or_default()))
}
