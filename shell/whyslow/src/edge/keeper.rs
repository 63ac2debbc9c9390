//! Keeps the windows of one source: adds up what its workers give, stores it together with the
//! place from which to go on, then tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use whyslow_edge::completeness::Completeness;
use whyslow_edge::detect::WindowOf;
use whyslow_edge::grouping::Grouping;
use whyslow_edge::merge_windows;
use whyslow_edge::row::Row;
use whyslow_edge::slow::{Reason, SlowCount, SlowRow};
use whyslow_edge::windows::ClosedWindow;
use whyslow_model::{Observation, Wall};
use whyslow_sys::clock;

use super::counters::Counted;
use super::gaps;
use super::resume::{Resume, SPAN_S};
use super::stop::Stop;
use super::{World, run, stored_place};
use crate::config::EdgeSource;
use crate::storage::{Batch, EdgeBatch, EdgeQuery, StorageError};

/// How long to wait for other workers' part of the same windows.
const GATHER: Duration = Duration::from_millis(400);
/// How long to wait before what could not be stored is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often it is tried once the source shall stop.
const LAST_TRIES: u32 = 3;
/// How often readings and counters are looked after while nothing comes.
const IDLE_TICK: Duration = Duration::from_secs(5);
/// The part that was stored by an earlier process, or an earlier life of a worker.
const STORED: u64 = 0;
/// Seconds for which parts are kept beyond the last change, since workers are not in step.
const PARTS_KEPT_S: i64 = 60;
/// Seconds beyond the first window of a new part within which stored ones are looked for.
const STORED_AHEAD_S: i64 = 86_400;
/// Whose gauges the keeper's own are, beside those of the workers.
const OWN_GAUGES: usize = usize::MAX;

/// What a worker gives.
#[derive(Debug)]
pub(super) struct Harvest {
    /// Tells apart what is to be added up; what comes again from one part replaces what came
    /// before.
    pub(super) part: u64,
    /// Windows that start before cannot change any more.
    pub(super) before_s: Option<i64>,
    /// Windows that are complete, or were revised.
    pub(super) windows: Vec<ClosedWindow>,
    /// Windows to which what is stored must be added.
    pub(super) frozen: Vec<i64>,
    /// Slow requests that are kept.
    pub(super) slow: Vec<SlowRow>,
    /// How many there were.
    pub(super) slow_counts: Vec<SlowCount>,
    /// Where to go on after a restart; `None` as before.
    pub(super) resume: Option<Resume>,
}

/// A window's start, a route, and why its requests count as slow.
type SlowKey = (i64, Arc<str>, Reason);

/// What a keeper remembers from one commit to the next.
#[derive(Debug, Default)]
struct Memory {
    /// Where to go on after a restart, as it is in the store.
    stored: Resume,
    /// The newest window that was stored.
    newest_s: Option<i64>,
    /// Until when it is known how complete the source is, and how complete it was then.
    accounted: Option<Wall>,
    seen: Option<Completeness>,
    /// Slow requests by window, route and reason: how many were seen and kept.
    slow_counts: BTreeMap<SlowKey, (u64, u64)>,
}

/// The keeper of one source.
#[derive(Debug)]
pub(super) struct Keeper {
    config: Arc<EdgeSource>,
    source: Arc<str>,
    world: World,
    counted: Arc<Counted>,
    stop: Stop,
    inbox: Receiver<Harvest>,
    /// Workers of the source.
    workers: usize,
    /// Whether lines are read again after a restart, so that nothing stored must be added.
    rereads: bool,
    /// Where to go on after a restart, as it was stored last.
    resume: Resume,
    /// Of each window that may still change and has several parts, all of them.
    parts: BTreeMap<i64, BTreeMap<u64, Vec<Row>>>,
    seen_parts: BTreeSet<u64>,
    /// What is kept beside windows.
    memory: Memory,
}

impl Keeper {
    /// The keeper of a source that is about to be read.
    pub(super) fn new(
        config: Arc<EdgeSource>,
        world: World,
        counted: Arc<Counted>,
        stop: Stop,
        inbox: Receiver<Harvest>,
    ) -> Self {
        Self {
            source: Arc::from(&*config.name),
            workers: run::workers(&config),
            rereads: run::rereads(&config),
            resume: stored_place(&world.db, &config.name).unwrap_or_default(),
            parts: BTreeMap::new(),
            seen_parts: BTreeSet::new(),
            memory: Memory {
                slow_counts: stored_counts(&world, &config.name),
                ..Memory::default()
            },
            config,
            world,
            counted,
            stop,
            inbox,
        }
    }

    /// Keeps what comes until no worker is left.
    pub(super) fn run(mut self) {
        loop {
            let mut all = match self.inbox.recv_timeout(IDLE_TICK) {
                Ok(first) => vec![first],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.workers > 1 {
                let until = Instant::now() + GATHER;
                let left = || until.saturating_duration_since(Instant::now());
                while let Ok(more) = self.inbox.recv_timeout(left()) {
                    all.push(more);
                }
            }
            if !self.keep(all) {
                return;
            }
        }
    }

    /// Stores what was given. False where nothing can be stored any more.
    pub(super) fn keep(&mut self, all: Vec<Harvest>) -> bool {
        let (mut touched, mut slow) = (BTreeMap::new(), EdgeBatch::default());
        for mut harvest in all {
            slow.slow.append(&mut harvest.slow);
            let counts = std::mem::take(&mut harvest.slow_counts);
            slow.slow_counts.extend(self.add_counts(counts));
            self.take(harvest, &mut touched);
        }
        self.store(touched, slow)
    }

    /// Adds one harvest to the windows that are to be stored.
    fn take(&mut self, harvest: Harvest, touched: &mut BTreeMap<i64, Vec<Row>>) {
        let Harvest { part, before_s, windows, frozen, resume, .. } = harvest;
        self.add_stored(part, before_s.or(windows.first().map(|w| w.start_s)), &frozen);
        for ClosedWindow { start_s, rows, .. } in windows {
            let rows = match self.parts.get_mut(&start_s) {
                None if self.workers == 1 => rows,
                None => {
                    self.parts.insert(start_s, BTreeMap::from([(part, rows.clone())]));
                    rows
                }
                Some(parts) => {
                    parts.insert(part, rows);
                    merge_windows(parts.values().cloned().collect())
                }
            };
            touched.insert(start_s, rows);
        }
        if let Some(resume) = resume {
            self.resume = Resume { revision: self.resume.revision, ..resume };
        }
        if let Some(before_s) = before_s {
            self.resume.before_s = self.resume.before_s.max(Some(before_s));
            self.parts = self.parts.split_off(&(before_s - PARTS_KEPT_S));
        }
    }

    /// Adds up what several workers, and several lives of them, counted of slow requests; what is
    /// stored is replaced.
    fn add_counts(&mut self, counts: Vec<SlowCount>) -> Vec<SlowCount> {
        let mut sums = Vec::new();
        for count in counts {
            let key = (count.start_s, Arc::clone(&count.route), count.reason);
            let (seen, kept) = self.memory.slow_counts.entry(key).or_default();
            *seen += count.seen;
            *kept += count.kept;
            sums.push(SlowCount { seen: *seen, kept: *kept, ..count });
        }
        if let Some(newest) =
            self.memory.slow_counts.keys().next_back().map(|(start_s, ..)| *start_s)
        {
            self.memory.slow_counts.retain(|(start_s, ..), _| newest - *start_s <= PARTS_KEPT_S);
        }
        sums
    }

    /// Reads what was stored of windows that a new part would else replace.
    fn add_stored(&mut self, part: u64, first: Option<i64>, frozen: &[i64]) {
        let mut wanted: Vec<(i64, i64)> =
            frozen.iter().map(|start| (*start, start + i64::from(SPAN_S))).collect();
        if self.seen_parts.insert(part)
            && !self.rereads
            && let Some(first) = first
        {
            wanted.push((first, first.saturating_add(STORED_AHEAD_S)));
        }
        // Of a window that is known here, all parts are.
        let known: BTreeSet<i64> = self.parts.keys().copied().collect();
        for (from_s, to_s) in wanted {
            let rows = self.stored(from_s, to_s).unwrap_or_else(|error| {
                let source = &self.source;
                tracing::error!("source {source}: what was stored cannot be added to: {error}");
                Vec::new()
            });
            for row in rows.into_iter().filter(|row| !known.contains(&row.start_s)) {
                let parts = self.parts.entry(row.start_s).or_default();
                parts.entry(STORED).or_default().push(row);
            }
        }
    }

    fn stored(&self, from_s: i64, to_s: i64) -> Result<Vec<Row>, StorageError> {
        use Grouping as G;
        let backend = G::VIP.and(G::BACKEND);
        let groupings = [
            G::VIP,
            backend,
            backend.and(G::SERVER),
            backend.and(G::ROUTE),
            backend.and(G::CODE),
            backend.and(G::CLIENT_ASN),
            backend.and(G::CLIENT_PREFIX),
            backend.and(G::SERVER).and(G::ROUTE),
        ];
        let mut all = Vec::new();
        for grouping in groupings {
            let query = EdgeQuery {
                from_s,
                to_s,
                span_s: Some(SPAN_S),
                grouping,
                sources: vec![self.config.name.clone()],
                ..EdgeQuery::default()
            };
            all.extend(self.world.db.edge_rows(&query)?);
        }
        Ok(all)
    }

    /// Stores windows and what follows from them, and tries until it is done. False where nothing can be stored any more.
    fn store(&mut self, touched: BTreeMap<i64, Vec<Row>>, slow: EdgeBatch) -> bool {
        let now = clock::wall();
        let mut edge = slow;
        let (mut samples, mut observations) = (Vec::new(), Vec::new());
        if !touched.is_empty() || self.resume != self.memory.stored {
            self.resume.revision = self.resume.revision.saturating_add(1);
            let place = serde_json::to_vec(&self.resume).unwrap_or_default();
            edge.resume.push((Arc::clone(&self.source), place));
            self.memory.stored.clone_from(&self.resume);
        }
        let revision = self.resume.revision;
        for (start_s, rows) in touched {
            let completeness = self.completeness(start_s, now, &mut observations);
            let window = WindowOf { source: &self.source, start_s, rows: &rows, completeness };
            self.world.notices.handle_window(self.config.service.as_deref(), &window, now);
            let (source, service) = (&self.config.name, self.config.service.as_deref());
            samples.extend(self.world.outputs.handle_window(source, service, &rows));
            edge.rows.extend(rows.into_iter().map(|row| (Arc::clone(&self.source), revision, row)));
        }
        self.world.notices.handle_timeout(now);
        self.world.notices.drain(&mut edge);
        samples.extend(self.world.notices.counters_again(&self.world.outputs, now));
        if edge.is_empty() && samples.is_empty() && observations.is_empty() {
            return true;
        }
        self.append(&Batch { edge, samples, observations, ..Batch::default() })
    }

    /// How complete the source was since the last new window; what is missing is a fact to tell.
    fn completeness(
        &mut self,
        start_s: i64,
        now: Wall,
        observations: &mut Vec<Observation>,
    ) -> Option<Completeness> {
        if self.memory.newest_s.is_none_or(|newest| start_s > newest) {
            let from = self.memory.accounted.replace(now).unwrap_or(now);
            let stretch = self.counted.ledger(|ledger| ledger.handle_window(from, now));
            self.memory.newest_s = Some(start_s);
            self.memory.seen = stretch.completeness;
            let (service, agent) = (self.config.service.as_deref(), &self.world.agent);
            observations.extend(gaps::observation(
                &self.source,
                service,
                agent,
                from,
                now,
                stretch,
            ));
        }
        self.memory.seen
    }

    fn append(&self, batch: &Batch) -> bool {
        let mut tries = 0;
        loop {
            let error = match self.world.runtime.block_on(self.world.db.append(batch.clone())) {
                Ok(_) => {
                    if tries > 0 {
                        tracing::info!("source {}: windows are stored again", self.source);
                        self.counted.gauge(OWN_GAUGES, |g| g.problem = None);
                    }
                    return true;
                }
                Err(StorageError::Closed) => return false,
                Err(error) => error,
            };
            if tries == 0 {
                tracing::error!("source {}: windows cannot be stored: {error}", self.source);
                let told = format!("windows cannot be stored: {error}");
                self.counted.gauge(OWN_GAUGES, |g| g.problem = Some(told));
            }
            tries += 1;
            if self.stop.is_told() && tries >= LAST_TRIES {
                return false;
            }
            self.stop.rest(RETRY_AFTER);
        }
    }
}

/// What an earlier process, or an earlier life of the source, counted of slow requests just now.
fn stored_counts(world: &World, source: &str) -> BTreeMap<SlowKey, (u64, u64)> {
    let now_s = clock::wall().as_millis().div_euclid(1000);
    let counts = world.db.slow_counts(now_s - PARTS_KEPT_S, now_s + PARTS_KEPT_S);
    let counts = counts.unwrap_or_else(|error| {
        tracing::error!("source {source}: slow requests of before are not known: {error}");
        Vec::new()
    });
    let of = counts.into_iter().filter(|count| *count.source == *source);
    of.map(|count| ((count.start_s, count.route, count.reason), (count.seen, count.kept))).collect()
}
