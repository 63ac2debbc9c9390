//! `head.db`: every series' number and labels, and the samples not yet in a chunk.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, params};
use whyslow_store::head::{Head, Registered, Span};
use whyslow_store::{journal, labels};

use super::error::StorageError;
use super::file::{self, Shape};

const SHAPE: Shape = Shape {
    schema: "CREATE TABLE series (id INTEGER PRIMARY KEY, labels BLOB NOT NULL);
             CREATE TABLE batches (seq INTEGER PRIMARY KEY, newest_ms INTEGER NOT NULL,
                                   samples BLOB NOT NULL);
             CREATE TABLE spans (id INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL,
                                 newest_ms INTEGER NOT NULL, floor_ms INTEGER NOT NULL);
             CREATE TABLE next (id INTEGER NOT NULL);
             INSERT INTO next VALUES (1);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

/// How far one series reaches on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesSpan {
    /// The series' number.
    pub(super) id: i64,
    pub(super) span: Span,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Registry {
    db: Connection,
    path: PathBuf,
}

impl Registry {
    pub(super) fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join("head.db");
        let db = file::open(&path, SHAPE)?;
        Ok(Self { db, path })
    }

    /// The first number no series ever had.
    pub(super) fn next_id(&self) -> Result<i64, StorageError> {
        let next = self.db.query_row("SELECT id FROM next", [], |row| row.get(0));
        next.map_err(|e| self.failed("read", &e))
    }

    /// Gives the head every series back, and calls `placed` with its number and handle.
    pub(super) fn restore_series(
        &self,
        head: &mut Head,
        mut placed: impl FnMut(i64, u32),
    ) -> Result<(), StorageError> {
        let failed = |e: rusqlite::Error| self.failed("read the series of", &e);
        let mut all =
            self.db.prepare("SELECT id, labels FROM series ORDER BY id").map_err(failed)?;
        let mut rows = all.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id: i64 = row.get(0).map_err(failed)?;
            let bytes = row.get_ref(1).and_then(|b| Ok(b.as_blob()?)).map_err(failed)?;
            let pairs = labels::unpack(bytes)
                .ok_or_else(|| self.damaged(format!("the labels of series {id} make no sense")))?;
            placed(id, head.restore_series(id, pairs.into_iter()));
        }
        Ok(())
    }

    /// Calls `take` with series, time and value of every sample that is not in a chunk yet.
    pub(super) fn replay(&self, mut take: impl FnMut(i64, i64, f64)) -> Result<(), StorageError> {
        let failed = |e: rusqlite::Error| self.failed("read the samples of", &e);
        let mut all =
            self.db.prepare("SELECT seq, samples FROM batches ORDER BY seq").map_err(failed)?;
        let mut rows = all.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let seq: i64 = row.get(0).map_err(failed)?;
            let bytes = row.get_ref(1).and_then(|b| Ok(b.as_blob()?)).map_err(failed)?;
            journal::replay(bytes, &mut take)
                .ok_or_else(|| self.damaged(format!("batch {seq} makes no sense")))?;
        }
        Ok(())
    }

    /// How far each series reached when it was last written.
    pub(super) fn spans(&self) -> Result<Vec<SeriesSpan>, StorageError> {
        let read = || {
            let mut all = self.db.prepare("SELECT id, first_ms, newest_ms, floor_ms FROM spans")?;
            let row = |row: &Row<'_>| {
                let (first_ms, newest_ms, floor_ms) = (row.get(1)?, row.get(2)?, row.get(3)?);
                let span = Span { first_ms, newest_ms, floor_ms };
                Ok(SeriesSpan { id: row.get(0)?, span })
            };
            all.query_map([], row)?.collect::<rusqlite::Result<Vec<SeriesSpan>>>()
        };
        read().map_err(|e| self.failed("read", &e))
    }

    /// Notes how far series reach, after their chunks are durable.
    pub(super) fn save_spans(&mut self, spans: &[SeriesSpan]) -> Result<(), StorageError> {
        let done = save_spans(&mut self.db, spans);
        done.map_err(|e| self.failed("write to", &e))
    }

    /// The number of the newest batch; 0 where there is none.
    pub(super) fn newest_batch(&self) -> Result<i64, StorageError> {
        let newest =
            self.db.query_row("SELECT ifnull(max(seq), 0) FROM batches", [], |row| row.get(0));
        newest.map_err(|e| self.failed("read", &e))
    }

    /// Forgets batches that chunks cover: up to `seq`, and with no sample at or after `until_ms`.
    pub(super) fn forget_batches(&mut self, until_ms: i64, seq: i64) -> Result<(), StorageError> {
        let done = forget_batches(&self.db, until_ms, seq);
        done.map_err(|e| self.failed("write to", &e))
    }

    /// Bytes of the batches that are kept.
    pub(super) fn batch_bytes(&self) -> Result<u64, StorageError> {
        let sql = "SELECT ifnull(sum(length(samples)), 0) FROM batches";
        let bytes: i64 =
            self.db.query_row(sql, [], |row| row.get(0)).map_err(|e| self.failed("read", &e))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Forgets series of which nothing is kept.
    pub(super) fn forget_series(&mut self, ids: &[i64]) -> Result<(), StorageError> {
        let done = forget_series(&mut self.db, ids);
        done.map_err(|e| self.failed("write to", &e))
    }

    /// Makes new series and samples durable.
    pub(super) fn commit(
        &mut self,
        new: &[Registered],
        next_id: i64,
        samples: &journal::Writer,
    ) -> Result<(), StorageError> {
        let done = commit(&mut self.db, new, next_id, samples);
        done.map_err(|e| self.failed("write to", &e))
    }

    fn failed(&self, operation: &'static str, e: &rusqlite::Error) -> StorageError {
        StorageError::of_sqlite(operation, &self.path, e)
    }

    fn damaged(&self, reason: String) -> StorageError {
        StorageError::Damaged { file: self.path.clone(), reason }
    }
}

fn save_spans(db: &mut Connection, spans: &[SeriesSpan]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    {
        let mut put = tx.prepare_cached("INSERT OR REPLACE INTO spans VALUES (?1, ?2, ?3, ?4)")?;
        for SeriesSpan { id, span } in spans {
            put.execute([*id, span.first_ms, span.newest_ms, span.floor_ms])?;
        }
    }
    tx.commit()
}

fn forget_batches(db: &Connection, until_ms: i64, seq: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM batches WHERE seq <= ?1 AND newest_ms < ?2", [seq, until_ms])?;
    // Gives the room back; one row a page, so it must be read to the end.
    let mut shrink = db.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = shrink.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn forget_series(db: &mut Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    for id in ids {
        tx.prepare_cached("DELETE FROM series WHERE id = ?1")?.execute([id])?;
        tx.prepare_cached("DELETE FROM spans WHERE id = ?1")?.execute([id])?;
    }
    tx.commit()
}

fn commit(
    db: &mut Connection,
    new: &[Registered],
    next_id: i64,
    samples: &journal::Writer,
) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    if !new.is_empty() {
        let mut add = tx.prepare_cached("INSERT INTO series (id, labels) VALUES (?1, ?2)")?;
        for series in new {
            add.execute(params![series.id, labels::pack(&series.labels)])?;
        }
        tx.execute("UPDATE next SET id = ?1", [next_id])?;
    }
    if samples.samples() > 0 {
        tx.prepare_cached("INSERT INTO batches (newest_ms, samples) VALUES (?1, ?2)")?
            .execute(params![samples.newest_ms(), samples.bytes()])?;
    }
    tx.commit()
}
