//! A connection whose opening was told: what is left to know is how it ends.

use whyslow_model::Wall;

use super::ending::Stage;
use super::open::Open;
use crate::event::{Ending, EndingKind};
use crate::segment::{Flags, FlowKey, Segment};
use crate::tls::{Party, record};

/// The little that is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) flow: FlowKey,
    interface: u32,
    first: Wall,
    client: Way,
    server: Way,
    stage: Stage,
    /// Who closed it first.
    closed_by: Option<Party>,
    /// Its ending was told.
    told: bool,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// The number it began with.
    base: u32,
    /// The number behind its last byte.
    next: u32,
    /// How far the peer acknowledged it.
    acked: u32,
    bytes: u64,
    fin: bool,
}

impl Finished {
    /// What is left of an opening that is about to be told.
    pub(crate) fn of(open: &Open) -> Self {
        let way = |end: &super::side::End, acked: Option<u32>| {
            let base = end.stream.base().unwrap_or(0);
            Way {
                base,
                next: base.wrapping_add(end.stream.top()),
                acked: base.wrapping_add(acked.unwrap_or(0)),
                bytes: end.payload_bytes,
                fin: false,
            }
        };
        Self {
            flow: open.flow,
            interface: open.interface,
            first: open.first,
            client: way(&open.client, open.server.acked.map(|a| a.to)),
            server: way(&open.server, open.client.acked.map(|a| a.to)),
            stage: Stage::of(open),
            closed_by: None,
            told: false,
        }
    }

    /// Whether a SYN with this number begins another connection between the same ends.
    pub(crate) fn is_another(&self, segment: &Segment<'_>) -> bool {
        segment.from != self.flow.client || segment.seq != self.client.base
    }

    /// Takes the next segment; tells the ending once there is one.
    pub(crate) fn segment(&mut self, segment: &Segment<'_>) -> Option<Ending> {
        let from = self.party(segment);
        if segment.flags.has(Flags::RST) && !self.is_in_reach(segment, from) {
            return None;
        }
        self.data(segment, from);
        self.end(segment)
    }

    /// Takes of a segment, whose bytes were taken already, whether it ends the connection.
    pub(crate) fn end(&mut self, segment: &Segment<'_>) -> Option<Ending> {
        let from = self.party(segment);
        let reset = segment.flags.has(Flags::RST);
        if segment.flags.has(Flags::FIN) {
            self.way(from).fin = true;
        } else if !reset {
            return None;
        }
        let by = *self.closed_by.get_or_insert(from);
        let both = self.client.fin && self.server.fin;
        let kind = self.stage.ending(by, reset, both, || self.is_under_way())?;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        Some(self.ending(kind, segment.at, reset))
    }

    /// Whether nothing more can come.
    pub(crate) const fn is_over(&self, flags: Flags) -> bool {
        flags.has(Flags::RST) || (self.client.fin && self.server.fin)
    }

    fn ending(&self, kind: EndingKind, at: Wall, reset: bool) -> Ending {
        Ending {
            flow: self.flow,
            interface: self.interface,
            first: self.first,
            at,
            kind,
            reset: reset && !self.client.fin && !self.server.fin,
            by_client: self.closed_by == Some(Party::Client),
            client_bytes: self.client.bytes,
            server_bytes: self.server.bytes,
            phase: self.stage.phase(),
        }
    }

    fn data(&mut self, segment: &Segment<'_>, from: Party) {
        if segment.flags.has(Flags::ACK) {
            let peer = self.way(other(from));
            if ahead(segment.ack, peer.acked) > 0 {
                peer.acked = segment.ack;
                if from == Party::Client && !segment.flags.has(Flags::RST) {
                    self.stage.acknowledged();
                }
            }
        }
        let end = segment.seq.wrapping_add(segment.len);
        let way = self.way(from);
        let new = ahead(end, way.next);
        if segment.len == 0 || new == 0 {
            return;
        }
        way.next = end;
        way.bytes += u64::from(new);
        if !is_farewell(segment.payload, segment.len) {
            self.stage.data(from, self.client.fin);
        }
    }

    /// Whether a side that has not closed has bytes on the way.
    fn is_under_way(&self) -> bool {
        [self.client, self.server]
            .iter()
            .any(|way| !way.fin && way.next != way.acked && way.bytes > 0)
    }

    fn is_in_reach(&self, segment: &Segment<'_>, from: Party) -> bool {
        let way = if from == Party::Client { &self.client } else { &self.server };
        segment.seq.wrapping_sub(way.next).cast_signed().unsigned_abs() < REACH
    }

    fn party(&self, segment: &Segment<'_>) -> Party {
        if segment.from == self.flow.client { Party::Client } else { Party::Server }
    }

    const fn way(&mut self, party: Party) -> &mut Way {
        match party {
            Party::Client => &mut self.client,
            Party::Server => &mut self.server,
        }
    }
}

const fn other(party: Party) -> Party {
    match party {
        Party::Client => Party::Server,
        Party::Server => Party::Client,
    }
}

/// How far the number is ahead of another, zero if it is behind or too far.
fn ahead(number: u32, of: u32) -> u32 {
    let distance = number.wrapping_sub(of);
    if distance < 1 << 31 { distance } else { 0 }
}

/// Whether a segment is nothing but TLS saying goodbye: an alert, in the clear or by its size.
fn is_farewell(payload: &[u8], len: u32) -> bool {
    match payload {
        [record::ALERT, 3, ..] => len <= LONGEST_ALERT,
        [record::APPLICATION_DATA, 3, _, 0, 19, ..] => len == 5 + 19,
        _ => false,
    }
}

/// A sealed alert with a CBC suite's padding.
const LONGEST_ALERT: u32 = 5 + 96;
/// A reset further away is not of this connection.
const REACH: u32 = 16 << 20;
