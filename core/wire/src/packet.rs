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

use whyslow_model::Wall;

use fragments::Fragments;
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
        let decoded = opened(&mut self.fragments, packet).unwrap_or_else(|refused| match refused {
            Refused::Other => Decoded::Other,
            Refused::Cut(what) => Decoded::Cut(what),
            Refused::Malformed(what) => Decoded::Malformed(what),
        });
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

/// Goes through the layers.
fn opened<'a>(fragments: &'a mut Fragments, packet: &Captured<'a>) -> Result<Decoded<'a>, Refused> {
    let framed = link::open(packet)?;
    let ip = ip::open(&framed)?;
    let Some(part) = ip.fragment else {
        return transport::open(packet, &framed, &ip);
    };
    let Some(mut whole) = fragments.handle(&ip, part, packet.at)? else {
        return Ok(Decoded::Fragment);
    };
    if whole.from.is_ipv6() {
        ip::extensions(&mut whole)?;
    }
    match whole.fragment {
        None => transport::open(packet, &framed, &whole),
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

#[cfg(test)]
mod tests {
    use super::made::Made;
    use super::*;
    use crate::segment::{Flags, Options};

    fn made() -> Made<'static> {
        Made {
            from: "192.0.2.7:50000".parse().unwrap(),
            to: "198.51.100.1:443".parse().unwrap(),
            ip_id: Some(0x7d49),
            ttl: 57,
            seq: 0xffff_fff0,
            ack: 77,
            flags: Flags(Flags::ACK | Flags::PSH),
            window: 502,
            options: Options { timestamps: Some((11, 22)), ..Options::default() },
            payload: b"hello",
        }
    }

    fn captured(bytes: &[u8], link: LinkType) -> Captured<'_> {
        Captured {
            at: Wall::from_nanos(5),
            interface: 3,
            link,
            outgoing: None,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        }
    }

    fn tcp<'a>(decoder: &'a mut Decoder, packet: &Captured<'a>) -> Segment<'a> {
        let Decoded::Tcp(segment) = decoder.decode(packet) else { panic!("no TCP: {packet:?}") };
        segment
    }

    #[test]
    fn a_segment_comes_out_as_it_was_put_in_of_both_families() {
        let v6 = Made {
            from: "[2001:db8::7]:50000".parse().unwrap(),
            to: "[2001:db8::1]:443".parse().unwrap(),
            ip_id: None,
            ..made()
        };
        for made in [made(), v6] {
            let mut decoder = Decoder::new();
            let frame = made.ethernet();
            let s = tcp(&mut decoder, &captured(&frame, LinkType::Ethernet));
            assert_eq!((s.from, s.to, s.ip_id, s.ttl), (made.from, made.to, made.ip_id, made.ttl));
            assert_eq!((s.seq, s.ack, s.flags), (made.seq, made.ack, made.flags));
            assert_eq!((s.window, s.options), (made.window, made.options));
            assert_eq!((s.len, s.payload, s.interface), (5, made.payload, 3));
            assert_eq!(decoder.counters().tcp, 1);
        }
    }

    #[test]
    fn every_prefix_of_a_segment_gives_what_it_holds() {
        let frame = made().ethernet();
        for kept in 0..frame.len() {
            let packet = Captured { bytes: &frame[..kept], ..captured(&frame, LinkType::Ethernet) };
            let mut decoder = Decoder::new();
            if kept < 54 {
                assert!(matches!(decoder.decode(&packet), Decoded::Cut(_)), "{kept}");
                continue;
            }
            let s = tcp(&mut decoder, &packet);
            assert_eq!((s.seq, s.len), (0xffff_fff0, 5));
            assert_eq!(s.payload.len(), kept.saturating_sub(66), "{kept}");
            assert_eq!(s.options.timestamps.is_some(), kept >= 66, "{kept}");
        }
    }
}
