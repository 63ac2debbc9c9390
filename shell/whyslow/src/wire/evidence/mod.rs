//! Evidence: the packets of what was noticed, written to the data directory before the rings
//! forget them.
//!
//! ```text
//! events of recorders ─┐                 ┌─ rate ─ wait for the tail ─┐
//! checks, logs ────────┼─ incidents ─────┤                           ├─ past ─ pcapng ─ spool
//! somebody asks ───────┘                 └─ at once ─────────────────┘
//! ```

pub(crate) mod checks;
mod counted;
mod incident;
mod keeper;
mod logs;
mod spool;
mod take;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_INCIDENTS_WAITING_MAX;
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;
use whyslow_wire::cause::Cause;
use whyslow_wire::event::Unanswered;
use whyslow_wire::evidence::Trigger;
use whyslow_wire::evidence::rates::Rates;
use whyslow_wire::evidence::spool::Kept;
use whyslow_wire::plan::{REST, RETIRE};

pub use counted::EvidenceCounts;
pub use incident::{Became, Ends, Fate, FateCounts, Fates, Incident};
pub use logs::{Match, TriggerCounts, TriggerStatus};
pub use take::{Taken, TakenFile};

use super::Wire;
use super::causes::Causes;
use super::names::Names;
use super::store::names::Names as Rdns;
use crate::config::{Config, Keep};
use crate::edge::stop::Stop;
use counted::{Counted, QUOTA, RATE, WAITING};
use logs::Logs;
use spool::Spool;

/// The role that keeps evidence.
#[derive(Debug, Default)]
pub struct Evidence {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    logs: Logs,
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
    noticed: Mutex<Vec<Noticed>>,
    /// What addresses are called in reverse DNS.
    rdns: Mutex<Option<Rdns>>,
    stop: Stop,
}

/// An incident that somebody else noticed, and that is to be kept.
#[derive(Debug)]
struct Noticed {
    incident: Incident,
    /// Incidents of its cause before it that were not kept.
    left_out: u64,
    /// For how long it goes on.
    after: Duration,
}

/// What is wanted of one interface.
#[derive(Clone, Debug)]
struct Tapped {
    keep: Keep,
    names: Names,
    /// Whether reverse DNS is asked.
    rdns: bool,
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
            rdns: Mutex::default(),
            stop: Stop::default(),
        });
        let evidence = Self { shared, ..Self::default() };
        evidence.reload(config);
        evidence
    }

    /// Lets another configuration take effect.
    pub fn reload(&self, config: &Config) {
        let tapped = config.wire.iter().map(|tap| {
            let names = Names::of(config, tap.service.as_deref());
            (tap.interface.clone(), Tapped { keep: tap.keep.clone(), names, rdns: tap.rdns })
        });
        let tapped: BTreeMap<String, Tapped> = tapped.collect();
        let is_needed = !tapped.is_empty();
        *self.shared.tapped.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(tapped);
        self.start_keeper(is_needed);
        self.logs.reload(config, &self.shared);
    }

    fn start_keeper(&self, is_needed: bool) {
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
        self.shared.notice(incident);
    }

    /// Writes the packets of an incident now; it waits for those of this moment, so call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn take(&self, incident: &Incident) -> Result<Taken, TooMany> {
        let per_minute = self.shared.tapped().values().map(|tap| tap.keep.rate).max().unwrap_or(0);
        let left_out = self.shared.admit(incident, per_minute).ok_or(TooMany)?;
        self.shared.ask_names(incident);
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

    /// Has reverse DNS asked for the names of those whose packets are kept.
    pub fn use_names(&self, names: Rdns) {
        *self.shared.rdns.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }

    /// How the logs fare in which incidents are looked for, in the order of their names.
    pub fn triggers(&self) -> Vec<TriggerStatus> {
        self.logs.status()
    }

    /// Writes what waits and ends; it has to come before the recorders end.
    pub fn stop(&self) {
        self.logs.stop();
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

    /// Takes an incident up, where it is to be kept and there are not too many like it: so that no
    /// cause finds the room of all others taken.
    fn notice(&self, incident: Incident) {
        let tapped = self.tapped();
        let own = incident.interface.as_deref().and_then(|name| tapped.get(name));
        let any = || tapped.values().find(|tap| tap.keep.quota.0 > 0);
        let Some(tap) = own.or_else(any).filter(|tap| tap.keep.quota.0 > 0) else {
            return incident.fate.is(Became::NotKept(QUOTA));
        };
        if incident.trigger == Trigger::Check && !tap.keep.checks {
            return;
        }
        let Some(left_out) = self.admit(&incident, tap.keep.rate) else { return };
        let mut noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.len() >= WIRE_INCIDENTS_WAITING_MAX {
            drop(noticed);
            return self.not_kept(&incident, WAITING);
        }
        noticed.push(Noticed { incident, left_out, after: tap.keep.after.std() });
    }

    /// Counts an incident without a file, and says so to who noticed it.
    fn not_kept(&self, incident: &Incident, why: &'static str) {
        self.counted.not_kept(incident.cause(), why);
        incident.fate.is(Became::NotKept(why));
    }

    /// Whether one more of its cause is kept: then how many before it were not.
    fn admit(&self, incident: &Incident, per_minute: u32) -> Option<u64> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = rates.handle(incident.cause(), per_minute, incident.at);
        drop(rates);
        if left_out.is_none() {
            self.not_kept(incident, RATE);
        }
        left_out
    }

    /// Has the names of an incident's ends asked for: until its packets are written they may come.
    fn ask_names(&self, incident: &Incident) {
        let own =
            |interface: &str| incident.interface.as_deref().is_none_or(|own| own == interface);
        if self.tapped().iter().any(|(interface, tap)| tap.rdns && own(interface)) {
            let Ends { client, server, .. } = incident.ends;
            client.into_iter().chain(server).for_each(|ip| drop(self.rdns_name(ip)));
        }
    }

    /// What reverse DNS calls an address, as far as it is known; else it is asked for.
    fn rdns_name(&self, ip: IpAddr) -> Option<Arc<str>> {
        // Loopback's addresses have no names that would tell machines apart.
        if ip.to_canonical().is_loopback() {
            return None;
        }
        let rdns = self.rdns.lock().unwrap_or_else(PoisonError::into_inner);
        rdns.as_ref()?.name(ip, clock::wall())
    }

    /// Bytes that may be kept.
    fn quota(&self) -> u64 {
        self.tapped().values().map(|tap| tap.keep.quota.0).fold(0, u64::saturating_add)
    }
}

/// The time an incident began, a little earlier for clocks that are read at different places.
pub(crate) fn a_little_before(at: Wall) -> Wall {
    at.before(Duration::from_millis(100))
}
