//! `head.db`: every series' number and labels, and the samples not yet in a chunk.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use whyslow_store::head::{Head, Registered};
use whyslow_store::{journal, labels};

use super::error::StorageError;
use super::file::{self, Shape};

const SHAPE: Shape = Shape {
    schema: "CREATE TABLE series (id INTEGER PRIMARY KEY, labels BLOB NOT NULL);
             CREATE TABLE batches (seq INTEGER PRIMARY KEY, newest_ms INTEGER NOT NULL,
                                   samples BLOB NOT NULL);
             CREATE TABLE next (id INTEGER NOT NULL);
             INSERT INTO next VALUES (1);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

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

    /// Gives the head every series back; answers nothing, since the head knows them by number.
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
