//! Whose each phase is: the table of the documentation (`docs/wire.md`), row by row.

use super::clock::Clock;
use super::gap::{End, Gap, Pause, seen_again};
use super::numbers::Numbers;
use super::parts::{Owner, Parts};
use super::timeline::{Observed, Stretch, Timeline};
use crate::handshake::{Blame, Phase, VantagePoint};
use crate::opening::{Opening, Span};

/// An acknowledgment may be held back for so long by common systems.
const ACK_DELAY_NS: i64 = 200_000_000;
/// No round trip is longer than a day, whatever stamps say.
const RTT_MAX_NS: i64 = 86_400_000_000_000;
/// What every path carries in one segment (RFC 8200: 1280 bytes with both headers).
const ONE_SEGMENT_BYTES: u32 = 1200;
/// Bytes a server sends before it waits for the first acknowledgment (RFC 6928: ten segments).
const FIRST_WINDOW_BYTES: u32 = 14_600;

/// One opening seen from where its tap stands.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) opening: &'a Opening,
    pub(super) vantage: VantagePoint,
    /// Round trip between the tap and the client, in nanoseconds; 0 at the client.
    pub(super) rtt_client_ns: Option<i64>,
    /// Between the tap and the server; 0 at the server.
    pub(super) rtt_server_ns: Option<i64>,
    client: End<'a>,
    server: End<'a>,
}

/// What was found on the way, for the evidence.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Whose most of each phase was.
    pub(super) phases: [Blame; Phase::ALL.len()],
    /// The pause before the `ClientHello`.
    pub(super) hello: Option<Gap>,
    /// The pause before the client's answer.
    pub(super) think: Option<Gap>,
    /// Why the flight's acknowledgment took longer than a round trip, and by how much.
    pub(super) ack: Option<(AckExcess, i64)>,
    /// The client's think alone, in nanoseconds: at least and at most.
    pub(super) client_think: Option<(i64, i64)>,
    /// Time the server waited for the window, and time it paused by itself.
    pub(super) flight: Option<(i64, i64)>,
}

/// Why an acknowledgment came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckExcess {
    /// The client's window was closed.
    Window,
    /// The flight, or the acknowledgment, was lost.
    Loss,
    /// Held back by the client, or queued on the way.
    Undecided,
}

impl<'a> Sight<'a> {
    pub(super) fn new(opening: &'a Opening, vantage: VantagePoint) -> Self {
        let rtt_client_ns = match vantage {
            VantagePoint::Client => Some(0),
            VantagePoint::Server | VantagePoint::Middle | VantagePoint::Unknown => {
                least(from_ack(opening), opening.rtt_client_ns)
            }
        };
        let rtt_server_ns = match vantage {
            VantagePoint::Server => Some(0),
            VantagePoint::Client | VantagePoint::Middle | VantagePoint::Unknown => {
                least(from_syn_ack(opening), opening.rtt_server_ns)
            }
        };
        let rtt_ns = rtt_client_ns.unwrap_or(0).saturating_add(rtt_server_ns.unwrap_or(0));
        let client = End {
            owner: Owner::Client,
            side: &opening.client_side,
            numbers: Numbers::of(&opening.client_side),
            clock: Clock::fit(&opening.client_side),
            near: vantage == VantagePoint::Client,
            rtt_ns,
        };
        let server = End {
            owner: Owner::Server,
            side: &opening.server_side,
            numbers: Numbers::of(&opening.server_side),
            clock: Clock::fit(&opening.server_side),
            near: vantage == VantagePoint::Server,
            rtt_ns,
        };
        Self { opening, vantage, rtt_client_ns, rtt_server_ns, client, server }
    }

    /// The whole round trip, as far as both halves are known.
    pub(super) fn rtt_ns(&self) -> Option<i64> {
        Some(self.rtt_client_ns?.saturating_add(self.rtt_server_ns?))
    }

    /// What the client's clock steps by.
    pub(super) const fn client_clock(&self) -> Option<Clock> {
        self.client.clock
    }

    /// How the client numbers its packets.
    pub(super) const fn client_numbers(&self) -> Numbers {
        self.client.numbers
    }

    /// Divides all observed time.
    pub(super) fn divide(&self, timeline: &Timeline, parts: &mut Parts) -> Found {
        let mut found = Found {
            phases: [Blame::None; Phase::ALL.len()],
            hello: None,
            think: None,
            ack: None,
            client_think: None,
            flight: None,
        };
        for phase in Phase::ALL {
            let Some(mut observed) = timeline.get(phase) else { continue };
            if phase == Phase::ClientThink {
                observed.estimated = timeline.ack_estimated();
            }
            let before = parts.clone();
            if observed.holds_others {
                parts.anybody(observed.stretch.ns());
            } else if observed.ended {
                self.ended(phase, observed.stretch, parts);
            } else {
                self.phase(phase, observed, parts, &mut found);
            }
            found.phases[phase as usize] = parts.most_since(&before);
            if phase == Phase::ClientThink && !observed.holds_others {
                let (before, after) = (before.of(Owner::Client), parts.of(Owner::Client));
                let hidden = found.ack.map_or(0, |(_, excess)| excess);
                let most = (after.most - before.most).saturating_add(hidden);
                found.client_think = Some((after.least - before.least, most));
            }
        }
        found
    }

    fn phase(&self, phase: Phase, observed: Observed, parts: &mut Parts, found: &mut Found) {
        let stretch = observed.stretch;
        match phase {
            Phase::SynWait => self.syn_wait(stretch, parts),
            Phase::SynAck => self.syn_ack(stretch, parts),
            Phase::Network if self.client.near => parts.sure(Owner::Client, stretch.ns()),
            Phase::Network => parts.sure(Owner::Network, stretch.ns()),
            Phase::HelloWait => found.hello = self.hello_wait(stretch, parts),
            Phase::ServerThink => self.server_think(stretch, parts),
            Phase::ServerFlight => found.flight = Some(self.server_flight(stretch, parts)),
            Phase::Ack => found.ack = self.ack(observed, parts),
            Phase::ClientThink => {
                let single = self.opening.reply.is_some_and(|reply| reply.segments == 1);
                let pause = Pause { stretch, estimated: observed.estimated, single };
                found.think = Some(self.client.judge(pause, parts));
            }
            Phase::Finish => self.finish(stretch, parts),
        }
    }

    /// Row 1, first half: SYNs without an answer. At the server they arrived, so it is the server
    /// that did not answer; after an answer that was lost, the network.
    fn syn_wait(&self, stretch: Stretch, parts: &mut Parts) {
        if !self.server.near {
            parts.server_or_network(stretch.ns());
            return;
        }
        let answered = self.opening.syn_acks.first.map_or(stretch.to, |at| at.as_nanos());
        let (before, after) = split(stretch, answered);
        parts.sure(Owner::Server, before.ns());
        parts.sure(Owner::Network, after.ns());
    }

    /// Row 1: SYN to SYN-ACK. Answers sent again waited for an acknowledgment that did not come.
    fn syn_ack(&self, stretch: Stretch, parts: &mut Parts) {
        let answered = self.opening.syn_acks.first.map_or(stretch.to, |at| at.as_nanos());
        let (before, after) = split(stretch, answered);
        parts.sure(Owner::Network, after.ns());
        if self.server.near {
            parts.sure(Owner::Server, before.ns());
            return;
        }
        let trip = before.ns().min(self.rtt_server_ns.unwrap_or(0));
        parts.sure(Owner::Network, trip);
        parts.server_or_network(before.ns() - trip);
    }

    /// Rows 3 and 4, with the round of a `HelloRetryRequest` between two hellos.
    fn hello_wait(&self, stretch: Stretch, parts: &mut Parts) -> Option<Gap> {
        let hello = self.opening.hello?;
        let Some(retry) = self.opening.retry else {
            return Some(self.client_span(stretch, hello, parts));
        };
        let (first, rest) = split(stretch, retry.hello.last.as_nanos());
        let gap = self.client_span(first, retry.hello, parts);
        let (think, rest) = split(rest, retry.request.first.as_nanos());
        self.server_think(think, parts);
        let (request, rest) = split(rest, retry.request.last.as_nanos());
        parts.sure(Owner::Server, request.ns());
        let trip = rest.from.saturating_add(self.rtt_client_ns.unwrap_or(0));
        let (trip, rest) = split(rest, trip);
        parts.sure(Owner::Network, trip.ns());
        let again = self.client_span(rest, hello, parts);
        Some(if again.stretch.ns() > gap.stretch.ns() { again } else { gap })
    }

    /// The pause before something the client sends, and then its bytes one after the other.
    fn client_span(&self, stretch: Stretch, span: Span, parts: &mut Parts) -> Gap {
        let (pause, bytes) = split(stretch, span.first.as_nanos());
        let single = span.first == span.last && span.bytes <= ONE_SEGMENT_BYTES;
        let pause = Pause { stretch: pause, estimated: false, single };
        let gap = self.client.judge(pause, parts);
        if self.client.near {
            parts.sure(Owner::Client, bytes.ns());
        } else if filled_within(self.opening, bytes) {
            parts.sure(Owner::Network, bytes.ns());
        } else {
            parts.likely(Owner::Network, Owner::Client, bytes.ns());
        }
        gap
    }

    /// Row 5, and row 10: what the server takes beyond the way to it and back.
    fn server_think(&self, stretch: Stretch, parts: &mut Parts) {
        if self.server.near {
            parts.sure(Owner::Server, stretch.ns());
            return;
        }
        let Some(trip) = self.rtt_server_ns else {
            parts.server_or_network(stretch.ns());
            return;
        };
        if seen_again(&self.opening.client_side, stretch).is_some() {
            // The client sent it again: it, or its acknowledgment, was lost behind the tap.
            parts.sure(Owner::Network, stretch.ns());
            return;
        }
        let (trip, think) = split(stretch, stretch.from.saturating_add(trip));
        parts.sure(Owner::Network, trip.ns());
        let pause = Pause { stretch: think, estimated: false, single: false };
        self.server.judge(pause, parts);
    }

    /// Row 6. Waiting for the window is the network's time, or the client's who closed it; all
    /// else at the server is its own.
    fn server_flight(&self, stretch: Stretch, parts: &mut Parts) -> (i64, i64) {
        let Some(flight) = self.opening.flight else { return (0, 0) };
        let ns = stretch.ns();
        if self.server.near {
            let waited = nanos(flight.window_wait_ns).min(ns);
            let whose = if flight.zero_window { Owner::Client } else { Owner::Network };
            parts.sure(whose, waited);
            parts.sure(Owner::Server, ns - waited);
            return (waited, ns - waited);
        }
        let filled = self.opening.server_side.holes.iter().any(|hole| {
            hole.filled.is_some_and(|at| (stretch.from..=stretch.to).contains(&at.as_nanos()))
        });
        // A flight above the first window takes a round trip more for each doubling.
        let rounds = (flight.span.bytes / FIRST_WINDOW_BYTES).checked_ilog2().map_or(0, |n| n + 1);
        let waited = if filled {
            ns
        } else {
            self.rtt_ns().unwrap_or(0).saturating_mul(i64::from(rounds)).min(ns)
        };
        parts.sure(Owner::Network, waited);
        parts.server_or_network(ns - waited);
        (waited, 0)
    }

    /// Row 7: a round trip is the network's. What is beyond may be an acknowledgment held back, so
    /// without a proof of loss up to 200 ms of it are nobody's.
    fn ack(&self, observed: Observed, parts: &mut Parts) -> Option<(AckExcess, i64)> {
        let stretch = observed.stretch;
        if self.client.near {
            parts.sure(Owner::Client, stretch.ns());
            return None;
        }
        let Some(rtt) = self.rtt_client_ns else {
            parts.network_or_client(stretch.ns());
            return None;
        };
        let trip = stretch.ns().min(rtt);
        parts.sure(Owner::Network, trip);
        let excess = stretch.ns() - trip;
        let why = self.ack_excess(stretch);
        match why {
            AckExcess::Window => parts.sure(Owner::Client, excess),
            AckExcess::Loss => parts.sure(Owner::Network, excess),
            AckExcess::Undecided => {
                parts.network_or_client(excess.min(ACK_DELAY_NS));
                parts.likely(Owner::Network, Owner::Client, excess - ACK_DELAY_NS);
            }
        }
        Some((why, excess))
    }

    fn ack_excess(&self, stretch: Stretch) -> AckExcess {
        let flight = self.opening.flight.as_ref();
        if flight.is_some_and(|flight| flight.zero_window) {
            return AckExcess::Window;
        }
        let from = flight.map_or(stretch.from, |flight| flight.span.first.as_nanos());
        let sent_again =
            seen_again(&self.opening.server_side, Stretch { from, to: stretch.to }).is_some();
        // A client that says it had the bytes already (RFC 2883) did not lose them.
        let needless = self.opening.client_side.dsacks > 0;
        let across = self.client.numbers.across(self.client.side, stretch.from, stretch.to);
        let lost = across.is_some_and(|across| across.missing > 0);
        if (sent_again && !needless) || lost { AckExcess::Loss } else { AckExcess::Undecided }
    }

    /// Row 9, and row 10 in TLS 1.2.
    fn finish(&self, stretch: Stretch, parts: &mut Parts) {
        let Some(reply) = self.opening.reply else {
            parts.anybody(stretch.ns());
            return;
        };
        let (bytes, rest) = split(stretch, reply.span.last.as_nanos());
        if self.client.near {
            parts.sure(Owner::Client, bytes.ns());
        } else {
            parts.sure(Owner::Network, bytes.ns());
        }
        let Some(closing) = self.opening.closing else {
            parts.anybody(rest.ns());
            return;
        };
        let (think, sending) = split(rest, closing.first.as_nanos());
        self.server_think(think, parts);
        if self.server.near {
            parts.sure(Owner::Server, sending.ns());
        } else {
            parts.server_or_network(sending.ns());
        }
    }

    /// The phase in which the opening ended before its end: whom it waited for.
    fn ended(&self, phase: Phase, stretch: Stretch, parts: &mut Parts) {
        let ns = stretch.ns();
        match phase {
            Phase::SynWait | Phase::SynAck | Phase::ServerThink | Phase::ServerFlight => {
                if self.server.near {
                    parts.sure(Owner::Server, ns);
                } else {
                    parts.server_or_network(ns);
                }
            }
            Phase::HelloWait | Phase::ClientThink => {
                if self.client.near {
                    parts.sure(Owner::Client, ns);
                } else {
                    parts.likely(Owner::Client, Owner::Network, ns);
                }
            }
            Phase::Network | Phase::Ack => parts.network_or_client(ns),
            Phase::Finish => parts.anybody(ns),
        }
    }
}

/// Before and after an instant; the whole is before where the instant is later.
fn split(stretch: Stretch, at: i64) -> (Stretch, Stretch) {
    let at = at.clamp(stretch.from, stretch.to);
    (Stretch { from: stretch.from, to: at }, Stretch { from: at, to: stretch.to })
}

/// Whether some hole of the client's bytes was filled in this time.
fn filled_within(opening: &Opening, stretch: Stretch) -> bool {
    opening.client_side.holes.iter().any(|hole| {
        hole.filled.is_some_and(|at| (stretch.from..=stretch.to).contains(&at.as_nanos()))
    })
}

/// SYN-ACK to ACK: no acknowledgment is held back here. Not where it was sent again.
fn from_ack(opening: &Opening) -> Option<u64> {
    let (answer, acked) = (opening.syn_acks.last?, opening.acked?);
    let ns = u64::try_from(acked.since(answer).as_nanos()).unwrap_or(u64::MAX);
    (opening.syn_acks.count == 1).then_some(ns)
}

/// SYN to SYN-ACK, not where either was sent again.
fn from_syn_ack(opening: &Opening) -> Option<u64> {
    let (syn, answer) = (opening.syns.last?, opening.syn_acks.first?);
    let ns = u64::try_from(answer.since(syn).as_nanos()).unwrap_or(u64::MAX);
    (opening.syns.count == 1 && opening.syn_acks.count == 1).then_some(ns)
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<i64> {
    a.into_iter().chain(b).min().map(|ns| nanos(ns).min(RTT_MAX_NS))
}

fn nanos(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}
