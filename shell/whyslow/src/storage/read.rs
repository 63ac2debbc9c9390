//! Reading series while they are written.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use whyslow_model::Labels;
use whyslow_model::limits::QUERY_SERIES_MAX;
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SelectHint, SeriesPoints, SeriesReader};
use whyslow_store::head::Snapshot;
use whyslow_store::level::{self, Segment};
use whyslow_store::{Head, Retention};

use super::days::{Files, Kind};
use super::disk::{Chunks, Rollups};

/// Series copied in one go, so that the writer never waits long.
const SERIES_PER_LOCK: usize = 1024;

/// A view of stored series.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    head: Arc<RwLock<Head>>,
    files: Arc<Files>,
    retention: Retention,
}

impl Reader {
    pub(super) fn new(head: &Arc<RwLock<Head>>, files: &Arc<Files>, retention: &Retention) -> Self {
        Self { head: Arc::clone(head), files: Arc::clone(files), retention: retention.clone() }
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

    /// Which level answers which stretch of the query.
    fn plan(&self, hint: &SelectHint<'_>) -> Vec<Segment> {
        let levels = self.retention.levels();
        let mut oldest: Vec<Option<i64>> =
            levels.iter().map(|l| self.files.oldest_ms(Kind::of_level(*l))).collect();
        let in_memory = self.head().oldest_ms();
        oldest[0] = Some(oldest[0].map_or(in_memory, |on_disk| on_disk.min(in_memory)));
        level::plan(levels, &oldest, hint)
    }

    /// The points of these series, as the segments ask for them.
    fn read(
        &self,
        snapshots: &[Snapshot],
        segments: &[Segment],
        hint: &SelectHint<'_>,
        room: usize,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let mut all: Vec<SeriesPoints> = snapshots
            .iter()
            .map(|s| SeriesPoints { labels: s.labels.clone(), ..SeriesPoints::default() })
            .collect();
        for (i, segment) in segments.iter().enumerate() {
            let level = self.retention.levels()[segment.level];
            let read = if segment.level == 0 {
                Chunks { files: &self.files, segment }.read(snapshots, &mut all, room)
            } else {
                let raw_next = segments.get(i + 1).is_some_and(|s| s.level == 0);
                Rollups { files: &self.files, segment, level, hint, raw_next }
                    .read(snapshots, &mut all)
            };
            let too_many = ReadError::TooManySamples { limit: hint.samples_max };
            if !read.map_err(|e| ReadError::Storage(e.to_string()))? {
                return Err(too_many);
            }
            for (snapshot, points) in snapshots.iter().zip(&mut all) {
                read_memory(snapshot, segment, points);
            }
        }
        let samples: usize = all.iter().map(|p| p.times_ms.len()).sum();
        if samples > room {
            return Err(ReadError::TooManySamples { limit: hint.samples_max });
        }
        for points in &mut all {
            trim(points, 0, hint.from_ms, hint.to_ms.saturating_add(1));
        }
        all.retain(|p| !p.times_ms.is_empty());
        Ok(all)
    }
}

impl SeriesReader for Reader {
    fn select(
        &self,
        matchers: &[Matcher],
        hint: &SelectHint<'_>,
    ) -> Result<Vec<SeriesPoints>, ReadError> {
        let slots = self.matching(matchers, hint.from_ms, hint.to_ms)?;
        let mut answer: Vec<SeriesPoints> = Vec::with_capacity(slots.len());
        let mut room = hint.samples_max;
        for some in slots.chunks(SERIES_PER_LOCK) {
            let head = self.head();
            let snapshots: Vec<Snapshot> =
                some.iter().filter_map(|s| head.snapshot(*s, hint.from_ms, hint.to_ms)).collect();
            drop(head);
            // After the snapshots: what they no longer hold is on disk by now. And again if a
            // file went meanwhile, since then roll-ups answer for it.
            let mut segments = self.plan(hint);
            let points = loop {
                let points = self.read(&snapshots, &segments, hint, room)?;
                let now = self.plan(hint);
                if now == segments {
                    break points;
                }
                segments = now;
            };
            let samples: usize = points.iter().map(|p| p.times_ms.len()).sum();
            room = room
                .checked_sub(samples)
                .ok_or(ReadError::TooManySamples { limit: hint.samples_max })?;
            answer.extend(points);
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

/// Appends what lies in memory of one segment.
fn read_memory(snapshot: &Snapshot, segment: &Segment, points: &mut SeriesPoints) {
    let before = points.times_ms.len();
    for piece in &snapshot.pieces {
        if piece.overlaps(segment.from_ms, segment.to_ms) {
            piece.read(&mut points.times_ms, &mut points.values);
        }
    }
    trim(points, before, segment.from_ms.max(snapshot.floor_ms), segment.to_ms);
}

/// Keeps of the points from place `place` on what lies between the times, the second excluded.
pub(super) fn trim(points: &mut SeriesPoints, place: usize, from_ms: i64, to_ms: i64) {
    let times = &points.times_ms[place..];
    let end = place + times.partition_point(|t| *t < to_ms);
    let start = place + times.partition_point(|t| *t < from_ms);
    points.times_ms.truncate(end);
    points.values.truncate(end);
    points.times_ms.drain(place..start.min(end));
    points.values.drain(place..start.min(end));
}
