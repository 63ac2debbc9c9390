//! Making coarser windows of finer ones, one at a time, between appends.

use std::collections::BTreeMap;

use whyslow_edge::grouping::Grouping;
use whyslow_edge::row::{Key, Row, Totals};

use super::super::error::StorageError;
use super::super::rollup::Due;
use super::super::writer::Writer;
use super::query::levels;
use super::rows::{self, Incoming, Place, Target};

impl Writer {
    /// Rolls one window up; false where none is due.
    pub(in super::super) fn roll_up_edge(&mut self) -> Result<bool, StorageError> {
        let levels = levels(&self.options.retention);
        let Some(due) = self.due(&levels)? else { return Ok(false) };
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
        self.rolled_up(&due, to)?;
        Ok(true)
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
