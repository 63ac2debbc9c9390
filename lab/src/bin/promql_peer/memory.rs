//! The evaluator's data in memory, with an index of metric names: what a store costs is left out.

use std::collections::BTreeMap;

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::matcher::{MatchOp, Matcher};
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};

/// Series by metric name.
#[derive(Debug)]
pub struct Memory {
    named: BTreeMap<String, Vec<SeriesPoints>>,
}

impl Memory {
    /// Takes the series over.
    pub fn new(series: Vec<SeriesPoints>) -> Self {
        let mut named = BTreeMap::<String, Vec<SeriesPoints>>::new();
        for points in series {
            let name = points.labels.metric().unwrap_or_default().to_owned();
            named.entry(name).or_default().push(points);
        }
        Self { named }
    }

    fn matching<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a SeriesPoints> {
        let pinned = matchers.iter().find(|m| m.name == NAME && m.op == MatchOp::Equal);
        let wanted = move |name: &str| pinned.is_none_or(|m| m.value == name);
        let series = self.named.iter().filter(move |(n, _)| wanted(n)).flat_map(|(_, s)| s);
        series.filter(|s| {
            matchers.iter().all(|m| m.matches(s.labels.value(&m.name).unwrap_or_default()))
        })
    }
}

impl SeriesReader for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let mut found = Vec::new();
        for series in self.matching(matchers) {
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
        Ok(self.matching(matchers).map(|s| s.labels.clone()).collect())
    }
}
