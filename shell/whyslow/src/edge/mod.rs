//! The edge role: reads balancers' logs, line by line, as they are written.
//!
//! ```text
//! input ─ framing ─ worker (parse, count, windows) ─┐
//! input ─ framing ─ worker                         ─┴─ keeper ─ store, outputs, live
//! ```
//!
//! A source has one or more workers, each a thread with its own input, parser and tables, so that
//! nothing is shared on the way of a line.

pub mod counters;
mod inputs;
mod reading;
mod run;
mod source;
mod stop;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub use counters::{SourceStatus, Tally};
pub use inputs::kernel;

use crate::config::{Config, EdgeSource};
use source::Source;

/// All sources that are read.
#[derive(Debug, Default)]
pub struct Edge {
    sources: Mutex<BTreeMap<String, Source>>,
}

impl Edge {
    /// Starts reading what a configuration names.
    pub fn start(config: &Config) -> Self {
        let edge = Self::default();
        edge.reload(config);
        edge
    }

    /// Ends sources that are gone or changed, and starts those that are new or changed. The others
    /// go on as they are. It waits for those that end, so call it where blocking is allowed.
    pub fn reload(&self, config: &Config) {
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
                .or_insert_with(|| Source::start(EdgeSource::clone(source)));
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
