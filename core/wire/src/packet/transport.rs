//! TCP (RFC 9293) and UDP (RFC 768) headers.

use std::net::SocketAddr;

use super::ip::{Ip, TCP, UDP};
use super::link::Framed;
use super::{Captured, Datagram, Decoded, Refused};
use crate::segment::{Flags, Options, Segment};

/// Reads the transport header of a whole datagram.
#[inline]
pub(super) fn open<'a>(packet: &Captured<'a>, framed: &Framed<'a>, ip: &Ip<'a>) -> Decoded<'a> {
    match ip.protocol {
        TCP => tcp(packet, framed, ip),
        UDP => udp(packet, framed, ip),
        _ => Decoded::Other,
    }
}

#[inline]
fn tcp<'a>(packet: &Captured<'a>, framed: &Framed<'a>, ip: &Ip<'a>) -> Decoded<'a> {
    let Some((head, rest)) = ip.payload.split_first_chunk::<20>() else {
        return ended(ip, 20, "TCP header").into();
    };
    let header_len = usize::from(head[12] >> 4) * 4;
    if header_len < 20 || header_len > ip.len {
        return Decoded::Malformed("TCP header length");
    }
    // Cut within the options, the segment still tells its numbers and its length.
    let (options, payload) = rest.split_at_checked(header_len - 20).unwrap_or((rest, &[]));
    Decoded::Tcp(Segment {
        at: packet.at,
        interface: framed.interface,
        outgoing: framed.outgoing,
        from: SocketAddr::new(ip.from, u16::from_be_bytes([head[0], head[1]])),
        to: SocketAddr::new(ip.to, u16::from_be_bytes([head[2], head[3]])),
        ip_id: ip.id,
        ttl: ip.ttl,
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: Flags(head[13]),
        window: u16::from_be_bytes([head[14], head[15]]),
        options: tcp_options(options),
        len: u32::try_from(ip.len - header_len).unwrap_or(u32::MAX),
        payload,
    })
}

fn udp<'a>(packet: &Captured<'a>, framed: &Framed<'a>, ip: &Ip<'a>) -> Decoded<'a> {
    let Some((head, rest)) = ip.payload.split_first_chunk::<8>() else {
        return ended(ip, 8, "UDP header").into();
    };
    let len = match usize::from(u16::from_be_bytes([head[4], head[5]])) {
        // Jumbograms (RFC 2675) and offloading cards leave it to the IP header.
        0 => ip.len - 8,
        len @ 8.. => (len - 8).min(ip.len - 8),
        _ => return Decoded::Malformed("UDP length"),
    };
    Decoded::Udp(Datagram {
        at: packet.at,
        interface: framed.interface,
        outgoing: framed.outgoing,
        from: SocketAddr::new(ip.from, u16::from_be_bytes([head[0], head[1]])),
        to: SocketAddr::new(ip.to, u16::from_be_bytes([head[2], head[3]])),
        len: u32::try_from(len).unwrap_or(u32::MAX),
        payload: rest.get(..len).unwrap_or(rest),
    })
}

/// The captured part ended: because of the snap length, or because the packet did.
fn ended(ip: &Ip<'_>, needed: usize, what: &'static str) -> Refused {
    if ip.len >= needed { Refused::Cut(what) } else { Refused::Malformed(what) }
}

/// The options that tell something; what is unknown is stepped over, what is broken ends the list.
#[inline]
fn tcp_options(mut rest: &[u8]) -> Options {
    let mut options = Options::default();
    // What nearly every segment of an established connection has: NOP, NOP, timestamps.
    if let [1, 1, 8, 10, a, b, c, d, e, f, g, h] = *rest {
        options.timestamps =
            Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
        return options;
    }
    loop {
        match *rest {
            [1, ..] => rest = &rest[1..],
            [kind, length, ..] if kind > 1 && length > 1 => {
                let Some((option, behind)) = rest.split_at_checked(usize::from(length)) else {
                    return options;
                };
                tcp_option(&mut options, kind, &option[2..]);
                rest = behind;
            }
            // The end of the list, a length below its own two bytes, nothing more.
            _ => return options,
        }
    }
}

/// One option without its kind and length; of a wrong length it is not taken.
fn tcp_option(options: &mut Options, kind: u8, value: &[u8]) {
    match (kind, value) {
        (2, &[a, b]) => options.mss = Some(u16::from_be_bytes([a, b])),
        // RFC 7323, section 2.3: more than 14 is to be read as 14.
        (3, &[shift]) => options.window_scale = Some(shift.min(14)),
        (4, []) => options.sack_permitted = true,
        (5, blocks) => {
            let (blocks, []) = blocks.as_chunks::<8>() else { return };
            for (kept, &[a, b, c, d, e, f, g, h]) in options.sack.iter_mut().zip(blocks) {
                let left = u32::from_be_bytes([a, b, c, d]);
                *kept = Some((left, u32::from_be_bytes([e, f, g, h])));
            }
        }
        (8, &[a, b, c, d, e, f, g, h]) => {
            options.timestamps =
                Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
        }
        _ => {}
    }
}
