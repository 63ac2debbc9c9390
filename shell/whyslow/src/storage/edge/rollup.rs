//! Making coarser windows of finer ones, one at a time, between appends.
//!
//! Whenever rows are written, the coarser window they lie in is noted as stale in the same
//! transaction; the note goes after the coarser rows are durable. So a kill at any moment leaves
//! at worst a window that is rolled up twice, which gives the same.

use std::collections::BTreeMap;

use whyslow_edge::grouping::Grouping;
use whyslow_edge::row::{Key, Row, Totals};

use super::super::days::{Day, Kind};
use super::super::error::StorageError;
use super::super::writer::{Writer, now};
use super::query::{Level, levels};
use super::rows::{self, Incoming, Place, Target};

/// How long after a window's end it is rolled up, so that most late lines are in it.
const GRACE_S: i64 = 30;

/// A window that is due.
struct Due {
    finer: Level,
    coarser: Level,
    /// The file of the finer level.
    day: Day,
    start_s: i64,
    /// Seconds of the windows into which the coarser ones are rolled up.
    next_s: Option<i64>,
}

impl Writer {
    /// Rolls one window up; false where none is due.
    pub(in super::super) fn roll_up_edge(&mut self) -> Result<bool, StorageError> {
        let Some(due) = self.due_edge()? else { return Ok(false) };
        let rows = self.coarser_rows(&due)?;
        let start_ms = due.start_s * 1000;
        let kind = due.coarser.kind;
        let to = kind.day_of(start_ms);
        let path = self.files.path(kind, to);
        let target = Target {
            path: &path,
            start_s: kind.span_ms(to).0 / 1000,
            span_s: due.coarser.span_s,
            next_s: due.next_s,
        };
        let incoming: Incoming<'_> = rows.iter().map(|row| (0, None, 0, row)).collect();
        rows::write(self.file(kind, to)?, target, &incoming, |_| {})?;
        self.unrolled.insert((kind, to));
        let path = self.files.path(due.finer.kind, due.day);
        let done = self
            .file(due.finer.kind, due.day)?
            .execute("DELETE FROM stale WHERE start_s = ?1", [due.start_s]);
        done.map_err(|e| StorageError::of_sqlite("write to", &path, &e))?;
        Ok(true)
    }

    fn due_edge(&mut self) -> Result<Option<Due>, StorageError> {
        let now_s = now().as_millis() / 1000;
        let levels = levels(&self.options.retention);
        for (place, pair) in levels.windows(2).enumerate() {
            let (finer, coarser) = (pair[0], pair[1]);
            let until = now_s - GRACE_S - coarser.span_s;
            let files: Vec<(Kind, Day)> =
                self.unrolled.iter().copied().filter(|(kind, _)| *kind == finer.kind).collect();
            for (kind, day) in files {
                let path = self.files.path(kind, day);
                let stale = rows::stale(self.file(kind, day)?, i64::MIN, i64::MAX);
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

    /// The rows of a window, made of finer ones.
    fn coarser_rows(&mut self, due: &Due) -> Result<Vec<Row>, StorageError> {
        let path = self.files.path(due.finer.kind, due.day);
        let file_s = due.finer.kind.span_ms(due.day).0 / 1000;
        let db = self.file(due.finer.kind, due.day)?;
        let read = || {
            let mut keys: BTreeMap<(u8, i64), Key> = BTreeMap::new();
            for grouping in rows::groupings(db)? {
                let own = rows::keys(db, grouping)?;
                keys.extend(own.into_iter().map(|(n, key)| ((grouping.bits(), n), key)));
            }
            let mut sums: BTreeMap<(u8, i64), Totals> = BTreeMap::new();
            for at in (due.start_s..due.start_s + due.coarser.span_s)
                .step_by(usize::try_from(due.finer.span_s).unwrap_or(1))
            {
                let window = (at - file_s) / due.finer.span_s;
                for (key, totals) in one_window(db, window)? {
                    match sums.get_mut(&key) {
                        Some(sum) => sum.merge_later(&totals),
                        None => drop(sums.insert(key, totals)),
                    }
                }
            }
            Ok((keys, sums))
        };
        let (mut keys, sums) = read().map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
        let span_s = u32::try_from(due.coarser.span_s).unwrap_or(u32::MAX);
        let row = |(number, mut totals): ((u8, i64), Totals)| {
            totals.by_second = Vec::new();
            let key = keys.remove(&number)?;
            Some(Row { start_s: due.start_s, span_s, key, totals })
        };
        Ok(sums.into_iter().filter_map(row).collect())
    }
}

/// What was counted in one window, over all sources, by grouping and key.
fn one_window(
    db: &rusqlite::Connection,
    window: i64,
) -> rusqlite::Result<BTreeMap<(u8, i64), Totals>> {
    let first = Place { window, grouping: Grouping::ALL, key: 0, source: 0 }.number();
    let last = Place { window: window + 1, grouping: Grouping::ALL, key: 0, source: 0 }.number();
    let mut sums: BTreeMap<(u8, i64), Totals> = BTreeMap::new();
    rows::each(db, (first, last - 1), |place, totals| {
        let key = (place.grouping.bits(), place.key);
        match sums.get_mut(&key) {
            Some(sum) => sum.merge(&totals),
            None => drop(sums.insert(key, totals)),
        }
    })?;
    Ok(sums)
}
