//! Reading chunks and roll-ups from their files.

use rusqlite::Connection;
use whyslow_model::read::{SelectHint, SeriesPoints};
use whyslow_store::chunk;
use whyslow_store::head::{Snapshot, WINDOW_MS, window_start};
use whyslow_store::level::{self, Segment};
use whyslow_store::retention::Level;
use whyslow_store::rollup::{self, Bucket, bucket_start};

use super::days::{Day, Files, Kind};
use super::error::StorageError;
use super::read::trim;
use super::rows;

/// Reads chunks of samples.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    pub(super) files: &'a Files,
    pub(super) segment: &'a Segment,
}

impl Chunks<'_> {
    /// Appends each series' samples of the segment that are on disk alone, if they are no more
    /// than `room`; answers whether they are.
    pub(super) fn read(
        &self,
        snapshots: &[Snapshot],
        all: &mut [SeriesPoints],
        room: usize,
    ) -> Result<bool, StorageError> {
        let ends: Vec<i64> = snapshots.iter().map(|s| s.floor_ms.min(self.segment.to_ms)).collect();
        let end = ends.iter().copied().max().unwrap_or(i64::MIN);
        let mut samples = 0;
        for (day, from, to) in stretches(self.files, Kind::Samples, self.segment.from_ms, end) {
            let mut bad = None;
            self.files.read(Kind::Samples, day, |db| {
                let mut start = window_start(from);
                while start < to && samples <= room {
                    let stretch = (start - Kind::Samples.span_ms(day).0) / WINDOW_MS;
                    each_of(db, stretch, snapshots, &|i| start < ends[i], &mut |i, bytes| {
                        let points = &mut all[i];
                        let had = points.times_ms.len();
                        let read = chunk::decode(bytes, &mut points.times_ms, &mut points.values);
                        bad = bad.or(read.err());
                        trim(points, had, self.segment.from_ms, ends[i]);
                        samples += points.times_ms.len() - had;
                    })?;
                    start += WINDOW_MS;
                }
                Ok(())
            })?;
            if let Some(e) = bad {
                let file = self.files.path(Kind::Samples, day);
                return Err(StorageError::Damaged { file, reason: e.to_string() });
            }
        }
        Ok(samples <= room)
    }
}

/// Reads roll-ups of one level.
#[derive(Debug)]
pub(super) struct Rollups<'a> {
    pub(super) files: &'a Files,
    pub(super) segment: &'a Segment,
    pub(super) level: Level,
    pub(super) hint: &'a SelectHint<'a>,
    /// Whether samples follow the segment.
    pub(super) raw_next: bool,
}

impl Rollups<'_> {
    /// Appends the points that stand for each series' buckets of the segment; they are never too
    /// many to read.
    pub(super) fn read(
        &self,
        snapshots: &[Snapshot],
        all: &mut [SeriesPoints],
    ) -> Result<bool, StorageError> {
        let resolution = self.level.resolution_ms;
        // The bucket before holds the value with which the segment begins.
        let from = bucket_start(self.segment.from_ms, resolution).saturating_sub(resolution);
        let mut buckets: Vec<Vec<Bucket>> = vec![Vec::new(); snapshots.len()];
        self.collect(snapshots, from, &mut buckets)?;
        for ((snapshot, points), mut own) in snapshots.iter().zip(all).zip(buckets) {
            let end = snapshot.floor_ms.min(self.segment.to_ms);
            own.retain(|b| b.last_ms >= from && bucket_start(b.last_ms, resolution) < end);
            let weigh_from = if self.raw_next || end < self.segment.to_ms {
                end.saturating_sub(self.hint.range_ms)
            } else {
                i64::MAX
            };
            let before = points.times_ms.len();
            let mut drawn = SeriesPoints::default();
            let (times, values) = (&mut drawn.times_ms, &mut drawn.values);
            level::points(&own, resolution, self.hint, end, weigh_from, times, values);
            points.times_ms.append(&mut drawn.times_ms);
            points.values.append(&mut drawn.values);
            trim(points, before, self.segment.from_ms, end);
        }
        Ok(true)
    }

    fn collect(
        &self,
        snapshots: &[Snapshot],
        from: i64,
        buckets: &mut [Vec<Bucket>],
    ) -> Result<(), StorageError> {
        let kind = Kind::of_level(self.level);
        let row_ms = self.level.row_ms();
        for (day, from, to) in stretches(self.files, kind, from, self.segment.to_ms) {
            let mut bad = None;
            self.files.read(kind, day, |db| {
                let mut start = bucket_start(from, row_ms);
                while start < to {
                    let stretch = (start - kind.span_ms(day).0) / row_ms;
                    let wanted = |i: usize| start < snapshots[i].floor_ms;
                    each_of(db, stretch, snapshots, &wanted, &mut |i, bytes| match rollup::read(
                        bytes,
                    ) {
                        Ok(row) => buckets[i].extend(row),
                        Err(e) => bad = Some(e),
                    })?;
                    start += row_ms;
                }
                Ok(())
            })?;
            if let Some(e) = bad {
                let file = self.files.path(kind, day);
                return Err(StorageError::Damaged { file, reason: e.to_string() });
            }
        }
        Ok(())
    }
}

/// The files of one kind that overlap the range, each with its part of it, ascending.
fn stretches(files: &Files, kind: Kind, from: i64, to: i64) -> Vec<(Day, i64, i64)> {
    let part = |day: Day| {
        let (start, end) = kind.span_ms(day);
        (day, from.max(start), to.min(end))
    };
    files.days(kind).into_iter().map(part).filter(|(_, from, to)| from < to).collect()
}

/// Calls `take` with each wanted series' place and its row of one stretch of the file.
fn each_of(
    db: &Connection,
    stretch: i64,
    snapshots: &[Snapshot],
    wanted: &dyn Fn(usize) -> bool,
    take: &mut dyn FnMut(usize, &[u8]),
) -> rusqlite::Result<()> {
    let ids = || snapshots.iter().map(|s| s.id);
    let (Some(low), Some(high)) = (ids().min(), ids().max()) else { return Ok(()) };
    let ascending = snapshots.is_sorted_by_key(|s| s.id);
    let dense = i64::try_from(snapshots.len()).is_ok_and(|n| high - low < n.saturating_mul(4));
    if ascending && dense {
        return rows::each(db, rows::key(stretch, low), rows::key(stretch, high), |key, bytes| {
            let id = rows::parts(key).1;
            if let Ok(i) = snapshots.binary_search_by_key(&id, |s| s.id)
                && wanted(i)
            {
                take(i, bytes);
            }
        });
    }
    for (i, snapshot) in snapshots.iter().enumerate().filter(|(i, _)| wanted(*i)) {
        rows::with(db, rows::key(stretch, snapshot.id), |bytes| take(i, bytes))?;
    }
    Ok(())
}
