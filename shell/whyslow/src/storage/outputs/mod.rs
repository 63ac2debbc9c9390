//! `outputs.db`: which windows changed, and up to where each output has sent what is stored.
//!
//! Nothing waits to be sent anywhere but in the store: samples in the batches of their commits,
//! windows in their rows, of which a note here says that they changed. A window that changes again
//! has its note moved to the end, so there is one of each window however long a peer is away.
//!
//! A note is written before its rows are, and a place after what lies before it was sent: a kill
//! at any moment leaves at worst something to be sent twice.

mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};
use tokio::sync::watch;
use whyslow_model::limits::OUT_WINDOWS_WAITING_MAX;

use super::error::StorageError;
use super::file::{self, Shape};
use super::writer::Request;

pub use read::{Changed, Commit, Unsent};

const SHAPE: Shape = Shape {
    schema: "CREATE TABLE places (output TEXT PRIMARY KEY, stream INTEGER NOT NULL,
                                  place INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE changed (n INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,
                                   start_s INTEGER NOT NULL, noted_s INTEGER NOT NULL,
                                   UNIQUE (source, start_s));",
    page_bytes: 4096,
    outlives_power_loss: true,
};

fn path(dir: &Path) -> PathBuf {
    dir.join("outputs.db")
}

/// Which part of what is stored an output sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Samples, commit by commit.
    Samples,
    /// The edge's windows of ten seconds.
    Windows,
}

impl Stream {
    const fn number(self) -> i64 {
        match self {
            Self::Samples => 0,
            Self::Windows => 1,
        }
    }

    const fn of(number: i64) -> Self {
        if number == 0 { Self::Samples } else { Self::Windows }
    }
}

/// Something that sends what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What it is known by from one process to the next.
    pub name: Arc<str>,
    /// What it sends.
    pub stream: Stream,
    /// Bytes of samples that may wait beyond those that are in no chunk yet.
    pub bytes_max: u64,
}

/// Where an output goes on.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its name.
    pub name: Arc<str>,
    /// Everything up to here was sent.
    pub place: i64,
    /// How much waits.
    pub waiting: Arc<Waiting>,
}

/// What waits for one output.
#[derive(Debug, Default)]
pub struct Waiting {
    samples: AtomicU64,
    dropped: AtomicU64,
}

impl Waiting {
    /// Samples that wait, of every series.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Samples, or windows, that were removed before they were sent.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// So many samples wait no longer.
    pub fn passed(&self, samples: u64) {
        let left = |waiting: u64| Some(waiting.saturating_sub(samples));
        // It never fails: there is always something left, if only nothing.
        let _ = self.samples.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
    }

    fn add(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    fn give_up(&self, n: u64) {
        self.dropped.fetch_add(n, Ordering::Relaxed);
    }
}

/// The places of what was stored last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Of samples.
    pub samples: i64,
    /// Of windows.
    pub windows: i64,
}

/// The writer's part.
#[derive(Debug)]
pub(super) struct Outputs {
    path: PathBuf,
    db: Option<Connection>,
    known: BTreeMap<Arc<str>, Known>,
    ends: watch::Sender<Ends>,
    /// The last note, whether or not its rows are there yet.
    noted: i64,
}

#[derive(Debug)]
struct Known {
    stream: Stream,
    place: i64,
    bytes_max: u64,
    waiting: Arc<Waiting>,
}

impl Outputs {
    /// Reads the places of an earlier process; the file is made once there is an output.
    pub(super) fn open(dir: &Path) -> Result<Self, StorageError> {
        let path = path(dir);
        let (ends, _) = watch::channel(Ends::default());
        let mut outputs = Self { path, db: None, known: BTreeMap::new(), ends, noted: 0 };
        if outputs.path.exists() {
            outputs.read()?;
        }
        Ok(outputs)
    }

    fn read(&mut self) -> Result<(), StorageError> {
        let path = self.path.clone();
        let failed = |e: rusqlite::Error| StorageError::of_sqlite("read", &path, &e);
        let db = self.db()?;
        let noted = "SELECT ifnull(max(seq), 0) FROM sqlite_sequence";
        let noted = db.query_row(noted, [], |row| row.get(0)).map_err(failed)?;
        let mut select = db.prepare("SELECT output, stream, place FROM places").map_err(failed)?;
        let known = |row: &rusqlite::Row<'_>| {
            let stream = Stream::of(row.get(1)?);
            let waiting = Arc::default();
            let known = Known { stream, place: row.get(2)?, bytes_max: u64::MAX, waiting };
            Ok((row.get::<_, Arc<str>>(0)?, known))
        };
        let all = select.query_map([], known).map_err(failed)?;
        let all = all.collect::<rusqlite::Result<_>>().map_err(failed)?;
        drop(select);
        (self.known, self.noted) = (all, noted);
        Ok(())
    }

    fn db(&mut self) -> Result<&mut Connection, StorageError> {
        let db = match self.db.take() {
            Some(db) => db,
            None => file::open(&self.path, SHAPE)?,
        };
        Ok(self.db.insert(db))
    }

    /// Tells when something was stored.
    pub(super) fn ends(&self) -> watch::Receiver<Ends> {
        self.ends.subscribe()
    }

    /// The place of the last samples that some output has surely been given.
    pub(super) fn newest_of_samples(&self) -> i64 {
        self.of(Stream::Samples).map(|known| known.place).max().unwrap_or(0)
    }

    /// Samples after this place are still to be sent by some output; `None` where there is none.
    pub(super) fn unsent_samples(&self) -> Option<(i64, u64)> {
        let place = self.of(Stream::Samples).map(|known| known.place).min()?;
        let bytes_max = self.of(Stream::Samples).map(|known| known.bytes_max).max()?;
        Some((place, bytes_max))
    }

    fn of(&self, stream: Stream) -> impl Iterator<Item = &Known> {
        self.known.values().filter(move |known| known.stream == stream)
    }

    /// From now on there are these outputs and no others. A new one begins with what is stored
    /// after this. `waiting` counts the samples after a place.
    pub(super) fn set(
        &mut self,
        wanted: &[Output],
        waiting: impl Fn(i64) -> Result<u64, StorageError>,
    ) -> Result<Vec<Opened>, StorageError> {
        if wanted.is_empty() && self.known.is_empty() {
            return Ok(Vec::new());
        }
        let end = *self.ends.borrow();
        self.known.retain(|name, _| wanted.iter().any(|output| output.name == *name));
        for Output { name, stream, bytes_max } in wanted {
            let place = match stream {
                Stream::Samples => end.samples,
                Stream::Windows => end.windows,
            };
            let begin = || Known { stream: *stream, place, bytes_max: 0, waiting: Arc::default() };
            let is_new = !self.known.contains_key(name);
            let known = self.known.entry(Arc::clone(name)).or_insert_with(begin);
            let is_fresh = known.bytes_max == u64::MAX;
            known.bytes_max = *bytes_max;
            if *stream == Stream::Samples && is_fresh && !is_new {
                known.waiting.add(waiting(known.place)?);
            }
        }
        self.save_all()?;
        let opened = |(name, known): (&Arc<str>, &Known)| Opened {
            name: Arc::clone(name),
            place: known.place,
            waiting: Arc::clone(&known.waiting),
        };
        Ok(self.known.iter().map(opened).collect())
    }

    fn save_all(&mut self) -> Result<(), StorageError> {
        let places: Vec<_> =
            self.known.iter().map(|(n, k)| (Arc::clone(n), k.stream.number(), k.place)).collect();
        let path = self.path.clone();
        let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", &path, &e);
        let tx = self.db()?.transaction().map_err(failed)?;
        tx.execute("DELETE FROM places", []).map_err(failed)?;
        for place in &places {
            let sql = "INSERT INTO places (output, stream, place) VALUES (?1, ?2, ?3)";
            tx.execute(sql, params![place.0, place.1, place.2]).map_err(failed)?;
        }
        tx.commit().map_err(failed)
    }

    /// Notes that the windows a group brings are about to change.
    pub(super) fn note(&mut self, group: &[Request], now_s: i64) -> Result<(), StorageError> {
        if self.of(Stream::Windows).next().is_none() {
            return Ok(());
        }
        let rows = group.iter().flat_map(|request| &request.edge.rows);
        let windows: std::collections::BTreeSet<(i64, &Arc<str>)> =
            rows.map(|(source, _, row)| (row.start_s, source)).collect();
        if windows.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", &path, &e);
        let tx = self.db()?.transaction().map_err(failed)?;
        for (start_s, source) in windows {
            let sql =
                "INSERT OR REPLACE INTO changed (source, start_s, noted_s) VALUES (?1, ?2, ?3)";
            let mut put = tx.prepare_cached(sql).map_err(failed)?;
            put.execute(params![source, start_s, now_s]).map_err(failed)?;
        }
        let noted = tx.last_insert_rowid();
        tx.commit().map_err(failed)?;
        self.noted = noted;
        Ok(())
    }

    /// What was noted, and samples up to this place, so many of them new, are safe.
    pub(super) fn stored(&self, samples_to: i64, new: u64) {
        self.of(Stream::Samples).for_each(|known| known.waiting.add(new));
        let ends = Ends { samples: samples_to, windows: self.noted };
        self.ends.send_if_modified(|there| std::mem::replace(there, ends) != ends);
    }

    /// Notes up to where outputs have sent; true where there was something to note.
    pub(super) fn note_sent(&mut self, group: &[Request]) -> Result<bool, StorageError> {
        let mut any = false;
        for (name, place) in group.iter().flat_map(|request| &request.sent) {
            // One that is gone from the configuration meanwhile is of no interest.
            if let Some(known) = self.known.get_mut(name) {
                (known.place, any) = (known.place.max(*place), true);
            }
        }
        if any {
            self.save_all()?;
            let all_sent = self.of(Stream::Windows).map(|known| known.place).min();
            let sql = "DELETE FROM changed WHERE n <= ?1";
            self.execute(sql, all_sent.unwrap_or(i64::MAX))?;
        }
        Ok(any)
    }

    /// Forgets notes of windows that begin before, and the oldest where there are too many; each
    /// output that had not sent one counts it.
    pub(super) fn remove_old(&mut self, before_s: i64) -> Result<(), StorageError> {
        if self.db.is_none() {
            return Ok(());
        }
        let sql = "SELECT ifnull(max(n), 0) FROM (SELECT n FROM changed ORDER BY n DESC \
                   LIMIT -1 OFFSET ?1)";
        let too_many = self.number(sql, OUT_WINDOWS_WAITING_MAX)?;
        for (place, waiting) in self
            .of(Stream::Windows)
            .map(|known| (known.place, Arc::clone(&known.waiting)))
            .collect::<Vec<_>>()
        {
            let old = format!(
                "SELECT count(*) FROM changed WHERE n > {place} AND (start_s < ?1 OR n <= {too_many})"
            );
            waiting.give_up(u64::try_from(self.number(&old, before_s)?).unwrap_or(0));
        }
        self.execute("DELETE FROM changed WHERE n <= ?1", too_many)?;
        self.execute("DELETE FROM changed WHERE start_s < ?1", before_s)
    }

    /// Samples of the commit at this place were removed: outputs that have not sent them count it.
    pub(super) fn dropped(&self, place: i64, samples: u64) {
        for known in self.of(Stream::Samples).filter(|known| known.place < place) {
            known.waiting.give_up(samples);
            known.waiting.passed(samples);
        }
    }

    fn number(&mut self, sql: &str, of: i64) -> Result<i64, StorageError> {
        let path = self.path.clone();
        let read = self.db()?.query_row(sql, [of], |row| row.get(0));
        read.map_err(|e| StorageError::of_sqlite("read", &path, &e))
    }

    fn execute(&mut self, sql: &str, of: i64) -> Result<(), StorageError> {
        let path = self.path.clone();
        let done = self.db()?.execute(sql, [of]);
        done.map(|_| ()).map_err(|e| StorageError::of_sqlite("write to", &path, &e))
    }
}

#[cfg(test)]
mod tests;
