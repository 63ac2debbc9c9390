//! Files of windows: one row a source, start and key, packed.
//!
//! A row's place is its window in the file, then grouping, key and source, so that what is written
//! together lies together, and one key or one grouping of a window is one short stretch.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use whyslow_edge::grouping::Grouping;
use whyslow_edge::pack;
use whyslow_edge::row::{Key, Row, Totals};

use super::super::error::{StorageError, damage};
use super::super::file::Shape;
use super::super::rollup::mark_stale;

pub(in super::super) const SHAPE: Shape = Shape {
    schema: "CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
             CREATE TABLE keys (grouping INTEGER NOT NULL, n INTEGER NOT NULL, key TEXT NOT NULL,
                                PRIMARY KEY (grouping, n)) WITHOUT ROWID;
             CREATE UNIQUE INDEX keys_by_text ON keys (key);
             CREATE TABLE rows (place INTEGER PRIMARY KEY, revision INTEGER NOT NULL,
                                totals BLOB NOT NULL);
             CREATE TABLE stale (start_s INTEGER PRIMARY KEY);",
    // A row of some traffic is half a kilobyte; in small pages much would be left empty.
    page_bytes: 16_384,
    outlives_power_loss: true,
};

const SOURCE_BITS: u32 = 12;
const KEY_BITS: u32 = 28;
const GROUPING_BITS: u32 = 8;
/// The source of rows that stand for all sources.
pub(super) const EVERY_SOURCE: i64 = 0;

/// Where a row lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The window's number in the file.
    pub(super) window: i64,
    /// By which fields the key tells apart.
    pub(super) grouping: Grouping,
    /// The key's number within the grouping.
    pub(super) key: i64,
    /// The source's number.
    pub(super) source: i64,
}

impl Place {
    pub(super) fn number(self) -> i64 {
        let grouped = self.window << GROUPING_BITS | i64::from(self.grouping.bits());
        (grouped << KEY_BITS | self.key) << SOURCE_BITS | self.source
    }

    pub(super) fn of(number: i64) -> Self {
        let part = |shift: u32, bits: u32| number >> shift & ((1 << bits) - 1);
        let grouping = part(SOURCE_BITS + KEY_BITS, GROUPING_BITS).to_le_bytes()[0];
        Self {
            window: number >> (SOURCE_BITS + KEY_BITS + GROUPING_BITS),
            grouping: Grouping::from_bits(grouping),
            key: part(SOURCE_BITS, KEY_BITS),
            source: part(0, SOURCE_BITS),
        }
    }

    /// The first and the last place of one key in one window, whatever the source.
    pub(super) fn of_key(window: i64, grouping: Grouping, key: i64) -> (i64, i64) {
        let first = Self { window, grouping, key, source: 0 }.number();
        (first, first | ((1 << SOURCE_BITS) - 1))
    }

    /// The first and the last place of one grouping in one window.
    pub(super) fn of_grouping(window: i64, grouping: Grouping) -> (i64, i64) {
        let first = Self { window, grouping, key: 0, source: 0 }.number();
        (first, first | ((1 << (KEY_BITS + SOURCE_BITS)) - 1))
    }
}

/// The file that is written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) path: &'a Path,
    /// The file's start: seconds since the epoch.
    pub(super) start_s: i64,
    /// Seconds of its windows.
    pub(super) span_s: i64,
    /// Seconds of the windows into which these are rolled up.
    pub(super) next_s: Option<i64>,
}

/// Rows for one file, each with the place of its request.
pub(super) type Incoming<'a> = Vec<(usize, Option<&'a Arc<str>>, u32, &'a Row)>;

/// Writes rows; calls `taken` with the place of the request of each that is new or took the place
/// of another.
pub(super) fn write(
    db: &mut Connection,
    target: Target<'_>,
    rows: &Incoming<'_>,
    mut taken: impl FnMut(usize),
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", target.path, &e);
    let tx = db.transaction().map_err(failed)?;
    let mut done = Vec::new();
    for (request, source, revision, row) in rows {
        let source = source.map_or(Ok(EVERY_SOURCE), |name| source_number(&tx, name));
        let place = place(&tx, target, row, source.map_err(failed)?).map_err(failed)?;
        if put(&tx, place, *revision, &row.totals).map_err(failed)? > 0 {
            done.push(*request);
        }
        if let Some(next_s) = target.next_s {
            mark_stale(&tx, row.start_s, next_s).map_err(failed)?;
        }
    }
    tx.commit().map_err(failed)?;
    done.into_iter().for_each(&mut taken);
    Ok(())
}

fn place(db: &Connection, target: Target<'_>, row: &Row, source: i64) -> rusqlite::Result<Place> {
    let window = (row.start_s - target.start_s) / target.span_s;
    let grouping = Grouping::of(&row.key);
    Ok(Place { window, grouping, key: key_number(db, grouping, &row.key)?, source })
}

fn put(db: &Connection, place: Place, revision: u32, totals: &Totals) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "INSERT INTO rows (place, revision, totals) VALUES (?1, ?2, ?3)
             ON CONFLICT (place) DO UPDATE SET revision = ?2, totals = ?3 WHERE revision <= ?2",
    )?
    .execute(params![place.number(), revision, pack::pack(totals)])
}

/// The number of a source of this file, given where it has none.
fn source_number(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    if let Some(id) = known_source(db, name)? {
        return Ok(id);
    }
    // The first is 1; a file has room for as many as a place has bits for.
    let id: i64 = db.query_row("SELECT ifnull(max(id), 0) + 1 FROM sources", [], |r| r.get(0))?;
    let id = id.min((1 << SOURCE_BITS) - 1);
    db.execute("INSERT OR IGNORE INTO sources (id, name) VALUES (?1, ?2)", params![id, name])?;
    Ok(id)
}

/// The number of a source of this file.
pub(super) fn known_source(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = db.prepare_cached("SELECT id FROM sources WHERE name = ?1")?;
    select.query_row([name], |row| row.get(0)).optional()
}

/// The number of a key of this file, given where it has none.
fn key_number(db: &Connection, grouping: Grouping, key: &Key) -> rusqlite::Result<i64> {
    let text = serde_json::to_string(key)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    let mut select = db.prepare_cached("SELECT n FROM keys WHERE key = ?1")?;
    if let Some(n) = select.query_row([&text], |row| row.get(0)).optional()? {
        return Ok(n);
    }
    let bits = grouping.bits();
    let next = "SELECT ifnull(max(n), 0) + 1 FROM keys WHERE grouping = ?1";
    let n: i64 = db.prepare_cached(next)?.query_row([bits], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO keys (grouping, n, key) VALUES (?1, ?2, ?3)")?
        .execute(params![bits, n, text])?;
    Ok(n)
}

/// The groupings of which a file has rows.
pub(super) fn groupings(db: &Connection) -> rusqlite::Result<Vec<Grouping>> {
    let mut all = Vec::new();
    let mut next = db.prepare_cached("SELECT min(grouping) FROM keys WHERE grouping > ?1")?;
    let mut last: i64 = -1;
    while let Some(bits) = next.query_row([last], |row| row.get::<_, Option<u8>>(0))? {
        all.push(Grouping::from_bits(bits));
        last = i64::from(bits);
    }
    Ok(all)
}

/// The keys of one grouping, each with its number.
pub(super) fn keys(db: &Connection, grouping: Grouping) -> rusqlite::Result<Vec<(i64, Key)>> {
    let mut select = db.prepare_cached("SELECT n, key FROM keys WHERE grouping = ?1")?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
    let mut keys = Vec::new();
    for read in select.query_map([grouping.bits()], row)? {
        let (n, text) = read?;
        keys.push((n, read_key(n, &text)?));
    }
    Ok(keys)
}

/// One key of a grouping, by its number.
pub(super) fn key(db: &Connection, grouping: Grouping, n: i64) -> rusqlite::Result<Option<Key>> {
    let sql = "SELECT key FROM keys WHERE grouping = ?1 AND n = ?2";
    let text = db
        .prepare_cached(sql)?
        .query_row((grouping.bits(), n), |row| row.get::<_, String>(0))
        .optional()?;
    text.map(|text| read_key(n, &text)).transpose()
}

fn read_key(n: i64, text: &str) -> rusqlite::Result<Key> {
    serde_json::from_str(text).map_err(|e| damage(&format!("key {n} makes no sense: {e}")))
}

/// Calls `take` with each row between two places, both included.
pub(super) fn each(
    db: &Connection,
    (from, to): (i64, i64),
    mut take: impl FnMut(Place, Totals),
) -> rusqlite::Result<()> {
    let mut select =
        db.prepare_cached("SELECT place, totals FROM rows WHERE place BETWEEN ?1 AND ?2")?;
    let mut rows = select.query([from, to])?;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        let totals = pack::unpack(row.get_ref(1)?.as_blob()?);
        take(Place::of(place), totals.ok_or_else(|| damage(&format!("row {place} is none")))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_number_and_comes_back() {
        let grouping = Grouping::BACKEND.and(Grouping::CLIENT_PREFIX);
        let place = Place { window: 8639, grouping, key: (1 << 28) - 1, source: 4095 };
        assert_eq!(Place::of(place.number()), place);
        let (first, last) = Place::of_key(8639, grouping, place.key);
        assert!((first..=last).contains(&place.number()));
        let (first, last) = Place::of_grouping(8639, grouping);
        assert!((first..=last).contains(&place.number()));
        assert!(last < Place::of_key(8640, Grouping::ALL, 0).0);
    }
}
