//! What the windows of every plane share: the levels they are kept in, the notes of what is still
//! to be rolled up, and the way a reader takes through the levels.
//!
//! Whenever finer windows are written, the coarser window they lie in is noted as stale in the
//! same transaction; the note goes after the coarser one is durable. So a kill at any moment
//! leaves at worst a window that is rolled up twice, which gives the same.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::days::{Day, Files, Kind};
use super::error::StorageError;
use super::writer::{Writer, now};

/// Windows of one length, and the files they lie in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) span_s: i64,
    pub(super) kind: Kind,
}

/// A window that is due to be rolled up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) finer: Level,
    pub(super) coarser: Level,
    /// The file of the finer level.
    pub(super) day: Day,
    pub(super) start_s: i64,
    /// Seconds of the windows into which the coarser ones are rolled up.
    pub(super) next_s: Option<i64>,
}

/// How long after a window's end it is rolled up, so that most of what is late is in it.
const GRACE_S: i64 = 30;
/// Windows that a query without a preference gives, about.
const WINDOWS: i64 = 120;

impl Writer {
    /// A window of these levels, finest first, that is to be rolled up; `None` where none is.
    pub(super) fn due(&mut self, levels: &[Level]) -> Result<Option<Due>, StorageError> {
        let now_s = now().as_millis() / 1000;
        for (place, pair) in levels.windows(2).enumerate() {
            let (finer, coarser) = (pair[0], pair[1]);
            let until = now_s - GRACE_S - coarser.span_s;
            let files: Vec<(Kind, Day)> =
                self.unrolled.iter().copied().filter(|(kind, _)| *kind == finer.kind).collect();
            for (kind, day) in files {
                let path = self.files.path(kind, day);
                let stale = stale(self.file(kind, day)?, i64::MIN, i64::MAX);
                let stale = stale.map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
                match stale.first().copied() {
                    None => drop(self.unrolled.remove(&(kind, day))),
                    Some(start_s) if start_s <= until => {
                        let next_s = levels.get(place + 2).map(|l| l.span_s);
                        return Ok(Some(Due { finer, coarser, day, start_s, next_s }));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(None)
    }

    /// The coarser window is durable, in the file of `to`.
    pub(super) fn rolled_up(&mut self, due: &Due, to: Day) -> Result<(), StorageError> {
        self.unrolled.insert((due.coarser.kind, to));
        let path = self.files.path(due.finer.kind, due.day);
        let done = self
            .file(due.finer.kind, due.day)?
            .execute("DELETE FROM stale WHERE start_s = ?1", [due.start_s]);
        done.map_err(|e| StorageError::of_sqlite("write to", &path, &e))?;
        Ok(())
    }
}

/// Notes that the window of `next_s` seconds around `at_s` is to be rolled up (again).
pub(super) fn mark_stale(db: &Connection, at_s: i64, next_s: i64) -> rusqlite::Result<usize> {
    let start_s = at_s - at_s.rem_euclid(next_s);
    db.prepare_cached("INSERT OR IGNORE INTO stale (start_s) VALUES (?1)")?.execute([start_s])
}

/// Windows of the next level, starting in `from_s..to_s`, that are to be rolled up (again).
pub(super) fn stale(db: &Connection, from_s: i64, to_s: i64) -> rusqlite::Result<Vec<i64>> {
    let mut select = db.prepare_cached(
        "SELECT start_s FROM stale WHERE start_s >= ?1 AND start_s < ?2 ORDER BY start_s",
    )?;
    select.query_map([from_s, to_s], |row| row.get(0))?.collect()
}

/// The place of the coarsest level that fits into `preferred_s` seconds, the finest where none
/// does.
pub(super) fn place_for(levels: &[Level], preferred_s: i64) -> usize {
    levels.iter().take_while(|l| l.span_s <= preferred_s).count().saturating_sub(1)
}

/// How long the windows of a range should be where nobody says it.
pub(super) fn preferred_s(from_s: i64, to_s: i64) -> i64 {
    to_s.saturating_sub(from_s).max(1) / WINDOWS
}

/// The way through the levels of some windows, finest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) files: &'a Files,
    pub(super) levels: &'a [Level],
}

/// What of one file is to be read.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) level: Level,
    pub(super) day: Day,
    pub(super) from_s: i64,
    pub(super) to_s: i64,
    /// Starts of windows that finer ones answer for.
    pub(super) stale: &'a BTreeSet<i64>,
}

impl Walk<'_> {
    /// Shows `read` where the windows lie of one level that start in `from_s..to_s`, rounded down:
    /// what is not rolled up yet in finer levels, and, with `coarser`, what is no longer kept in
    /// coarser ones.
    pub(super) fn visit(
        &self,
        place: usize,
        from_s: i64,
        to_s: i64,
        coarser: bool,
        read: &mut dyn FnMut(Part<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let level = self.levels[place];
        let mut from_s = from_s - from_s.rem_euclid(level.span_s);
        if coarser && place + 1 < self.levels.len() {
            // Finer levels answer for what is not rolled up into this one yet.
            let kept = self.levels[..=place].iter().filter_map(|l| self.files.oldest_ms(l.kind));
            let oldest = kept.min().map_or(to_s, |ms| ms / 1000);
            if oldest > from_s {
                self.visit(place + 1, from_s, oldest.min(to_s), true, read)?;
                from_s = oldest;
            }
        }
        let stale = if place > 0 { self.stale(place, from_s, to_s)? } else { BTreeSet::new() };
        for start in &stale {
            self.visit(place - 1, *start, start + level.span_s, false, read)?;
        }
        for (day, from_s, to_s) in stretches(self.files, level.kind, from_s, to_s) {
            read(Part { level, day, from_s, to_s, stale: &stale })?;
        }
        Ok(())
    }

    /// Windows of a level of which something is not rolled up yet, on whatever level below.
    fn stale(&self, place: usize, from_s: i64, to_s: i64) -> Result<BTreeSet<i64>, StorageError> {
        let span_s = self.levels[place].span_s;
        let mut all = BTreeSet::new();
        for level in &self.levels[..place] {
            for (day, from, to) in stretches(self.files, level.kind, from_s, to_s) {
                let found = self.files.read(level.kind, day, |db| stale(db, from, to))?;
                let starts = found.into_iter().flatten();
                all.extend(starts.map(|start| start - start.rem_euclid(span_s)));
            }
        }
        Ok(all)
    }
}

/// The files of one kind with windows that start in `from_s..to_s`, each with its part of it.
pub(super) fn stretches(files: &Files, kind: Kind, from_s: i64, to_s: i64) -> Vec<(Day, i64, i64)> {
    let part = |day: Day| {
        let (start, end) = kind.span_ms(day);
        let (from, to) = (from_s.max(start / 1000), to_s.min(end / 1000));
        (from < to).then_some((day, from, to))
    };
    files.days(kind).into_iter().filter_map(part).collect()
}
