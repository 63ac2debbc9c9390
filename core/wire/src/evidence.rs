//! Evidence: the packets of one incident as a pcapng file that says at each packet what it means.
//!
//! ```text
//! packets ─┬─ engine ─ openings ─┬─ marks: what a packet begins or ends
//!          │                     └─ cut:   where the handshake ended, and with it what is kept
//!          └────────────────────────────── write ─ pcapng
//! ```
//!
//! Which packets these are was decided before; what happened is told by the same engine that told
//! it of the ring, so that the file alone says it again.

mod cut;
mod marks;
pub mod rates;
pub mod slow;
pub mod spool;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use crate::anatomy::{Judge, Vantage, judge};
use crate::capture::write::{self, Description, Origin};
use crate::capture::{Reader, Statistics, Step};
use crate::engine::{Engine, Options};
use crate::event::Event;
use crate::packet::duplicates::Duplicates;
use crate::packet::{Captured, Decoded, Decoder, LinkType};
use crate::segment::{Flags, Segment};
use cut::{Cut, Cutter};
use marks::Marks;

/// Why packets were kept: what the label `cause` of the evidence counters says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// A handshake took longer than it may.
    SlowHandshake,
    /// SYNs got no SYN-ACK.
    UnansweredSyn,
    /// A check failed or was slow.
    Check,
    /// A line of a log matched.
    Log,
    /// Somebody asked.
    Asked,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SlowHandshake, Self::UnansweredSyn, Self::Check, Self::Log, Self::Asked];

    /// The word in names of files and in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlowHandshake => "slow_handshake",
            Self::UnansweredSyn => "unanswered_syn",
            Self::Check => "check",
            Self::Log => "log",
            Self::Asked => "asked",
        }
    }
}

/// What is said of the whole file.
#[derive(Clone, Copy, Debug)]
pub struct Incident<'a> {
    /// What happened, in sentences; the section's comment.
    pub text: &'a str,
    /// The program that writes it.
    pub application: &'a str,
    /// The interface's name.
    pub interface: &'a str,
    /// What packets begin with.
    pub link: LinkType,
    /// What the recorder counted.
    pub statistics: Statistics,
    /// What addresses are called, where that is known.
    pub names: &'a [(IpAddr, &'a str)],
}

/// How much of the packets is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of one connection; packets beyond are left out, but for those that end it.
    pub connection_bytes: u64,
    /// Whether payload is kept that is no handshake: without, record headers are all that is left.
    pub payload: bool,
}

/// A file, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The pcapng file.
    pub bytes: Vec<u8>,
    /// Packets in it.
    pub packets: u64,
    /// Packets left out because their connection had more bytes than are kept.
    pub beyond: u64,
    /// Packets whose payload was left out.
    pub cut: u64,
}

/// Makes the file of an incident from its packets, oldest first. `seed` keeps strangers from
/// choosing packets that collide.
pub fn evidence(
    incident: &Incident<'_>,
    packets: &[Captured<'_>],
    extent: Extent,
    seed: Seed,
) -> Evidence {
    let (mut marks, mut cutter) = (Marks::default(), Cutter::new(extent));
    for event in events(packets, seed) {
        marks.handle_event(&event);
        if let Event::Opening(opening) = &event {
            cutter.handle_opening(opening);
        }
    }
    let mut made = Evidence::default();
    begin(&mut made.bytes, incident);
    let mut decoder = Decoder::new();
    for packet in packets {
        let (comments, cut) = match decoder.decode(packet) {
            Decoded::Tcp(segment) => (marks.take(&segment), cutter.segment(&segment, packet.bytes)),
            Decoded::Udp(datagram) => (Vec::new(), cutter.datagram(datagram.payload, packet.bytes)),
            Decoded::Fragment | Decoded::Other | Decoded::Cut(_) | Decoded::Malformed(_) => {
                (Vec::new(), cutter.unknown(packet.bytes.len()))
            }
        };
        made.packet(packet, &comments, &cut);
    }
    write::statistics(&mut made.bytes, &Statistics { interface: 0, ..incident.statistics });
    made
}

impl Evidence {
    fn packet(&mut self, packet: &Captured<'_>, comments: &[String], cut: &Cut) {
        if cut.leave_out {
            self.beyond += 1;
            return;
        }
        let mut bytes = packet.bytes[..cut.keep.min(packet.bytes.len())].to_vec();
        for blank in &cut.blank {
            if let Some(blanked) = bytes.get_mut(blank.clone()) {
                blanked.fill(0);
            }
        }
        self.packets += 1;
        self.cut += u64::from(cut.keep < packet.bytes.len());
        let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
        let kept = Captured { interface: 0, bytes: &bytes, ..*packet };
        write::packet(&mut self.bytes, &kept, &comments);
    }
}

/// Packets that may be those that are wanted, and of how many connections they are.
#[derive(Clone, Debug, Default)]
pub struct Candidates<'a> {
    /// The TCP packets of the first of the connections, in their order.
    pub packets: Vec<Captured<'a>>,
    /// These connections' ends, the client in front where it is known, else who was seen to send
    /// first.
    pub connections: Vec<(SocketAddr, SocketAddr)>,
    /// Connections there are in all.
    pub all: u64,
}

/// The packets of the first `most` connections that are wanted: `fits` is asked with a client and a
/// server. Of a connection whose opening is not among the packets nobody can say which is which;
/// there one way round is enough.
pub fn candidates<'a>(
    packets: &[Captured<'a>],
    most: usize,
    fits: impl Fn(SocketAddr, SocketAddr) -> bool,
) -> Candidates<'a> {
    let mut decoder = Decoder::new();
    let (mut ends, mut openers) = (Vec::with_capacity(packets.len()), BTreeMap::new());
    for packet in packets {
        let Decoded::Tcp(segment) = decoder.decode(packet) else {
            ends.push(None);
            continue;
        };
        let (from, to) = (segment.from, segment.to);
        if segment.flags.has(Flags::SYN) {
            let client = if segment.flags.has(Flags::ACK) { to } else { from };
            openers.entry(pair(from, to)).or_insert(client);
        }
        ends.push(Some((from, to)));
    }
    let in_order = |(a, b): (SocketAddr, SocketAddr)| match openers.get(&pair(a, b)) {
        Some(client) if *client == a => fits(a, b).then_some((a, b)),
        Some(_) => fits(b, a).then_some((b, a)),
        None if fits(a, b) => Some((a, b)),
        None => fits(b, a).then_some((b, a)),
    };
    let (mut found, mut met) = (Candidates::default(), BTreeMap::new());
    for (packet, ends) in packets.iter().zip(ends) {
        let Some((a, b)) = ends else { continue };
        let is_kept = *met.entry(pair(a, b)).or_insert_with(|| {
            let Some(connection) = in_order((a, b)) else { return false };
            found.all += 1;
            let is_kept = found.connections.len() < most;
            if is_kept {
                found.connections.push(connection);
            }
            is_kept
        });
        if is_kept {
            found.packets.push(*packet);
        }
    }
    found
}

/// The same for both directions.
fn pair(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    (a.min(b), a.max(b))
}

/// What the engine tells of the packets, openings judged.
fn events(packets: &[Captured<'_>], seed: Seed) -> Vec<Event> {
    let (mut decoder, mut duplicates) = (Decoder::new(), Duplicates::new(seed));
    let mut engine = Engine::new(Options::default(), seed.0);
    for packet in packets {
        if let Decoded::Tcp(segment) = decoder.decode(packet)
            && !duplicates.is_again(&segment)
        {
            engine.segment(&segment);
        }
    }
    if let Some(last) = packets.last() {
        engine.finish(last.at);
    }
    std::iter::from_fn(|| engine.poll()).collect()
}

fn begin(out: &mut Vec<u8>, incident: &Incident<'_>) {
    let Incident { text, application, interface, link, .. } = *incident;
    let (comment, application) = (Some(text), Some(application));
    write::section(out, &Origin { application, comment, ..Origin::default() });
    let (name, snap_len) = (interface, 0);
    write::interface(out, &Description { name, link, snap_len, filter: None });
    // Who reads the file once knows them for all packets.
    if !incident.names.is_empty() {
        write::names(out, incident.names.iter().copied());
    }
}

/// The opening judged by itself alone, for what its phases took.
fn judged(opening: &crate::opening::Opening) -> crate::handshake::Handshake {
    let mut vantage = Vantage::default();
    vantage.handle_opening(opening);
    let point = vantage.point(opening);
    judge(opening.clone(), point, &Judge { evidence_of_all: false, ..Judge::default() })
}

/// Where in a packet's bytes a payload borrowed from them lies; `None` where it was put together
/// from several packets.
fn offset_of(payload: &[u8], bytes: &[u8]) -> Option<usize> {
    let at = payload.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    (at + payload.len() <= bytes.len()).then_some(at)
}

/// Whether the client of a connection sent a segment.
fn is_from(segment: &Segment<'_>, client: SocketAddr) -> bool {
    segment.from == client
}

/// For the fuzzer: packets in a row, two bytes before each its length and its distance in time. What
/// is made of them can be read again, packet by packet.
pub fn fuzz_evidence(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let link = if first & 1 == 0 { LinkType::Ethernet } else { LinkType::Raw };
    let mut packets = Vec::new();
    let mut at = Wall::from_nanos(0);
    while let Some(([a, b], behind)) = rest.split_first_chunk() {
        let (bytes, next) = behind.split_at(usize::from(*a).min(behind.len()));
        at = at.after(std::time::Duration::from_millis(u64::from(*b)));
        let original_len = u32::try_from(bytes.len()).unwrap_or(0);
        packets.push(Captured { at, interface: 0, link, outgoing: None, original_len, bytes });
        rest = next;
    }
    let incident = Incident {
        text: "fuzzed",
        application: "whyslow",
        interface: "fuzz0",
        link,
        statistics: Statistics::default(),
        names: &[],
    };
    let extent = Extent { connection_bytes: 64 * u64::from(*first), payload: first & 2 != 0 };
    let made = evidence(&incident, &packets, extent, Seed(1));
    assert_eq!(made.packets + made.beyond, packets.len() as u64, "each is kept or counted");
    let (mut reader, mut at, mut read) = (Reader::new(), 0, 0);
    loop {
        match reader.next(&made.bytes[at..]) {
            Ok(Step::Packet { consumed, .. }) => {
                read += 1;
                at += consumed;
            }
            Ok(Step::Statistics { consumed, .. } | Step::Other { consumed }) => at += consumed,
            Ok(Step::Need(_)) => break,
            Err(error) => panic!("what was written cannot be read: {error}"),
        }
    }
    assert_eq!(read, made.packets, "all packets are read again");
}
