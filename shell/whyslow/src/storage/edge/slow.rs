//! Files of slow requests, a day each.
//!
//! What is filtered by stands in narrow columns, texts as numbers of `words`; the whole request is
//! a document beside it. Each indexed column comes with the time, so that the newest of one value
//! are one short stretch of its index.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use whyslow_edge::slow::{SlowCount, SlowRow};

use super::super::error::StorageError;
use super::super::file::Shape;
use super::slow_read::{FieldKind, SlowField};

pub(in super::super) const SHAPE: Shape = Shape {
    schema: "CREATE TABLE words (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
             CREATE TABLE slow (
                 seq INTEGER PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL,
                 total INTEGER NOT NULL, stands_for REAL NOT NULL,
                 source INTEGER, client INTEGER, prefix INTEGER, asn INTEGER, country INTEGER,
                 vip INTEGER, backend INTEGER, server INTEGER, method INTEGER, host INTEGER,
                 path INTEGER, route INTEGER, code INTEGER, flags INTEGER, blamed INTEGER,
                 dominant INTEGER, reason INTEGER, request_id TEXT);
             CREATE UNIQUE INDEX slow_by_id ON slow (id);
             CREATE INDEX slow_by_time ON slow (at);
             CREATE INDEX slow_by_total ON slow (total);
             CREATE INDEX slow_by_client ON slow (client, at);
             CREATE INDEX slow_by_prefix ON slow (prefix, at);
             CREATE INDEX slow_by_asn ON slow (asn, at);
             CREATE INDEX slow_by_backend ON slow (backend, at);
             CREATE INDEX slow_by_server ON slow (server, at);
             CREATE INDEX slow_by_route ON slow (route, at);
             CREATE INDEX slow_by_path ON slow (path, at);
             CREATE INDEX slow_by_code ON slow (code, at);
             CREATE INDEX slow_by_flags ON slow (flags, at);
             CREATE INDEX slow_by_request ON slow (request_id) WHERE request_id IS NOT NULL;
             CREATE TABLE documents (seq INTEGER PRIMARY KEY, document TEXT NOT NULL);
             CREATE TABLE counts (start_s INTEGER NOT NULL, source INTEGER NOT NULL,
                                  route INTEGER NOT NULL, reason INTEGER NOT NULL,
                                  seen INTEGER NOT NULL, kept INTEGER NOT NULL,
                                  PRIMARY KEY (start_s, source, route, reason)) WITHOUT ROWID;",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// Writes slow requests, each with the place of its request, and calls `new` with that place for
/// each that was not there; and the counts, in the place of those that are there.
pub(super) fn write(
    db: &mut Connection,
    path: &Path,
    rows: &[(usize, &SlowRow)],
    counts: &[&SlowCount],
    mut new: impl FnMut(usize),
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    let mut done = Vec::new();
    for (request, row) in rows {
        if insert(&tx, row).map_err(failed)? {
            done.push(*request);
        }
    }
    for count in counts {
        insert_count(&tx, count).map_err(failed)?;
    }
    tx.commit().map_err(failed)?;
    done.into_iter().for_each(&mut new);
    Ok(())
}

/// The number that stands for a row's id: ids are hexadecimal, anything else is hashed so.
fn id_number(id: &str) -> i64 {
    let number = u64::from_str_radix(id, 16).unwrap_or_else(|_| whyslow_model::hash::fnv1a(id));
    number.cast_signed()
}

fn insert(db: &Connection, row: &SlowRow) -> rusqlite::Result<bool> {
    let mut values: Vec<Value> = vec![
        id_number(&row.id).into(),
        (row.at.as_nanos().div_euclid(1000)).into(),
        i64::try_from(row.total_us).unwrap_or(i64::MAX).into(),
        row.stands_for.into(),
    ];
    for field in SlowField::ALL {
        values.push(match (field.kind(), field.of(row)) {
            (_, None) => Value::Null,
            (FieldKind::Word, Some(text)) => word(db, &text)?.into(),
            (FieldKind::Number, Some(text)) => field.number(&text).into(),
            (FieldKind::Text, Some(text)) => text.into(),
        });
    }
    let names = SlowField::ALL.map(SlowField::as_column).join(", ");
    let marks = vec!["?"; values.len()].join(", ");
    let sql =
        format!("INSERT OR IGNORE INTO slow (id, at, total, stands_for, {names}) VALUES ({marks})");
    if db.prepare_cached(&sql)?.execute(params_from_iter(values))? == 0 {
        return Ok(false);
    }
    let seq = db.last_insert_rowid();
    let document = serde_json::to_string(row)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    db.prepare_cached("INSERT INTO documents (seq, document) VALUES (?1, ?2)")?
        .execute(params![seq, document])?;
    Ok(true)
}

fn insert_count(db: &Connection, count: &SlowCount) -> rusqlite::Result<()> {
    let clamp = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (source, route) = (word(db, &count.source)?, word(db, &count.route)?);
    let reason = SlowField::Reason.number(count.reason.as_str());
    db.prepare_cached(
        "INSERT OR REPLACE INTO counts (start_s, source, route, reason, seen, kept)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        count.start_s,
        source,
        route,
        reason,
        clamp(count.seen),
        clamp(count.kept)
    ])?;
    Ok(())
}

/// The number of a text of this file, given where it has none.
fn word(db: &Connection, text: &str) -> rusqlite::Result<i64> {
    if let Some(id) = known_word(db, text)? {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO words (text) VALUES (?1)")?.insert([text])
}

/// The number of a text of this file.
pub(super) fn known_word(db: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = db.prepare_cached("SELECT id FROM words WHERE text = ?1")?;
    select.query_row([text], |row| row.get(0)).optional()
}
