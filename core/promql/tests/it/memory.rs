//! A store of nothing but vectors, to test the evaluator by.

use whyslow_model::Labels;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};

/// Series in memory, in the order they were given.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) series: Vec<SeriesPoints>,
}

impl SeriesReader for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let mut found = Vec::new();
        for series in self.series.iter().filter(|s| satisfies(&s.labels, matchers)) {
            let from = series.times_ms.partition_point(|t| *t < hint.from_ms);
            let to = series.times_ms.partition_point(|t| *t <= hint.to_ms);
            if from < to {
                found.push(SeriesPoints {
                    labels: series.labels.clone(),
                    times_ms: series.times_ms[from..to].to_vec(),
                    values: series.values[from..to].to_vec(),
                });
            }
        }
        Ok(found)
    }

    fn series(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, ReadError> {
        let all = self.series.iter().map(|s| &s.labels);
        Ok(all.filter(|l| satisfies(l, matchers)).cloned().collect())
    }
}

fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.value(&m.name).unwrap_or("")))
}
