//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Refused;
use super::link::Framed;

/// What an IP packet carries, its headers taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip<'a> {
    /// The source address.
    pub from: IpAddr,
    /// The destination address.
    pub to: IpAddr,
    /// The protocol of the payload.
    pub protocol: u8,
    /// The IPv4 identification.
    pub id: Option<u16>,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// Bytes of payload on the wire.
    pub len: usize,
    /// What of it was captured, padding of the link cut off.
    pub payload: &'a [u8],
    /// Where the payload belongs, when it is a part of a datagram.
    pub fragment: Option<Part>,
}

/// The place of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// What all fragments of a datagram have in common.
    pub id: u32,
    /// Offset of its first byte.
    pub offset: usize,
    /// Whether others follow behind it.
    pub more: bool,
}

/// TCP's protocol number.
pub(super) const TCP: u8 = 6;
/// UDP's.
pub(super) const UDP: u8 = 17;

/// Extension headers in a row; honest packets have two or three.
const EXTENSIONS_MAX: usize = 8;

/// Reads the IP headers, whichever version they are.
#[inline]
pub(super) fn open<'a>(framed: &Framed<'a>) -> Result<Ip<'a>, Refused> {
    match framed.bytes.first() {
        Some(first) if first >> 4 == 4 => v4(framed),
        Some(first) if first >> 4 == 6 => v6(framed),
        Some(_) => Err(Refused::Malformed("IP version")),
        None if framed.wire_len > 0 => Err(Refused::Cut("IP header")),
        None => Err(Refused::Malformed("IP header")),
    }
}

#[inline]
fn v4<'a>(framed: &Framed<'a>) -> Result<Ip<'a>, Refused> {
    let Some((head, _)) = framed.bytes.split_first_chunk::<20>() else {
        return Err(ended(framed, "IPv4 header"));
    };
    let header_len = usize::from(head[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Refused::Malformed("IPv4 header length"));
    }
    let total = match usize::from(u16::from_be_bytes([head[2], head[3]])) {
        // An offloading card is going to fill it in: the packet is as long as the frame.
        0 => framed.wire_len,
        total => total,
    };
    if total < header_len {
        return Err(Refused::Malformed("IPv4 total length"));
    }
    let Some(payload) = framed.bytes.get(header_len..total.min(framed.bytes.len())) else {
        return Err(ended(framed, "IPv4 options"));
    };
    let placed = u16::from_be_bytes([head[6], head[7]]);
    let id = u16::from_be_bytes([head[4], head[5]]);
    let (offset, more) = (usize::from(placed & 0x1fff) * 8, placed & 0x2000 != 0);
    let mut ip = Ip {
        from: IpAddr::V4(Ipv4Addr::new(head[12], head[13], head[14], head[15])),
        to: IpAddr::V4(Ipv4Addr::new(head[16], head[17], head[18], head[19])),
        protocol: head[9],
        id: Some(id),
        ttl: head[8],
        len: total - header_len,
        payload,
        fragment: (more || offset > 0).then_some(Part { id: u32::from(id), offset, more }),
    };
    if ip.fragment.is_none() {
        extensions(&mut ip)?;
    }
    Ok(ip)
}

#[inline]
fn v6<'a>(framed: &Framed<'a>) -> Result<Ip<'a>, Refused> {
    let Some((head, rest)) = framed.bytes.split_first_chunk::<40>() else {
        return Err(ended(framed, "IPv6 header"));
    };
    let len = match usize::from(u16::from_be_bytes([head[4], head[5]])) {
        // A jumbo payload (RFC 2675), as big segments of offloading cards are: as the frame says.
        0 => framed.wire_len - 40,
        len => len,
    };
    let mut ip = Ip {
        from: IpAddr::V6(address(head, 8)),
        to: IpAddr::V6(address(head, 24)),
        protocol: head[6],
        id: None,
        ttl: head[7],
        len,
        payload: rest.get(..len).unwrap_or(rest),
        fragment: None,
    };
    extensions(&mut ip)?;
    Ok(ip)
}

/// Takes the extension headers off, up to a fragment header: what follows that one is whole in the
/// datagram only. In IPv4 they are the authentication header alone.
#[inline]
pub(super) fn extensions(ip: &mut Ip<'_>) -> Result<(), Refused> {
    for _ in 0..=EXTENSIONS_MAX {
        let header_len = match ip.protocol {
            // Hop-by-hop, routing, destination options: length in units of 8 beyond the first 8.
            0 | 43 | 60 if ip.from.is_ipv6() => |length: u8| usize::from(length) * 8 + 8,
            44 if ip.from.is_ipv6() => |_| 8,
            // Authentication (RFC 4302): length in units of 4, less 2.
            51 => |length: u8| usize::from(length) * 4 + 8,
            _ => return Ok(()),
        };
        extension(ip, header_len)?;
        if ip.fragment.is_some() {
            return Ok(());
        }
    }
    Err(Refused::Malformed("IP extension headers without end"))
}

/// Takes one extension header off.
fn extension(ip: &mut Ip<'_>, header_len: fn(u8) -> usize) -> Result<(), Refused> {
    const WHAT: &str = "IP extension header";
    let cut = |ip: &Ip<'_>| {
        if ip.len > ip.payload.len() { Refused::Cut(WHAT) } else { Refused::Malformed(WHAT) }
    };
    let Some((head, _)) = ip.payload.split_first_chunk::<8>() else {
        return Err(cut(ip));
    };
    let len = header_len(head[1]);
    let Some(rest) = ip.payload.get(len..) else {
        return Err(cut(ip));
    };
    if ip.protocol == 44 {
        let placed = u16::from_be_bytes([head[2], head[3]]);
        let part = Part {
            id: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            offset: usize::from(placed & 0xfff8),
            more: placed & 1 != 0,
        };
        // A fragment that is all of its datagram (RFC 6946) is no fragment.
        ip.fragment = (part.more || part.offset > 0).then_some(part);
    }
    ip.protocol = head[0];
    ip.payload = rest;
    ip.len -= len;
    Ok(())
}

/// The address at `at` of an IPv6 header.
fn address(head: &[u8; 40], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&head[at..at + 16]);
    Ipv6Addr::from(octets)
}

fn ended(framed: &Framed<'_>, what: &'static str) -> Refused {
    if framed.wire_len > framed.bytes.len() { Refused::Cut(what) } else { Refused::Malformed(what) }
}
