//! What became of incidents, by cause.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use whyslow_model::limits::WIRE_CAUSES_MAX;

/// Counts that the keeper and requests share; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<Mutex<EvidenceCounts>>);

/// Counts since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidenceCounts {
    /// Files written.
    pub kept: BTreeMap<Arc<str>, u64>,
    /// Incidents without a file, by why.
    pub not_kept: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Files removed to make room.
    pub evicted: BTreeMap<Arc<str>, u64>,
    /// Events that came faster than they could be judged.
    pub unheard: u64,
}

/// Files of causes beyond the limit.
const OTHER: &str = "other";
/// There were too many of the same cause in this minute.
pub(super) const RATE: &str = "rate";
/// Too many waited.
pub(super) const WAITING: &str = "waiting";
/// The ring held none of its packets, any more or ever.
pub(super) const NO_PACKETS: &str = "no_packets";
/// It is larger than all that may be kept.
pub(super) const QUOTA: &str = "quota";
/// The data directory took nothing.
pub(super) const DISK: &str = "disk";

impl Counted {
    pub(super) fn read(&self) -> EvidenceCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn kept(&self, cause: &str) {
        self.update(|counts| *counts.kept.entry(cause.into()).or_default() += 1);
    }

    pub(super) fn not_kept(&self, cause: &str, why: &'static str) {
        self.update(|counts| *counts.not_kept.entry((cause.into(), why)).or_default() += 1);
    }

    /// Causes come from names of files: beyond the limit, new ones count as `other`.
    pub(super) fn evicted(&self, cause: &str) {
        self.update(|counts| {
            let known = counts.evicted.contains_key(cause);
            let cause = if known || counts.evicted.len() < WIRE_CAUSES_MAX { cause } else { OTHER };
            *counts.evicted.entry(cause.into()).or_default() += 1;
        });
    }

    pub(super) fn unheard(&self, n: u64) {
        self.update(|counts| counts.unheard = n);
    }

    fn update(&self, change: impl FnOnce(&mut EvidenceCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
