//! The one thread that writes: it takes all that is queued, commits it at once, and answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use whyslow_model::{Observation, Wall};
use whyslow_store::batch::{Entry, Refusal};
use whyslow_store::head::Bounds;
use whyslow_store::{Columns, Head, journal};

use super::counters::Counters;
use super::days::{Day, Files, Kind};
use super::error::StorageError;
use super::lock::DirectoryLock;
use super::outputs::{Opened, Output, Outputs};
use super::registry::Registry;
use super::seal::Pass;
use super::{
    Appended, EdgeBatch, StoreOptions, StoredRun, WireBatch, edge, facts, file, rows, wire,
};

/// One append on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) columns: Columns,
    pub(super) observations: Vec<Observation>,
    pub(super) runs: Vec<StoredRun>,
    pub(super) edge: EdgeBatch,
    pub(super) wire: WireBatch,
    pub(super) sent: Vec<(Arc<str>, i64)>,
    pub(super) reply: oneshot::Sender<Result<Appended, StorageError>>,
    /// Its room in the queue, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

/// The outputs there are from now on, and who wants to know where each goes on.
pub(super) type SetOutputs = (Vec<Output>, oneshot::Sender<Result<Vec<Opened>, StorageError>>);

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    Append(Box<Request>),
    Outputs(SetOutputs),
    Close(oneshot::Sender<()>),
}

/// Samples of one commit, beyond which no further append joins it.
const COMMIT_SAMPLES_MAX: usize = 200_000;
/// Least time between two commits of little, so that hundreds of checks a second share them.
const GATHER: Duration = Duration::from_millis(20);
/// Samples that are worth a commit at once.
const SMALL_SAMPLES: usize = 400;
/// How often the writer looks after its files when nothing comes.
const IDLE_TICK: Duration = Duration::from_mins(1);
/// How far ahead of our clock a sample may be.
const AHEAD_MS: i64 = 60 * 60 * 1000;
/// How far ahead of our clock an observation may be.
pub(super) const OBSERVATION_AHEAD: Duration = Duration::from_hours(24);
/// Files kept open for writing.
const OPEN_FILES_MAX: usize = 16;
/// Bytes of samples not yet in chunks, beyond which all are put into chunks at once.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// The writer and all it holds open.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) options: StoreOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) head: Arc<RwLock<Head>>,
    pub(super) registry: Registry,
    pub(super) outputs: Outputs,
    pub(super) files: Arc<Files>,
    pub(super) open: BTreeMap<(Kind, Day), Connection>,
    /// Files of windows of which some may still be to be rolled up.
    pub(super) unrolled: BTreeSet<(Kind, Day)>,
    /// The newest sample's time.
    pub(super) newest_ms: i64,
    /// Windows that end by then are written.
    pub(super) sealed_ms: i64,
    /// About how many bytes of samples are not yet in chunks.
    pub(super) journal_bytes: u64,
    /// Samples that are safe and of which the outputs do not know yet.
    pub(super) untold_samples: u64,
    pub(super) lock: DirectoryLock,
}

/// What one day's file gets of a commit, each with the place of its request.
type DayObservations<'a> = Vec<(usize, &'a Observation)>;

/// One series of a commit: its handle, or why its points are refused.
type Resolved = Result<u32, Refusal>;

/// What the queue held.
#[derive(Debug, Default)]
struct Drained {
    group: Vec<Request>,
    outputs: Vec<SetOutputs>,
    closing: Option<oneshot::Sender<()>>,
    /// Whether nobody is left to send more.
    deserted: bool,
}

impl Drained {
    /// Whether it is worth waiting for more.
    fn is_small(&self) -> bool {
        let samples: usize = self.group.iter().map(|r| r.columns.len()).sum();
        !self.group.is_empty() && samples < SMALL_SAMPLES && self.closing.is_none()
    }

    fn join(&mut self, more: Self) {
        self.group.extend(more.group);
        self.outputs.extend(more.outputs);
        self.closing = self.closing.take().or(more.closing);
        self.deserted |= more.deserted;
    }
}

impl Writer {
    /// Serves until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut pass = None;
        let mut last_commit = Instant::now();
        let mut next_care = Instant::now();
        let mut next_pass = Instant::now();
        let mut rolling = false;
        loop {
            let patience = if pass.is_some() || rolling {
                Duration::ZERO
            } else {
                next_care.saturating_duration_since(Instant::now())
            };
            let mut drained = drain(messages, patience);
            if drained.is_small() && last_commit.elapsed() < GATHER {
                std::thread::sleep(GATHER.saturating_sub(last_commit.elapsed()));
                drained.join(drain(messages, Duration::ZERO));
            }
            if !drained.group.is_empty() {
                self.serve(drained.group);
                last_commit = Instant::now();
            }
            for (outputs, reply) in drained.outputs {
                // Whoever asked may have gone.
                let _ = reply.send(self.set_outputs(&outputs));
            }
            if drained.deserted || drained.closing.is_some() {
                self.close();
                if let Some(reply) = drained.closing {
                    // Whoever asked may have gone.
                    let _ = reply.send(());
                }
                return;
            }
            if pass.is_none() && !rolling && Instant::now() >= next_care {
                next_care = Instant::now() + IDLE_TICK;
                rolling = true;
            }
            if rolling {
                let edge = self.reported("roll up the edge's windows", Self::roll_up_edge);
                let wire = self.reported("roll up the wire's windows", Self::roll_up_wire);
                rolling = edge.unwrap_or(false) || wire.unwrap_or(false);
                if !rolling {
                    // Only now: what is not rolled up must not go.
                    self.reported("remove what is too old", Self::remove_old);
                }
            }
            if pass.is_none() && Instant::now() >= next_pass {
                pass = self.due_pass();
            }
            if let Some(under_way) = pass.take() {
                let done = self.reported("write chunks", |w| w.step(under_way));
                if done.is_none() {
                    next_pass = Instant::now() + IDLE_TICK;
                }
                pass = done.flatten();
            }
        }
    }

    /// A pass over all series, if there is something to write.
    fn due_pass(&mut self) -> Option<Pass> {
        let until_ms = if self.journal_bytes > JOURNAL_BYTES_MAX {
            i64::MAX
        } else {
            Some(self.sealable_ms()).filter(|until| *until > self.sealed_ms)?
        };
        self.reported("begin to write chunks", |w| w.begin_pass(until_ms))
    }

    /// Writes everything there is as chunks and lets go of the directory.
    fn close(mut self) {
        let mut pass = self.reported("begin to write chunks", |w| w.begin_pass(i64::MAX));
        while let Some(under_way) = pass {
            pass = self.reported("write chunks", |w| w.step(under_way)).flatten();
        }
        let Self { registry, open, lock, .. } = self;
        drop((registry, open));
        drop(lock);
    }

    /// Does housekeeping; when it fails it is tried again later, and nothing is lost meanwhile.
    fn reported<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Option<T> {
        match work(self) {
            Ok(done) => Some(done),
            Err(e) => {
                self.counters.update(|c| c.failed_housekeeping += 1);
                tracing::warn!(error = %e, "the store could not {what}; it will try again");
                None
            }
        }
    }

    /// There are these outputs and no others.
    fn set_outputs(&mut self, outputs: &[Output]) -> Result<Vec<Opened>, StorageError> {
        self.outputs.set(outputs, |place| self.registry.samples_after(place))
    }

    /// Commits a group of appends and answers each.
    fn serve(&mut self, group: Vec<Request>) {
        self.counters.unqueued(group.len() as u64);
        let began = Instant::now();
        let done = self.commit(&group);
        let seconds = began.elapsed().as_secs_f64();
        self.counters.full(matches!(done, Err(StorageError::Full { .. })));
        self.counters.update(|c| {
            c.commits += 1;
            c.commit_seconds += seconds;
            match &done {
                Ok(all) => {
                    for one in all {
                        c.samples.add(&one.samples);
                        c.observations += one.observations;
                        c.observations_refused += one.observations_refused;
                        c.edge.add(&one.edge);
                        c.wire.add(&one.wire);
                    }
                }
                Err(_) => c.failed_appends += group.len() as u64,
            }
        });
        if done.is_ok() {
            self.outputs.stored(self.registry.newest(), std::mem::take(&mut self.untold_samples));
        }
        for (i, request) in group.into_iter().enumerate() {
            let answer = done.as_ref().map(|all| all[i]).map_err(Clone::clone);
            drop(request.room);
            // Whoever asked may have gone; the data is stored all the same.
            let _ = request.reply.send(answer);
        }
    }

    /// Makes a group durable: samples first, then facts, then what the edge and the
    /// wire bring. Answers one entry per request.
    fn commit(&mut self, group: &[Request]) -> Result<Vec<Appended>, StorageError> {
        let now = now();
        let mut answers = vec![Appended::default(); group.len()];
        self.commit_samples(group, now, &mut answers)?;
        self.commit_facts(group, now, &mut answers)?;
        self.commit_edge(group, now, &mut answers)?;
        self.commit_wire(group, now, &mut answers)?;
        if self.outputs.note_sent(group)? {
            self.registry.forget_unsent(self.outputs.unsent_samples())?;
        }
        Ok(answers)
    }

    fn commit_samples(
        &mut self,
        group: &[Request],
        now: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let now_ms = now.as_millis();
        let bounds = Bounds {
            oldest_ms: now_ms.saturating_sub(self.options.retention.raw_keep_ms()),
            newest_ms: now_ms.saturating_add(AHEAD_MS),
        };
        let mut samples = journal::Writer::default();
        let mut resolved: Vec<Vec<Resolved>> = Vec::with_capacity(group.len());
        let mut head = write(&self.head);
        for request in group {
            let slots: Vec<Resolved> =
                request.columns.entries().map(|e| head.resolve(e.labels())).collect();
            for (slot, entry) in slots.iter().zip(request.columns.entries()) {
                if let Ok(slot) = slot {
                    journal_within(&mut samples, head.id(*slot), entry, bounds);
                }
            }
            resolved.push(slots);
        }
        let (new, next_id) = (head.unsaved(), head.next_id());
        drop(head);
        if samples.samples() > 0 {
            self.registry.commit(&new, next_id, &samples)?;
            self.newest_ms = self.newest_ms.max(samples.newest_ms());
            self.journal_bytes += samples.bytes().len() as u64;
            self.untold_samples += samples.samples();
            write(&self.head).unsaved_are_saved();
        }
        for ((request, slots), answer) in group.iter().zip(&resolved).zip(answers) {
            let mut head = write(&self.head);
            for (slot, e) in slots.iter().zip(request.columns.entries()) {
                let tally = &mut answer.samples;
                match slot {
                    Ok(s) => head.append(*s, e.times_ms, e.values, bounds, now_ms / 1000, tally),
                    Err(why) => tally.refuse(*why, e.times_ms.len() as u64),
                }
            }
        }
        Ok(())
    }

    fn commit_facts(
        &mut self,
        group: &[Request],
        now: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let oldest = now.before(self.options.observations_for);
        let newest = now.after(OBSERVATION_AHEAD);
        let mut facts: BTreeMap<Day, DayObservations<'_>> = BTreeMap::new();
        let mut runs: BTreeMap<(Kind, Day), Vec<&StoredRun>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            for o in &request.observations {
                if o.at < oldest || o.at > newest {
                    answers[place].observations_refused += 1;
                } else {
                    let day = Kind::Facts.day_of(o.at.as_millis());
                    facts.entry(day).or_default().push((place, o));
                }
            }
            for run in request.runs.iter().filter(|r| r.at >= oldest && r.at <= newest) {
                let kind = if run.keep_long { Kind::Transcripts } else { Kind::Runs };
                runs.entry((kind, kind.day_of(run.at.as_millis()))).or_default().push(run);
            }
        }
        for (day, observations) in facts {
            let path = self.files.path(Kind::Facts, day);
            let new = |place: usize| answers[place].observations += 1;
            let db = self.file(Kind::Facts, day)?;
            facts::write_observations(db, &path, &observations, new)?;
        }
        for ((kind, day), runs) in runs {
            let path = self.files.path(kind, day);
            facts::write_runs(self.file(kind, day)?, &path, &runs)?;
        }
        Ok(())
    }

    /// The file of one kind and day, opened where it is not yet.
    pub(super) fn file(&mut self, kind: Kind, day: Day) -> Result<&mut Connection, StorageError> {
        if !self.open.contains_key(&(kind, day)) {
            if self.open.len() >= OPEN_FILES_MAX {
                self.open.pop_first();
            }
            let shape = match kind {
                Kind::Samples | Kind::Rollup { .. } => rows::SHAPE,
                Kind::Facts => facts::FACTS,
                Kind::Transcripts => facts::TRANSCRIPTS,
                Kind::Runs => facts::RUNS,
                Kind::Windows { .. } => edge::ROWS,
                Kind::Slow => edge::SLOW,
                Kind::Readings => edge::READINGS,
                Kind::Findings => edge::FINDINGS,
                Kind::WireWindows { .. } => wire::WINDOWS,
                Kind::WireEvents => wire::EVENTS,
            };
            let mut db = file::open(&self.files.path(kind, day), shape)?;
            if kind == Kind::WIRE_FINEST {
                let next_s = wire::levels(&self.options.retention).get(1).map(|l| l.span_s);
                wire::note_all(&mut db, &self.files.path(kind, day), next_s)?;
            }
            self.files.add(kind, day);
            self.open.insert((kind, day), db);
        }
        let Some(db) = self.open.get_mut(&(kind, day)) else {
            unreachable!("it was just put there")
        };
        Ok(db)
    }
}

/// Waits for a message, and takes all that came with it, up to the samples of one commit.
fn drain(messages: &Receiver<Message>, patience: Duration) -> Drained {
    let mut drained = Drained::default();
    let mut samples = 0;
    let mut next = messages.recv_timeout(patience);
    loop {
        match next {
            Ok(Message::Append(request)) => {
                samples += request.columns.len();
                drained.group.push(*request);
            }
            Ok(Message::Outputs(outputs)) => drained.outputs.push(outputs),
            Ok(Message::Close(reply)) => drained.closing = Some(reply),
            Err(RecvTimeoutError::Timeout) => return drained,
            Err(RecvTimeoutError::Disconnected) => drained.deserted = true,
        }
        if samples > COMMIT_SAMPLES_MAX || drained.closing.is_some() || drained.deserted {
            return drained;
        }
        next = messages.recv_timeout(Duration::ZERO);
    }
}

/// Journals the points that are within the bounds.
fn journal_within(samples: &mut journal::Writer, id: i64, entry: Entry<'_>, bounds: Bounds) {
    if entry.times_ms.iter().all(|at| bounds.admit(*at).is_ok()) {
        samples.series(id, entry.times_ms, entry.values);
        return;
    }
    let points = entry.times_ms.iter().zip(entry.values);
    let (times, values): (Vec<i64>, Vec<f64>) =
        points.filter(|(at, _)| bounds.admit(**at).is_ok()).unzip();
    samples.series(id, &times, &values);
}

pub(super) fn write(head: &RwLock<Head>) -> RwLockWriteGuard<'_, Head> {
    head.write().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
