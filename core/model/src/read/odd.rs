//! A few odd series, over which fuzzers have their queries answered.

use super::{ReadError, SelectHint, SeriesPoints, SeriesReader};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::stale_nan;

/// A reader in which every selection finds the same four series, whatever it asks for: those whose
/// values are hard to reckon with, staleness markers and infinities among them.
#[derive(Clone, Debug)]
pub struct OddSeries {
    /// Their names, in the order in which they are found.
    pub labels: [Labels; 4],
    /// The times at which each has a value, in milliseconds since the epoch; ascending.
    pub times_ms: [i64; 5],
}

impl SeriesReader for OddSeries {
    fn select(&self, _: &[Matcher], hint: &SelectHint<'_>) -> Result<Vec<SeriesPoints>, ReadError> {
        let columns: [[f64; 5]; 4] = [
            [1.0, 2.0, 0.5, f64::NAN, 3.0],
            [f64::INFINITY, -0.0, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE],
            [stale_nan(), 1e300, stale_nan(), -1e300, 7.0],
            [0.0, 10.0, 20.0, 30.0, 40.0],
        ];
        let within = hint.from_ms..=hint.to_ms;
        let found = self.labels.iter().zip(columns).map(|(labels, values)| {
            let points = self.times_ms.iter().zip(values).filter(|(at, _)| within.contains(at));
            let (times_ms, values) = points.unzip();
            SeriesPoints { labels: labels.clone(), times_ms, values }
        });
        Ok(found.filter(|series| !series.times_ms.is_empty()).collect())
    }

    fn series(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, ReadError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_are_asked_for_are_given_and_no_series_without_one() {
        let name = |n: &str| Labels::from_pairs([("name", n)]);
        let odd = OddSeries { labels: ["a", "b", "c", "d"].map(name), times_ms: [1, 2, 3, 4, 5] };
        let asked = |from_ms, to_ms| {
            let (step_ms, range_ms, function, samples_max) = (0, 0, None, 100);
            let hint = SelectHint { from_ms, to_ms, step_ms, range_ms, function, samples_max };
            odd.select(&[], &hint).unwrap()
        };
        let found = asked(2, 3);
        assert_eq!(found.len(), 4);
        assert_eq!((&found[3].times_ms, &found[3].values), (&vec![2, 3], &vec![10.0, 20.0]));
        assert!(asked(6, 9).is_empty());
    }
}
