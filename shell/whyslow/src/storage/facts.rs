//! Observations and the documents of runs: a SQLite file a day.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use whyslow_model::observation::Plane;
use whyslow_model::{Observation, Wall};

use super::StoredRun;
use super::days::{Files, Kind};
use super::error::StorageError;
use super::file::Shape;

/// Observations. An id that ends with its observation's time, as all of our own do, is found by
/// that time, and only others stand in the index of ids: in such an index every new row lies
/// somewhere else, which on a day of millions costs half of what writing costs.
pub(super) const FACTS: Shape = Shape {
    schema: "CREATE TABLE observations (
                 seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL,
                 plane TEXT NOT NULL, service TEXT, path TEXT, check_name TEXT, vantage TEXT,
                 outcome TEXT, document TEXT NOT NULL);
             CREATE INDEX observations_by_time ON observations (at);
             CREATE INDEX observations_by_check ON observations (service, check_name, at);
             CREATE UNIQUE INDEX observations_by_id ON observations (id)
                 WHERE substr(id, -length(at)) <> CAST(at AS TEXT);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// Runs that were slow or failed.
pub(super) const TRANSCRIPTS: Shape = Shape { outlives_power_loss: true, ..RUNS };

/// Runs that went well: kept a shorter time, and not worth waiting for the disk. Each is numbered
/// by the nanosecond in which it began, or the next that is free, so that all are written at the
/// end and found without an index.
pub(super) const RUNS: Shape = Shape {
    schema: "CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL,
                                document TEXT NOT NULL);",
    page_bytes: 4096,
    outlives_power_loss: false,
};

/// Which observations are wanted; an absent field wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservationFilter {
    /// The cohort's service.
    pub service: Option<String>,
    /// The cohort's path.
    pub path: Option<String>,
    /// The cohort's check.
    pub check: Option<String>,
    /// The cohort's vantage.
    pub vantage: Option<String>,
    /// The plane.
    pub plane: Option<Plane>,
    /// The word `outcome`; several may be given.
    pub outcomes: Vec<String>,
    /// The oldest wanted, inclusive.
    pub from: Option<Wall>,
    /// The newest wanted, inclusive.
    pub to: Option<Wall>,
}

/// Which part of an answer is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many at most; more than `OBSERVATIONS_PER_PAGE_MAX` are not given.
    pub limit: usize,
    /// [`ObservationPage::next`] of the page before.
    pub after: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 100, after: None }
    }
}

/// Observations, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservationPage {
    /// The page's own.
    pub observations: Vec<Observation>,
    /// Where the next page begins; absent after the last.
    pub next: Option<String>,
}

/// Where in the order, newest first, a page ended.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    at: i64,
    seq: i64,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, StorageError> {
        let bad = || StorageError::Cursor { cursor: text.chars().take(64).collect() };
        let (at, seq) = text.split_once('.').ok_or_else(bad)?;
        let number = |t: &str| t.parse().map_err(|_| bad());
        Ok(Self { at: number(at)?, seq: number(seq)? })
    }
}

/// Writes observations, each with the place of its request, and calls `new` with that place for
/// each that was not there already: one with a known id is the same fact.
pub(super) fn write_observations(
    db: &mut Connection,
    path: &Path,
    observations: &[(usize, &Observation)],
    mut new: impl FnMut(usize),
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    let mut inserted = Vec::new();
    for (request, o) in observations {
        if insert(&tx, o).map_err(failed)? > 0 {
            inserted.push(*request);
        }
    }
    tx.commit().map_err(failed)?;
    inserted.into_iter().for_each(&mut new);
    Ok(())
}

/// Writes the documents of runs.
pub(super) fn write_runs(
    db: &mut Connection,
    path: &Path,
    runs: &[&StoredRun],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for run in runs {
        insert_run(&tx, run).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

fn insert(db: &Connection, o: &Observation) -> rusqlite::Result<usize> {
    let document = serde_json::to_string(o)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    // Agents' times are as fine as a microsecond, the one in an id as a nanosecond.
    let told = ended_by(&o.id).unwrap_or(o.at.as_nanos()).div_euclid(1000).saturating_mul(1000);
    db.prepare_cached(
        "INSERT OR IGNORE INTO observations
             (id, at, plane, service, path, check_name, vantage, outcome, document)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
             WHERE NOT EXISTS (SELECT 1 FROM observations
                               WHERE at BETWEEN ?10 AND ?10 + 999 AND id = ?1)
               AND NOT EXISTS (SELECT 1 FROM observations
                               WHERE id = ?1 AND substr(id, -length(at)) <> CAST(at AS TEXT))",
    )?
    .execute(params![
        o.id,
        o.at.as_nanos(),
        plane_name(o.plane),
        o.cohort.service,
        o.cohort.path,
        o.cohort.check,
        o.cohort.vantage,
        o.words.get("outcome"),
        document,
        told,
    ])
}

/// The time in nanoseconds with which an id ends, as `vantage/service:check:path/TIME` does.
fn ended_by(id: &str) -> Option<i64> {
    id.rsplit_once('/').and_then(|(_, ns)| ns.parse().ok())
}

fn insert_run(db: &Connection, run: &StoredRun) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "INSERT INTO runs (seq, id, document)
             SELECT (SELECT ifnull(max(seq) + 1, ?3) FROM runs WHERE seq BETWEEN ?3 AND ?3 + 999),
                    ?1, ?2
             WHERE NOT EXISTS (SELECT 1 FROM runs WHERE seq BETWEEN ?3 AND ?3 + 999 AND id = ?1)",
    )?
    .execute(params![run.id, run.json, ended_by(&run.id).unwrap_or(run.at.as_nanos())])
}

/// The page of observations that the filter and the cursor ask for.
pub(super) fn page(
    files: &Files,
    filter: &ObservationFilter,
    request: &PageRequest,
) -> Result<ObservationPage, StorageError> {
    let cursor = request.after.as_deref().map(Cursor::parse).transpose()?;
    let limit = request.limit.clamp(1, whyslow_model::limits::OBSERVATIONS_PER_PAGE_MAX);
    let newest = filter.to.map(Wall::as_nanos).into_iter().chain(cursor.map(|c| c.at)).min();
    let newest = newest.map(|ns| Wall::from_nanos(ns).as_millis());
    let mut rows: Vec<Row> = Vec::new();
    for day in files.days(Kind::Facts).into_iter().rev() {
        let (from, to) = Kind::Facts.span_ms(day);
        let beyond =
            newest.is_some_and(|n| from > n) || filter.from.is_some_and(|f| to <= f.as_millis());
        if beyond {
            continue;
        }
        let more = limit + 1 - rows.len();
        let found = files.read(Kind::Facts, day, |db| query(db, filter, cursor, more))?;
        rows.extend(found.into_iter().flatten());
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|r| format!("{}.{}", r.at, r.seq));
    let observations = rows.iter().map(|r| r.parse(files)).collect::<Result<_, _>>()?;
    Ok(ObservationPage { observations, next })
}

/// The document of one run.
pub(super) fn run(files: &Files, id: &str) -> Result<Option<String>, StorageError> {
    let started = ended_by(id);
    for kind in [Kind::Transcripts, Kind::Runs] {
        // An id ends with the time of its run, but one that does not is looked for everywhere.
        let days = match started {
            Some(ns) => vec![kind.day_of(Wall::from_nanos(ns).as_millis())],
            None => files.days(kind),
        };
        for day in days.into_iter().rev() {
            let find = |db: &Connection| {
                let document = |row: &rusqlite::Row<'_>| row.get(0);
                let Some(ns) = started else {
                    let sql = "SELECT document FROM runs WHERE id = ?1";
                    return db.prepare_cached(sql)?.query_row([id], document).optional();
                };
                let sql = "SELECT document FROM runs WHERE seq BETWEEN ?2 AND ?2 + 999 AND id = ?1";
                db.prepare_cached(sql)?.query_row(params![id, ns], document).optional()
            };
            let found = files.read(kind, day, find)?.flatten();
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// An observation as it is stored.
struct Row {
    at: i64,
    seq: i64,
    document: String,
}

impl Row {
    fn parse(&self, files: &Files) -> Result<Observation, StorageError> {
        serde_json::from_str(&self.document).map_err(|e| {
            let day = Kind::Facts.day_of(Wall::from_nanos(self.at).as_millis());
            let reason = format!("observation {} makes no sense: {e}", self.seq);
            StorageError::Damaged { file: files.path(Kind::Facts, day), reason }
        })
    }
}

fn query(
    db: &Connection,
    filter: &ObservationFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let (sql, values) = statement(filter, cursor, limit);
    let mut select = db.prepare_cached(&sql)?;
    let row =
        |r: &rusqlite::Row<'_>| Ok(Row { at: r.get(0)?, seq: r.get(1)?, document: r.get(2)? });
    select.query_map(params_from_iter(values), row)?.collect()
}

fn statement(
    filter: &ObservationFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> (String, Vec<Value>) {
    let mut conditions = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut want = |sql: &str, value: Value| {
        values.push(value);
        conditions.push(sql.replace('#', &values.len().to_string()));
    };
    let columns = [
        ("service = ?#", filter.service.as_deref()),
        ("path = ?#", filter.path.as_deref()),
        ("check_name = ?#", filter.check.as_deref()),
        ("vantage = ?#", filter.vantage.as_deref()),
        ("plane = ?#", filter.plane.map(plane_name)),
    ];
    for (sql, value) in columns {
        if let Some(value) = value {
            want(sql, value.to_owned().into());
        }
    }
    if !filter.outcomes.is_empty() {
        let list = serde_json::Value::from(filter.outcomes.clone()).to_string();
        want("outcome IN (SELECT value FROM json_each(?#))", list.into());
    }
    if let Some(from) = filter.from {
        want("at >= ?#", from.as_nanos().into());
    }
    if let Some(to) = filter.to {
        want("at <= ?#", to.as_nanos().into());
    }
    if let Some(c) = cursor {
        // Both are numbers, so they may stand in the text.
        want(&format!("(at, seq) < (?#, {})", c.seq), c.at.into());
    }
    let conditions = conditions.join(" AND ");
    let order = format!("ORDER BY at DESC, seq DESC LIMIT {limit}");
    (format!("SELECT at, seq, document FROM observations WHERE {conditions} {order}"), values)
}

const fn plane_name(plane: Plane) -> &'static str {
    match plane {
        Plane::Probe => "probe",
        Plane::Edge => "edge",
        Plane::Wire => "wire",
        Plane::Host => "host",
        Plane::Mark => "mark",
    }
}
