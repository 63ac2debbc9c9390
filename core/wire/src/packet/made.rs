//! Packets put together from what they shall say: for the demo, and for whoever tests with them.

use std::net::{IpAddr, SocketAddr};

use crate::segment::{Flags, Options};

/// A TCP segment that is to become a packet.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Who sends it.
    pub from: SocketAddr,
    /// Whom it is for; of the same family.
    pub to: SocketAddr,
    /// The IPv4 identification; none is written as 0.
    pub ip_id: Option<u16>,
    /// Time to live.
    pub ttl: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    /// Options; written in the order of their kinds.
    pub options: Options,
    /// The payload, at most 65,435 bytes of it.
    pub payload: &'a [u8],
}

impl Made<'_> {
    /// The segment as an Ethernet frame, with its checksums.
    pub fn ethernet(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        let ether_type: u16 = if self.from.is_ipv4() { 0x0800 } else { 0x86dd };
        frame.extend(ether_type.to_be_bytes());
        frame.extend(self.ip());
        frame
    }

    /// The segment as an IP packet, with its checksums.
    pub fn ip(&self) -> Vec<u8> {
        let tcp = self.tcp();
        let len = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
        let mut packet = Vec::with_capacity(40 + tcp.len());
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                packet.extend([0x60, 0, 0, 0]);
                packet.extend(len.to_be_bytes());
                packet.extend([6, self.ttl]);
                packet.extend(from.octets());
                packet.extend(to.octets());
            }
            (from, to) => {
                packet.extend([0x45, 0]);
                packet.extend(len.saturating_add(20).to_be_bytes());
                packet.extend(self.ip_id.unwrap_or(0).to_be_bytes());
                // Not to be fragmented, at offset 0; the checksum is filled in below.
                packet.extend([0x40, 0, self.ttl, 6, 0, 0]);
                packet.extend(v4_octets(from));
                packet.extend(v4_octets(to));
                let sum = checksum(&[&packet]);
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        packet.extend(tcp);
        packet
    }

    fn tcp(&self) -> Vec<u8> {
        let options = self.option_bytes();
        let payload = &self.payload[..self.payload.len().min(65_435)];
        let mut tcp = Vec::with_capacity(20 + options.len() + payload.len());
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
        tcp.extend([words << 4, self.flags.0]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(payload);
        let sum = checksum(&[&self.pseudo_header(tcp.len()), &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// What the checksum of TCP covers besides it (RFC 9293, section 3.1). An even number of bytes.
    fn pseudo_header(&self, len: usize) -> Vec<u8> {
        let mut pseudo = Vec::new();
        for ip in [self.from.ip(), self.to.ip()] {
            match ip {
                IpAddr::V4(ip) => pseudo.extend(ip.octets()),
                IpAddr::V6(ip) => pseudo.extend(ip.octets()),
            }
        }
        pseudo.extend([0, 6]);
        pseudo.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        pseudo
    }

    /// The options, filled up to whole words with NOPs; at most 40 bytes, what does not fit is left
    /// out.
    fn option_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        if let Some(mss) = self.options.mss {
            bytes.extend([2, 4]);
            bytes.extend(mss.to_be_bytes());
        }
        if let Some(shift) = self.options.window_scale {
            bytes.extend([1, 3, 3, shift]);
        }
        if self.options.sack_permitted {
            bytes.extend([1, 1, 4, 2]);
        }
        if let Some((value, echo)) = self.options.timestamps {
            bytes.extend([1, 1, 8, 10]);
            bytes.extend(value.to_be_bytes());
            bytes.extend(echo.to_be_bytes());
        }
        let blocks: Vec<(u32, u32)> = self.options.sack.iter().flatten().copied().collect();
        let blocks = &blocks[..blocks.len().min((40 - bytes.len()).saturating_sub(4) / 8)];
        if !blocks.is_empty() {
            bytes.extend([1, 1, 5, u8::try_from(2 + 8 * blocks.len()).unwrap_or(34)]);
            for (left, right) in blocks {
                bytes.extend(left.to_be_bytes());
                bytes.extend(right.to_be_bytes());
            }
        }
        bytes
    }
}

/// An IPv4 address; a packet between two families cannot be, and says so by zeros.
fn v4_octets(ip: IpAddr) -> [u8; 4] {
    match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

/// The Internet checksum (RFC 1071) of parts each of which, but the last, has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let (words, odd) = part.as_chunks::<2>();
        sum += words.iter().map(|w| u64::from(u16::from_be_bytes(*w))).sum::<u64>();
        sum += odd.first().map_or(0, |byte| u64::from(*byte) << 8);
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(0)
}
