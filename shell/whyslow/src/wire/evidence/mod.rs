//! Evidence: the packets of what was noticed, written to the data directory before the rings
//! forget them.
//!
//! ```text
//! events of recorders ─┐                 ┌─ rate ─ wait for the tail ─┐
//! checks ──────────────┼─ incidents ─────┤                           ├─ past ─ pcapng ─ spool
//! somebody asks ───────┘                 └─ at once ─────────────────┘
//! ```

pub(crate) mod checks;
mod counted;
mod incident;
mod keeper;
mod spool;
mod take;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_INCIDENTS_WAITING_MAX;
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;
use whyslow_wire::cause::Cause;
use whyslow_wire::event::Unanswered;
use whyslow_wire::evidence::rates::Rates;
use whyslow_wire::evidence::spool::Kept;
use whyslow_wire::plan::{REST, RETIRE};

pub use counted::EvidenceCounts;
pub use incident::{Ends, Incident};
pub use take::{Taken, TakenFile};

use super::Wire;
use super::causes::Causes;
use super::names::Names;
use crate::config::{Config, Keep};
use crate::edge::stop::Stop;
use counted::{Counted, RATE, WAITING};
use spool::Spool;

/// The role that keeps evidence.
#[derive(Debug, Default)]
pub struct Evidence {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the keeper's thread and requests share.
#[derive(Debug, Default)]
struct Shared {
    wire: Arc<Wire>,
    spool: Spool,
    seed: u64,
    tapped: Mutex<Arc<BTreeMap<String, Tapped>>>,
    counted: Counted,
    causes: Causes,
    rates: Mutex<Rates>,
    /// Incidents that others noticed and the keeper has not taken up.
    noticed: Mutex<Vec<Incident>>,
    stop: Stop,
}

/// What is wanted of one interface.
#[derive(Clone, Debug)]
struct Tapped {
    keep: Keep,
    names: Names,
}

/// Nothing is kept of an incident, because there were too many like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many were kept in this minute as may be")]
pub struct TooMany;

impl Evidence {
    /// Starts keeping what a configuration wants of `wire` in the data directory.
    pub fn start(config: &Config, wire: Arc<Wire>, data: &Path, seed: Seed) -> Self {
        let shared = Arc::new(Shared {
            wire,
            spool: Spool::of(data),
            seed: seed.0,
            tapped: Mutex::default(),
            counted: Counted::default(),
            causes: Causes::default(),
            rates: Mutex::default(),
            noticed: Mutex::default(),
            stop: Stop::default(),
        });
        let evidence = Self { shared, thread: Mutex::default() };
        evidence.reload(config);
        evidence
    }

    /// Lets another configuration take effect.
    pub fn reload(&self, config: &Config) {
        let tapped = config.wire.iter().map(|tap| {
            let names = Names::of(config, tap.service.as_deref());
            (tap.interface.clone(), Tapped { keep: tap.keep.clone(), names })
        });
        let tapped: BTreeMap<String, Tapped> = tapped.collect();
        let is_needed = !tapped.is_empty();
        *self.shared.tapped.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(tapped);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_needed || thread.is_some() {
            return;
        }
        // It listens before the first recorder can have told anything.
        let listener = self.shared.wire.listen();
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || keeper::until_stopped(&shared, &listener));
        match spawned {
            Ok(handle) => *thread = Some(handle),
            Err(error) => {
                tracing::error!("no evidence is kept: the system gives no thread: {error}")
            }
        }
    }

    /// Takes an incident up that somebody else noticed; its packets are written in a while.
    pub fn notice(&self, incident: Incident) {
        let mut noticed = self.shared.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.len() >= WIRE_INCIDENTS_WAITING_MAX {
            self.shared.counted.not_kept(incident.trigger, WAITING);
            return;
        }
        noticed.push(incident);
    }

    /// Writes the packets of an incident now; it waits for those of this moment, so call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn take(&self, incident: &Incident) -> Result<Taken, TooMany> {
        let per_minute = self.shared.tapped().values().map(|tap| tap.keep.rate).max().unwrap_or(0);
        let left_out = self.shared.admit(incident, per_minute).ok_or(TooMany)?;
        std::thread::sleep(RETIRE + REST);
        Ok(take::take(&self.shared, incident, clock::wall(), left_out))
    }

    /// Why SYNs got no SYN-ACK, where they were for this machine and the kernel says it.
    pub fn cause_of(&self, unanswered: &Unanswered) -> Option<Cause> {
        self.shared.causes.of(unanswered, clock::wall())
    }

    /// The interfaces of which evidence is kept.
    pub fn interfaces(&self) -> Vec<String> {
        self.shared.tapped().keys().cloned().collect()
    }

    /// The files that are kept, oldest first.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        self.shared.spool.list()
    }

    /// What became of incidents.
    pub fn counts(&self) -> EvidenceCounts {
        self.shared.counted.read()
    }

    /// Writes what waits and ends; it has to come before the recorders end.
    pub fn stop(&self) {
        self.shared.stop.tell();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A mistake of ours was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tapped(&self) -> Arc<BTreeMap<String, Tapped>> {
        Arc::clone(&self.tapped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether one more of its cause is kept: then how many before it were not.
    fn admit(&self, incident: &Incident, per_minute: u32) -> Option<u64> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = rates.handle(incident.trigger, per_minute, incident.at);
        if left_out.is_none() {
            self.counted.not_kept(incident.trigger, RATE);
        }
        left_out
    }

    /// Bytes that may be kept.
    fn quota(&self) -> u64 {
        self.tapped().values().map(|tap| tap.keep.quota.0).fold(0, u64::saturating_add)
    }
}

/// The time an incident began, a little earlier for clocks that are read at different places.
pub(crate) fn a_little_before(at: Wall) -> Wall {
    at.before(std::time::Duration::from_millis(100))
}
