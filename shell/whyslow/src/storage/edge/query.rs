//! Reading windows: from the level that fits, from finer ones where it is not rolled up yet, and
//! from coarser ones where it is no longer kept.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use whyslow_edge::grouping::{Grouping, satisfies};
use whyslow_edge::row::{Key, Row, Totals};
use whyslow_model::limits::EDGE_QUERY_ROWS_MAX;
use whyslow_store::retention::Retention;

use super::super::days::{Files, Kind};
use super::super::error::StorageError;
use super::super::rollup::{Level, Part, Walk, place_for, preferred_s};
use super::rows::{self, Place};

/// Which windows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeQuery {
    /// The first second wanted; rounded down to a whole window.
    pub from_s: i64,
    /// The first second no longer wanted.
    pub to_s: i64,
    /// How long the windows should be, in seconds. They are rounded down to what the store can
    /// make, and longer where only coarser roll-ups are kept. `None`: about 120 windows.
    pub span_s: Option<u32>,
    /// By which fields to tell apart.
    pub grouping: Grouping,
    /// Fields that must have these values; they need not be among those of `grouping`.
    pub filter: Key,
    /// Sources to add up; empty for all. Sources are told apart only where windows of ten seconds
    /// are still kept.
    pub sources: Vec<String>,
}

/// Seconds of the windows that sources give.
pub(super) const FINEST_S: i64 = 10;

/// The levels of a retention, finest first.
pub(in super::super) fn levels(retention: &Retention) -> Vec<Level> {
    let level = |l: &whyslow_store::retention::Level| {
        let span_s = if l.resolution_ms == 0 { FINEST_S } else { l.resolution_ms / 1000 };
        Level { span_s, kind: Kind::edge_level(*l) }
    };
    retention.levels().iter().map(level).collect()
}

/// Keys up to which each is looked up by itself in every window.
const FEW_KEYS: usize = 16;

/// The rows that a query asks for, by start and key.
pub(in super::super) fn rows(
    files: &Files,
    levels: &[Level],
    query: &EdgeQuery,
) -> Result<Vec<Row>, StorageError> {
    let preferred = query.span_s.map_or(preferred_s(query.from_s, query.to_s), i64::from);
    // Sources are told apart only in the finest.
    let every = query.sources.is_empty();
    let place = if every { place_for(levels, preferred) } else { 0 };
    let step_s = levels[place].span_s;
    let span_s = match query.span_s {
        Some(_) => (preferred / step_s).max(1) * step_s,
        None => step_s,
    };
    let from_s = query.from_s - query.from_s.rem_euclid(span_s);
    let mut reading = Reading { files, query, span_s, done: BTreeMap::new() };
    let walk = Walk { files, levels };
    walk.visit(place, from_s, query.to_s, every, &mut |part| reading.read(&part))?;
    Ok(reading
        .done
        .into_iter()
        .map(|((start_s, key), (span, totals))| {
            let span_s = u32::try_from(span).unwrap_or(u32::MAX);
            Row { start_s, span_s, key, totals }
        })
        .collect())
}

/// A query under way.
struct Reading<'a> {
    files: &'a Files,
    query: &'a EdgeQuery,
    span_s: i64,
    /// By start and key: how long the window is, and what was counted.
    done: BTreeMap<(i64, Key), (i64, Totals)>,
}

impl Reading<'_> {
    fn read(&mut self, part: &Part<'_>) -> Result<(), StorageError> {
        let &Part { level, day, from_s: from, to_s: to, stale } = part;
        let found = self.files.read(level.kind, day, |db| {
            let file_s = level.kind.span_ms(day).0 / 1000;
            let scan = Scan { db, query: self.query, level, file_s, from, to };
            let skip = |start: i64| stale.contains(&start);
            scan.run(&skip, &mut |start, window| {
                add(&mut self.done, self.span_s, level, start, window)
            })
        })?;
        if found == Some(false) {
            return Err(StorageError::TooMuch { limit: EDGE_QUERY_ROWS_MAX });
        }
        Ok(())
    }
}

/// Adds one window's keys to the answer; false where it grows beyond its limit.
fn add(
    done: &mut BTreeMap<(i64, Key), (i64, Totals)>,
    span_s: i64,
    level: Level,
    start: i64,
    window: BTreeMap<Key, Totals>,
) -> bool {
    let span_s = span_s.max(level.span_s);
    let bucket = start - start.rem_euclid(span_s);
    for (key, totals) in window {
        match done.entry((bucket, key)) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert((span_s, totals));
            }
            std::collections::btree_map::Entry::Occupied(mut there) => {
                there.get_mut().1.merge_later(&totals);
            }
        }
    }
    done.len() <= EDGE_QUERY_ROWS_MAX
}

/// One file being read.
struct Scan<'a> {
    db: &'a Connection,
    query: &'a EdgeQuery,
    level: Level,
    /// The file's start.
    file_s: i64,
    from: i64,
    to: i64,
}

impl Scan<'_> {
    /// Calls `take` with each window's start and keys until it answers false; answers whether it
    /// never did.
    fn run(
        &self,
        skip: &impl Fn(i64) -> bool,
        take: &mut impl FnMut(i64, BTreeMap<Key, Totals>) -> bool,
    ) -> rusqlite::Result<bool> {
        let fields = self.query.grouping.and(Grouping::of(&self.query.filter));
        let Some(grouping) = fields.cover(rows::groupings(self.db)?) else { return Ok(true) };
        let keys: BTreeMap<i64, Key> = rows::keys(self.db, grouping)?
            .into_iter()
            .filter(|(_, key)| satisfies(key, &self.query.filter))
            .map(|(n, key)| (n, self.query.grouping.project(&key)))
            .collect();
        let sources = self.sources()?;
        let mut start = self.from;
        while start < self.to {
            if !skip(start) {
                let window = self.window(start, grouping, &keys, sources.as_ref())?;
                if !window.is_empty() && !take(start, window) {
                    return Ok(false);
                }
            }
            start += self.level.span_s;
        }
        Ok(true)
    }

    /// The numbers of the sources that are wanted; `None` where all are.
    fn sources(&self) -> rusqlite::Result<Option<BTreeSet<i64>>> {
        if self.query.sources.is_empty() {
            return Ok(None);
        }
        let mut wanted = BTreeSet::new();
        for name in &self.query.sources {
            wanted.extend(rows::known_source(self.db, name)?);
        }
        Ok(Some(wanted))
    }

    fn window(
        &self,
        start: i64,
        grouping: Grouping,
        keys: &BTreeMap<i64, Key>,
        sources: Option<&BTreeSet<i64>>,
    ) -> rusqlite::Result<BTreeMap<Key, Totals>> {
        let number = (start - self.file_s) / self.level.span_s;
        let mut window: BTreeMap<Key, Totals> = BTreeMap::new();
        let mut take = |place: Place, totals: Totals| {
            let wanted = sources.is_none_or(|s| s.contains(&place.source));
            if let Some(key) = keys.get(&place.key).filter(|_| wanted) {
                match window.get_mut(key) {
                    Some(there) => there.merge(&totals),
                    None => drop(window.insert(key.clone(), totals)),
                }
            }
        };
        if keys.len() <= FEW_KEYS {
            for key in keys.keys() {
                rows::each(self.db, Place::of_key(number, grouping, *key), &mut take)?;
            }
        } else {
            rows::each(self.db, Place::of_grouping(number, grouping), &mut take)?;
        }
        Ok(window)
    }
}
