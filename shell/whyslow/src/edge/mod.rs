//! The edge role: reads balancers' logs, line by line, as they are written.
//!
//! ```text
//! input ─ framing ─ worker (parse, count, windows) ─┐
//! input ─ framing ─ worker                         ─┴─ keeper ─ store, series, notices
//! ```
//!
//! A source has one or more workers, each a thread with its own input, parser and tables, so that
//! nothing is shared on the way of a line. Its keeper adds their windows up, stores them together
//! with the place from which reading goes on after a restart, and lets the detectors and outputs see them.

pub mod counters;
mod gaps;
mod handover;
pub(crate) mod inputs;
mod keeper;
mod notices;
mod reading;
pub(crate) mod resume;
mod run;
mod source;
pub(crate) mod stop;
pub(crate) mod taker;
pub(crate) mod worker;
pub(crate) mod zone;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use counters::{SourceStatus, Tally};
pub use inputs::kernel;
pub use notices::Notices;
use whyslow_model::asn::AsnTable;

use crate::config::{Config, EdgeSource};
use crate::edge_out::Outputs;
use crate::storage::Db;
use source::Source;

/// All sources that are read.
#[derive(Debug, Default)]
pub struct Edge {
    world: Option<World>,
    sources: Mutex<BTreeMap<String, Source>>,
}

/// Where windows go, and what is needed to make them.
#[derive(Clone, Debug)]
pub struct World {
    /// Who says what was not seen: the vantage's name.
    pub agent: String,
    /// The store.
    pub db: Db,
    /// Where the store's answers are awaited.
    pub runtime: tokio::runtime::Handle,
    /// Whose addresses are.
    pub asn: Option<Arc<AsnTable>>,
    /// What is noticed in them.
    pub notices: Arc<Notices>,
    /// The series and lines that are made of them.
    pub outputs: Arc<Outputs>,
}

impl Edge {
    /// Starts reading what a configuration names.
    pub fn start(config: &Config, world: World) -> Self {
        let edge = Self { world: Some(world), ..Self::default() };
        edge.reload(config);
        edge
    }

    /// Ends sources that are gone or changed, and starts those that are new or changed; these go on
    /// with their sockets. The others go on as they are. It waits for those that end, so call it
    /// where blocking is allowed.
    pub fn reload(&self, config: &Config) {
        let Some(world) = &self.world else { return };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |name: &str| config.edge.iter().find(|source| source.name == name);
        let mut left = BTreeMap::new();
        sources.retain(|name, running| match wanted(name) {
            Some(source) if source == running.config() => true,
            Some(changed) => {
                left.insert(name.clone(), running.stop_for(changed));
                world.outputs.handle_change(name, changed.service.as_deref());
                false
            }
            None => {
                running.stop();
                world.outputs.forget(name);
                false
            }
        });
        for source in &config.edge {
            sources.entry(source.name.clone()).or_insert_with(|| {
                let inherited = left.remove(&source.name).unwrap_or_default();
                Source::start(EdgeSource::clone(source), world, &inherited)
            });
        }
    }

    /// Ends all sources and waits for them.
    pub fn stop(&self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.values().for_each(Source::tell_stop);
        sources.values_mut().for_each(Source::stop);
        sources.clear();
    }

    /// How each source fares, in the order of their names.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.values().map(Source::status).collect()
    }
}

/// A source's windows that start before cannot change any more; `None` where that is unknown.
pub fn settled_before_s(db: &Db, source: &str) -> Option<i64> {
    stored_place(db, source)?.before_s
}

/// Where a source goes on; `None` where it was never read, or what is stored cannot be.
fn stored_place(db: &Db, source: &str) -> Option<resume::Resume> {
    let stored = match db.edge_resume(source) {
        Ok(stored) => stored?,
        Err(error) => {
            tracing::error!("source {source}: where it was read to is unknown: {error}");
            return None;
        }
    };
    let read = serde_json::from_slice(&stored);
    read.inspect_err(|e| tracing::error!("source {source}: where it was read to is unknown: {e}"))
        .ok()
}
