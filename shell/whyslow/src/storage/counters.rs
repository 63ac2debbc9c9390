//! What the store counts of itself, for `/metrics`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use whyslow_store::{Head, Tally};

/// What the store counts of itself since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StoreCounters {
    /// Series known.
    pub series: u64,
    /// What became of samples.
    pub samples: Tally,
    /// Observations that were new.
    pub observations: u64,
    /// Observations refused.
    pub observations_refused: u64,
    /// What became of what the edge plane brought.
    pub edge: super::EdgeAppended,
    /// What became of what the wire plane brought.
    pub wire: super::WireAppended,
    /// Appends that wait.
    pub queue: u64,
    /// Commits.
    pub commits: u64,
    /// Seconds spent on them.
    pub commit_seconds: f64,
    /// Appends that failed.
    pub failed_appends: u64,
    /// Times that chunks or roll-ups could not be written, or files not removed.
    pub failed_housekeeping: u64,
    /// Files removed because they were too old.
    pub files_removed: u64,
    /// Bytes of all files, as of a minute ago.
    pub bytes_on_disk: u64,
    /// Whether the last write found no room.
    pub full: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    kept: Mutex<StoreCounters>,
    queue: AtomicU64,
    full: AtomicBool,
}

impl Counters {
    pub(super) fn queued(&self, n: u64) {
        self.queue.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn unqueued(&self, n: u64) {
        self.queue.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut StoreCounters)) {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self, head: &RwLock<Head>) -> StoreCounters {
        let kept = *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let series = head.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let queue = self.queue.load(Ordering::Relaxed);
        StoreCounters { series, queue, full: self.full.load(Ordering::Relaxed), ..kept }
    }
}
