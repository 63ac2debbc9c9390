//! Making coarser windows of finer ones, and reading ranges from the level that fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_CELLS_PER_DIMENSION_MAX;
use whyslow_store::retention::Retention;
use whyslow_wire::row::Window;

use super::super::days::{Files, Kind, WIRE_FINEST_S};
use super::super::error::StorageError;
use super::super::rollup::{Due, Level, Part, Walk, place_for, preferred_s};
use super::super::writer::Writer;
use super::windows::{self, seconds, wall};

/// Of a long range so much is read at once, and begins at a multiple of it: every level's windows
/// divide it.
const AT_ONCE_S: i64 = 2 * 60 * 60;

/// The levels of a retention, finest first.
pub(in super::super) fn levels(retention: &Retention) -> Vec<Level> {
    let finest = Level { span_s: WIRE_FINEST_S, kind: Kind::WIRE_FINEST };
    let coarser = retention.levels().iter().filter_map(|level| {
        let (span_s, kind) = (level.resolution_ms / 1000, Kind::wire_level(*level));
        (kind != Kind::WIRE_FINEST).then_some(Level { span_s, kind })
    });
    [finest].into_iter().chain(coarser).collect()
}

/// Shows `each` the windows of a range, of one tap or of all, in the order of their starts: of the
/// coarsest level that fits into `wanted_s`, or gives about 120 of them where that is `None`. What
/// is not rolled up yet comes in finer windows, and what is no longer kept in coarser ones. Gives
/// the seconds of that level's windows; a window that holds `from` is in the range, but for the
/// finest.
pub(super) fn over(
    files: &Files,
    levels: &[Level],
    tap: Option<&str>,
    (from, to): (Wall, Wall),
    wanted_s: Option<i64>,
    each: &mut dyn FnMut(Arc<str>, Window),
) -> Result<i64, StorageError> {
    let (mut from_s, to_s) = (seconds(from), seconds(to) + 1);
    let place = place_for(levels, wanted_s.unwrap_or_else(|| preferred_s(from_s, to_s)));
    let walk = Walk { files, levels };
    while from_s < to_s {
        let until_s = (from_s - from_s.rem_euclid(AT_ONCE_S) + AT_ONCE_S).min(to_s);
        let mut found = Vec::new();
        walk.visit(place, from_s, until_s, true, &mut |part| {
            found.extend(of_part(files, tap, &part)?);
            Ok(())
        })?;
        found.retain(|(kind, _, window)| {
            window.from < to && (*kind != Kind::WIRE_FINEST || window.from >= from)
        });
        found.sort_by(|(_, a, one), (_, b, other)| (one.from, a).cmp(&(other.from, b)));
        found.into_iter().for_each(|(_, tap, window)| each(tap, window));
        from_s = until_s;
    }
    Ok(levels[place].span_s)
}

/// The windows of one file that are wanted of it.
fn of_part(
    files: &Files,
    tap: Option<&str>,
    part: &Part<'_>,
) -> Result<impl Iterator<Item = (Kind, Arc<str>, Window)> + use<>, StorageError> {
    let (from, to) = (wall(part.from_s), wall(part.to_s));
    let kind = part.level.kind;
    let found = files.read(kind, part.day, |db| windows::of_file(db, tap, from, to))?;
    let mut found = found.unwrap_or_default();
    found.retain(|(_, window)| !part.stale.contains(&seconds(window.from)));
    Ok(found.into_iter().map(move |(tap, window)| (kind, tap, window)))
}

impl Writer {
    /// Rolls one window of every tap up; false where none is due.
    pub(in super::super) fn roll_up_wire(&mut self) -> Result<bool, StorageError> {
        let levels = levels(&self.options.retention);
        let Some(due) = self.due(&levels)? else { return Ok(false) };
        let coarser = self.coarser_windows(&due)?;
        let kind = due.coarser.kind;
        let to = kind.day_of(due.start_s * 1000);
        let path = self.files.path(kind, to);
        let incoming: Vec<_> = coarser.iter().collect();
        windows::write(self.file(kind, to)?, &path, &incoming, due.next_s)?;
        self.rolled_up(&due, to)?;
        Ok(true)
    }

    /// The coarser window of each tap. It is blind where a part of it was not seen.
    fn coarser_windows(&mut self, due: &Due) -> Result<BTreeMap<Arc<str>, Window>, StorageError> {
        let (from, to) = (wall(due.start_s), wall(due.start_s + due.coarser.span_s));
        let path = self.files.path(due.finer.kind, due.day);
        let db = self.file(due.finer.kind, due.day)?;
        let finer = windows::of_file(db, None, from, to);
        let finer = finer.map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
        let mut all: BTreeMap<Arc<str>, Window> = BTreeMap::new();
        for (tap, window) in finer {
            match all.get_mut(&tap) {
                Some(sum) => {
                    sum.blind |= window.from > sum.to;
                    sum.merge(window);
                }
                None => {
                    let blind = window.blind || window.from > from;
                    all.insert(tap, Window { from, blind, ..window });
                }
            }
        }
        for window in all.values_mut() {
            window.blind |= window.to < to;
            window.fold(WIRE_CELLS_PER_DIMENSION_MAX);
        }
        Ok(all)
    }
}
