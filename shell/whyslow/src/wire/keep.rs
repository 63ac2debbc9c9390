//! Stores the series of what recorders count, every few seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use whyslow_model::Wall;
use whyslow_sys::clock;

use super::Wire;
use crate::storage::{Batch, Db};

/// Seconds between two samples of a series.
const EVERY_S: i64 = 10;

/// A task that stores series.
#[derive(Debug)]
pub struct Keeping {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeping {
    /// Starts storing what `wire` counts, on the current runtime.
    pub fn start(wire: Arc<Wire>, db: Db) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(keep(wire, db, stopping));
        Self { stop, task }
    }

    /// Stores once more, so that nothing counted is missing, and ends.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        // It fails only where storing has ended already.
        let _ = self.task.await;
    }
}

async fn keep(wire: Arc<Wire>, db: Db, mut stopping: watch::Receiver<bool>) {
    let mut failing = false;
    let mut goes_on = true;
    while goes_on {
        tokio::select! {
            () = tokio::time::sleep(until_next(clock::wall())) => {}
            _ = stopping.wait_for(|stop| *stop) => goes_on = false,
        }
        let at = clock::wall();
        let samples = wire.samples(at);
        if samples.is_empty() {
            continue;
        }
        match db.append(Batch { samples, ..Batch::default() }).await {
            Ok(_) => {
                wire.handle_stored(at);
                failing = false;
            }
            Err(error) if failing => tracing::debug!("figures of the wire are not stored: {error}"),
            Err(error) => {
                tracing::error!("figures of the wire are not stored: {error}");
                failing = true;
            }
        }
    }
}

/// How long it is to the next full ten seconds.
fn until_next(now: Wall) -> Duration {
    let next_s = (now.as_millis().div_euclid(1000 * EVERY_S) + 1) * EVERY_S;
    Wall::from_millis(next_s * 1000).since(now)
}
