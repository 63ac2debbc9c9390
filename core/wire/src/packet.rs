//! Packets, from the bytes of a tap to what they carry.
//!
//! ```text
//! link ─ Ethernet, VLAN, PPPoE, Linux cooked, loopback, raw ─ ip ─ IPv4, IPv6 ─┬─ fragments
//!                                                                              └─ TCP, UDP
//! ```
//!
//! A packet that was cut gives what its captured part tells; lengths come from the IP header then.

pub mod duplicates;
mod fragments;
mod ip;
mod link;
pub mod made;
mod transport;

use std::net::SocketAddr;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use duplicates::Duplicates;
use fragments::Fragments;
use ip::{Ip, Part};
use link::Framed;
pub use link::LinkType;

use crate::segment::Segment;

/// One packet as a tap or a file handed it over.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// When the tap saw it.
    pub at: Wall,
    /// Which tap: the capture's interface number.
    pub interface: u32,
    /// What its bytes begin with.
    pub link: LinkType,
    /// Whether the tapped machine sent it; absent where the tap does not tell.
    pub outgoing: Option<bool>,
    /// Bytes it had on the wire, link header and all; at least `bytes.len()` in honest captures.
    pub original_len: u32,
    /// What of it was captured, from its first byte on.
    pub bytes: &'a [u8],
}

/// What a packet turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A UDP datagram.
    Udp(Datagram<'a>),
    /// A part of a datagram whose other parts are still to come, or never came.
    Fragment,
    /// Nothing that is followed here: ARP, ICMP, tunnels, an unknown link type.
    Other,
    /// The snap length cut it off before this.
    Cut(&'static str),
    /// No honest stack sends this.
    Malformed(&'static str),
}

/// A UDP datagram, borrowed from the packet that held it.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// When the tap saw it.
    pub at: Wall,
    /// Which tap.
    pub interface: u32,
    /// Whether the tapped machine sent it; absent where the capture does not tell.
    pub outgoing: Option<bool>,
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// Bytes of payload on the wire.
    pub len: u32,
    /// What of the payload was captured.
    pub payload: &'a [u8],
}

/// How many packets turned out to be what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets in all.
    pub packets: u64,
    /// Bytes they had on the wire.
    pub bytes: u64,
    /// TCP segments.
    pub tcp: u64,
    /// UDP datagrams.
    pub udp: u64,
    /// Fragments that waited for others; the last of a datagram counts as what the datagram is.
    pub fragments: u64,
    /// Datagrams put together from fragments.
    pub put_together: u64,
    /// Fragmented datagrams that never became whole.
    pub fragmented_lost: u64,
    /// Nothing that is followed here.
    pub other: u64,
    /// Cut off before the end of their headers.
    pub cut: u64,
    /// Broken.
    pub malformed: u64,
}

/// Turns packets into segments.
#[derive(Debug, Default)]
pub struct Decoder {
    counters: Counters,
    fragments: Fragments,
}

impl Decoder {
    /// A decoder that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was decoded so far.
    pub const fn counters(&self) -> Counters {
        Counters {
            put_together: self.fragments.completed,
            fragmented_lost: self.fragments.lost,
            ..self.counters
        }
    }

    /// What `packet` is.
    pub fn decode<'a>(&'a mut self, packet: &Captured<'a>) -> Decoded<'a> {
        self.counters.packets += 1;
        self.counters.bytes += u64::from(packet.original_len);
        let decoded = opened(&mut self.fragments, packet);
        let counter = match &decoded {
            Decoded::Tcp(_) => &mut self.counters.tcp,
            Decoded::Udp(_) => &mut self.counters.udp,
            Decoded::Fragment => &mut self.counters.fragments,
            Decoded::Other => &mut self.counters.other,
            Decoded::Cut(_) => &mut self.counters.cut,
            Decoded::Malformed(_) => &mut self.counters.malformed,
        };
        *counter += 1;
        decoded
    }
}

/// Goes through the layers. They are inlined, and the last ones give no `Result`: what each gives is
/// large, and would be copied at every return.
#[inline]
fn opened<'a>(fragments: &'a mut Fragments, packet: &Captured<'a>) -> Decoded<'a> {
    let framed = match link::open(packet) {
        Ok(framed) => framed,
        Err(refused) => return refused.into(),
    };
    let ip = match ip::open(&framed) {
        Ok(ip) => ip,
        Err(refused) => return refused.into(),
    };
    match ip.fragment {
        None => transport::open(packet, &framed, &ip),
        Some(part) => {
            put_together(fragments, packet, &framed, &ip, part).unwrap_or_else(Into::into)
        }
    }
}

/// What the fragments of a datagram are, once they are all there.
#[cold]
fn put_together<'a>(
    fragments: &'a mut Fragments,
    packet: &Captured<'a>,
    framed: &Framed<'a>,
    ip: &Ip<'a>,
    part: Part,
) -> Result<Decoded<'a>, Refused> {
    let Some(mut whole) = fragments.handle(ip, part, packet.at)? else {
        return Ok(Decoded::Fragment);
    };
    ip::extensions(&mut whole)?;
    match whole.fragment {
        None => Ok(transport::open(packet, framed, &whole)),
        Some(_) => Err(Refused::Malformed("IPv6 fragment within a fragment")),
    }
}

/// Why a layer has nothing for the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It carries nothing that is followed here.
    Other,
    /// The captured part ends before this.
    Cut(&'static str),
    /// This is broken.
    Malformed(&'static str),
}

impl From<Refused> for Decoded<'_> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Other => Self::Other,
            Refused::Cut(what) => Self::Cut(what),
            Refused::Malformed(what) => Self::Malformed(what),
        }
    }
}

/// For the fuzzer: packets in a row, fragments of each other maybe. The first byte picks the link
/// type, two bytes before each packet are its length, whose upper bits cut it short.
pub fn fuzz_packet(bytes: &[u8]) {
    const LINKS: [u16; 9] = [1, 113, 276, 0, 108, 101, 228, 229, 7];
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let link = LinkType::from_number(LINKS[usize::from(*first) % LINKS.len()]);
    let (mut decoder, mut duplicates) = (Decoder::new(), Duplicates::new(Seed(1)));
    let mut at = Wall::from_nanos(0);
    while let Some(([a, b], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*a & 0x0f, *b])).min(behind.len());
        let (bytes, next) = behind.split_at(len);
        let kept = len - len * usize::from(*a >> 4) / 16;
        at = at.after(Duration::from_millis(u64::from(*b)));
        let original_len = u32::try_from(len).unwrap_or(0);
        let bytes = &bytes[..kept];
        let packet = Captured { at, interface: 0, link, outgoing: None, original_len, bytes };
        if let Decoded::Tcp(segment) = decoder.decode(&packet) {
            let len = usize::try_from(segment.len).unwrap_or(usize::MAX);
            assert!(segment.payload.len() <= len, "more payload than there was");
            duplicates.is_again(&segment);
        }
        rest = next;
    }
    let c = decoder.counters();
    let told = c.tcp + c.udp + c.fragments + c.other + c.cut + c.malformed;
    assert_eq!(told, c.packets, "every packet is counted once");
    assert!(c.put_together <= c.packets && c.fragmented_lost <= c.packets);
}

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod tests;
