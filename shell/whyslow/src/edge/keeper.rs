//! Keeps the windows of one source: adds up what its workers give, stores it together with the
//! place from which to go on, then tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use whyslow_edge::grouping::Grouping;
use whyslow_edge::merge_windows;
use whyslow_edge::row::Row;
use whyslow_edge::windows::ClosedWindow;

use super::counters::Counted;
use super::resume::{Resume, SPAN_S};
use super::stop::Stop;
use super::{StoredWindow, World};
use crate::config::EdgeSource;
use crate::storage::{Batch, EdgeBatch, EdgeQuery, StorageError};

/// How long to wait for other workers' part of the same windows.
const GATHER: Duration = Duration::from_millis(400);
/// How long to wait before what could not be stored is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often it is tried once the source shall stop.
const LAST_TRIES: u32 = 3;
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
    /// Where to go on after a restart; `None` as before.
    pub(super) resume: Option<Resume>,
}

/// The keeper of one source.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) config: Arc<EdgeSource>,
    pub(super) source: Arc<str>,
    pub(super) world: World,
    pub(super) counted: Arc<Counted>,
    pub(super) stop: Stop,
    pub(super) inbox: Receiver<Harvest>,
    /// Workers of the source.
    pub(super) workers: usize,
    /// Whether lines are read again after a restart, so that nothing stored must be added.
    pub(super) rereads: bool,
    /// Where to go on after a restart, as it was stored last.
    pub(super) resume: Resume,
    /// Of each window that may still change and has several parts, all of them.
    pub(super) parts: BTreeMap<i64, BTreeMap<u64, Vec<Row>>>,
    pub(super) seen_parts: BTreeSet<u64>,
}

impl Keeper {
    /// Keeps what comes until no worker is left.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.inbox.recv() {
            let mut all = vec![first];
            if self.workers > 1 {
                let until = Instant::now() + GATHER;
                let left = || until.saturating_duration_since(Instant::now());
                while let Ok(more) = self.inbox.recv_timeout(left()) {
                    all.push(more);
                }
            }
            let mut touched = BTreeMap::new();
            for harvest in all {
                self.take(harvest, &mut touched);
            }
            if !self.store(touched) {
                return;
            }
        }
    }

    /// Adds one harvest to the windows that are to be stored.
    fn take(&mut self, harvest: Harvest, touched: &mut BTreeMap<i64, Vec<Row>>) {
        let Harvest { part, before_s, windows, frozen, resume } = harvest;
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

    /// Stores windows, and tries until it is done. False where nothing can be stored any more.
    fn store(&mut self, touched: BTreeMap<i64, Vec<Row>>) -> bool {
        let revision = self.resume.revision.saturating_add(1);
        self.resume.revision = revision;
        let place = serde_json::to_vec(&self.resume).unwrap_or_default();
        let windows: Vec<StoredWindow> = touched
            .into_iter()
            .map(|(start_s, rows)| StoredWindow {
                source: Arc::clone(&self.source),
                service: self.config.service.as_deref().map(Arc::from),
                start_s,
                revision,
                rows: rows.into(),
            })
            .collect();
        let rows = windows.iter().flat_map(|w| {
            w.rows.iter().map(|row| (Arc::clone(&self.source), revision, row.clone()))
        });
        let edge = EdgeBatch {
            rows: rows.collect(),
            resume: vec![(Arc::clone(&self.source), place)],
            ..EdgeBatch::default()
        };
        if !self.append(&Batch { edge, ..Batch::default() }) {
            return false;
        }
        for window in &windows {
            self.world.outlets.iter().for_each(|outlet| outlet.handle_window(window));
        }
        true
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
