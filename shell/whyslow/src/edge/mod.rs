//! The edge role: reads balancers' logs, line by line, as they are written.
//!
//! ```text
//! input ─ framing ─ worker (parse, count, windows) ─┐
//! input ─ framing ─ worker                         ─┴─ keeper ─ store, outlets
//! ```
//!
//! A source has one or more workers, each a thread with its own input, parser and tables, so that
//! nothing is shared on the way of a line. Its keeper adds their windows up, stores them together
//! with the place from which reading goes on after a restart, and hands them to the outlets.

pub mod counters;
mod inputs;
mod keeper;
mod reading;
mod resume;
mod run;
mod source;
mod stop;
mod worker;
mod zone;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use counters::{SourceStatus, Tally};
pub use inputs::kernel;
use whyslow_edge::row::Row;
use whyslow_model::asn::AsnTable;

use crate::config::{Config, EdgeSource};
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
    /// The store.
    pub db: Db,
    /// Where the store's answers are awaited.
    pub runtime: tokio::runtime::Handle,
    /// Whose addresses are.
    pub asn: Option<Arc<AsnTable>>,
    /// Who else is told of each window that is stored.
    pub outlets: Vec<Arc<dyn Outlet>>,
}

/// A window that is stored. A later one of the same source and start replaces it.
#[derive(Clone, Debug)]
pub struct StoredWindow {
    /// The source's name.
    pub source: Arc<str>,
    /// The service whose requests these are.
    pub service: Option<Arc<str>>,
    /// The window's start: seconds since the epoch.
    pub start_s: i64,
    /// Rises with each window that is stored of the source, over restarts too.
    pub revision: u32,
    /// Its rows, as of [`whyslow_edge::windows::ClosedWindow`].
    pub rows: Arc<[Row]>,
}

/// Takes windows as they are stored, on the source's own thread: it must not wait for long.
pub trait Outlet: Send + Sync + std::fmt::Debug {
    /// A window was stored, for the first time or revised.
    fn handle_window(&self, window: &StoredWindow);
}

impl Edge {
    /// Starts reading what a configuration names.
    pub fn start(config: &Config, world: World) -> Self {
        let edge = Self { world: Some(world), ..Self::default() };
        edge.reload(config);
        edge
    }

    /// Ends sources that are gone or changed, and starts those that are new or changed. The others
    /// go on as they are. It waits for those that end, so call it where blocking is allowed.
    pub fn reload(&self, config: &Config) {
        let Some(world) = &self.world else { return };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |name: &str| config.edge.iter().find(|source| source.name == name);
        sources.retain(|name, running| {
            let stays = wanted(name).is_some_and(|source| source == running.config());
            if !stays {
                running.stop();
            }
            stays
        });
        for source in &config.edge {
            sources
                .entry(source.name.clone())
                .or_insert_with(|| Source::start(EdgeSource::clone(source), world));
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
