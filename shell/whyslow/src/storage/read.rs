//! Reading series while they are written.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use whyslow_model::Labels;
use whyslow_model::limits::QUERY_SERIES_MAX;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};
use whyslow_store::Head;
use whyslow_store::head::Snapshot;

/// Series copied in one go, so that the writer never waits long.
const SERIES_PER_LOCK: usize = 1024;

/// A view of stored series.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    head: Arc<RwLock<Head>>,
}

impl Reader {
    pub(super) fn new(head: &Arc<RwLock<Head>>) -> Self {
        Self { head: Arc::clone(head) }
    }

    pub(super) fn label_names(
        &self,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<String>, ReadError> {
        let mut names = BTreeSet::new();
        for labels in self.series(matchers, from_ms, to_ms)? {
            for (name, _) in labels.iter() {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(super) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<String>, ReadError> {
        let all = self.series(matchers, from_ms, to_ms)?;
        let values: BTreeSet<&str> = all.iter().filter_map(|l| l.value(name)).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn matching(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<u32>, ReadError> {
        let slots = self.head().matching(matchers, from, to);
        if slots.len() > QUERY_SERIES_MAX {
            return Err(ReadError::TooManySeries { limit: QUERY_SERIES_MAX });
        }
        Ok(slots)
    }
}

impl SeriesReader for Reader {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let slots = self.matching(matchers, hint.from_ms, hint.to_ms)?;
        let mut answer = Vec::with_capacity(slots.len());
        let mut samples = 0;
        for some in slots.chunks(SERIES_PER_LOCK) {
            let head = self.head();
            let snapshots: Vec<Snapshot> =
                some.iter().filter_map(|s| head.snapshot(*s, hint.from_ms, hint.to_ms)).collect();
            drop(head);
            for snapshot in snapshots {
                let points = read(snapshot, hint);
                samples += points.times_ms.len();
                if samples > hint.samples_max {
                    return Err(ReadError::TooManySamples { limit: hint.samples_max });
                }
                if !points.times_ms.is_empty() {
                    answer.push(points);
                }
            }
        }
        Ok(answer)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Labels>, ReadError> {
        let slots = self.matching(matchers, from_ms, to_ms)?;
        let head = self.head();
        let mut all: Vec<Labels> = slots.iter().filter_map(|s| head.labels(*s).cloned()).collect();
        drop(head);
        all.sort_unstable();
        Ok(all)
    }
}

fn read(snapshot: Snapshot, hint: &SelectHint<'_>) -> SeriesPoints {
    let (mut times_ms, mut values) = (Vec::new(), Vec::new());
    for piece in &snapshot.pieces {
        piece.read(&mut times_ms, &mut values);
    }
    trim(&mut times_ms, &mut values, hint.from_ms, hint.to_ms);
    SeriesPoints { labels: snapshot.labels, times_ms, values }
}

/// Keeps what lies in the range, both ends included.
fn trim(times_ms: &mut Vec<i64>, values: &mut Vec<f64>, from_ms: i64, to_ms: i64) {
    let end = times_ms.partition_point(|t| *t <= to_ms);
    times_ms.truncate(end);
    values.truncate(end);
    let start = times_ms.partition_point(|t| *t < from_ms);
    times_ms.drain(..start);
    values.drain(..start);
}
