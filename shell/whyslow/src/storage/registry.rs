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
             CREATE TABLE unsent (seq INTEGER PRIMARY KEY, samples BLOB NOT NULL);
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
    /// The number of the newest batch there ever was, as far as anybody can know of it.
    newest: i64,
}

/// Written when whyslow did not yet keep what outputs had not sent.
const ADD_UNSENT: &str =
    "CREATE TABLE IF NOT EXISTS unsent (seq INTEGER PRIMARY KEY, samples BLOB NOT NULL)";

impl Registry {
    /// Opens the file. Numbers of batches go on after `sent`, which some output knows.
    pub(super) fn open(dir: &Path, sent: i64) -> Result<Self, StorageError> {
        let path = dir.join("head.db");
        let db = file::open(&path, SHAPE)?;
        let newest = db.execute(ADD_UNSENT, []).and_then(|_| {
            let sql = "SELECT max(ifnull((SELECT max(seq) FROM batches), 0), \
                       ifnull((SELECT max(seq) FROM unsent), 0), ?1)";
            db.query_row(sql, [sent], |row| row.get(0))
        });
        let newest = newest.map_err(|e| StorageError::of_sqlite("read", &path, &e))?;
        Ok(Self { db, path, newest })
    }

    /// The number of the newest batch there was.
    pub(super) const fn newest(&self) -> i64 {
        self.newest
    }

    /// How many samples the batches after this one hold.
    pub(super) fn samples_after(&self, seq: i64) -> Result<u64, StorageError> {
        let sql = "SELECT samples FROM unsent WHERE seq > ?1 UNION ALL \
                   SELECT samples FROM batches WHERE seq > ?1";
        let count = || {
            let mut n = 0;
            let mut select = self.db.prepare(sql)?;
            let mut rows = select.query([seq])?;
            while let Some(row) = rows.next()? {
                n += samples_of(row.get_ref(0)?.as_blob()?);
            }
            Ok(n)
        };
        count().map_err(|e| self.failed("read the samples of", &e))
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
    /// Those after the place in `unsent` stay for outputs, the newest that have room in so many
    /// bytes. Answers the numbers of the others, and how many samples each had.
    pub(super) fn forget_batches(
        &mut self,
        until_ms: i64,
        seq: i64,
        unsent: Option<(i64, u64)>,
    ) -> Result<Vec<(i64, u64)>, StorageError> {
        let done = forget_batches(&mut self.db, until_ms, seq, unsent);
        done.map_err(|e| self.failed("write to", &e))
    }

    /// Forgets what outputs have sent meanwhile.
    pub(super) fn forget_unsent(&mut self, unsent: Option<(i64, u64)>) -> Result<(), StorageError> {
        let sent = unsent.map_or(i64::MAX, |(place, _)| place);
        let done = self.db.execute("DELETE FROM unsent WHERE seq <= ?1", [sent]);
        done.map(|_| ()).map_err(|e| self.failed("write to", &e))
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
        let seq = self.newest + 1;
        commit(&mut self.db, new, next_id, seq, samples)
            .map_err(|e| self.failed("write to", &e))?;
        self.newest += i64::from(samples.samples() > 0);
        Ok(())
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

/// How many samples a batch holds.
fn samples_of(batch: &[u8]) -> u64 {
    let mut n = 0;
    // One that makes no sense was refused when the file was opened.
    let _ = journal::replay(batch, |_, _, _| n += 1);
    n
}

fn forget_batches(
    db: &mut Connection,
    until_ms: i64,
    seq: i64,
    unsent: Option<(i64, u64)>,
) -> rusqlite::Result<Vec<(i64, u64)>> {
    let tx = db.transaction()?;
    let mut dropped = Vec::new();
    if let Some((place, bytes_max)) = unsent {
        let keep = "INSERT OR IGNORE INTO unsent SELECT seq, samples FROM batches \
                    WHERE seq <= ?1 AND newest_ms < ?2 AND seq > ?3";
        tx.execute(keep, [seq, until_ms, place])?;
        let too_many = "SELECT seq, samples FROM (SELECT seq, samples, \
                        sum(length(samples)) OVER (ORDER BY seq DESC) AS bytes FROM unsent) \
                        WHERE bytes > ?1 ORDER BY seq";
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        let row = |row: &Row<'_>| Ok((row.get(0)?, samples_of(row.get_ref(1)?.as_blob()?)));
        dropped = tx.prepare(too_many)?.query_map([bytes_max], row)?.collect::<Result<_, _>>()?;
        for (seq, _) in &dropped {
            tx.execute("DELETE FROM unsent WHERE seq = ?1", [seq])?;
        }
    }
    tx.execute("DELETE FROM batches WHERE seq <= ?1 AND newest_ms < ?2", [seq, until_ms])?;
    tx.commit()?;
    // Gives the room back; one row a page, so it must be read to the end.
    let mut shrink = db.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = shrink.query([])?;
    while rows.next()?.is_some() {}
    Ok(dropped)
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
    seq: i64,
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
        tx.prepare_cached("INSERT INTO batches (seq, newest_ms, samples) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, samples.newest_ms(), samples.bytes()])?;
    }
    tx.commit()
}
