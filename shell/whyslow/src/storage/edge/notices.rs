//! Files of readings, a day each, and of findings, thirty days each.
//!
//! A reading stands in a short row beside the cell it is about, since a cell is read in every
//! window: `readings(from_ns, cell)` with what was found, and `cells(code, cohort and locus)`.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde::{Deserialize, Serialize};
use whyslow_model::Wall;
use whyslow_model::limits::EDGE_PAGE_MAX;
use whyslow_model::observation::{Cohort, Evidence, Locus};
use whyslow_model::reading::{Against, Finding, Reading, Stat, Status};

use super::super::days::{Files, Kind};
use super::super::error::{StorageError, damage};
use super::super::file::Shape;

pub(in super::super) const READINGS: Shape = Shape {
    schema: "CREATE TABLE cells (id INTEGER PRIMARY KEY, code TEXT NOT NULL, cell TEXT NOT NULL,
                                 UNIQUE (code, cell));
             CREATE TABLE readings (from_ns INTEGER NOT NULL, cell INTEGER NOT NULL,
                                    to_ns INTEGER NOT NULL, status INTEGER NOT NULL,
                                    rest TEXT NOT NULL, PRIMARY KEY (from_ns, cell))
                                    WITHOUT ROWID;",
    page_bytes: 4096,
    outlives_power_loss: true,
};

pub(in super::super) const FINDINGS: Shape = Shape {
    schema: "CREATE TABLE findings (id TEXT PRIMARY KEY, code TEXT NOT NULL,
                                    opened_ns INTEGER NOT NULL, closed_ns INTEGER,
                                    document TEXT NOT NULL);
             CREATE INDEX findings_by_time ON findings (opened_ns);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// Which readings are wanted; what is absent wants all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadingQuery {
    /// The earliest start, inclusive.
    pub from: Option<Wall>,
    /// The latest start, exclusive.
    pub to: Option<Wall>,
    /// Codes; empty for all.
    pub codes: Vec<String>,
    /// Statuses; empty for all.
    pub statuses: Vec<Status>,
    /// Only of cells whose locus has what this one has.
    pub locus: Locus,
    /// How many at most, [`EDGE_PAGE_MAX`] where more are asked for; 0 for as many as that.
    pub limit: usize,
}

/// Which findings are wanted; what is absent wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingQuery {
    /// Open at this time or later.
    pub from: Option<Wall>,
    /// Opened before this time.
    pub to: Option<Wall>,
    /// Codes; empty for all.
    pub codes: Vec<String>,
    /// Only those that go on.
    pub open_only: bool,
    /// How many at most, [`EDGE_PAGE_MAX`] where more are asked for; 0 for as many as that.
    pub limit: usize,
}

/// What a cell is, as it is stored.
#[derive(Serialize, Deserialize)]
struct Cell {
    cohort: Cohort,
    locus: Locus,
}

/// What a reading's row holds beside its columns.
#[derive(Serialize, Deserialize)]
struct Rest {
    here: Stat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    there: Option<Stat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    against: Option<Against>,
    #[serde(default)]
    completeness: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence>,
}

/// Writes readings in the place of those of the same cell and start.
pub(super) fn write_readings(
    db: &mut Connection,
    path: &Path,
    readings: &[&Reading],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for reading in readings {
        insert_reading(&tx, reading).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

fn insert_reading(db: &Connection, r: &Reading) -> rusqlite::Result<()> {
    let cell = json(&Cell { cohort: r.cohort.clone(), locus: r.locus.clone() })?;
    let known = db
        .prepare_cached("SELECT id FROM cells WHERE code = ?1 AND cell = ?2")?
        .query_row([&r.code, &cell], |row| row.get(0))
        .optional()?;
    let id: i64 = match known {
        Some(id) => id,
        None => {
            let sql = "INSERT INTO cells (code, cell) VALUES (?1, ?2)";
            db.prepare_cached(sql)?.insert([&r.code, &cell])?
        }
    };
    let rest = json(&Rest {
        here: r.here.clone(),
        there: r.there.clone(),
        against: r.against,
        completeness: r.completeness,
        evidence: r.evidence.clone(),
    })?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO readings (from_ns, cell, to_ns, status, rest)
             VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        r.from.as_nanos(),
        id,
        r.to.as_nanos(),
        status_number(r.status),
        rest
    ])?;
    Ok(())
}

/// Writes findings in the place of those of the same id.
pub(super) fn write_findings(
    db: &mut Connection,
    path: &Path,
    findings: &[&Finding],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for f in findings {
        let document = json(f).map_err(failed)?;
        let closed = f.closed.map(Wall::as_nanos);
        tx.prepare_cached(
            "INSERT OR REPLACE INTO findings (id, code, opened_ns, closed_ns, document)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut sql| {
            sql.execute(params![f.id, f.code, f.opened.as_nanos(), closed, document])
        })
        .map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Readings, newest first.
pub(in super::super) fn readings(
    files: &Files,
    query: &ReadingQuery,
) -> Result<Vec<Reading>, StorageError> {
    let limit = limit(query.limit);
    let mut all = Vec::new();
    for day in files.days(Kind::Readings).into_iter().rev() {
        let (start, end) = Kind::Readings.span_ms(day);
        let outside = query.to.is_some_and(|to| start > to.as_millis())
            || query.from.is_some_and(|from| end <= from.as_millis());
        if outside || all.len() >= limit {
            continue;
        }
        let room = limit - all.len();
        let found = files.read(Kind::Readings, day, |db| readings_of(db, query, room))?;
        all.extend(found.into_iter().flatten());
    }
    Ok(all)
}

fn readings_of(
    db: &Connection,
    query: &ReadingQuery,
    room: usize,
) -> rusqlite::Result<Vec<Reading>> {
    let statuses: Vec<i64> = query.statuses.iter().map(|s| status_number(*s)).collect();
    let sql = "SELECT code, cells.cell, from_ns, to_ns, status, rest
                   FROM readings JOIN cells ON cells.id = readings.cell
                   WHERE from_ns >= ?1 AND from_ns < ?2
                   AND (?3 = '[]' OR code IN (SELECT value FROM json_each(?3)))
                   AND (?4 = '[]' OR status IN (SELECT value FROM json_each(?4)))
                   ORDER BY from_ns DESC, readings.cell";
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(params![
        query.from.map_or(i64::MIN, Wall::as_nanos),
        query.to.map_or(i64::MAX, Wall::as_nanos),
        json(&query.codes)?,
        json(&statuses)?,
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cell: Cell = parse(&row.get::<_, String>(1)?)?;
        if found.len() >= room {
            break;
        }
        if !has(&cell.locus, &query.locus) {
            continue;
        }
        let rest: Rest = parse(&row.get::<_, String>(5)?)?;
        found.push(Reading {
            code: row.get(0)?,
            cohort: cell.cohort,
            locus: cell.locus,
            from: Wall::from_nanos(row.get(2)?),
            to: Wall::from_nanos(row.get(3)?),
            status: status_of(row.get(4)?).ok_or_else(|| damage("a status that is none"))?,
            here: rest.here,
            there: rest.there,
            against: rest.against,
            completeness: rest.completeness,
            evidence: rest.evidence,
        });
    }
    Ok(found)
}

/// Findings, newest first.
pub(in super::super) fn findings(
    files: &Files,
    query: &FindingQuery,
) -> Result<Vec<Finding>, StorageError> {
    let limit = limit(query.limit);
    let mut all = Vec::new();
    for day in files.days(Kind::Findings).into_iter().rev() {
        let late = query.to.is_some_and(|to| Kind::Findings.span_ms(day).0 > to.as_millis());
        if late || all.len() >= limit {
            continue;
        }
        let room = limit - all.len();
        let found = files.read(Kind::Findings, day, |db| findings_of(db, query, room))?;
        all.extend(found.into_iter().flatten());
    }
    Ok(all)
}

fn findings_of(
    db: &Connection,
    query: &FindingQuery,
    room: usize,
) -> rusqlite::Result<Vec<Finding>> {
    let mut conditions =
        vec!["(?1 = '[]' OR code IN (SELECT value FROM json_each(?1)))".to_owned()];
    let mut values: Vec<Value> = vec![json(&query.codes)?.into()];
    if let Some(from) = query.from {
        values.push(from.as_nanos().into());
        conditions.push(format!("(closed_ns IS NULL OR closed_ns >= ?{})", values.len()));
    }
    if let Some(to) = query.to {
        values.push(to.as_nanos().into());
        conditions.push(format!("opened_ns < ?{}", values.len()));
    }
    if query.open_only {
        conditions.push("closed_ns IS NULL".to_owned());
    }
    let conditions = conditions.join(" AND ");
    let sql = format!(
        "SELECT document FROM findings WHERE {conditions} ORDER BY opened_ns DESC, id LIMIT {room}"
    );
    let mut select = db.prepare_cached(&sql)?;
    let documents = select.query_map(params_from_iter(values), |row| row.get::<_, String>(0))?;
    documents.map(|document| parse(&document?)).collect()
}

/// Whether `locus` has every field that `wanted` has, with the same value.
fn has(locus: &Locus, wanted: &Locus) -> bool {
    let Ok(serde_json::Value::Object(wanted)) = serde_json::to_value(wanted) else { return false };
    if wanted.is_empty() {
        return true;
    }
    let Ok(serde_json::Value::Object(there)) = serde_json::to_value(locus) else { return false };
    wanted.iter().all(|(name, value)| there.get(name) == Some(value))
}

const fn limit(asked: usize) -> usize {
    if asked == 0 || asked > EDGE_PAGE_MAX { EDGE_PAGE_MAX } else { asked }
}

const fn status_number(status: Status) -> i64 {
    match status {
        Status::Normal => 0,
        Status::Abnormal => 1,
        Status::TooFew => 2,
        Status::Blind => 3,
    }
}

const fn status_of(number: i64) -> Option<Status> {
    Some(match number {
        0 => Status::Normal,
        1 => Status::Abnormal,
        2 => Status::TooFew,
        3 => Status::Blind,
        _ => return None,
    })
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| damage(&format!("a row that makes no sense: {e}")))
}
