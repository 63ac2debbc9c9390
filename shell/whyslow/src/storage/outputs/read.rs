//! What outputs read: commits of samples after a place, and windows that changed after one.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use whyslow_store::{Columns, journal, labels};

use super::super::error::StorageError;
use super::super::file;

/// The samples of one commit.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its place.
    pub place: i64,
    /// What was stored, and what was refused since its time had a value already.
    pub samples: Columns,
}

/// A window that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The place of the change.
    pub place: i64,
    /// The source whose window it is.
    pub source: Arc<str>,
    /// The window's start, in seconds since the epoch.
    pub start_s: i64,
    /// When it was told, in seconds since the epoch.
    pub noted_s: i64,
}

/// One output's view of what it has not sent yet; it blocks.
#[derive(Debug)]
pub struct Unsent {
    head: File,
    outputs: File,
}

/// A file, open for reading once it is there.
#[derive(Debug)]
struct File {
    path: PathBuf,
    db: Option<Connection>,
}

impl Unsent {
    pub(in super::super) fn of(dir: &std::path::Path) -> Self {
        let file = |path| File { path, db: None };
        Self { head: file(dir.join("head.db")), outputs: file(super::path(dir)) }
    }

    /// Whole commits after a place and up to another one, oldest first, until they hold `enough`
    /// samples.
    ///
    /// # Errors
    /// [`StorageError`] where the file cannot be read.
    pub fn samples(
        &mut self,
        after: i64,
        to: i64,
        enough: usize,
    ) -> Result<Vec<Commit>, StorageError> {
        self.head.read(Vec::new(), |db| {
            let mut select = db.prepare_cached(
                "SELECT seq, samples FROM unsent WHERE seq > ?1 AND seq <= ?2 UNION ALL \
                 SELECT seq, samples FROM batches WHERE seq > ?1 AND seq <= ?2 ORDER BY 1",
            )?;
            let mut rows = select.query([after, to])?;
            let (mut commits, mut n) = (Vec::new(), 0);
            while n < enough
                && let Some(row) = rows.next()?
            {
                let samples = columns(db, row.get_ref(1)?.as_blob()?)?;
                n += samples.len();
                commits.push(Commit { place: row.get(0)?, samples });
            }
            Ok(commits)
        })
    }

    /// Windows that changed after a place and up to another one, in that order, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`] where the file cannot be read.
    pub fn windows(
        &mut self,
        after: i64,
        to: i64,
        limit: u32,
    ) -> Result<Vec<Changed>, StorageError> {
        self.outputs.read(Vec::new(), |db| {
            let mut select = db.prepare_cached(
                "SELECT n, source, start_s, noted_s FROM changed WHERE n > ?1 AND n <= ?2 \
                 ORDER BY n LIMIT ?3",
            )?;
            let changed = |row: &Row<'_>| {
                let (place, source, start_s) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Changed { place, source, start_s, noted_s: row.get(3)? })
            };
            select.query_map((after, to, limit), changed)?.collect()
        })
    }

    /// How many windows changed after a place.
    ///
    /// # Errors
    /// [`StorageError`] where the file cannot be read.
    pub fn windows_after(&mut self, after: i64) -> Result<u64, StorageError> {
        self.outputs.read(0, |db| {
            let sql = "SELECT count(*) FROM changed WHERE n > ?1";
            let n: i64 = db.prepare_cached(sql)?.query_row([after], |row| row.get(0))?;
            Ok(u64::try_from(n).unwrap_or(0))
        })
    }
}

impl File {
    /// Reads; answers `nothing` where there is no file yet.
    fn read<T>(
        &mut self,
        nothing: T,
        with: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        if self.db.is_none() {
            self.db = if self.path.exists() { file::open_to_read(&self.path)? } else { None };
        }
        let Some(db) = &self.db else { return Ok(nothing) };
        with(db).map_err(|e| StorageError::of_sqlite("read", &self.path, &e))
    }
}

/// The samples of a batch under their labels. Those of a series that was forgotten since, which
/// happens to what is older than anything kept, are left out.
fn columns(db: &Connection, batch: &[u8]) -> rusqlite::Result<Columns> {
    let mut columns = Columns::default();
    let (mut failed, mut last, mut known) = (None, None, false);
    let mut select = db.prepare_cached("SELECT labels FROM series WHERE id = ?1")?;
    let whole = journal::replay(batch, |id, at_ms, value| {
        if last != Some(id) {
            last = Some(id);
            let put = |row: &Row<'_>| {
                let pairs = labels::unpack(row.get_ref(0)?.as_blob()?);
                pairs.into_iter().for_each(|pairs| columns.series(pairs));
                Ok(())
            };
            known = match select.query_row([id], put).optional() {
                Ok(found) => found.is_some(),
                Err(e) => {
                    failed = Some(e);
                    false
                }
            };
        }
        if known {
            columns.point(at_ms, value);
        }
    });
    match (failed, whole) {
        (Some(e), _) => Err(e),
        (None, None) => Err(super::super::error::damage("a batch makes no sense")),
        (None, Some(())) => Ok(columns),
    }
}
