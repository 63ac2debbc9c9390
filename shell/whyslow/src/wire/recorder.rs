//! The life of one recorder's thread: set the ring up, follow it until told to stop, and begin
//! anew after whatever stands in the way.

use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;
use whyslow_wire::anatomy::Judge;
use whyslow_wire::plan::{REST, RETIRE, RingPlan, Why};
use whyslow_wire::watch::{self, Watch};

use super::counters::{Counted, TapCounts};
use super::event::{Events, What, WireEvent};
use super::filter::Programs;
use super::names::Names;
use super::past::Past;
use super::tap::{Sight, Tap};
use crate::config::WireTap;
use crate::edge::stop::Stop;

/// How often the interface is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a thread waits before it tries again what failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Blocks that are followed before events are told and drops are counted again.
const BLOCKS_AT_ONCE: u64 = 64;
/// How far behind the clock packets may be that are still to be followed.
const BEHIND: Duration = Duration::from_millis(200);

/// Where a recorder stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: Arc<WireTap>,
    /// The packet socket; rings are made on handles of it.
    pub(super) socket: Arc<OwnedFd>,
    pub(super) programs: Programs,
    pub(super) names: Names,
    pub(super) judging: Judging,
    pub(super) seed: Seed,
    pub(super) counted: Counted,
    pub(super) past: Past,
    pub(super) events: Events,
    pub(super) stop: Stop,
}

/// What a recorder judges by, which may change while it runs; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Judging(Arc<Mutex<(Judge, Option<f64>)>>);

impl Judging {
    /// From now on by this, and by so many times what is usual.
    pub(super) fn set(&self, by: (Judge, Option<f64>)) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    /// As it is, but for the sentences of openings that were not slow, which nobody would read.
    fn now(&self) -> (Judge, Option<f64>) {
        let (judge, times_p99) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (Judge { evidence_of_all: false, ..judge }, times_p99)
    }
}

/// Records until told to stop.
pub(super) fn until_stopped(place: &Place) {
    let interface = &place.config.interface;
    let (mut told, mut ended) = (None, None);
    while !place.stop.is_told() {
        let recording = AssertUnwindSafe(|| record(place, ended));
        let problem = match std::panic::catch_unwind(recording) {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => {
                place.counted.update(|counts, _| counts.restarts += 1);
                "following ended in a mistake of whyslow's own and begins anew".to_owned()
            }
        };
        ended.get_or_insert_with(clock::wall);
        place.past.set(None);
        if told.as_ref() != Some(&problem) {
            tracing::error!("recording {interface}: {problem}");
            told = Some(problem.clone());
        }
        place.counted.update(|_, gauges| gauges.problem = Some(problem));
        place.stop.rest(RETRY_AFTER);
    }
}

/// One life of a ring. Since `blind` nothing was recorded.
fn record(place: &Place, blind: Option<Wall>) -> Result<(), String> {
    let config = &place.config;
    let socket = place.socket.try_clone().map_err(|e| format!("no handle on the socket: {e}"))?;
    let tap = Tap::new(&config.interface, socket, config.ring.0, place.programs.clone());
    let mut life = Life {
        place,
        interface: Arc::from(config.interface.as_str()),
        service: config.service.as_deref().map(Arc::from),
        tap: tap.map_err(|e| with_hint(&e))?,
        watch: Watch::new(place.followed(), place.seed),
        sight: None,
        looked: None,
        before: place.counted.read().0,
    };
    let ring_bytes = RingPlan::of(config.ring.0).bytes();
    place.counted.update(|_, gauges| gauges.ring_bytes = ring_bytes);
    if let Some(from) = blind {
        let loss = life.tap.blind(Why::Restarted, from, clock::wall());
        life.tell(What::Loss(loss));
    }
    life.run()
}

/// An error of the system and what mends it.
pub(super) fn with_hint(error: &whyslow_sys::Error) -> String {
    match error.hint {
        Some(hint) => format!("{error}; hint: {hint}"),
        None => error.to_string(),
    }
}

/// A ring from its making to its end.
struct Life<'a> {
    place: &'a Place,
    interface: Arc<str>,
    service: Option<Arc<str>>,
    tap: Tap,
    watch: Watch,
    /// What was said of the interface last.
    sight: Option<Sight>,
    looked: Option<Wall>,
    /// What was counted in the lives before.
    before: TapCounts,
}

impl Life<'_> {
    fn run(&mut self) -> Result<(), String> {
        while !self.place.stop.is_told() {
            let now = clock::wall();
            self.look(now)?;
            if self.follow(now)? == 0 {
                self.watch.handle_timeout(now.before(RETIRE + BEHIND));
                self.drain();
                self.place.stop.rest(REST);
            }
        }
        // What is in the last block comes when the kernel retires it.
        std::thread::sleep(RETIRE + REST);
        while self.follow(clock::wall())? > 0 {}
        self.watch.finish_at(clock::wall());
        self.drain();
        self.place.past.set(None);
        Ok(())
    }

    /// Looks at the interface now and then, and says what changed.
    fn look(&mut self, now: Wall) -> Result<(), String> {
        // A step of the clock back must not keep us from looking.
        if self.looked.is_some_and(|at| at <= now && now.since(at) < LOOK_EVERY) {
            return Ok(());
        }
        self.looked = Some(now);
        let (judge, times_p99) = self.place.judging.now();
        self.watch.handle_slow(judge, times_p99);
        let loss = self.tap.look(now).map_err(|e| with_hint(&e))?;
        if let Some(loss) = loss {
            self.tell(What::Loss(loss));
        }
        let sight = self.tap.sight();
        if self.sight.replace(sight) != Some(sight) {
            self.say(sight);
        }
        self.count();
        Ok(())
    }

    fn say(&self, sight: Sight) {
        let interface = &self.interface;
        let problem = sight.problem(interface);
        match &problem {
            Some(problem) => tracing::warn!("recording {interface}: {problem}"),
            None => tracing::info!("recording {interface}"),
        }
        self.place.counted.update(|_, gauges| {
            gauges.sight = Some(sight);
            gauges.problem = problem;
        });
        self.place.past.set(Some((self.tap.history(), self.tap.link())));
    }

    /// Follows what was retired; gives how many blocks still wait.
    fn follow(&mut self, now: Wall) -> Result<u64, String> {
        if let Some(loss) = self.tap.count(now).map_err(|e| with_hint(&e))? {
            self.watch.handle_drops_at_some_time(loss.lost.unwrap_or(0));
            self.tell(What::Loss(loss));
        }
        let watch = &mut self.watch;
        let walked = self.tap.walk(BLOCKS_AT_ONCE, |packet| watch.handle_packet(packet));
        self.drain();
        Ok(walked.waiting)
    }

    /// Counts and tells what became known.
    fn drain(&mut self) {
        while let Some(what) = self.watch.poll().map(What::from) {
            let names = &self.place.names;
            match &what {
                What::Handshake(handshake) => {
                    let server = names.name(handshake.opening.flow.server);
                    self.place.counted.update(|c, _| c.handle_handshake(&server, handshake));
                }
                What::Unanswered(u) => {
                    let server = names.name(u.flow.server);
                    self.place.counted.update(|c, _| c.handle_unanswered(&server, u.last));
                }
                What::Ending(_) | What::Loss(_) | What::Kept(_) => {}
            }
            self.tell(what);
        }
    }

    fn tell(&self, what: What) {
        if let What::Loss(loss) = &what {
            self.place.counted.update(|counts, _| counts.handle_loss(loss));
        }
        let (interface, service) = (Arc::clone(&self.interface), self.service.clone());
        self.place.events.tell(WireEvent { interface, service, what });
    }

    /// Publishes what the ring and the engine count.
    fn count(&self) {
        let Self { tap, watch, before, .. } = self;
        let history = tap.history();
        self.place.counted.update(|counts, gauges| {
            counts.packets = before.packets + tap.packets();
            counts.drops = before.drops + tap.losses().dropped();
            counts.freezes = before.freezes + tap.freezes();
            counts.broken_blocks = before.broken_blocks + history.broken();
            counts.losses_forgotten = before.losses_forgotten + tap.losses().forgotten();
            counts.decoded = watch.packets();
            for (limit, n) in watch.limits() {
                let was = before.limits.get(limit).copied().unwrap_or(0);
                counts.limits.insert(limit, was + n);
            }
            gauges.depth = history.depth();
            gauges.flows = watch.under_way();
        });
    }
}

impl Place {
    /// How packets of a ring are followed: as those of a file are.
    fn followed(&self) -> watch::Options {
        let (judge, times_p99) = self.judging.now();
        watch::Options { judge, times_p99, ..watch::Options::default() }
    }
}
