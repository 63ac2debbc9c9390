//! Keeps results: gathers those of a short while, stores them at once, then tells of them.
//!
//! A commit costs several times what a run's own rows do, so runs share one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use whyslow_model::limits::RUNS_IN_FLIGHT_MAX;
use whyslow_probe::run::Outcome;

use super::counters::Counted;
use crate::live::{Event, Live};
use crate::storage::{Batch, Db};

/// How long a result waits for others to share its commit.
const GATHER: Duration = Duration::from_millis(200);
/// How long where there are many: a page shows them a second late, and their commits cost a fifth.
const GATHER_MANY: Duration = Duration::from_secs(1);
/// Results of one short wait from which on there are many.
const MANY: usize = 4;

/// Where results go, and who is told.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) db: Db,
    pub(super) live: Live,
    pub(super) counted: Counted,
    /// Whether the last results could not be stored.
    pub(super) storing_fails: Arc<AtomicBool>,
}

/// Takes results; clone it freely.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    inbox: mpsc::Sender<Kept>,
    task: Arc<Mutex<JoinHandle<()>>>,
}

type Kept = (Batch, Option<Event>);

impl Keeper {
    /// Starts keeping, on the current runtime.
    pub(super) fn start(world: World) -> Self {
        let (inbox, outbox) = mpsc::channel(RUNS_IN_FLIGHT_MAX);
        let task = tokio::spawn(keep(world, outbox));
        Self { inbox, task: Arc::new(Mutex::new(task)) }
    }

    /// Hands a result over; waits while the store is far behind.
    pub(super) async fn keep(&self, batch: Batch, told: Option<Event>) {
        // Refused only where the role is ending and nobody keeps any more.
        let _ = self.inbox.send((batch, told)).await;
    }

    /// Waits until all that was handed over is stored; the last clone must call it.
    pub(super) async fn finish(self) {
        let Self { inbox, task } = self;
        drop(inbox);
        // It fails only where keeping has ended already.
        let _ = (&mut *task.lock().await).await;
    }
}

async fn keep(world: World, mut outbox: mpsc::Receiver<Kept>) {
    let mut gathered: Vec<Kept> = Vec::new();
    while let Some(first) = outbox.recv().await {
        let mut all_well = is_well(&first);
        gathered.push(first);
        for wait in [GATHER, GATHER_MANY - GATHER] {
            tokio::time::sleep(wait).await;
            while let Ok(more) = outbox.try_recv() {
                all_well &= is_well(&more);
                gathered.push(more);
            }
            // What went wrong is told soon, and a few results are not worth waiting longer for.
            if gathered.len() < MANY || !all_well {
                break;
            }
        }
        world.store(gathered.drain(..)).await;
    }
}

/// Whether a result says that a run went well.
fn is_well((_, told): &Kept) -> bool {
    matches!(told, Some(Event::Run(run)) if run.outcome == Outcome::Ok)
}

impl World {
    /// Stores, and tells what is stored. What cannot be stored is counted and said once.
    async fn store(&self, kept: impl Iterator<Item = Kept>) {
        let (mut batch, mut events) = (Batch::default(), Vec::new());
        for (mut one, event) in kept {
            batch.samples.append(&mut one.samples);
            batch.columns.append(&one.columns);
            batch.observations.append(&mut one.observations);
            batch.runs.append(&mut one.runs);
            events.extend(event);
        }
        let runs = batch.runs.len() as u64;
        match self.db.append(batch).await {
            Ok(_) => {
                if self.storing_fails.swap(false, Ordering::Relaxed) {
                    tracing::info!("results are stored again");
                }
                events.into_iter().for_each(|event| self.live.tell(event));
            }
            Err(e) => {
                self.counted.update(|c| c.unstored += runs);
                if !self.storing_fails.swap(true, Ordering::Relaxed) {
                    tracing::error!("results are lost: {e}");
                }
            }
        }
    }
}
