//! Moving samples from the journal into chunks, and from finished chunks into roll-ups.
//!
//! It goes some series at a time, between appends. Whatever the moment of a kill, what is done
//! twice gives the same: chunks replace themselves, a roll-up's buckets replace themselves, and
//! batches are forgotten only after every chunk that covers them is durable.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use whyslow_store::head::{Piece, Sealed, WINDOW_MS, window_start};
use whyslow_store::retention::Level;
use whyslow_store::rollup::{self, Bucket};

use super::days::{Day, Kind};
use super::error::StorageError;
use super::registry::SeriesSpan;
use super::rows;
use super::writer::{Writer, now, write};

/// A pass over all series that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// Windows that end by then are written.
    pub(super) until_ms: i64,
    /// The newest batch there was when it began.
    batches_to: i64,
    next_slot: u32,
}

/// Series written between two appends.
const SLOTS_PER_STEP: u32 = 1024;
/// Series packed while readers wait.
const SLOTS_PER_LOCK: u32 = 64;
/// How long after a window's end it is written, so that most late samples are in it.
const GRACE_MS: i64 = 2 * 60 * 1000;

/// The rows of one file that are to be written.
type RowsOf = BTreeMap<(Kind, Day), Vec<(i64, Vec<u8>)>>;

impl Writer {
    /// The end of the windows that could be written now.
    pub(super) fn sealable_ms(&self) -> i64 {
        window_start(self.newest_ms.min(now().as_millis()).saturating_sub(GRACE_MS))
    }

    /// Begins a pass that writes every window that ends by `until_ms`.
    pub(super) fn begin_pass(&self, until_ms: i64) -> Result<Pass, StorageError> {
        Ok(Pass { until_ms, batches_to: self.registry.newest_batch()?, next_slot: 0 })
    }

    /// Does some of a pass; answers what is left of it.
    pub(super) fn step(&mut self, mut pass: Pass) -> Result<Option<Pass>, StorageError> {
        let end = self.head.read().unwrap_or_else(PoisonError::into_inner).slots().end;
        let to = end.min(pass.next_slot.saturating_add(SLOTS_PER_STEP));
        let slots = pass.next_slot..to;
        let mut changed = self.write_chunks(slots.clone(), pass.until_ms)?;
        changed.extend(self.roll_up(slots)?);
        changed.sort_unstable();
        changed.dedup();
        self.save_spans(&changed)?;
        pass.next_slot = to;
        if to < end {
            return Ok(Some(pass));
        }
        let unsent = self.outputs.unsent_samples();
        for (place, samples) in
            self.registry.forget_batches(pass.until_ms, pass.batches_to, unsent)?
        {
            self.outputs.dropped(place, samples);
        }
        self.journal_bytes = self.registry.batch_bytes()?;
        self.sealed_ms = self.sealed_ms.max(self.sealable_ms().min(pass.until_ms));
        Ok(None)
    }

    /// Writes the windows of these series as chunks; answers the series that had some.
    fn write_chunks(
        &mut self,
        slots: std::ops::Range<u32>,
        until_ms: i64,
    ) -> Result<Vec<u32>, StorageError> {
        let mut sealed: Vec<(u32, i64, Sealed)> = Vec::new();
        let mut from = slots.start;
        while from < slots.end {
            let to = slots.end.min(from + SLOTS_PER_LOCK);
            let mut head = write(&self.head);
            for slot in from..to {
                let windows = head.seal(slot, until_ms);
                if !windows.is_empty() {
                    let id = head.id(slot);
                    sealed.extend(windows.into_iter().map(|w| (slot, id, w)));
                }
            }
            from = to;
        }
        let written = self.put_chunks(&sealed);
        if written.is_err() {
            let mut head = write(&self.head);
            sealed.iter().for_each(|(slot, _, w)| head.unseal(*slot, w.start_ms));
        }
        written?;
        Ok(sealed.into_iter().map(|(slot, ..)| slot).collect())
    }

    fn put_chunks(&mut self, sealed: &[(u32, i64, Sealed)]) -> Result<(), StorageError> {
        let mut files: BTreeMap<Day, Vec<(i64, &[u8])>> = BTreeMap::new();
        for (_, id, window) in sealed {
            let day = Kind::Samples.day_of(window.start_ms);
            let stretch = (window.start_ms - Kind::Samples.span_ms(day).0) / WINDOW_MS;
            files.entry(day).or_default().push((rows::key(stretch, *id), &window.bytes));
        }
        for (day, mut rows) in files {
            rows.sort_unstable_by_key(|r| r.0);
            let path = self.files.path(Kind::Samples, day);
            rows::put(self.file(Kind::Samples, day)?, &path, &rows)?;
        }
        Ok(())
    }

    /// Rolls finished windows of these series up and lets go of them; answers the series that
    /// had some.
    fn roll_up(&mut self, slots: std::ops::Range<u32>) -> Result<Vec<u32>, StorageError> {
        let now_s = now().as_millis() / 1000;
        let head = self.head.read().unwrap_or_else(PoisonError::into_inner);
        let finished: Vec<(u32, i64, Vec<Piece>)> = slots
            .map(|slot| (slot, head.finished(slot, now_s)))
            .filter(|(_, pieces)| !pieces.is_empty())
            .map(|(slot, pieces)| (slot, head.id(slot), pieces))
            .collect();
        drop(head);
        for level in self.options.retention.rollups().to_vec() {
            let files = self.rows_of(level, &finished)?;
            for ((kind, day), mut rows) in files {
                rows.sort_unstable_by_key(|r| r.0);
                let path = self.files.path(kind, day);
                rows::put(self.file(kind, day)?, &path, &rows)?;
            }
        }
        let mut head = write(&self.head);
        finished.iter().for_each(|(slot, ..)| head.forget_finished(*slot, now_s));
        Ok(finished.into_iter().map(|(slot, ..)| slot).collect())
    }

    /// The rows of one level in which the finished windows lie, merged with what is there.
    fn rows_of(
        &mut self,
        level: Level,
        finished: &[(u32, i64, Vec<Piece>)],
    ) -> Result<RowsOf, StorageError> {
        let kind = Kind::of_level(level);
        let mut files = RowsOf::new();
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (_, id, pieces) in finished {
            let mut rows: BTreeMap<i64, Vec<Bucket>> = BTreeMap::new();
            for piece in pieces {
                times.clear();
                values.clear();
                piece.read(&mut times, &mut values);
                let Some(first) = times.first().copied() else { continue };
                let start = window_start(first);
                let row_start = rollup::bucket_start(first, level.row_ms());
                let old = match rows.remove(&row_start) {
                    Some(row) => row,
                    None if level.row_ms() == WINDOW_MS => Vec::new(),
                    None => self.row(kind, level, row_start, *id)?,
                };
                let new = rollup::fold(&times, &values, level.resolution_ms);
                rows.insert(row_start, rollup::replace(old, &new, start, start + WINDOW_MS));
            }
            for (row_start, buckets) in rows {
                let (day, key) = place(kind, level, row_start, *id);
                files.entry((kind, day)).or_default().push((key, rollup::encode(&buckets)));
            }
        }
        Ok(files)
    }

    /// What is on disk of one row.
    fn row(
        &mut self,
        kind: Kind,
        level: Level,
        row_start: i64,
        id: i64,
    ) -> Result<Vec<Bucket>, StorageError> {
        let (day, key) = place(kind, level, row_start, id);
        let path = self.files.path(kind, day);
        let row = rows::with(self.file(kind, day)?, key, rollup::read)
            .map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
        let row = row.unwrap_or_else(|| Ok(Vec::new()));
        row.map_err(|e| StorageError::Damaged { file: path, reason: e.to_string() })
    }

    fn save_spans(&mut self, slots: &[u32]) -> Result<(), StorageError> {
        let head = self.head.read().unwrap_or_else(PoisonError::into_inner);
        let span =
            |slot: &u32| head.span(*slot).map(|span| SeriesSpan { id: head.id(*slot), span });
        let spans: Vec<SeriesSpan> = slots.iter().filter_map(span).collect();
        drop(head);
        if spans.is_empty() { Ok(()) } else { self.registry.save_spans(&spans) }
    }
}

/// In which file, under which key, the row of one series lies that begins at `row_start`.
pub(super) const fn place(kind: Kind, level: Level, row_start: i64, id: i64) -> (Day, i64) {
    let day = kind.day_of(row_start);
    (day, rows::key((row_start - kind.span_ms(day).0) / level.row_ms(), id))
}
