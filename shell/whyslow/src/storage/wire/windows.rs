//! Files of the wire's windows, a day each: one row a tap and start, its rows as packed JSON.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::{Connection, params};
use whyslow_model::Wall;
use whyslow_model::limits::WIRE_WINDOW_BYTES_MAX;
use whyslow_wire::row::{Row, Window};

use super::super::days::{Day, Files, Kind};
use super::super::error::{StorageError, damage};
use super::super::file::Shape;
use super::super::rollup::{Level, mark_stale};

pub(in super::super) const SHAPE: Shape = Shape {
    schema: "CREATE TABLE windows (from_ns INTEGER NOT NULL, tap TEXT NOT NULL,
                                   to_ns INTEGER NOT NULL, packets INTEGER NOT NULL,
                                   drops INTEGER NOT NULL, blind INTEGER NOT NULL,
                                   rows BLOB NOT NULL,
                                   PRIMARY KEY (from_ns, tap)) WITHOUT ROWID;
             CREATE TABLE stale (start_s INTEGER PRIMARY KEY);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// Writes windows in the place of those of the same tap and start, and notes which windows of
/// `next_s` seconds they are rolled up into.
pub(super) fn write(
    db: &mut Connection,
    path: &Path,
    windows: &[(&Arc<str>, &Window)],
    next_s: Option<i64>,
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for (tap, window) in windows {
        insert(&tx, tap, window).map_err(failed)?;
        if let Some(next_s) = next_s {
            mark_stale(&tx, seconds(window.from), next_s).map_err(failed)?;
        }
    }
    tx.commit().map_err(failed)
}

fn insert(db: &Connection, tap: &str, window: &Window) -> rusqlite::Result<()> {
    let clamp = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    db.prepare_cached(
        "INSERT OR REPLACE INTO windows (from_ns, tap, to_ns, packets, drops, blind, rows)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        window.from.as_nanos(),
        tap,
        window.to.as_nanos(),
        clamp(window.packets),
        clamp(window.drops),
        window.blind,
        pack(&window.rows)?,
    ])?;
    Ok(())
}

fn pack(rows: &[Row]) -> rusqlite::Result<Vec<u8>> {
    let failed =
        |e: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::ToSqlConversionFailure(e);
    let json = serde_json::to_vec(rows).map_err(|e| failed(Box::new(e)))?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&json).map_err(|e| failed(Box::new(e)))?;
    packed.finish().map_err(|e| failed(Box::new(e)))
}

fn unpack(packed: &[u8]) -> rusqlite::Result<Vec<Row>> {
    let mut json = Vec::new();
    let mut reader = ZlibDecoder::new(packed).take(WIRE_WINDOW_BYTES_MAX);
    reader.read_to_end(&mut json).map_err(|e| damage(&format!("rows that do not unpack: {e}")))?;
    serde_json::from_slice(&json).map_err(|e| damage(&format!("rows that make no sense: {e}")))
}

/// Lets a file that was made before there were roll-ups have their notes, of all that is in it.
pub(in super::super) fn note_all(
    db: &mut Connection,
    path: &Path,
    next_s: Option<i64>,
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'stale'";
    let there: i64 = db.query_row(there, [], |row| row.get(0)).map_err(failed)?;
    if there > 0 {
        return Ok(());
    }
    let tx = db.transaction().map_err(failed)?;
    tx.execute_batch("CREATE TABLE stale (start_s INTEGER PRIMARY KEY);").map_err(failed)?;
    if let Some(next_s) = next_s {
        let all = "INSERT OR IGNORE INTO stale
                       SELECT from_ns / 1000000000 / ?1 * ?1 FROM windows WHERE from_ns >= 0";
        tx.execute(all, [next_s]).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Windows as taps closed them that start in `from..to`, oldest first.
pub(super) fn read(
    files: &Files,
    tap: Option<&str>,
    from: Wall,
    to: Wall,
) -> Result<Vec<(Arc<str>, Window)>, StorageError> {
    let mut all = Vec::new();
    for day in days(files, Kind::WIRE_FINEST, from, to) {
        let found = files.read(Kind::WIRE_FINEST, day, |db| of_file(db, tap, from, to))?;
        all.extend(found.into_iter().flatten());
    }
    Ok(all)
}

pub(super) fn of_file(
    db: &Connection,
    tap: Option<&str>,
    from: Wall,
    to: Wall,
) -> rusqlite::Result<Vec<(Arc<str>, Window)>> {
    let sql = "SELECT tap, from_ns, to_ns, packets, drops, blind, rows FROM windows
                   WHERE from_ns >= ?1 AND from_ns < ?2 AND (?3 IS NULL OR tap = ?3)
                   ORDER BY from_ns, tap";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(params![from.as_nanos(), to.as_nanos(), tap])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let tap: String = row.get(0)?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let window = Window {
            from: Wall::from_nanos(row.get(1)?),
            to: Wall::from_nanos(row.get(2)?),
            packets: count(row.get(3)?),
            drops: count(row.get(4)?),
            blind: row.get(5)?,
            rows: unpack(row.get_ref(6)?.as_blob()?)?,
        };
        found.push((tap.into(), window));
    }
    Ok(found)
}

/// The taps of which there are windows that start in `from..to`, or hold that time.
pub(super) fn taps(
    files: &Files,
    levels: &[Level],
    from: Wall,
    to: Wall,
) -> Result<Vec<Arc<str>>, StorageError> {
    let mut all: Vec<Arc<str>> = Vec::new();
    for level in levels {
        let start = seconds(from) - seconds(from).rem_euclid(level.span_s);
        let from = if level.kind == Kind::WIRE_FINEST { from } else { wall(start) };
        for day in days(files, level.kind, from, to) {
            let found = files.read(level.kind, day, |db| {
                let sql = "SELECT DISTINCT tap FROM windows WHERE from_ns >= ?1 AND from_ns < ?2";
                let mut select = db.prepare_cached(sql)?;
                let span = params![from.as_nanos(), to.as_nanos()];
                let taps = select.query_map(span, |row| row.get::<_, String>(0))?;
                taps.map(|tap| tap.map(Arc::from)).collect::<rusqlite::Result<Vec<_>>>()
            })?;
            all.extend(found.into_iter().flatten());
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Until when the windows of each tap reach; of taps that have some in the newest two files of a
/// level.
pub(super) fn ends(
    files: &Files,
    levels: &[Level],
) -> Result<BTreeMap<Arc<str>, Wall>, StorageError> {
    let mut all: BTreeMap<Arc<str>, Wall> = BTreeMap::new();
    let newest = |level: &Level| {
        let days = files.days(level.kind).into_iter().rev().take(2);
        days.map(|day| (level.kind, day)).collect::<Vec<_>>()
    };
    for (kind, day) in levels.iter().flat_map(newest) {
        let found = files.read(kind, day, |db| {
            let sql = "SELECT tap, max(to_ns) FROM windows GROUP BY tap";
            let mut select = db.prepare_cached(sql)?;
            let ends = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            ends.collect::<rusqlite::Result<Vec<(String, i64)>>>()
        })?;
        for (tap, end) in found.into_iter().flatten() {
            let known = all.entry(tap.into()).or_insert(Wall::from_nanos(i64::MIN));
            *known = Wall::from_nanos(end).max(*known);
        }
    }
    Ok(all)
}

fn days(files: &Files, kind: Kind, from: Wall, to: Wall) -> Vec<Day> {
    let mut days = files.days(kind);
    days.retain(|day| {
        let (start, end) = kind.span_ms(*day);
        end > from.as_millis() && start <= to.as_millis()
    });
    days
}

/// The full second at or before a time.
pub(super) const fn seconds(at: Wall) -> i64 {
    at.as_millis().div_euclid(1000)
}

/// A full second as a time.
pub(super) const fn wall(second: i64) -> Wall {
    Wall::from_millis(second * 1000)
}
