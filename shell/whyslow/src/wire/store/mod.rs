//! Keeps what recorders tell: windows by tap, single handshakes, unanswered SYNs and endings, and
//! what is noticed in them.
//!
//! ```text
//! recorders ─ events ─┐
//! recorders ─ counts ─┴─ keeper ─┬─ windows ── detectors ─ readings, findings ─┐
//!                 names ───┘     ├─ single events, within budgets ─────────────┼─ store
//!                                └─ gaps ──────────────────────────────────────┘
//! ```

mod budget;
mod counters;
mod gaps;
mod keeper;
pub mod names;
mod notices;
mod rows;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::AbortHandle;
use whyslow_model::Wall;
use whyslow_model::asn::AsnTable;
use whyslow_sys::clock;

pub use counters::{Counted, NotKept};
pub use keeper::{Clients, Keeper, Options, Source};

use super::Wire;
use super::event::{Listener, What};
use super::evidence::Evidence;
use crate::config::Config;
use crate::edge::stop::Stop;
use crate::storage::{Batch, Db, StorageError};
use names::{NameCounts, Names};

/// How often recorders are looked at, windows closed, and what is new stored.
const TICK: Duration = Duration::from_secs(1);
/// How long an event is waited for.
const STEP: Duration = Duration::from_millis(200);
/// How long to wait before what could not be stored is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often it is tried once it shall end.
const LAST_TRIES: u32 = 3;

/// The thread that keeps what a [`Wire`] tells.
#[derive(Debug)]
pub struct Storing {
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
    nameless: Arc<Mutex<Option<BTreeSet<String>>>>,
    counted: Counted,
    names: Names,
    asking: AbortHandle,
}

impl Storing {
    /// Starts keeping what `wire` tells from now on, on a thread of its own; names are asked for
    /// on the current runtime.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        wire: Arc<Wire>,
        evidence: Arc<Evidence>,
        db: Db,
        asn: Option<Arc<AsnTable>>,
        config: &Config,
        options: Options,
    ) -> std::io::Result<Self> {
        let names = Names::new(db.seed());
        evidence.use_names(names.clone());
        let clients = Clients { asn, names: Some(names.clone()), nameless: nameless(config) };
        let keeper = Keeper::of(&db, options, clients, clock::wall());
        let (stop, counted) = (Stop::default(), keeper.counted());
        let nameless = Arc::<Mutex<Option<BTreeSet<String>>>>::default();
        let runtime = tokio::runtime::Handle::current();
        let role = Role {
            listener: wire.listen(),
            wire,
            evidence,
            db,
            runtime,
            keeper,
            stop: stop.clone(),
            nameless: Arc::clone(&nameless),
            lost: 0,
        };
        let thread = std::thread::Builder::new().name("wire-store".to_owned());
        let thread = Mutex::new(Some(thread.spawn(move || role.run())?));
        Ok(Self { stop, thread, nameless, counted, asking: names.ask(), names })
    }

    /// Lets a new configuration take effect.
    pub fn reload(&self, config: &Config) {
        let mut waiting = self.nameless.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(nameless(config));
    }

    /// Keeps what was told until now, and ends. It waits, so call it where blocking is allowed,
    /// after the recorders have ended.
    pub fn stop(&self) {
        self.asking.abort();
        self.stop.tell();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("keeping what the wire tells ended in a mistake of whyslow's own");
        }
    }

    /// What is counted of what is not kept.
    pub const fn counted(&self) -> &Counted {
        &self.counted
    }

    /// What is counted of clients' names.
    pub fn names(&self) -> NameCounts {
        self.names.counts()
    }
}

/// The interfaces whose clients' names are not asked for.
fn nameless(config: &Config) -> BTreeSet<String> {
    config.wire.iter().filter(|tap| !tap.rdns).map(|tap| tap.interface.clone()).collect()
}

/// What the thread has.
struct Role {
    wire: Arc<Wire>,
    listener: Listener,
    evidence: Arc<Evidence>,
    db: Db,
    runtime: tokio::runtime::Handle,
    keeper: Keeper,
    stop: Stop,
    nameless: Arc<Mutex<Option<BTreeSet<String>>>>,
    lost: u64,
}

impl Role {
    fn run(mut self) {
        let mut ticked: Option<Wall> = None;
        loop {
            // Looked at before the queue: what was told before the word to end is in it.
            let ending = self.stop.is_told();
            let event = self.listener.next(if ending { Duration::ZERO } else { STEP });
            let now = clock::wall();
            let event = event.unwrap_or(None);
            if let Some(event) = &event {
                let (interface, service) = (Arc::clone(&event.interface), event.service.clone());
                self.handle(&Source { interface, service }, &event.what, now);
            }
            // A step of the clock back must not keep us from storing.
            if ticked.is_none_or(|at| now < at || now.since(at) >= TICK) {
                ticked = Some(now);
                if !self.tick(now) {
                    return;
                }
            }
            if ending && event.is_none() {
                self.keeper.handle_status(&self.wire.taps(), now);
                self.keeper.finish(now);
                self.store();
                return;
            }
        }
    }

    /// Takes an event; of SYNs to this machine the kernel may say why they got no answer.
    fn handle(&mut self, source: &Source, what: &What, now: Wall) {
        if let What::Unanswered(syns) = what {
            let cause = self.evidence.cause_of(syns).map(|cause| cause.as_str());
            self.keeper.handle_unanswered(source, syns, cause, now);
        } else {
            self.keeper.handle(source, what, now);
        }
    }

    /// False where nothing can be stored any more.
    fn tick(&mut self, now: Wall) -> bool {
        let nameless = self.nameless.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(nameless) = nameless {
            self.keeper.handle_nameless(nameless);
        }
        self.keeper.handle_status(&self.wire.taps(), now);
        let lost = self.listener.lost();
        if std::mem::replace(&mut self.lost, lost) != lost {
            self.keeper.handle_lost(now);
            self.keeper.counted().set_lost(lost);
        }
        self.keeper.handle_timeout(now);
        self.store()
    }

    /// Stores what there is, and tries until it is done.
    fn store(&mut self) -> bool {
        let batch = self.keeper.drain();
        if batch.wire.is_empty() && batch.edge.is_empty() && batch.observations.is_empty() {
            return true;
        }
        self.append(&batch)
    }

    fn append(&self, batch: &Batch) -> bool {
        let mut tries = 0;
        loop {
            let error = match self.runtime.block_on(self.db.append(batch.clone())) {
                Ok(_) => {
                    if tries > 0 {
                        tracing::info!("what the wire tells is stored again");
                    }
                    return true;
                }
                Err(StorageError::Closed) => return false,
                Err(error) => error,
            };
            if tries == 0 {
                tracing::error!("what the wire tells cannot be stored: {error}");
            }
            tries += 1;
            if self.stop.is_told() && tries >= LAST_TRIES {
                return false;
            }
            self.stop.rest(RETRY_AFTER);
        }
    }
}

#[cfg(test)]
mod tests;
