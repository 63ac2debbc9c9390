//! The one thread that writes: it takes all that is queued, commits it at once, and answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use whyslow_model::seeded::Seed;
use whyslow_model::{Observation, Wall};
use whyslow_store::batch::Refusal;
use whyslow_store::head::Bounds;
use whyslow_store::{Columns, Head, Tally, journal};

use super::counters::Counters;
use super::days::{Day, Kind};
use super::error::StorageError;
use super::lock::DirectoryLock;
use super::registry::Registry;
use super::{Appended, StoreOptions, StoredRun, facts, file};

/// One append on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) columns: Columns,
    pub(super) observations: Vec<Observation>,
    pub(super) runs: Vec<StoredRun>,
    pub(super) reply: oneshot::Sender<Result<Appended, StorageError>>,
    /// Its room in the queue, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    Append(Box<Request>),
    Close(oneshot::Sender<()>),
}

/// Samples of one commit, beyond which no further append joins it.
const COMMIT_SAMPLES_MAX: usize = 200_000;
/// How often the writer looks after its files when nothing comes.
const IDLE_TICK: Duration = Duration::from_mins(1);
/// How far ahead of our clock a sample may be.
const AHEAD_MS: i64 = 60 * 60 * 1000;
/// How far ahead of our clock an observation may be.
const OBSERVATION_AHEAD: Duration = Duration::from_hours(24);
/// Day files kept open for writing.
const OPEN_FILES_MAX: usize = 8;

/// The writer and all it holds open.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    options: StoreOptions,
    counters: Arc<Counters>,
    head: Arc<RwLock<Head>>,
    registry: Registry,
    open: BTreeMap<(Kind, Day), Connection>,
    _lock: DirectoryLock,
}

/// What one day's file gets of a commit: observations, each with the place of its request, and runs.
type DayFacts<'a> = (Vec<(usize, &'a Observation)>, Vec<&'a StoredRun>);
/// One series of a commit: its handle and what becomes of its points.
type Resolved = Result<u32, Refusal>;

impl Writer {
    /// Reads the directory into a head.
    pub(super) fn open(
        dir: &Path,
        options: StoreOptions,
        counters: Arc<Counters>,
        lock: DirectoryLock,
        seed: Seed,
    ) -> Result<(Self, Arc<RwLock<Head>>), StorageError> {
        let registry = Registry::open(dir)?;
        let mut head = Head::new(seed, registry.next_id()?);
        let mut slots = BTreeMap::new();
        registry.restore_series(&mut head, |id, slot| {
            slots.insert(id, slot);
        })?;
        let now_s = now().as_millis() / 1000;
        registry.replay(|id, at, value| {
            if let Some(slot) = slots.get(&id) {
                let mut nobody = Tally::default();
                head.append(*slot, &[at], &[value], Bounds::ALL, now_s, &mut nobody);
            }
        })?;
        let head = Arc::new(RwLock::new(head));
        let writer = Self {
            dir: dir.to_owned(),
            options,
            counters,
            head: Arc::clone(&head),
            registry,
            open: BTreeMap::new(),
            _lock: lock,
        };
        Ok((writer, head))
    }

    /// Serves until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let mut message = match messages.recv_timeout(IDLE_TICK) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut group: Vec<Request> = Vec::new();
            let mut samples = 0;
            let closing = loop {
                match message {
                    Some(Message::Append(request)) => {
                        samples += request.columns.len();
                        group.push(*request);
                    }
                    Some(Message::Close(reply)) => break Some(reply),
                    None => break None,
                }
                if samples > COMMIT_SAMPLES_MAX {
                    break None;
                }
                message = messages.try_recv().ok();
            };
            if !group.is_empty() {
                self.serve(group);
            }
            if let Some(reply) = closing {
                drop(self);
                // Whoever asked may have gone.
                let _ = reply.send(());
                return;
            }
        }
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
                    }
                }
                Err(_) => c.failed_appends += group.len() as u64,
            }
        });
        for (i, request) in group.into_iter().enumerate() {
            let answer = done.as_ref().map(|all| all[i]).map_err(Clone::clone);
            drop(request.room);
            // Whoever asked may have gone; the data is stored all the same.
            let _ = request.reply.send(answer);
        }
    }

    /// Makes a group durable: samples first, then facts. Answers one entry per request.
    fn commit(&mut self, group: &[Request]) -> Result<Vec<Appended>, StorageError> {
        let now = now();
        let mut answers = vec![Appended::default(); group.len()];
        self.commit_samples(group, now, &mut answers)?;
        self.commit_facts(group, now, &mut answers)?;
        Ok(answers)
    }

    fn commit_samples(
        &mut self,
        group: &[Request],
        now: Wall,
        answers: &mut [Appended],
    ) -> Result<(), StorageError> {
        let mut samples = journal::Writer::default();
        let mut resolved: Vec<Vec<Resolved>> = Vec::with_capacity(group.len());
        let mut head = write(&self.head);
        for request in group {
            let slots: Vec<Resolved> =
                request.columns.entries().map(|e| head.resolve(e.labels())).collect();
            for (slot, entry) in slots.iter().zip(request.columns.entries()) {
                if let Ok(slot) = slot {
                    samples.series(head.id(*slot), entry.times_ms, entry.values);
                }
            }
            resolved.push(slots);
        }
        let (new, next_id) = (head.unsaved(), head.next_id());
        drop(head);
        if samples.samples() > 0 {
            self.registry.commit(&new, next_id, &samples)?;
            write(&self.head).unsaved_are_saved();
        }
        let now_ms = now.as_millis();
        let bounds = Bounds { oldest_ms: i64::MIN, newest_ms: now_ms.saturating_add(AHEAD_MS) };
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
        let mut by_day: BTreeMap<Day, DayFacts<'_>> = BTreeMap::new();
        let mut ok_runs: BTreeMap<Day, Vec<&StoredRun>> = BTreeMap::new();
        for (place, request) in group.iter().enumerate() {
            for o in &request.observations {
                if o.at < oldest || o.at > newest {
                    answers[place].observations_refused += 1;
                } else {
                    by_day.entry(Day::of(o.at)).or_default().0.push((place, o));
                }
            }
            for run in &request.runs {
                let day = Day::of(run.at);
                if run.keep_long {
                    by_day.entry(day).or_default().1.push(run);
                } else {
                    ok_runs.entry(day).or_default().push(run);
                }
            }
        }
        for (day, (observations, runs)) in by_day {
            let path = day.path(&self.dir, Kind::Facts);
            let db = self.file(Kind::Facts, day)?;
            let new = |place: usize| answers[place].observations += 1;
            facts::write_observations(db, &path, &observations, &runs, new)?;
        }
        for (day, runs) in ok_runs {
            let path = day.path(&self.dir, Kind::Runs);
            facts::write_runs(self.file(Kind::Runs, day)?, &path, &runs)?;
        }
        Ok(())
    }

    /// The file of one kind and day, opened where it is not yet.
    fn file(&mut self, kind: Kind, day: Day) -> Result<&mut Connection, StorageError> {
        if !self.open.contains_key(&(kind, day)) {
            if self.open.len() >= OPEN_FILES_MAX {
                self.open.pop_first();
            }
            let shape = match kind {
                Kind::Facts => facts::FACTS,
                Kind::Runs => facts::RUNS,
            };
            let db = file::open(&day.path(&self.dir, kind), shape)?;
            self.open.insert((kind, day), db);
        }
        let Some(db) = self.open.get_mut(&(kind, day)) else {
            unreachable!("it was just put there")
        };
        Ok(db)
    }
}

fn write(head: &RwLock<Head>) -> RwLockWriteGuard<'_, Head> {
    head.write().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
