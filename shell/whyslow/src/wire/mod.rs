//! The wire role: holds the recent past of interfaces in rings, and follows every connection's
//! opening as it happens.
//!
//! ```text
//! ring ─ tap ─ decoder ─ engine ─ judge ─┬─ events ─ whoever listens
//!   └─ past: copies of chosen packets    └─ counters ─ series
//! ```
//!
//! Each interface has a thread of its own; payload never leaves its ring except in copies that
//! somebody asked for. What threads share is counters, events, and the handle on the past.

pub mod causes;
pub mod counters;
pub mod event;
pub mod evidence;
mod filter;
mod keep;
mod names;
pub mod past;
mod recorder;
pub(crate) mod series;
pub mod store;
pub mod tap;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use whyslow_model::seeded::Seed;
use whyslow_model::{Sample, Wall};
use whyslow_sys::clock;

pub use counters::{TapCounts, TapGauges};
pub use event::{Events, Kept, Listener, What, WireEvent};
pub use filter::Programs;
pub use keep::Keeping;
pub use past::{Copied, CopiedPacket, Past};

use crate::config::{Config, WireTap};
use crate::edge::stop::Stop;
use counters::Counted;
use names::Names;
use recorder::{Judging, Place};

/// All interfaces that are recorded.
#[derive(Debug, Default)]
pub struct Wire {
    sockets: Mutex<Sockets>,
    taps: Mutex<BTreeMap<String, Running>>,
    events: Events,
    seed: u64,
}

/// Packet sockets that nobody uses.
#[derive(Debug, Default)]
struct Sockets {
    free: Vec<Arc<OwnedFd>>,
    /// Why there are not more.
    problem: Option<String>,
}

/// How a recorder fares.
#[derive(Clone, Debug)]
pub struct TapStatus {
    /// The interface.
    pub interface: String,
    /// The service whose connections are recorded, as configured.
    pub service: Option<String>,
    /// When recording was started.
    pub since: Wall,
    /// What was counted since.
    pub counts: TapCounts,
    /// How things stand just now.
    pub gauges: TapGauges,
    /// Events that somebody was too slow to take; of all recorders together.
    pub events_lost: u64,
}

/// A recorder that runs, or would if it had a socket.
#[derive(Debug)]
struct Running {
    config: Arc<WireTap>,
    names: Names,
    judging: Judging,
    counted: Counted,
    past: Past,
    since: Wall,
    stop: Stop,
    socket: Option<Arc<OwnedFd>>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Starts recording what a configuration names, with packet sockets that were opened for it;
    /// `problem` is why there are fewer than interfaces. `seed` keeps strangers from choosing
    /// connections that collide in tables.
    pub fn start(
        config: &Config,
        sockets: Vec<OwnedFd>,
        problem: Option<String>,
        seed: Seed,
    ) -> Self {
        let free = sockets.into_iter().map(Arc::new).collect();
        let sockets = Mutex::new(Sockets { free, problem });
        let wire = Self { sockets, seed: seed.0, ..Self::default() };
        wire.reload(config);
        wire
    }

    /// Ends recorders that are gone or changed, and starts those that are new or changed; the
    /// others go on. It waits for those that end, so call it where blocking is allowed.
    pub fn reload(&self, config: &Config) {
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|interface, running| {
            let wanted = config.wire.iter().find(|tap| tap.interface == *interface);
            let stays = wanted.is_some_and(|tap| {
                tap.is_recorded_as(&running.config)
                    && running.names == Names::of(config, tap.service.as_deref())
            });
            if !stays {
                running.stop();
                free.free.extend(running.socket.take());
            } else if let Some(tap) = wanted {
                running.judging.set(tap.slow.judge());
            }
            stays
        });
        for tap in &config.wire {
            if !taps.contains_key(&tap.interface) {
                let names = Names::of(config, tap.service.as_deref());
                let running = self.run(tap.clone(), names, &mut free);
                taps.insert(tap.interface.clone(), running);
            }
        }
    }

    /// Hears everything that becomes known from now on.
    pub fn listen(&self) -> Listener {
        self.events.listen()
    }

    /// Tells those who listen what no recorder told: a replay.
    pub fn tell(&self, event: WireEvent) {
        self.events.tell(event);
    }

    /// The recent past of an interface.
    pub fn past(&self, interface: &str) -> Option<Past> {
        let taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.get(interface).map(|running| running.past.clone())
    }

    /// Ends all recorders and waits for them; what they counted can still be read.
    pub fn stop(&self) {
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.values().for_each(|running| running.stop.tell());
        taps.values_mut().for_each(Running::stop);
    }

    /// How each recorder fares, in the order of the interfaces' names.
    pub fn taps(&self) -> Vec<TapStatus> {
        let taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        let events_lost = self.events.lost();
        taps.values().map(|running| running.status(events_lost)).collect()
    }

    /// The samples for the store as things stand at `at`; call [`Self::handle_stored`] when they
    /// are stored.
    pub fn samples(&self, at: Wall) -> Vec<Sample> {
        series::samples(&self.taps(), at, true)
    }

    /// The samples of `at` are stored.
    pub fn handle_stored(&self, at: Wall) {
        let taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.values().for_each(|r| r.counted.update(|counts, _| counts.handle_stored(at)));
    }

    fn run(&self, config: WireTap, names: Names, sockets: &mut Sockets) -> Running {
        let judging = Judging::default();
        judging.set(config.slow.judge());
        let mut running = Running {
            judging,
            config: Arc::new(config),
            names,
            counted: Counted::default(),
            past: Past::default(),
            since: clock::wall(),
            stop: Stop::default(),
            socket: sockets.free.pop(),
            thread: None,
        };
        let Some(socket) = &running.socket else {
            let restart = "it was not there at the start; hint: restart whyslow to record it";
            running.fail(sockets.problem.as_deref().unwrap_or(restart));
            return running;
        };
        let programs = match Programs::of(&running.config) {
            Ok(programs) => programs,
            Err(error) => {
                running.fail(&format!("{error}; hint: {}", error.hint()));
                return running;
            }
        };
        let place = Place {
            config: Arc::clone(&running.config),
            socket: Arc::clone(socket),
            programs,
            names: running.names.clone(),
            judging: running.judging.clone(),
            seed: Seed(self.seed),
            counted: running.counted.clone(),
            past: running.past.clone(),
            events: self.events.clone(),
            stop: running.stop.clone(),
        };
        let thread = std::thread::Builder::new().name("wire".to_owned());
        match thread.spawn(move || recorder::until_stopped(&place)) {
            Ok(thread) => running.thread = Some(thread),
            Err(error) => running.fail(&format!("the system gives no thread: {error}")),
        }
        running
    }
}

impl Running {
    fn fail(&self, problem: &str) {
        tracing::error!("recording {}: {problem}", self.config.interface);
        self.counted.update(|_, gauges| gauges.problem = Some(problem.to_owned()));
    }

    fn stop(&mut self) {
        self.stop.tell();
        if let Some(thread) = self.thread.take() {
            // A mistake of ours was told when it happened.
            let _ = thread.join();
        }
    }

    fn status(&self, events_lost: u64) -> TapStatus {
        let (counts, gauges) = self.counted.read();
        TapStatus {
            interface: self.config.interface.clone(),
            service: self.config.service.clone(),
            since: self.since,
            counts,
            gauges,
            events_lost,
        }
    }
}
