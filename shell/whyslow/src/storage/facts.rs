//! Observations and the documents of runs: a SQLite file a day.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use whyslow_model::observation::Plane;
use whyslow_model::{Observation, Wall};

use super::StoredRun;
use super::days::{self, Day, Kind};
use super::error::StorageError;
use super::file::{self, Shape};

/// Observations, and the runs kept as long as they are.
pub(super) const FACTS: Shape = Shape {
    schema: "CREATE TABLE observations (
                 seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
                 plane TEXT NOT NULL, service TEXT, path TEXT, check_name TEXT, vantage TEXT,
                 outcome TEXT, document TEXT NOT NULL);
             CREATE INDEX observations_by_time ON observations (at);
             CREATE INDEX observations_by_check ON observations (service, check_name, at);
             CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
                                document TEXT NOT NULL);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// Runs that went well: kept a shorter time, and not worth waiting for the disk.
pub(super) const RUNS: Shape = Shape {
    schema: "CREATE TABLE runs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
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
    runs: &[&StoredRun],
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
    for run in runs {
        insert_run(&tx, run).map_err(failed)?;
    }
    tx.commit().map_err(failed)?;
    inserted.into_iter().for_each(&mut new);
    Ok(())
}

/// Writes the documents of runs that went well.
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
    db.prepare_cached(
        "INSERT OR IGNORE INTO observations
             (id, at, plane, service, path, check_name, vantage, outcome, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
    ])
}

fn insert_run(db: &Connection, run: &StoredRun) -> rusqlite::Result<usize> {
    db.prepare_cached("INSERT OR IGNORE INTO runs (id, document) VALUES (?1, ?2)")?
        .execute(params![run.id, run.json])
}

/// The page of observations that the filter and the cursor ask for.
pub(super) fn page(
    dir: &Path,
    filter: &ObservationFilter,
    request: &PageRequest,
) -> Result<ObservationPage, StorageError> {
    let cursor = request.after.as_deref().map(Cursor::parse).transpose()?;
    let limit = request.limit.clamp(1, whyslow_model::limits::OBSERVATIONS_PER_PAGE_MAX);
    let newest = filter.to.map(Wall::as_nanos).into_iter().chain(cursor.map(|c| c.at)).min();
    let mut rows: Vec<(Cursor, Observation)> = Vec::new();
    let mut all = days::list(dir, Kind::Facts)?;
    all.sort_unstable_by(|a, b| b.cmp(a));
    for day in all {
        let (from, to) = day.span_ns();
        let beyond =
            newest.is_some_and(|n| from > n) || filter.from.is_some_and(|f| to < f.as_nanos());
        if beyond {
            continue;
        }
        let path = day.path(dir, Kind::Facts);
        let Some(db) = open_if_there(&path)? else { continue };
        let more = limit + 1 - rows.len();
        rows.extend(query(&db, &path, filter, cursor, more)?);
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(c, _)| format!("{}.{}", c.at, c.seq));
    Ok(ObservationPage { observations: rows.into_iter().map(|r| r.1).collect(), next })
}

/// The document of one run.
pub(super) fn run(dir: &Path, id: &str) -> Result<Option<String>, StorageError> {
    for kind in [Kind::Facts, Kind::Runs] {
        for day in likely_days(dir, kind, id)? {
            let path = day.path(dir, kind);
            let Some(db) = open_if_there(&path)? else { continue };
            let found = db
                .query_row("SELECT document FROM runs WHERE id = ?1", [id], |row| row.get(0))
                .optional();
            let found = found.map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The day an id ends with, as ids of runs do, or every day newest first.
fn likely_days(dir: &Path, kind: Kind, id: &str) -> Result<Vec<Day>, StorageError> {
    let started = id.rsplit_once('/').and_then(|(_, ns)| ns.parse().ok());
    if let Some(ns) = started {
        return Ok(vec![Day::of(Wall::from_nanos(ns))]);
    }
    let mut all = days::list(dir, kind)?;
    all.sort_unstable_by(|a, b| b.cmp(a));
    Ok(all)
}

fn open_if_there(path: &PathBuf) -> Result<Option<Connection>, StorageError> {
    if path.exists() { file::open_to_read(path).map(Some) } else { Ok(None) }
}

fn query(
    db: &Connection,
    path: &Path,
    filter: &ObservationFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Vec<(Cursor, Observation)>, StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("read", path, &e);
    let (sql, values) = statement(filter, cursor, limit);
    let mut select = db.prepare(&sql).map_err(failed)?;
    let mut rows = select.query(params_from_iter(values)).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let at = row.get(0).map_err(failed)?;
        let seq = row.get(1).map_err(failed)?;
        let document: String = row.get(2).map_err(failed)?;
        let observation = serde_json::from_str(&document).map_err(|e| StorageError::Damaged {
            file: path.to_owned(),
            reason: format!("observation {seq} makes no sense: {e}"),
        })?;
        found.push((Cursor { at, seq }, observation));
    }
    Ok(found)
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
        want("at <= ?#", c.at.into());
        want(&format!("(at < {} OR seq < ?#)", c.at), c.seq.into());
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
