//! The engine: takes segments, follows every connection's opening, tells what became known.
//!
//! Time is that of the packets; [`Engine::handle_timeout`] moves it on where none come. A packet of
//! a connection whose opening was told costs one look-up; one of a connection that is not known and
//! does not begin here costs that and leaves nothing.

mod fuzz;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::{WIRE_FLOWS_MAX, WIRE_HALF_OPEN_MAX, WIRE_REASSEMBLY_BYTES_MAX};
use whyslow_model::seeded::Seed;

use crate::event::{Ending, EndingKind, Event};
use crate::flow::finished::Finished;
use crate::flow::key::Pair;
use crate::flow::open::{Open, Step};
use crate::flow::table::{Class, Flow, Id, Table};
use crate::ja4::Names;
use crate::opening::Outcome;
use crate::segment::{Flags, FlowKey, Segment};
use crate::tls::Party;
pub use fuzz::fuzz_wire_engine;
pub(crate) use fuzz::play;

/// How long the engine waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For an answer to a SYN, or its repetition, at least.
    pub connect: Duration,
    /// For the next packet of a handshake.
    pub handshake: Duration,
    /// For the first data of both sides once the handshake is complete.
    pub first_data: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            // Servers give clients a minute.
            handshake: Duration::from_secs(65),
            first_data: Duration::from_millis(500),
        }
    }
}

/// What the engine counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments taken.
    pub segments: u64,
    /// Connections that began.
    pub flows: u64,
    /// Openings told.
    pub openings: u64,
    /// Segments of connections that are not known and do not begin with them, and those whose two
    /// ends are one.
    pub strays: u64,
    /// Segments that cannot be of their connection, or that the tap saw twice.
    pub ignored: u64,
    /// Openings that were cut off because there were too many.
    pub evicted: u64,
    /// Half-open connections that were forgotten because there were too many.
    pub evicted_half_open: u64,
    /// Connections whose end will not be told because there were too many.
    pub forgotten: u64,
    /// Half-open connections that got a SYN-ACK and were never heard of again.
    pub never_acked: u64,
    /// Openings at which some limit was reached.
    pub limited: u64,
    /// Packets the capture says it lost.
    pub drops: u64,
    /// QUIC Initial packets, version 1 or 2.
    pub quic_initials: u64,
}

/// Follows connections.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    table: Table,
    events: VecDeque<Event>,
    counters: Counters,
    /// Bytes that all openings keep.
    held: usize,
    /// Room of openings that were told, for the next ones: each is larger than what an allocator
    /// has at hand.
    #[expect(clippy::vec_box, reason = "it is the boxes that are kept")]
    spare: Vec<Box<Open>>,
    names: Names,
    now: Wall,
}

impl Engine {
    /// An engine without connections; `seed` keeps strangers from choosing colliding ones.
    pub fn new(options: Options, seed: u64) -> Self {
        Self {
            options,
            table: Table::new(seed),
            events: VecDeque::new(),
            counters: Counters::default(),
            held: 0,
            spare: Vec::new(),
            names: Names::new(Seed(seed)),
            now: Wall::from_nanos(i64::MIN),
        }
    }

    /// Takes the next segment, and its stamp as the time.
    pub fn segment(&mut self, segment: &Segment<'_>) {
        self.counters.segments += 1;
        self.handle_timeout(segment.at);
        let key = Pair::of(segment);
        let Some(id) = self.table.find(&key) else { return self.begin(key, segment) };
        match &mut self.table.slot(id).flow {
            Some(Flow::Open(_)) => self.opening(id, key, segment),
            Some(Flow::Finished(finished)) => {
                if segment.flags.has(Flags::SYN) && finished.is_another(segment) {
                    self.table.remove(id);
                    return self.begin(key, segment);
                }
                let ending = finished.segment(segment);
                let over = finished.is_over(segment.flags);
                self.events.extend(ending.map(Event::Ending));
                if over {
                    self.table.remove(id);
                }
            }
            None => {}
        }
    }

    /// Takes a datagram: QUIC's first packets are counted, nothing more.
    pub fn datagram(&mut self, at: Wall, _from: SocketAddr, _to: SocketAddr, payload: &[u8]) {
        self.handle_timeout(at);
        self.counters.quic_initials += u64::from(is_quic_initial(payload));
    }

    /// Moves time on to `now`; earlier than before is as before.
    pub fn handle_timeout(&mut self, now: Wall) {
        self.now = self.now.max(now);
        while let Some(id) = self.table.due(self.now) {
            self.expired(id);
        }
    }

    /// When [`Engine::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Wall> {
        self.table.rings()
    }

    /// What became known, oldest first.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The capture ended: whatever is under way is told as it stands.
    pub fn finish(&mut self, now: Wall) {
        self.handle_timeout(now);
        while let Some(id) = self.table.oldest(Class::HalfOpen) {
            self.give_up(id);
        }
        while let Some(id) = self.table.oldest(Class::Open) {
            self.cut_off(id);
        }
        while let Some(id) = self.table.oldest(Class::Finished) {
            self.table.remove(id);
        }
    }

    /// The capture says that it lost `n` packets: every opening that is under way may miss some.
    pub fn note_drops(&mut self, n: u64, at: Wall) {
        self.handle_timeout(at);
        self.counters.drops = self.counters.drops.saturating_add(n);
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections whose opening is under way, and half-open ones.
    pub const fn under_way(&self) -> (usize, usize) {
        (self.table.len(Class::Open), self.table.len(Class::HalfOpen))
    }

    /// A segment of a connection that is not known: does one begin here?
    fn begin(&mut self, key: Pair, segment: &Segment<'_>) {
        let (from, to) = (segment.from, segment.to);
        let syn = segment.flags.has(Flags::SYN);
        let reset = segment.flags.has(Flags::RST);
        let by_client = match (syn, segment.flags.has(Flags::ACK)) {
            (true, acks) => !acks,
            // In the middle of it, when there is a ClientHello.
            (false, true) if is_client_hello(segment.payload) => true,
            (false, _) => {
                self.counters.strays += 1;
                return;
            }
        };
        // Of a socket that talks to itself, or forged: nothing tells its two sides apart.
        let to_itself = from == to;
        if reset || to_itself {
            self.counters.strays += 1;
            return;
        }
        let (client, server) = if by_client { (from, to) } else { (to, from) };
        let flow = FlowKey { client, server };
        let open = Open::new(flow, segment, self.counters.drops);
        self.counters.flows += 1;
        self.make_room(if syn { Class::HalfOpen } else { Class::Open });
        let class = if syn { Class::HalfOpen } else { Class::Open };
        let open = match self.spare.pop() {
            Some(mut room) => {
                *room = open;
                room
            }
            None => Box::new(open),
        };
        let id = self.table.insert(key, class, Flow::Open(open));
        self.opening(id, key, segment);
    }

    /// A segment of a connection whose opening is under way.
    fn opening(&mut self, id: Id, key: Pair, segment: &Segment<'_>) {
        let room = WIRE_REASSEMBLY_BYTES_MAX.saturating_sub(self.held);
        let Some(Flow::Open(open)) = &mut self.table.slot(id).flow else { return };
        if open.is_another(segment) {
            self.replace(id);
            return self.begin(key, segment);
        }
        let held = open.held();
        let step = open.segment(segment, room);
        self.held = (self.held + open.held()).saturating_sub(held);
        if step == Step::Nothing {
            self.counters.ignored += 1;
        } else if self.table.class(id) == Class::HalfOpen {
            self.half_open(id, segment, step);
        } else {
            self.go_on(id, segment, step);
        }
    }

    fn half_open(&mut self, id: Id, segment: &Segment<'_>, step: Step) {
        let Some(Flow::Open(open)) = &self.table.slot(id).flow else { return };
        if segment.flags.has(Flags::RST) {
            return self.refused(id, segment);
        }
        if open.is_connected() {
            if open.syns.count > 1 {
                let late = open.unanswered(None);
                self.events.extend(late.map(Event::Unanswered));
            }
            self.make_room(Class::Open);
            self.table.move_to(id, Class::Open);
            return self.go_on(id, segment, step);
        }
        let deadline = open.connect_deadline(self.options.connect);
        self.table.wait(id, Some(deadline));
    }

    fn go_on(&mut self, id: Id, segment: &Segment<'_>, step: Step) {
        if let Step::Over(outcome) = step {
            self.tell(id, outcome);
            self.ended_at_once(id, segment);
            return;
        }
        let Some(Flow::Open(open)) = &self.table.slot(id).flow else { return };
        let deadline = open.deadline(&self.options);
        self.table.wait(id, Some(deadline));
    }

    /// A reset before the connection stood.
    fn refused(&mut self, id: Id, segment: &Segment<'_>) {
        let Some(Flow::Open(open)) = self.table.remove(id) else { return };
        self.held = self.held.saturating_sub(open.held());
        let by_client = open.party(segment) == Party::Client;
        if open.syn_acks.count == 0 && open.syns.count > 0 {
            let refused = (!by_client).then_some(segment.at);
            self.events.extend(open.unanswered(refused).map(Event::Unanswered));
            return;
        }
        self.events.push_back(Event::Ending(Ending {
            flow: open.flow,
            interface: open.interface,
            first: open.first,
            at: segment.at,
            kind: EndingKind::HandshakeUnfinished,
            reset: true,
            by_client,
            client_bytes: 0,
            server_bytes: 0,
            phase: "connect",
        }));
    }

    /// The segment that ended an opening may end the connection too.
    fn ended_at_once(&mut self, id: Id, segment: &Segment<'_>) {
        let Some(Flow::Finished(finished)) = &mut self.table.slot(id).flow else { return };
        let ending = finished.end(segment);
        let over = finished.is_over(segment.flags);
        self.events.extend(ending.map(Event::Ending));
        if over {
            self.table.remove(id);
        }
    }

    /// Tells an opening; what is left of the connection stays in the table.
    fn tell(&mut self, id: Id, outcome: Outcome) {
        let Some(Flow::Open(mut open)) = self.table.slot(id).flow.take() else { return };
        self.held = self.held.saturating_sub(open.held());
        open.settle();
        let finished = Finished::of(&open);
        let opening = open.assemble(outcome, self.counters.drops, &mut self.names);
        if self.spare.len() < SPARE_MAX && open.held() == 0 {
            self.spare.push(open);
        }
        self.counters.openings += 1;
        self.counters.limited += u64::from(opening.gaps.limit);
        self.events.push_back(Event::Opening(Box::new(opening)));
        self.make_room(Class::Finished);
        self.table.slot(id).flow = Some(Flow::Finished(finished));
        self.table.move_to(id, Class::Finished);
        self.table.wait(id, None);
    }

    fn expired(&mut self, id: Id) {
        if self.table.class(id) == Class::HalfOpen {
            return self.give_up(id);
        }
        let Some(Flow::Open(open)) = &self.table.slot(id).flow else { return };
        let outcome = open.outcome(Outcome::TimedOut);
        self.tell(id, outcome);
    }

    /// An opening that is not followed on.
    fn cut_off(&mut self, id: Id) {
        let Some(Flow::Open(open)) = &self.table.slot(id).flow else { return };
        let outcome = open.outcome(Outcome::CutOff);
        self.tell(id, outcome);
    }

    /// A half-open connection of which nothing more is expected.
    fn give_up(&mut self, id: Id) {
        let Some(Flow::Open(open)) = self.table.remove(id) else { return };
        self.held = self.held.saturating_sub(open.held());
        if open.syn_acks.count == 0 || open.syn_ack_lost {
            self.events.extend(open.unanswered(None).map(Event::Unanswered));
        } else {
            self.counters.never_acked += 1;
        }
    }

    /// Another connection took its place before it ended.
    fn replace(&mut self, id: Id) {
        if self.table.class(id) == Class::HalfOpen {
            return self.give_up(id);
        }
        self.expired(id);
        self.table.remove(id);
    }

    /// Makes room for one more of a class; the oldest has to go.
    fn make_room(&mut self, class: Class) {
        let full = match class {
            Class::HalfOpen => self.table.len(class) >= WIRE_HALF_OPEN_MAX,
            Class::Open | Class::Finished => self.table.len(class) >= WIRE_FLOWS_MAX,
        };
        let Some(id) = self.table.oldest(class).filter(|_| full) else { return };
        match class {
            Class::HalfOpen => {
                self.counters.evicted_half_open += 1;
                self.give_up(id);
            }
            Class::Open => {
                self.counters.evicted += 1;
                self.cut_off(id);
            }
            Class::Finished => {
                self.counters.forgotten += 1;
                self.table.remove(id);
            }
        }
    }
}

/// As many as may be told before others begin.
const SPARE_MAX: usize = 32;

/// Whether a payload begins with a record that begins with a `ClientHello`.
fn is_client_hello(payload: &[u8]) -> bool {
    matches!(payload, [22, 3, _, _, _, 1, ..])
}

/// Whether a datagram is a QUIC Initial: a long header of version 1 (RFC 9000) or 2 (RFC 9369),
/// whose type bits differ.
fn is_quic_initial(payload: &[u8]) -> bool {
    match payload {
        [first, 0, 0, 0, 1, ..] => first & 0xf0 == 0xc0,
        [first, 0x6b, 0x33, 0x43, 0xcf, ..] => first & 0xf0 == 0xd0,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
