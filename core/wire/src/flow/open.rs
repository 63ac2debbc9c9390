//! A connection whose opening is under way, from its first SYN on.

mod assemble;
mod connect;

use whyslow_model::Wall;

use super::side::{End, Range};
use crate::engine::Options;
use crate::opening::{Gaps, Outcome, Repeated};
use crate::segment::{Flags, FlowKey, Segment};
use crate::tls::exchange::{Exchange, Input};
use crate::tls::{Chunk, Party};

/// The opening of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) flow: FlowKey,
    pub(crate) interface: u32,
    pub(crate) server_is_local: Option<bool>,
    pub(crate) first: Wall,
    pub(crate) last: Wall,
    pub(crate) syns: Repeated,
    pub(crate) syn_acks: Repeated,
    pub(crate) acked: Option<Wall>,
    pub(crate) client: End,
    pub(crate) server: End,
    /// Absent until there is payload, and when that is no TLS.
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) is_plain: bool,
    pub(crate) gaps: Gaps,
    /// Whether SYNs came again after a SYN-ACK had passed.
    pub(crate) syn_ack_lost: bool,
    /// The server sent data, unasked as far as the tap knows.
    server_spoke: bool,
    /// Between the last two SYNs, in nanoseconds.
    syn_gap_ns: u64,
    /// What the engine had counted as lost by the capture when this began.
    pub(crate) drops_before: u64,
}

/// What a segment did to the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes on.
    On,
    /// The packet is nothing of it, or the tap saw it before.
    Nothing,
    /// It ended.
    Over(Outcome),
}

impl Open {
    pub(crate) fn new(flow: FlowKey, segment: &Segment<'_>, drops_before: u64) -> Self {
        let by_server = segment.from == flow.server;
        Self {
            flow,
            interface: segment.interface,
            server_is_local: segment.outgoing.map(|outgoing| outgoing == by_server),
            first: segment.at,
            last: segment.at,
            syns: Repeated::default(),
            syn_acks: Repeated::default(),
            acked: None,
            client: End::default(),
            server: End::default(),
            exchange: None,
            is_plain: false,
            gaps: Gaps::default(),
            syn_ack_lost: false,
            server_spoke: false,
            syn_gap_ns: 0,
            drops_before,
        }
    }

    /// Whether the client's answer to a SYN-ACK, or anything that can only follow it, was seen.
    pub(crate) const fn is_connected(&self) -> bool {
        self.acked.is_some() || self.server_spoke
    }

    /// Whether a SYN begins another connection between the same ends.
    pub(crate) fn is_another(&self, segment: &Segment<'_>) -> bool {
        let syn = segment.flags.has(Flags::SYN);
        let (from, acks) = (self.party(segment), segment.flags.has(Flags::ACK));
        let base = match from {
            Party::Client => self.client.stream.base(),
            Party::Server => self.server.stream.base(),
        };
        syn && (acks != (from == Party::Server) || base.is_some_and(|base| base != segment.seq))
    }

    /// When to stop waiting.
    pub(crate) fn deadline(&self, options: &Options) -> Wall {
        let asked = self.client.first_data.filter(|_| self.is_plain);
        match self.exchange.as_ref().and_then(|e| e.completed).or(asked) {
            Some(at) => at.after(options.first_data),
            None => self.last.after(options.handshake),
        }
    }

    /// Nothing more comes: what can still be told is told.
    pub(crate) fn settle(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.end();
        }
    }

    /// Bytes it keeps.
    pub(crate) fn held(&self) -> usize {
        let streams = self.client.stream.held() + self.server.stream.held();
        streams + self.exchange.as_ref().map_or(0, |e| e.held())
    }

    /// Takes the next segment; may keep `room` bytes more.
    pub(crate) fn segment(&mut self, segment: &Segment<'_>, room: usize) -> Step {
        let from = self.party(segment);
        let outgoing = segment.outgoing.map(|o| o == (from == Party::Server));
        let turned = outgoing.is_some() && outgoing != self.server_is_local;
        let previous = self.last;
        if self.end(from).is_double(segment, turned, previous) {
            return Step::Nothing;
        }
        self.skip_what_was_missed(segment.at, room);
        if !self.number(segment, from) {
            return Step::Nothing;
        }
        self.last = self.last.max(segment.at);
        self.end(from).packets += 1;
        self.connect(segment, from);
        self.acknowledge(segment, from);
        self.payload(segment, from, room);
        if segment.flags.has(Flags::RST) {
            return Step::Over(self.outcome(Outcome::Reset { by_client: from == Party::Client }));
        }
        self.step()
    }

    /// Who sent the segment.
    pub(crate) fn party(&self, segment: &Segment<'_>) -> Party {
        if segment.from == self.flow.client { Party::Client } else { Party::Server }
    }

    /// How it stands when something ended it that would, alone, make it `else_`.
    pub(crate) fn outcome(&self, else_: Outcome) -> Outcome {
        match &self.exchange {
            Some(e) if e.alert.is_some() => Outcome::Alert { by_client: e.alert == Some(true) },
            Some(e) if e.completed.is_some() => Outcome::Complete,
            _ if self.is_plain => Outcome::Plain,
            _ => else_,
        }
    }

    /// Fixes where the two streams begin, and tells whether the segment can belong to them.
    fn number(&mut self, segment: &Segment<'_>, from: Party) -> bool {
        let syn = segment.flags.has(Flags::SYN);
        let (me, peer) = self.ends(from);
        if segment.flags.has(Flags::RST) {
            let acks = segment.flags.has(Flags::ACK);
            return me.stream.offset(segment.seq).is_some()
                || acks && peer.stream.offset(segment.ack).is_some_and(|o| o > 0);
        }
        me.stream.begin(if syn { segment.seq } else { segment.seq.wrapping_sub(1) });
        if segment.flags.has(Flags::ACK) {
            peer.stream.begin(segment.ack.wrapping_sub(1));
        }
        me.stream.offset(segment.seq).is_some()
    }

    fn acknowledge(&mut self, segment: &Segment<'_>, from: Party) {
        if !segment.flags.has(Flags::ACK) || segment.flags.has(Flags::RST) {
            return;
        }
        let (me, peer) = self.ends(from);
        let Some(ack) = peer.stream.offset(segment.ack) else { return };
        me.selective(segment);
        let tsecr = segment.options.timestamps.map(|t| t.1);
        let sample = segment.len == 0;
        me.outstanding.acknowledged(ack, segment.at, tsecr, sample);
        let Some(acked) = me.acknowledges(segment, ack, peer.stream.top()) else { return };
        let due = ack.min(peer.fin_at.unwrap_or(u32::MAX));
        if due > peer.stream.next() && !segment.flags.has(Flags::SYN) {
            peer.overdue = Some((due, peer.overdue.map_or(segment.at, |o| o.1)));
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.acknowledge(from, acked);
        }
    }

    fn payload(&mut self, segment: &Segment<'_>, from: Party, room: usize) {
        let (me, _) = self.ends(from);
        let syn = u32::from(segment.flags.has(Flags::SYN));
        let Some(offset) = me.stream.offset(segment.seq) else { return };
        let data = offset.saturating_add(syn);
        let range = me.range(data, segment.len, segment.at);
        let repeated = Range { again: range.again || (syn > 0 && me.is_repeated_syn()), ..range };
        let ack = segment.flags.has(Flags::ACK).then_some(segment.ack);
        self.remember(segment, from, offset, ack, repeated);
        self.gaps.limit |= range.limit;
        if segment.flags.has(Flags::FIN) {
            self.end(from).fin_at = Some(data.saturating_add(segment.len));
        }
        if segment.len == 0 {
            return;
        }
        self.gaps.cut |= segment.payload.len() < segment.len as usize && self.is_undecided();
        self.pace(segment, from, range, data.saturating_add(segment.len));
        self.deliver(segment, from, room);
    }

    fn remember(
        &mut self,
        segment: &Segment<'_>,
        from: Party,
        offset: u32,
        ack: Option<u32>,
        range: Range,
    ) {
        let (me, peer) = self.ends(from);
        let ack = ack.and_then(|ack| peer.stream.offset(ack));
        me.remember(segment, offset, ack, range);
        // A SYN is acknowledged like a byte, and waits for that like one.
        if segment.flags.has(Flags::SYN) {
            let tsval = segment.options.timestamps.map(|t| t.0);
            peer.outstanding.sent(1, segment.at, tsval, range.again);
        }
    }

    /// Takes down how the segment follows the sender's last one.
    fn pace(&mut self, segment: &Segment<'_>, from: Party, range: Range, end: u32) {
        let at = segment.at;
        let reply_begun = self.reply_begun();
        let (me, peer) = self.ends(from);
        let tsval = segment.options.timestamps.map(|t| t.0);
        if !(reply_begun && from == Party::Server) {
            peer.outstanding.sent(end, at, tsval, range.again || range.filled);
        }
        if range.again {
            return;
        }
        me.first_data = me.first_data.or(Some(at));
        me.payload_bytes += u64::from(segment.len);
        let before = me.wrote.replace(at).unwrap_or(at);
        let pause_ns = nanos(before, at);
        let by_ack = peer.acked.is_some_and(|a| a.at >= before && nanos(a.at, at) < PROMPT_NS);
        peer.peer_wrote(end, at);
        if let Some(exchange) = &mut self.exchange {
            exchange.segment(from, pause_ns, by_ack);
        }
    }

    fn deliver(&mut self, segment: &Segment<'_>, from: Party, room: usize) {
        let at = segment.at;
        let syn = u32::from(segment.flags.has(Flags::SYN));
        let seq = segment.seq.wrapping_add(syn);
        let acked = self.ends(from).1.acked;
        let mut stream = std::mem::take(&mut self.end(from).stream);
        let arrival = stream.arrive(seq, segment.len, segment.payload, room, |offset, chunk| {
            self.feed(Input { from, at, offset, chunk, acked, room });
        });
        self.end(from).stream = stream;
        self.gaps.limit |= matches!(arrival, crate::stream::Arrival::Dropped(_));
    }

    fn feed(&mut self, input: Input<'_>) {
        if self.is_plain {
            return;
        }
        if self.exchange.is_none() {
            // What begins neither as a handshake record nor out of sight is no TLS.
            let first = match input.chunk {
                Chunk::Known(bytes) => bytes.first().copied(),
                Chunk::Unknown(_) => Some(crate::tls::record::HANDSHAKE),
            };
            if first != Some(crate::tls::record::HANDSHAKE) {
                self.is_plain = true;
                return;
            }
        }
        let exchange = self.exchange.get_or_insert_default();
        exchange.feed(input);
        if exchange.plain {
            self.exchange = None;
            self.is_plain = true;
        }
    }

    /// Bytes that the peer acknowledged a while ago and the tap never saw are given up.
    fn skip_what_was_missed(&mut self, now: Wall, room: usize) {
        for from in [Party::Client, Party::Server] {
            let (me, peer) = self.ends(from);
            let Some((to, since)) = me.overdue else { continue };
            if me.stream.next() >= to {
                me.overdue = None;
            } else if nanos(since, now) >= OVERDUE_NS {
                me.overdue = None;
                let seen = me.packets > 0;
                // Bytes before them may have come after the acknowledgment.
                let at = me.wrote.map_or(since, |wrote| since.max(wrote));
                let acked = peer.acked;
                let mut stream = std::mem::take(&mut me.stream);
                self.gaps.unseen_bytes += stream.skip(to, |offset, chunk| {
                    if seen {
                        self.feed(Input { from, at, offset, chunk, acked, room });
                    }
                });
                self.end(from).stream = stream;
            }
        }
    }

    fn step(&self) -> Step {
        let closed = |end: &End| end.fin_at.is_some_and(|at| at <= end.stream.next());
        let answered = match &self.exchange {
            Some(e) if e.alert.is_some() => return Step::Over(self.outcome(Outcome::TimedOut)),
            Some(e) => e.completed.is_some() && e.server_data.is_some(),
            None => self.is_plain && self.server.first_data.is_some(),
        };
        if answered {
            return Step::Over(self.outcome(Outcome::Complete));
        }
        for (end, by_client) in [(&self.client, true), (&self.server, false)] {
            // A server that has answered early data may close before the client's Finished is here.
            let early = self.exchange.as_ref().is_some_and(|e| e.may_have_answered_early());
            if closed(end) && (by_client || !early) {
                return Step::Over(self.outcome(Outcome::Closed { by_client }));
            }
        }
        Step::On
    }

    /// Whether bytes that matter are yet to come.
    fn is_undecided(&self) -> bool {
        !self.is_plain && self.exchange.as_ref().is_none_or(|e| e.completed.is_none())
    }

    fn reply_begun(&self) -> bool {
        self.exchange.as_ref().is_some_and(|e| e.reply.is_some())
    }

    pub(crate) const fn end(&mut self, party: Party) -> &mut End {
        match party {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }

    /// The sender and its peer.
    const fn ends(&mut self, from: Party) -> (&mut End, &mut End) {
        match from {
            Party::Client => (&mut self.client, &mut self.server),
            Party::Server => (&mut self.server, &mut self.client),
        }
    }
}

/// From one to the other, zero where time ran back.
pub(crate) fn nanos(from: Wall, to: Wall) -> u64 {
    u64::try_from(to.as_nanos().saturating_sub(from.as_nanos())).unwrap_or(0)
}

/// A segment so soon after an acknowledgment was waiting for it.
const PROMPT_NS: u64 = 1_000_000;
/// Cards and cores may swap packets of the two directions for less than this.
const OVERDUE_NS: u64 = 2_000_000;
