//! How much of each packet is kept: handshakes whole, what follows them without its contents.
//!
//! Behind the Finished of a side only the five bytes of each record's header are left: what is
//! between two of them in one packet is blanked, what is behind the last is cut off. Of
//! connections that are no TLS, or whose beginning was not seen, no payload is left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use whyslow_model::Wall;

use super::{Extent, is_from, offset_of};
use crate::opening::{Opening, Span};
use crate::segment::{Flags, FlowKey, Segment};

/// What is kept of a packet's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Nothing.
    pub(super) leave_out: bool,
    /// Bytes from its first on.
    pub(super) keep: usize,
    /// Of these, those that are blanked.
    pub(super) blank: Vec<Range<usize>>,
}

/// Decides it, packet by packet.
#[derive(Debug)]
pub(super) struct Cutter {
    extent: Extent,
    connections: BTreeMap<(SocketAddr, SocketAddr), Connection>,
}

/// One pair of addresses; a port may be used anew.
#[derive(Debug, Default)]
struct Connection {
    bytes: u64,
    handshakes: Vec<Handshake>,
    /// Of the client and of the server; of the lower and the upper address where neither is known.
    sides: [Records; 2],
    /// Which of the handshakes the sides stand at.
    current: Option<usize>,
}

/// Where a handshake lies in both sides' streams.
#[derive(Clone, Copy, Debug)]
struct Handshake {
    first: Wall,
    client: SocketAddr,
    is_tls: bool,
    /// The flights with both sides' Finished, as far as they were seen.
    last_flights: [Option<Span>; 2],
}

/// One side's records.
#[derive(Clone, Copy, Debug, Default)]
struct Records {
    /// The sequence number at which the next header is, where that is known.
    next: Option<u32>,
    /// The one behind its Finished.
    end: Option<u32>,
}

/// Bytes of a packet that cannot be understood: enough for headers of the usual kind.
const UNKNOWN_BYTES: usize = 64;
/// Bytes of a record's header (RFC 8446, section 5.1).
const HEADER: u8 = 5;

impl Cutter {
    pub(super) const fn new(extent: Extent) -> Self {
        Self { extent, connections: BTreeMap::new() }
    }

    /// Learns where a handshake is; openings come in their order.
    pub(super) fn handle_opening(&mut self, opening: &Opening) {
        let FlowKey { client, server } = opening.flow;
        let connection = self.connections.entry(pair(client, server)).or_default();
        connection.handshakes.push(Handshake {
            first: opening.first,
            client,
            is_tls: opening.hello.is_some(),
            last_flights: last_flights(opening),
        });
    }

    /// What is kept of a TCP segment that came in these bytes.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, bytes: &[u8]) -> Cut {
        let Extent { connection_bytes, payload } = self.extent;
        let connection = self.connections.entry(pair(segment.from, segment.to)).or_default();
        let at = offset_of(segment.payload, bytes);
        let cut = match at {
            _ if payload || segment.len == 0 => Cut { keep: bytes.len(), ..Cut::default() },
            None => unknown(bytes.len()),
            Some(at) => connection.cut(segment, at),
        };
        let ends = [Flags::SYN, Flags::FIN, Flags::RST].iter().any(|f| segment.flags.has(*f));
        if connection.bytes + cut.keep as u64 > connection_bytes && !ends {
            // What comes later may be smaller, but a gap is one gap only when all of it is gone.
            connection.bytes = connection_bytes;
            return Cut { leave_out: true, ..Cut::default() };
        }
        connection.bytes += cut.keep as u64;
        cut
    }

    /// What is kept of a datagram.
    pub(super) fn datagram(&self, payload: &[u8], bytes: &[u8]) -> Cut {
        if self.extent.payload {
            return Cut { keep: bytes.len(), ..Cut::default() };
        }
        match offset_of(payload, bytes) {
            Some(keep) => Cut { keep, ..Cut::default() },
            None => unknown(bytes.len()),
        }
    }

    /// What is kept of a packet that is none of these.
    pub(super) fn unknown(&self, len: usize) -> Cut {
        if self.extent.payload { Cut { keep: len, ..Cut::default() } } else { unknown(len) }
    }
}

fn unknown(len: usize) -> Cut {
    Cut { keep: len.min(UNKNOWN_BYTES), ..Cut::default() }
}

/// The flights that end with the Finished of the client and of the server.
fn last_flights(opening: &Opening) -> [Option<Span>; 2] {
    let reply = opening.reply.map(|reply| reply.span);
    let tls = opening.tls.as_ref();
    let full_1_2 = tls.is_some_and(|t| t.version < 0x0304 && t.resumed != Some(true));
    let server = match opening.closing {
        Some(closing) => Some(closing),
        None if full_1_2 => None,
        None => opening.flight.map(|flight| flight.span),
    };
    // Without the client's answer the handshake is still under way.
    [reply, server.filter(|_| reply.is_some())]
}

impl Connection {
    fn cut(&mut self, segment: &Segment<'_>, at: usize) -> Cut {
        let current = self.handshakes.iter().rposition(|h| h.first <= segment.at);
        if current != self.current {
            (self.current, self.sides) = (current, Default::default());
        }
        let handshake = current.and_then(|n| self.handshakes.get(n));
        let client = handshake.map_or(segment.from.min(segment.to), |h| h.client);
        let side = usize::from(!is_from(segment, client));
        let is_tls = handshake.is_some_and(|h| h.is_tls);
        let records = &mut self.sides[side];
        let heads = if is_tls { records.heads(segment) } else { Vec::new() };
        let flight = handshake.and_then(|h| h.last_flights[side]);
        let kept = match (is_tls, flight) {
            (false, _) => 0,
            // The handshake is not over.
            (true, None) => segment.payload.len(),
            (true, Some(flight)) => records.before_end(segment, &heads, flight),
        };
        whittled(at, kept, &heads)
    }
}

impl Records {
    /// Where in the payload records begin whose headers are whole in it.
    fn heads(&mut self, segment: &Segment<'_>) -> Vec<usize> {
        let seq = segment.seq.wrapping_add(u32::from(segment.flags.has(Flags::SYN)));
        if segment.flags.has(Flags::SYN)
            || (self.next.is_none() && record(segment.payload).is_some())
        {
            self.next = Some(seq);
        }
        let mut heads = Vec::new();
        while let Some(next) = self.next {
            let distance = next.wrapping_sub(seq);
            // Behind this segment, or before it: then its header was missed or is yet to come.
            if distance >= segment.len {
                break;
            }
            let at = usize::try_from(distance).unwrap_or(usize::MAX);
            let Some(len) = segment.payload.get(at..).and_then(record) else {
                // Split between two packets, or no record: found again where a packet begins with one.
                self.next = None;
                break;
            };
            heads.push(at);
            self.next = Some(next.wrapping_add(len));
        }
        heads
    }

    /// How much of a payload lies before the end of the side's last flight.
    fn before_end(&mut self, segment: &Segment<'_>, heads: &[usize], flight: Span) -> usize {
        let len = segment.payload.len();
        if self.end.is_none() && segment.at == flight.first {
            let begin = heads.first().map_or(0, |at| u32::try_from(*at).unwrap_or(0));
            self.end = Some(segment.seq.wrapping_add(begin).wrapping_add(flight.bytes));
        }
        let Some(end) = self.end else {
            return if segment.at > flight.last { 0 } else { len };
        };
        // Half of the numbers are before any number, half behind it.
        let before = end.wrapping_sub(segment.seq);
        if before > u32::MAX / 2 { 0 } else { len.min(usize::try_from(before).unwrap_or(len)) }
    }
}

/// The length of the record that begins here, its header included.
fn record(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [20..=24, 3, 0..=4, high, low, ..] => {
            Some(u32::from(u16::from_be_bytes([*high, *low])) + u32::from(HEADER))
        }
        _ => None,
    }
}

/// Keeps `kept` bytes of a payload that begins at `at`, and the headers behind.
fn whittled(at: usize, kept: usize, heads: &[usize]) -> Cut {
    let mut cut = Cut { keep: at + kept, ..Cut::default() };
    for head in heads.iter().filter(|head| **head >= kept) {
        let head = at + head;
        if cut.keep < head {
            cut.blank.push(cut.keep..head);
        }
        cut.keep = head + usize::from(HEADER);
    }
    cut
}

fn pair(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    (a.min(b), a.max(b))
}
