//! Counts what becomes known into each tap's windows, chooses what is kept by itself, and lets the
//! detectors see closed windows. It is driven by whoever has something to tell: a recorder's
//! events, or a replay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{
    WIRE_ENDINGS_PER_WINDOW_MAX, WIRE_NOTABLE_PER_WINDOW_MAX, WIRE_SAMPLE_PER_WINDOW_MAX,
    WIRE_UNANSWERED_PER_WINDOW_MAX,
};
use whyslow_model::seeded::Seed;
use whyslow_model::{Observation, Wall};
use whyslow_wire::detect;
use whyslow_wire::event::{Ending, Unanswered};
use whyslow_wire::handshake::Handshake;
use whyslow_wire::plan::{Loss, Losses, Why};
use whyslow_wire::row::Window;
use whyslow_wire::windows::{Client, Windows};

use super::budget::{Budget, Bytes, Sample};
use super::counters::{Counted, NotKept};
use super::names::Names;
use super::notices::Notices;
use super::{gaps, rows};
use crate::storage::{Batch, Db, EdgeBatch, WireBatch, WireEvent, WireEvidence};
use crate::wire::TapStatus;
use crate::wire::event::{Kept, What};
use crate::wire::tap::Sight;

/// Where something became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The interface, or what stands for one.
    pub interface: Arc<str>,
    /// The service whose connections are seen there.
    pub service: Option<Arc<str>>,
}

impl Source {
    /// An interface, and the service whose connections are seen there.
    pub fn of(interface: &str, service: Option<&str>) -> Self {
        Self { interface: interface.into(), service: service.map(Arc::from) }
    }
}

/// How windows are made and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How long a window is; whole seconds.
    pub window: Duration,
    /// How windows are judged; the service is left aside, since each tap has its own.
    pub judging: detect::Options,
    /// Who says so, in observations: the vantage's name.
    pub agent: String,
}

impl Default for Options {
    fn default() -> Self {
        let judging = detect::Options::default();
        Self { window: Duration::from_secs(60), judging, agent: "local".to_owned() }
    }
}

/// What is known of clients beside their addresses, and whence.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Whose addresses are.
    pub asn: Option<Arc<AsnTable>>,
    /// Their names; `None` where nobody asks for them.
    pub names: Option<Names>,
    /// Taps whose clients' names are not asked for.
    pub nameless: BTreeSet<String>,
}

/// Keeps the windows and single events of all taps.
#[derive(Debug)]
pub struct Keeper {
    options: Options,
    seed: Seed,
    clients: Clients,
    taps: BTreeMap<Arc<str>, Tap>,
    /// What an earlier process stored of windows that are not over.
    stored: BTreeMap<Arc<str>, Vec<Window>>,
    /// Until when an earlier process counted, of taps that were not met again.
    ended: BTreeMap<Arc<str>, Wall>,
    notices: Notices,
    windows: Vec<(Arc<str>, Window)>,
    events: Vec<WireEvent>,
    evidence: Vec<WireEvidence>,
    observations: Vec<Observation>,
    counted: Counted,
}

#[derive(Debug)]
struct Tap {
    service: Option<Arc<str>>,
    windows: Windows,
    sample: Sample,
    notable: Budget,
    unanswered: Budget,
    endings: Budget,
    bytes: Bytes,
    /// What was not seen since a window was closed last.
    losses: Losses,
    /// Until when windows are closed.
    closed: Option<Wall>,
    /// How the recorder stood when it was last looked at: since when, packets, drops.
    status: Option<(Wall, u64, u64)>,
}

impl Keeper {
    /// A keeper that goes on from what is in the store: findings that are open, and windows that
    /// were not over when the process before ended.
    pub fn of(db: &Db, options: Options, clients: Clients, now: Wall) -> Self {
        let (from, to) = (now.before(options.window * STORED), now.after(options.window));
        let ended = db.wire_ends().unwrap_or_else(|error| {
            tracing::error!("when recording ended before the start cannot be read: {error}");
            BTreeMap::new()
        });
        let stored = db.wire_windows(None, from, to).unwrap_or_else(|error| {
            tracing::error!("the wire's windows of before the start cannot be read: {error}");
            Vec::new()
        });
        let mut of_taps: BTreeMap<Arc<str>, Vec<Window>> = BTreeMap::new();
        for (tap, window) in stored {
            of_taps.entry(tap).or_default().push(window);
        }
        Self {
            seed: db.seed(),
            notices: Notices::of(db, options.judging.clone()),
            options,
            clients,
            taps: BTreeMap::new(),
            stored: of_taps,
            ended,
            windows: Vec::new(),
            events: Vec::new(),
            evidence: Vec::new(),
            observations: Vec::new(),
            counted: Counted::default(),
        }
    }

    /// What is counted of what is not kept.
    pub fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// Asks for names of these taps' clients no more, and of all others'.
    pub fn handle_nameless(&mut self, taps: BTreeSet<String>) {
        self.clients.nameless = taps;
    }

    /// Takes what became known at `at`.
    pub fn handle(&mut self, source: &Source, what: &What, at: Wall) {
        match what {
            What::Handshake(handshake) => self.handle_handshake(source, handshake, at),
            What::Unanswered(syns) => self.handle_unanswered(source, syns, None, at),
            What::Ending(ending) => self.handle_ending(source, ending, at),
            What::Loss(loss) => self.handle_loss(source, loss, at),
            What::Kept(kept) => self.handle_kept(source, kept, at),
        }
    }

    /// Takes a judged opening. Of one without TLS only the number is kept.
    pub fn handle_handshake(&mut self, source: &Source, handshake: &Handshake, at: Wall) {
        let client = self.client(source, handshake.opening.flow.client.ip(), at);
        let (seed, length) = (self.seed, self.options.window);
        let (tap, events) = self.tap(source);
        tap.windows.handle_handshake(handshake, &client, at);
        if !handshake.is_tls() {
            return;
        }
        let row = || rows::handshake(&source.interface, handshake, &client);
        if !rows::is_notable(handshake) {
            tap.sample.offer(rows::id(handshake), seed, row);
        } else if !tap.notable.take(at, length) || !tap.keep(row(), at, events) {
            self.counted.not_kept(NotKept::Handshake);
        }
    }

    /// Takes SYNs without an answer, with the cause where somebody can tell more than the packets.
    pub fn handle_unanswered(
        &mut self,
        source: &Source,
        syns: &Unanswered,
        cause: Option<&'static str>,
        at: Wall,
    ) {
        let client = self.client(source, syns.flow.client.ip(), at);
        let length = self.options.window;
        let cause = cause.unwrap_or_else(|| syns.cause().as_str());
        let (tap, events) = self.tap(source);
        tap.windows.handle_unanswered(syns, Some(cause), &client, at);
        let row = || rows::unanswered(&source.interface, syns, cause, &client);
        if !tap.unanswered.take(at, length) || !tap.keep(row(), at, events) {
            self.counted.not_kept(NotKept::Unanswered);
        }
    }

    /// Takes an ending.
    pub fn handle_ending(&mut self, source: &Source, ending: &Ending, at: Wall) {
        let client = self.client(source, ending.flow.client.ip(), at);
        let length = self.options.window;
        let (tap, events) = self.tap(source);
        tap.windows.handle_ending(ending, &client, at);
        let row = || rows::ending(&source.interface, ending, &client);
        if !tap.endings.take(at, length) || !tap.keep(row(), at, events) {
            self.counted.not_kept(NotKept::Ending);
        }
    }

    /// Takes where the packets of something are. A handshake that was not notable by itself is
    /// kept by itself for their sake.
    fn handle_kept(&mut self, source: &Source, kept: &Kept, at: Wall) {
        if let Some(What::Handshake(of)) = kept.handshake.as_deref().map(|event| &event.what)
            && !rows::is_notable(of)
        {
            let client = self.client(source, of.opening.flow.client.ip(), at);
            let row = rows::handshake(&source.interface, of, &client);
            self.events.push(WireEvent { notable: true, ..row });
        }
        self.evidence.push(rows::evidence(kept));
    }

    /// Takes a stretch of time in which not everything was seen. Packets that are known to be lost
    /// are counted by [`Self::handle_status`].
    pub fn handle_loss(&mut self, source: &Source, loss: &Loss, at: Wall) {
        let length = self.options.window;
        let (tap, _) = self.tap(source);
        match (loss.why, loss.lost) {
            (Why::Dropped, Some(lost)) => tap.losses.handle_dropped(lost, loss.from, loss.to),
            (why, _) => {
                tap.losses.handle_blind(why, loss.from, loss.to);
                tap.blind(loss.from, loss.to.min(at), length);
            }
        }
    }

    /// Takes how recorders stand: the packets and drops since the last time, and that one sees
    /// nothing.
    pub fn handle_status(&mut self, taps: &[TapStatus], now: Wall) {
        let length = self.options.window;
        for status in taps {
            let source = Source::of(&status.interface, status.service.as_deref());
            let ended = self.ended.remove(&*source.interface);
            if let Some(from) = ended.filter(|ended| *ended < status.since) {
                let loss = Loss { from, to: status.since, lost: None, why: Why::Ended };
                self.handle_loss(&source, &loss, now);
            }
            let (tap, _) = self.tap(&source);
            let (packets, drops) = (status.counts.packets, status.counts.drops);
            let before = tap.status.replace((status.since, packets, drops));
            let known = before.filter(|(since, ..)| *since == status.since);
            if known.is_none() {
                // Of the window in which recording began, a part was not seen.
                tap.blind(status.since, status.since, length);
            }
            let (_, packets_before, drops_before) = known.unwrap_or((now, 0, 0));
            let packets = packets.saturating_sub(packets_before);
            tap.windows.handle_packets(packets, drops.saturating_sub(drops_before), now);
            let unseen = status.gauges.sight.is_some_and(|sight| sight != Sight::Sees);
            if unseen || status.gauges.problem.is_some() {
                tap.windows.handle_blindness(now);
            }
        }
    }

    /// Events were lost on their way here: no window of just now is whole.
    pub fn handle_lost(&mut self, now: Wall) {
        self.taps.values_mut().for_each(|tap| tap.windows.handle_blindness(now));
    }

    /// Closes windows that are over. Whoever drives the keeper calls it several times a window,
    /// since the sample of usual handshakes is one for all that came between two calls that close
    /// some.
    pub fn handle_timeout(&mut self, now: Wall) {
        self.taps.values_mut().for_each(|tap| tap.windows.handle_timeout(now));
        self.close();
    }

    /// Closes all windows, as they are: recording ends.
    pub fn finish(&mut self, now: Wall) {
        for tap in self.taps.values_mut() {
            if tap.status.is_some() {
                tap.windows.handle_blindness(now);
            }
            tap.windows.finish(now);
        }
        self.close();
    }

    /// Gives out what is to be stored.
    pub fn drain(&mut self) -> Batch {
        let mut edge = EdgeBatch::default();
        self.notices.drain(&mut edge);
        let windows = std::mem::take(&mut self.windows);
        let events = std::mem::take(&mut self.events);
        let evidence = std::mem::take(&mut self.evidence);
        let observations = std::mem::take(&mut self.observations);
        let wire = WireBatch { windows, events, evidence };
        Batch { edge, wire, observations, ..Batch::default() }
    }

    /// Takes the windows that were closed.
    fn close(&mut self) {
        let mut judged: BTreeMap<(Option<Arc<str>>, Wall), Window> = BTreeMap::new();
        let (mut late, mut other) = (0, 0);
        for (name, tap) in &mut self.taps {
            while let Some(mut window) = tap.windows.poll() {
                let before = self.stored.get_mut(name).and_then(|all| {
                    let same = all.iter().position(|w| w.from == window.from);
                    same.map(|at| all.swap_remove(at))
                });
                if let Some(before) = before {
                    window.merge(before);
                }
                tap.closed = Some(window.to);
                self.events.extend(tap.sample.drain().filter(|e| tap.bytes.take(size(e), e.at)));
                let (service, losses) = (tap.service.as_deref(), std::mem::take(&mut tap.losses));
                let fact = gaps::observation(name, service, &self.options.agent, &window, &losses);
                self.observations.extend(fact);
                match judged.get_mut(&(tap.service.clone(), window.from)) {
                    Some(sum) => sum.merge(window.clone()),
                    None => {
                        judged.insert((tap.service.clone(), window.from), window.clone());
                    }
                }
                self.windows.push((Arc::clone(name), window));
            }
            late += tap.windows.counters().late;
            other += tap.windows.counters().other;
        }
        self.counted.windows(late, other);
        for ((service, _), window) in judged {
            self.notices.handle_window(service.as_deref(), &window);
        }
    }

    fn tap(&mut self, source: &Source) -> (&mut Tap, &mut Vec<WireEvent>) {
        let length = self.options.window;
        let tap =
            self.taps.entry(Arc::clone(&source.interface)).or_insert_with(|| Tap::new(length));
        if tap.service != source.service {
            tap.service.clone_from(&source.service);
        }
        (tap, &mut self.events)
    }

    fn client(&self, source: &Source, address: IpAddr, now: Wall) -> Client {
        let Clients { asn, names, nameless } = &self.clients;
        let asn = asn.as_ref().and_then(|table| table.lookup(address)?.asn);
        // Loopback's addresses have no names that would tell machines apart.
        let asked = !nameless.contains(&*source.interface) && !address.is_loopback();
        let names = names.as_ref().filter(|_| asked);
        Client { asn, rdns: names.and_then(|names| names.suffix(address, now)) }
    }
}

/// Windows before the start that are read again; an earlier one is not touched: see
/// [`Tap::blind`].
const STORED: u32 = 4;

impl Tap {
    fn new(length: Duration) -> Self {
        Self {
            service: None,
            windows: Windows::new(length),
            sample: Sample::new(WIRE_SAMPLE_PER_WINDOW_MAX),
            notable: Budget::new(WIRE_NOTABLE_PER_WINDOW_MAX),
            unanswered: Budget::new(WIRE_UNANSWERED_PER_WINDOW_MAX),
            endings: Budget::new(WIRE_ENDINGS_PER_WINDOW_MAX),
            bytes: Bytes::default(),
            losses: Losses::default(),
            closed: None,
            status: None,
        }
    }

    /// Keeps an event where the day's bytes allow it.
    fn keep(&mut self, event: WireEvent, at: Wall, events: &mut Vec<WireEvent>) -> bool {
        let may = self.bytes.take(size(&event), at);
        if may {
            events.push(event);
        }
        may
    }

    /// Nothing was seen from `from` to `to`. Windows that are closed were blind while they were
    /// open: whoever watches the recorder said so then.
    fn blind(&mut self, from: Wall, to: Wall, length: Duration) {
        let mut at = from.max(to.before(length * 2)).max(self.closed.unwrap_or(from));
        while at < to {
            self.windows.handle_blindness(at);
            at = at.after(length);
        }
        self.windows.handle_blindness(to);
    }
}

/// Bytes that an event takes in the store, about: its document, and the columns with their
/// indices.
const fn size(event: &WireEvent) -> usize {
    event.document.len() + 300
}
