//! Link layers: whatever stands before the IP header.

use super::{Captured, Refused};

/// What a captured packet begins with, by the numbers of the tcpdump group's registry (LINKTYPE_).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// BSD loopback: the address family as 4 bytes in the order of the capturing machine.
    Null,
    /// Ethernet II, with or without VLAN tags.
    Ethernet,
    /// The IP header at once; its version nibble tells which.
    Raw,
    /// OpenBSD loopback: as [`Self::Null`], in network order.
    Loop,
    /// Linux cooked capture, version 1: what `-i any` gave for long.
    LinuxSll,
    /// The IPv4 header at once.
    Ipv4,
    /// The IPv6 header at once.
    Ipv6,
    /// Linux cooked capture, version 2, with the interface's index.
    LinuxSll2,
    /// Any other number: its packets are not looked into.
    Unknown(u16),
}

impl LinkType {
    /// The link type of a number in a file. The several numbers that BSDs write for raw IP are one.
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::Raw,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            number => Self::Unknown(number),
        }
    }

    /// Its number in a file.
    pub const fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::LinuxSll => 113,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::LinuxSll2 => 276,
            Self::Unknown(number) => number,
        }
    }
}

/// A packet without its link header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framed<'a> {
    /// What follows, padding of short frames included.
    pub bytes: &'a [u8],
    /// Bytes of it on the wire, padding included.
    pub wire_len: usize,
    /// The interface, where the link header knows better than the capture.
    pub interface: u32,
    /// The direction, likewise.
    pub outgoing: Option<bool>,
}

/// VLAN tags in a row; more than two are rare, endless ones an attack.
const TAGS_MAX: usize = 4;
/// ARPHRD_NETLINK: cooked captures of it carry no network protocol.
const ARPHRD_NETLINK: u16 = 824;

/// Takes the link header off.
#[inline]
pub(super) fn open<'a>(packet: &Captured<'a>) -> Result<Framed<'a>, Refused> {
    let bytes = packet.bytes;
    let mut framed = Framed {
        bytes,
        wire_len: usize::try_from(packet.original_len).unwrap_or(usize::MAX).max(bytes.len()),
        interface: packet.interface,
        outgoing: packet.outgoing,
    };
    match packet.link {
        LinkType::Ethernet => {
            let head = header::<14>(&mut framed, "Ethernet header")?;
            network(&mut framed, u16::from_be_bytes([head[12], head[13]]))?;
        }
        LinkType::LinuxSll => {
            let head = header::<16>(&mut framed, "cooked header")?;
            cooked(&mut framed, head[1], u16::from_be_bytes([head[2], head[3]]))?;
            network(&mut framed, u16::from_be_bytes([head[14], head[15]]))?;
        }
        LinkType::LinuxSll2 => {
            let head = header::<20>(&mut framed, "cooked header")?;
            cooked(&mut framed, head[10], u16::from_be_bytes([head[8], head[9]]))?;
            framed.interface = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            network(&mut framed, u16::from_be_bytes([head[0], head[1]]))?;
        }
        LinkType::Null | LinkType::Loop => {
            let head = header::<4>(&mut framed, "loopback header")?;
            // Families are small numbers, so the order is the one in which it is small. AF_INET is
            // 2 everywhere, AF_INET6 10 on Linux, 24, 28 and 30 on BSDs and macOS.
            match u32::from_be_bytes(head).min(u32::from_le_bytes(head)) {
                2 | 10 | 24 | 28 | 30 => {}
                _ => return Err(Refused::Other),
            }
        }
        LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6 => {}
        LinkType::Unknown(_) => return Err(Refused::Other),
    }
    Ok(framed)
}

/// Takes a header of `N` bytes.
fn header<const N: usize>(framed: &mut Framed<'_>, what: &'static str) -> Result<[u8; N], Refused> {
    let Some((head, rest)) = framed.bytes.split_first_chunk::<N>() else {
        let cut = framed.wire_len > framed.bytes.len();
        return Err(if cut { Refused::Cut(what) } else { Refused::Malformed(what) });
    };
    framed.bytes = rest;
    framed.wire_len -= N;
    Ok(*head)
}

/// Follows EtherTypes over tags to IP.
#[inline]
fn network(framed: &mut Framed<'_>, mut ether_type: u16) -> Result<(), Refused> {
    for _ in 0..=TAGS_MAX {
        match ether_type {
            0x0800 | 0x86dd => return Ok(()),
            // 802.1Q, 802.1ad, and the number used before that was settled.
            0x8100 | 0x88a8 | 0x9100 => {
                let tag = header::<4>(framed, "VLAN tag")?;
                ether_type = u16::from_be_bytes([tag[2], tag[3]]);
            }
            // A PPPoE session (RFC 2516): six bytes, then the PPP protocol in two.
            0x8864 => {
                let head = header::<8>(framed, "PPPoE header")?;
                return match u16::from_be_bytes([head[6], head[7]]) {
                    0x0021 | 0x0057 => Ok(()),
                    _ => Err(Refused::Other),
                };
            }
            _ => return Err(Refused::Other),
        }
    }
    Err(Refused::Malformed("VLAN tags without end"))
}

/// What both versions of the cooked header tell: the packet type and the kind of device.
fn cooked(framed: &mut Framed<'_>, packet_type: u8, device: u16) -> Result<(), Refused> {
    framed.outgoing = match packet_type {
        // To us, broadcast, multicast.
        0..=2 => Some(false),
        4 => Some(true),
        // Between others, seen in promiscuous mode.
        _ => None,
    };
    if device == ARPHRD_NETLINK { Err(Refused::Other) } else { Ok(()) }
}
