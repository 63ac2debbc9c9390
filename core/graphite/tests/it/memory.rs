//! Series in memory, to be read as a store is.

use whyslow_graphite::line::name_labels;
use whyslow_model::Labels;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};

/// A small store.
#[derive(Default)]
pub(crate) struct Memory(Vec<SeriesPoints>);

impl Memory {
    /// With values ten seconds apart, the first at `start_s`; NaN where there is none.
    pub(crate) fn with(mut self, name: &str, start_s: i64, values: &[f64]) -> Self {
        self.put(name_labels(name).unwrap(), start_s, 10, values);
        self
    }

    /// With a series that came by another way.
    pub(crate) fn with_labels(
        mut self,
        pairs: &[(&str, &str)],
        start_s: i64,
        values: &[f64],
    ) -> Self {
        self.put(Labels::from_pairs(pairs.iter().copied()), start_s, 10, values);
        self
    }

    /// With values so many seconds apart.
    pub(crate) fn with_step(
        mut self,
        name: &str,
        start_s: i64,
        step_s: i64,
        values: &[f64],
    ) -> Self {
        self.put(name_labels(name).unwrap(), start_s, step_s, values);
        self
    }

    fn put(&mut self, labels: Labels, start_s: i64, step_s: i64, values: &[f64]) {
        let times = (0i64..).map(|i| (start_s + i * step_s) * 1000);
        let there = times.zip(values.iter().copied()).filter(|(_, v)| !v.is_nan());
        let (times_ms, values) = there.unzip();
        self.0.push(SeriesPoints { labels, times_ms, values });
    }
}

impl SeriesReader for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let fits = |s: &&SeriesPoints| {
            matchers.iter().all(|m| m.matches(s.labels.value(&m.name).unwrap_or_default()))
        };
        let within = |s: &SeriesPoints| {
            let all = s.times_ms.iter().copied().zip(s.values.iter().copied());
            let kept = all.filter(|(t, _)| (hint.from_ms..=hint.to_ms).contains(t));
            let (times_ms, values) = kept.unzip();
            SeriesPoints { labels: s.labels.clone(), times_ms, values }
        };
        Ok(self.0.iter().filter(fits).map(within).filter(|s| !s.times_ms.is_empty()).collect())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Labels>, ReadError> {
        let hint = SelectHint {
            from_ms,
            to_ms,
            step_ms: 0,
            range_ms: 0,
            function: None,
            samples_max: usize::MAX,
        };
        Ok(self.select(matchers, &hint)?.into_iter().map(|s| s.labels).collect())
    }
}
