//! What closed windows become outside of the window tables: series of our store, and lines for a
//! Graphite.
//!
//! ```text
//! window rows ─── counters ── samples, for the store (and remote write, which reads what is stored)
//! stored rows ─── names ───── lines, for a Graphite's plaintext port, and values that are kept
//! ```

pub(crate) mod buckets;
mod counters;
mod names;
mod resume;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use whyslow_edge::row::Row;
use whyslow_model::{Sample, Wall};

use counters::Counters;
pub use names::{BadTemplate, Template, graphite_lines};
pub use resume::resume;

/// The outputs of all sources.
#[derive(Debug, Default)]
pub struct Outputs {
    sources: Mutex<BTreeMap<String, Counters>>,
}

/// What the outputs count of themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputCounters {
    /// Keys that have series.
    pub keys: usize,
    /// Rows counted under `other` since there were too many keys.
    pub folded: u64,
    /// Rows of windows too old for a revision: not counted.
    pub too_late: u64,
}

impl Outputs {
    /// Takes one window of one source: all its rows as they stand, which replace what was told of
    /// the window before. The samples are for the store; there are none where newer windows were
    /// told already, since what is late joins the next samples.
    pub fn handle_window(&self, source: &str, service: Option<&str>, rows: &[Row]) -> Vec<Sample> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let counters =
            sources.entry(source.to_owned()).or_insert_with(|| Counters::new(source, service));
        counters.handle_window(rows)
    }

    /// Takes rows that an earlier process told: only what they grow by counts from now on.
    pub fn resume(&self, source: &str, service: Option<&str>, rows: &[Row]) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let counters =
            sources.entry(source.to_owned()).or_insert_with(|| Counters::new(source, service));
        counters.resume(rows);
    }

    /// Tells counters again while no windows come, and what came late; call it every few seconds.
    /// The samples are for the store.
    pub fn handle_timeout(&self, now: Wall) -> Vec<Sample> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.values_mut().flat_map(|counters| counters.handle_timeout(now)).collect()
    }

    /// A source is read anew under another configuration: what was told of windows that may still
    /// change is not told again.
    pub fn handle_change(&self, source: &str, service: Option<&str>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = sources.get_mut(source) {
            counters.handle_service(service);
        }
    }

    /// Forgets a source that is no longer read.
    pub fn forget(&self, source: &str) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// What is counted of all sources.
    pub fn counters(&self) -> OutputCounters {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = OutputCounters::default();
        for counters in sources.values() {
            all.keys += counters.keys();
            all.folded += counters.folded;
            all.too_late += counters.too_late;
        }
        all
    }
}
