//! ICMP echo packets: RFC 792 for IPv4, RFC 4443 for IPv6.
//!
//! An echo's payload begins with our mark, [`PAYLOAD_BYTES_MIN`] bytes of it:
//!
//! ```text
//! secret of this process: 8 bytes | round: 8 bytes | place in the round: 2 bytes | filling
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use whyslow_model::reader::{ReadBytesError, Reader};

/// Bytes of our mark in an echo's payload, below which no payload goes.
pub const PAYLOAD_BYTES_MIN: u16 = 18;

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who sent it.
    pub from: IpAddr,
    /// Its bytes, perhaps cut short.
    pub bytes: &'a [u8],
    /// Whether the IP header stands before the ICMP message, as raw IPv4 sockets give it.
    pub with_ip_header: bool,
}

/// Why a packet did not reach its host, as a router or the host itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No route leads to the network.
    NetworkUnreachable,
    /// The last router cannot find the host.
    HostUnreachable,
    /// Policy forbids it.
    Prohibited,
    /// It passed too many routers.
    TimeExceeded,
    /// It was too big for a link and may not be divided.
    TooBig,
    /// Something else, by ICMP type and code.
    Other(u8, u8),
}

impl Refusal {
    /// What it means, to follow "said that".
    pub fn explained(self) -> String {
        match self {
            Self::NetworkUnreachable => "no route leads to the network".to_owned(),
            Self::HostUnreachable => "the host does not answer on its own network".to_owned(),
            Self::Prohibited => "policy forbids the packet".to_owned(),
            Self::TimeExceeded => {
                "the packet passed too many routers, perhaps in a loop".to_owned()
            }
            Self::TooBig => "the packet is too big for a link on the way".to_owned(),
            Self::Other(kind, code) => {
                format!("the packet cannot go on (ICMP type {kind} code {code})")
            }
        }
    }
}

/// What marks an echo as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) secret: u64,
    pub(super) round: u64,
    pub(super) index: u16,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// An echo was answered.
    Reply(Mark),
    /// An echo of this identifier and sequence to `to` did not get there.
    Refused { why: Refusal, to: IpAddr, ident: u16, seq: u16 },
    /// Neither.
    Other,
}

/// Writes the echo request into `into`, replacing what was there.
pub(super) fn write_request(
    into: &mut Vec<u8>,
    to: IpAddr,
    (ident, seq): (u16, u16),
    mark: Mark,
    payload_bytes: u16,
) {
    let kind = if to.is_ipv4() { ECHO_4 } else { ECHO_6 };
    into.clear();
    into.extend([kind, 0, 0, 0]);
    into.extend(ident.to_be_bytes());
    into.extend(seq.to_be_bytes());
    into.extend(mark.secret.to_be_bytes());
    into.extend(mark.round.to_be_bytes());
    into.extend(mark.index.to_be_bytes());
    let filling = payload_bytes.saturating_sub(PAYLOAD_BYTES_MIN);
    into.extend((0..filling).map(|n| n.to_be_bytes()[1]));
    // For IPv6 the kernel computes it, since it covers addresses that it alone knows.
    if to.is_ipv4() {
        let sum = checksum(into).to_be_bytes();
        into[2..4].copy_from_slice(&sum);
    }
}

/// Reads a packet that arrived.
pub(super) fn read(packet: &Arrived<'_>) -> Result<Message, ReadBytesError> {
    let mut r = Reader::new(packet.bytes);
    if packet.from.is_ipv6() {
        return read_6(&mut r);
    }
    if packet.with_ip_header {
        let (_, protocol) = ipv4_header(&mut r)?;
        if protocol != ICMP {
            return Ok(Message::Other);
        }
    }
    read_4(&mut r)
}

fn read_4(r: &mut Reader<'_>) -> Result<Message, ReadBytesError> {
    let (kind, code) = (r.u8("ICMP type")?, r.u8("ICMP code")?);
    r.take(6, "ICMP header")?;
    let why = match (kind, code) {
        (0, _) => return read_mark(r).map(Message::Reply),
        (3, 0 | 6) => Refusal::NetworkUnreachable,
        (3, 1 | 7) => Refusal::HostUnreachable,
        (3, 4) => Refusal::TooBig,
        (3, 9 | 10 | 13) => Refusal::Prohibited,
        (11, _) => Refusal::TimeExceeded,
        (3 | 12, _) => Refusal::Other(kind, code),
        _ => return Ok(Message::Other),
    };
    let (to, protocol) = ipv4_header(r)?;
    if protocol != ICMP {
        return Ok(Message::Other);
    }
    read_quoted(r, ECHO_4, why, to)
}

fn read_6(r: &mut Reader<'_>) -> Result<Message, ReadBytesError> {
    let (kind, code) = (r.u8("ICMPv6 type")?, r.u8("ICMPv6 code")?);
    r.take(6, "ICMPv6 header")?;
    let why = match (kind, code) {
        (129, _) => return read_mark(r).map(Message::Reply),
        (1, 0) => Refusal::NetworkUnreachable,
        (1, 3) => Refusal::HostUnreachable,
        (1, 1 | 5 | 6) => Refusal::Prohibited,
        (2, _) => Refusal::TooBig,
        (3, _) => Refusal::TimeExceeded,
        (1 | 4, _) => Refusal::Other(kind, code),
        _ => return Ok(Message::Other),
    };
    r.take(6, "quoted IPv6 header")?;
    let protocol = r.u8("quoted next header")?;
    r.take(1 + 16, "quoted hop limit and source")?;
    let to = IpAddr::V6(Ipv6Addr::from(r.array::<16>("quoted destination")?));
    if protocol != ICMP_6 {
        return Ok(Message::Other);
    }
    read_quoted(r, ECHO_6, why, to)
}

fn read_quoted(
    r: &mut Reader<'_>,
    echo: u8,
    why: Refusal,
    to: IpAddr,
) -> Result<Message, ReadBytesError> {
    if r.u8("quoted type")? != echo {
        return Ok(Message::Other);
    }
    r.take(3, "quoted code and checksum")?;
    let (ident, seq) = (r.u16("quoted identifier")?, r.u16("quoted sequence")?);
    Ok(Message::Refused { why, to, ident, seq })
}

fn read_mark(r: &mut Reader<'_>) -> Result<Mark, ReadBytesError> {
    Ok(Mark {
        secret: u64::from_be_bytes(r.array("secret")?),
        round: u64::from_be_bytes(r.array("round")?),
        index: r.u16("place in the round")?,
    })
}

/// Consumes an IPv4 header; returns its destination and the protocol within.
fn ipv4_header(r: &mut Reader<'_>) -> Result<(IpAddr, u8), ReadBytesError> {
    let first = r.u8("IPv4 version and header length")?;
    let options = usize::from(first & 0x0f).checked_sub(5);
    let (4, Some(options)) = (first >> 4, options) else {
        return Err(ReadBytesError::Malformed("IPv4 version and header length"));
    };
    r.take(8, "IPv4 header")?;
    let protocol = r.u8("IPv4 protocol")?;
    r.take(2 + 4, "IPv4 checksum and source")?;
    let to = Ipv4Addr::from(r.array::<4>("IPv4 destination")?);
    r.take(4 * options, "IPv4 options")?;
    Ok((IpAddr::V4(to), protocol))
}

/// The internet checksum (RFC 1071) of a message whose checksum field is zero.
fn checksum(message: &[u8]) -> u16 {
    let pair = |c: &[u8]| u32::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]));
    let mut sum: u32 = message.chunks(2).map(pair).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

const ECHO_4: u8 = 8;
const ECHO_6: u8 = 128;
const ICMP: u8 = 1;
const ICMP_6: u8 = 58;

/// For the fuzzer: what a packet says does not change with bytes behind it, is of its own family,
/// and a mark that is sent comes back.
pub fn fuzz_ping_packet(bytes: &[u8]) {
    let longer = [bytes, &[0xff; 3]].concat();
    let froms = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for from in froms {
        for with_ip_header in [false, true] {
            let told = read(&Arrived { from, bytes, with_ip_header });
            if told.is_ok() {
                assert_eq!(read(&Arrived { from, bytes: &longer, with_ip_header }), told);
            }
            if let Ok(Message::Refused { to, .. }) = told {
                assert_eq!(to.is_ipv4(), from.is_ipv4());
            }
        }
        let Ok(mark) = read_mark(&mut Reader::new(bytes)) else { continue };
        let mut sent = Vec::new();
        write_request(&mut sent, from, (1, 2), mark, 0);
        // The answer is the request with another type.
        sent[0] = if from.is_ipv4() { 0 } else { 129 };
        let answer = Arrived { from, bytes: &sent, with_ip_header: false };
        assert_eq!(read(&answer), Ok(Message::Reply(mark)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { secret: 0x0102_0304_0506_0708, round: 9, index: 3 };
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn v6() -> IpAddr {
        "2001:db8::7".parse().expect("an address")
    }

    fn request(to: IpAddr) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_request(&mut bytes, to, (0x7701, 42), MARK, 56);
        bytes
    }

    fn ip_header(protocol: u8, to: Ipv4Addr) -> Vec<u8> {
        let mut header = vec![0x46, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1];
        header.extend(to.octets());
        header.extend([1, 1, 1, 1]);
        header
    }

    fn arrived(from: IpAddr, bytes: &[u8]) -> Result<Message, ReadBytesError> {
        read(&Arrived { from, bytes, with_ip_header: from.is_ipv4() })
    }

    #[test]
    fn an_answer_brings_back_the_mark_we_sent() {
        let mut reply = ip_header(1, Ipv4Addr::new(10, 0, 0, 1));
        reply.extend(request(V4));
        reply[24] = 0;
        assert_eq!(arrived(V4, &reply), Ok(Message::Reply(MARK)));
        let mut reply = request(v6());
        reply[0] = 129;
        assert_eq!(arrived(v6(), &reply), Ok(Message::Reply(MARK)));
        assert_eq!(reply.len(), 8 + 56);
    }

    #[test]
    fn the_checksum_of_a_whole_request_comes_out_as_zero() {
        assert_eq!(checksum(&request(V4)), 0);
        // The example of RFC 1071 section 3.
        assert_eq!(!checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn a_refusal_names_the_echo_it_is_about() {
        let router = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));
        let IpAddr::V4(to) = V4 else { panic!("IPv4") };
        let mut error = ip_header(1, Ipv4Addr::new(10, 0, 0, 1));
        error.extend([3, 1, 0, 0, 0, 0, 0, 0]);
        error.extend(ip_header(1, to));
        error.extend(&request(V4)[..8]);
        let told =
            Message::Refused { why: Refusal::HostUnreachable, to: V4, ident: 0x7701, seq: 42 };
        assert_eq!(arrived(router, &error), Ok(told));

        let mut error = vec![1, 1, 0, 0, 0, 0, 0, 0];
        error.extend([0x60, 0, 0, 0, 0, 64, 58, 64]);
        error.extend([0; 16]);
        let IpAddr::V6(to6) = v6() else { panic!("IPv6") };
        error.extend(to6.octets());
        error.extend(&request(v6())[..8]);
        let told = Message::Refused { why: Refusal::Prohibited, to: v6(), ident: 0x7701, seq: 42 };
        assert_eq!(arrived(v6(), &error), Ok(told));
    }

    #[test]
    fn every_prefix_of_an_answer_is_incomplete() {
        let mut reply = ip_header(1, Ipv4Addr::new(10, 0, 0, 1));
        reply.extend(request(V4));
        reply[24] = 0;
        for end in 0..24 + 8 + usize::from(PAYLOAD_BYTES_MIN) {
            let cut = arrived(V4, &reply[..end]);
            assert!(matches!(cut, Err(ReadBytesError::Incomplete(_))), "{end}: {cut:?}");
        }
    }

    #[test]
    fn other_traffic_is_not_ours() {
        let mut udp = ip_header(17, Ipv4Addr::new(10, 0, 0, 1));
        udp.extend([0; 40]);
        assert_eq!(arrived(V4, &udp), Ok(Message::Other));
        assert_eq!(arrived(v6(), &[135, 0, 0, 0, 0, 0, 0, 0]), Ok(Message::Other));
        assert!(arrived(V4, &[0x55; 40]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_packet_breaks_the_reader(bytes in proptest::collection::vec(0_u8.., 0..120)) {
            fuzz_ping_packet(&bytes);
        }
    }
}
