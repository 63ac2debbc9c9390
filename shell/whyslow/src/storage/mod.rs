//! The store on disk: SQLite files under one directory, one writer.
//!
//! What [`Db::append`] acknowledges outlives a kill at any moment, and, but for the documents of
//! runs that went well, a loss of power too. `docs/formats/data-directory.md` draws the files.

mod counters;
mod days;
mod disk;
mod edge;
mod error;
mod facts;
mod file;
mod keep;
mod load;
mod lock;
mod outputs;
mod read;
mod registry;
mod rollup;
mod rows;
mod seal;
mod wire;
mod writer;

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{ReadError, SeriesReader};
use whyslow_model::seeded::Seed;
use whyslow_model::{Observation, Sample};
pub use whyslow_store::Columns;
use whyslow_store::{Head, Tally};

pub use counters::StoreCounters;
pub use edge::{
    EdgeAppended, EdgeBatch, EdgeQuery, Facet, FacetCount, FacetValue, FindingQuery, ReadingQuery,
    SlowBucket, SlowField, SlowFilter, SlowMatch, SlowOrder, SlowPage,
};
pub use error::StorageError;
pub use facts::{ObservationFilter, ObservationPage, PageRequest};
pub use outputs::{Changed, Commit, Ends, Opened, Output, Stream, Unsent, Waiting};
pub use whyslow_store::head::Limits;
pub use whyslow_store::retention::{BadRetention, Retention};
pub use wire::{
    WireAppended, WireBatch, WireEvent, WireEventPage, WireEventQuery, WireEvidence, WireKind,
    WireOrder,
};

use counters::Counters;
use days::Files;
use lock::DirectoryLock;
use read::Reader;
use writer::{Message, Request, Writer};

/// How much the store takes, and how long it keeps what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Samples and their roll-ups.
    pub retention: Retention,
    /// How many series, and how late a sample may be.
    pub limits: Limits,
    /// Observations and findings.
    pub observations_for: Duration,
    /// Runs with `keep_long`, slow requests and readings.
    pub transcripts_for: Duration,
    /// Runs without.
    pub ok_runs_for: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            limits: Limits::default(),
            observations_for: Duration::from_hours(90 * 24),
            transcripts_for: Duration::from_hours(30 * 24),
            ok_runs_for: Duration::from_hours(48),
        }
    }
}

/// What one append brings.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Samples, each with its own labels.
    pub samples: Vec<Sample>,
    /// Samples by series, without a label set for each: for remote write.
    pub columns: Columns,
    /// Facts.
    pub observations: Vec<Observation>,
    /// Documents of runs.
    pub runs: Vec<StoredRun>,
    /// What the edge plane brings.
    pub edge: EdgeBatch,
    /// What the wire plane brings.
    pub wire: WireBatch,
    /// Up to where outputs have sent what is stored; written after all else of the batch.
    pub sent: Vec<(Arc<str>, i64)>,
}

/// The document of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// `vantage/service:check:path/started_ns`.
    pub id: String,
    /// When it began.
    pub at: whyslow_model::Wall,
    /// Whether it is kept as long as observations are: slow and failed ones.
    pub keep_long: bool,
    /// The `whyslow.check/1` document.
    pub json: String,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Of its samples.
    pub samples: Tally,
    /// Observations that were new.
    pub observations: u64,
    /// Observations refused: older than the retention, or more than a day ahead of the clock.
    pub observations_refused: u64,
    /// Of what the edge plane brought.
    pub edge: EdgeAppended,
    /// Of what the wire plane brought.
    pub wire: WireAppended,
}

/// The store. Cloning is cheap; all clones are the same store.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    head: Arc<RwLock<Head>>,
    files: Arc<Files>,
    retention: Retention,
    counters: Arc<Counters>,
    queue: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    seed: Seed,
    /// Its sender lives as long as the writer.
    ended: watch::Receiver<()>,
    ends: watch::Receiver<Ends>,
}

/// Samples that may wait to be written; an observation or a run counts as [`WEIGHT_OF_DOCUMENT`].
const QUEUE_WEIGHT_MAX: u32 = 1 << 20;
const WEIGHT_OF_DOCUMENT: usize = 64;

impl Db {
    /// Opens the directory, makes it where it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`StorageError`] naming the file at fault; then nothing was changed.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StorageError> {
        fs::create_dir_all(dir).map_err(|e| StorageError::of_io("create", dir, &e))?;
        let lock = DirectoryLock::take(dir)?;
        let seed = seed();
        let writer = Writer::open(dir, options, lock, seed)?;
        let (head, files) = (Arc::clone(&writer.head), Arc::clone(&writer.files));
        let counters = Arc::clone(&writer.counters);
        let (retention, ends) = (writer.options.retention.clone(), writer.outputs.ends());
        let (queue, messages) = mpsc::channel();
        let (alive, ended) = watch::channel(());
        let spawned = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            // Dropped when the thread ends, however it ends.
            let _alive = alive;
            writer.run(&messages);
        });
        spawned.map_err(|e| StorageError::of_io("start the writer of", dir, &e))?;
        let room = Arc::new(Semaphore::new(QUEUE_WEIGHT_MAX as usize));
        Ok(Self(Arc::new(Inner {
            head,
            files,
            retention,
            counters,
            queue,
            room,
            seed,
            ended,
            ends,
        })))
    }

    /// Stores a batch; resolves when it is durable, and waits while the queue is full.
    ///
    /// # Errors
    /// [`StorageError::Full`] and others: then nothing, or an unacknowledged part, is stored, and
    /// the batch may be sent again.
    pub async fn append(&self, batch: Batch) -> Result<Appended, StorageError> {
        let Batch { samples, mut columns, observations, runs, edge, wire, sent } = batch;
        for sample in &samples {
            columns.sample(sample);
        }
        let documents =
            (observations.len() + runs.len() + edge.len() + wire.len()) * WEIGHT_OF_DOCUMENT;
        let weight = u32::try_from(columns.len() + documents).unwrap_or(u32::MAX);
        let weight = weight.clamp(1, QUEUE_WEIGHT_MAX);
        let room = Arc::clone(&self.0.room).acquire_many_owned(weight).await;
        let room = room.map_err(|_| StorageError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Request { columns, observations, runs, edge, wire, sent, reply, room };
        self.0.counters.queued(1);
        let queued = self.0.queue.send(Message::Append(Box::new(request)));
        queued.map_err(|_| StorageError::Closed)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// From now on there are these outputs and no others, each with the place from which it goes
    /// on. A new one begins with what is stored after this; of others nothing is kept for longer.
    ///
    /// # Errors
    /// [`StorageError`] where that cannot be noted.
    pub async fn set_outputs(&self, outputs: Vec<Output>) -> Result<Vec<Opened>, StorageError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.queue.send(Message::Outputs((outputs, reply)));
        sent.map_err(|_| StorageError::Closed)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Tells the places of what was stored last.
    pub fn ends(&self) -> watch::Receiver<Ends> {
        self.0.ends.clone()
    }

    /// What an output reads to know what it has not sent.
    pub fn unsent(&self) -> Unsent {
        Unsent::of(self.0.files.dir())
    }

    /// The process's hash seed, for tables keyed by what is stored.
    pub fn seed(&self) -> Seed {
        self.0.seed
    }

    /// Stored series; it blocks, so call it where blocking is allowed.
    pub fn reader(&self) -> impl SeriesReader + Send + Sync + use<> {
        self.read()
    }

    /// The names of labels on series that satisfy all matchers and have a point in the range.
    ///
    /// # Errors
    /// [`ReadError`] where a limit is hit or the storage fails.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<String>, ReadError> {
        self.read().label_names(matchers, from_ms, to_ms)
    }

    /// The values of label `name` on series that satisfy all matchers and have a point in the range.
    ///
    /// # Errors
    /// [`ReadError`] where a limit is hit or the storage fails.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<String>, ReadError> {
        self.read().label_values(name, matchers, from_ms, to_ms)
    }

    /// Observations that the filter wants, newest first; it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read or the cursor is none.
    pub fn observations(
        &self,
        filter: &ObservationFilter,
        page: &PageRequest,
    ) -> Result<ObservationPage, StorageError> {
        facts::page(&self.0.files, filter, page)
    }

    /// The document of one run, or `None` where it is not kept (any more); it blocks.
    ///
    /// # Errors
    /// [`StorageError`] where a file cannot be read.
    pub fn run(&self, id: &str) -> Result<Option<String>, StorageError> {
        facts::run(&self.0.files, id)
    }

    /// What the store counts of itself.
    pub fn counters(&self) -> StoreCounters {
        self.0.counters.read(&self.0.head)
    }

    fn read(&self) -> Reader {
        Reader::new(&self.0.head, &self.0.files, &self.0.retention)
    }

    /// Resolves when nothing is written any more: after [`Db::close`], or a mistake of ours that
    /// ended the writer. What was acknowledged is safe; a new process picks it up.
    pub async fn ended(&self) {
        let mut ended = self.0.ended.clone();
        // Nothing is ever sent; an error says that the writer is gone.
        while ended.changed().await.is_ok() {}
    }

    /// Writes what is still queued and lets go of the directory. Other clones then answer
    /// [`StorageError::Closed`] to appends.
    pub async fn close(self) {
        let (reply, done) = oneshot::channel();
        self.0.room.close();
        if self.0.queue.send(Message::Close(reply)).is_ok() {
            // An error says that the writer is gone, which is what is wanted.
            let _ = done.await;
        }
    }
}

/// A number nobody outside can guess; the standard library draws it from the system.
fn seed() -> Seed {
    Seed(std::hash::RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests;
