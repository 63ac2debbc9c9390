//! The decoder against etherparse, on packets of all kinds, whole and with some bytes changed.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TcpOptionElement, TransportSlice};
use proptest::prelude::*;
use whyslow_model::Wall;

use super::{Captured, Decoded, Decoder, LinkType};
use crate::segment::{Options, Segment};

/// Extension headers, as their protocol numbers and what fills them beyond 8 bytes.
type Extensions = Vec<(u8, u8)>;

/// TCP or UDP with odd lengths; options of all kinds, valid and not.
fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let payload = || prop::collection::vec(any::<u8>(), 0..60);
    let tcp = (any::<[u8; 12]>(), any::<[u8; 7]>(), tcp_options(), payload()).prop_map(
        |(ports_and_numbers, tail, options, payload)| {
            let words = u8::try_from(5 + options.len() / 4).unwrap();
            let head = [&ports_and_numbers[..], &[words << 4], &tail].concat();
            (6, [head, options, payload].concat())
        },
    );
    let udp = (any::<[u8; 4]>(), payload()).prop_map(|(ports, payload)| {
        let len = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
        (17, [&ports[..], &len, &[0, 0], &payload].concat())
    });
    prop_oneof![4 => tcp, 1 => udp]
}

fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let numbers = |n: usize| prop::collection::vec(any::<u8>(), n);
    let option = |kind: u8, len: usize| {
        numbers(len - 2).prop_map(move |v| [&[kind, u8::try_from(len).unwrap()], &v[..]].concat())
    };
    let one = prop_oneof![
        Just(vec![1]),
        option(2, 4),
        option(3, 3),
        option(4, 2),
        option(5, 10),
        option(5, 18),
        option(8, 10),
        numbers(3),
    ];
    prop::collection::vec(one, 0..5).prop_map(|list| {
        let mut options = list.concat();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 1);
        options
    })
}

fn ipv4(options: usize, rest: &(u8, Vec<u8>), placed: u16) -> Vec<u8> {
    let (protocol, body) = rest;
    let header = 20 + 4 * options;
    let total = u16::try_from(header + body.len()).unwrap().to_be_bytes();
    let version = 0x40 | u8::try_from(header / 4).unwrap();
    let [a, b] = placed.to_be_bytes();
    let head = [version, 0, total[0], total[1], 0x7d, 0x49, a, b, 57, *protocol, 0, 0];
    [&head[..], &[192, 0, 2, 7, 198, 51, 100, 1], &vec![1; 4 * options], body].concat()
}

fn ipv6(extensions: &Extensions, rest: &(u8, Vec<u8>)) -> Vec<u8> {
    let (protocol, body) = rest;
    let mut chain = body.clone();
    let mut next = *protocol;
    for (kind, more) in extensions.iter().rev() {
        let header = match kind {
            // An atomic fragment; an authentication header counts in words of 4, less 2.
            44 => vec![next, 0, 0, 0, 1, 2, 3, 4],
            51 => [vec![next, 1 + 2 * more], vec![0; 10 + 8 * usize::from(*more)]].concat(),
            _ => [vec![next, *more], vec![0; 6 + 8 * usize::from(*more)]].concat(),
        };
        chain = [header, chain].concat();
        next = *kind;
    }
    let len = u16::try_from(chain.len()).unwrap().to_be_bytes();
    let mut head = vec![0x60, 0, 0, 0, len[0], len[1], next, 57];
    head.extend((0..32).map(|n| 32 + n));
    [head, chain].concat()
}

fn framed(link: LinkType, tags: usize, ip: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    if link == LinkType::Ethernet {
        let tags = [0x81, 0x00, 0, 7].repeat(tags);
        return [&[2; 12], &tags[..], &kind, ip].concat();
    }
    if link == LinkType::LinuxSll {
        return [&[0, 4, 0, 1, 0, 6], &[2; 8][..], &kind, ip].concat();
    }
    ip.to_vec()
}

/// Links that both know, with the packet inside and maybe some bytes changed.
fn packet() -> impl Strategy<Value = (LinkType, Vec<u8>)> {
    let link = prop::sample::select(vec![LinkType::Ethernet, LinkType::LinuxSll, LinkType::Raw]);
    // In the order RFC 8200 recommends, for etherparse reads each kind once.
    let kinds = prop::sample::subsequence(vec![0_u8, 60, 43, 44, 51], 0..=5);
    let extensions = (kinds, 0..3_u8)
        .prop_map(|(kinds, more)| kinds.into_iter().map(|kind| (kind, more)).collect::<Vec<_>>());
    let placed = prop_oneof![8 => Just(0x4000_u16), 1 => any::<u16>()];
    let v4 = (0..4_usize, transport(), placed).prop_map(|(o, rest, placed)| ipv4(o, &rest, placed));
    let v6 = (extensions, transport()).prop_map(|(e, rest)| ipv6(&e, &rest));
    let changes = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ];
    (link, 0..3_usize, prop_oneof![v4, v6], changes).prop_map(|(link, tags, ip, changes)| {
        let mut bytes = framed(link, tags, &ip);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        (link, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_etherparse_reads_is_read_the_same((link, bytes) in packet()) {
        let theirs = if link == LinkType::Ethernet {
            SlicedPacket::from_ethernet(&bytes)
        } else if link == LinkType::LinuxSll {
            SlicedPacket::from_linux_sll(&bytes)
        } else {
            SlicedPacket::from_ip(&bytes)
        };
        let Ok(theirs) = theirs else { return Ok(()) };
        let mut decoder = Decoder::new();
        let original_len = u32::try_from(bytes.len()).unwrap();
        let at = Wall::from_nanos(0);
        let bytes = bytes.as_slice();
        let packet = Captured { at, interface: 0, link, outgoing: None, original_len, bytes };
        let ours = decoder.decode(&packet);
        if theirs.is_ip_payload_fragmented() {
            let refused = matches!(ours, Decoded::Fragment | Decoded::Malformed("IP fragment"));
            prop_assert!(refused, "{:?}", ours);
            return Ok(());
        }
        match (&theirs.transport, ours) {
            (Some(TransportSlice::Tcp(tcp)), Decoded::Tcp(s)) => {
                let ends = (tcp.source_port(), tcp.destination_port());
                prop_assert_eq!((s.from, s.to), addresses(&theirs, ends));
                let numbers = (tcp.sequence_number(), tcp.acknowledgment_number());
                prop_assert_eq!((s.seq, s.ack), numbers);
                prop_assert_eq!((s.window, s.flags.0), (tcp.window_size(), flags(tcp.slice())));
                prop_assert_eq!(s.payload, tcp.payload());
                prop_assert_eq!(usize::try_from(s.len).unwrap(), tcp.payload().len());
                same_options(&s, tcp.options_iterator())?;
            }
            (Some(TransportSlice::Udp(udp)), Decoded::Udp(d)) => {
                let ends = (udp.source_port(), udp.destination_port());
                prop_assert_eq!((d.from, d.to), addresses(&theirs, ends));
                prop_assert_eq!(d.payload, udp.payload());
            }
            (theirs, ours) => {
                let followed = |t: &TransportSlice<'_>| {
                    matches!(t, TransportSlice::Tcp(_) | TransportSlice::Udp(_))
                };
                prop_assert!(!theirs.as_ref().is_some_and(followed), "{:?}, {:?}", theirs, ours);
                prop_assert!(!matches!(ours, Decoded::Tcp(_) | Decoded::Udp(_)), "{:?}", ours);
            }
        }
    }

    #[test]
    fn no_packet_and_no_part_of_one_does_harm(
        (link, bytes) in packet(),
        kept in 0..200_usize,
        said in any::<u32>(),
    ) {
        let bytes = &bytes[..kept.min(bytes.len())];
        let mut decoder = Decoder::new();
        let (at, outgoing) = (Wall::from_nanos(0), None);
        let packet = Captured { at, interface: 0, link, outgoing, original_len: said, bytes };
        if let Decoded::Tcp(s) = decoder.decode(&packet) {
            prop_assert!(s.payload.len() <= usize::try_from(s.len).unwrap());
        }
    }
}

fn addresses(theirs: &SlicedPacket<'_>, ports: (u16, u16)) -> (SocketAddr, SocketAddr) {
    let (from, to): (IpAddr, IpAddr) = match theirs.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let head = ip.header();
            (head.source_addr().into(), head.destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            let head = ip.header();
            (head.source_addr().into(), head.destination_addr().into())
        }
        NetSlice::Arp(_) => panic!("no addresses"),
    };
    (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1))
}

fn flags(header: &[u8]) -> u8 {
    header[13]
}

/// Compares the options unless etherparse finds fault with them: it stops at what it does not know.
fn same_options(
    s: &Segment<'_>,
    theirs: etherparse::TcpOptionsIterator<'_>,
) -> Result<(), TestCaseError> {
    let mut expected = Options::default();
    for option in theirs {
        let Ok(option) = option else { return Ok(()) };
        match option {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(n) => expected.mss = Some(n),
            TcpOptionElement::WindowScale(n) => expected.window_scale = Some(n.min(14)),
            TcpOptionElement::SelectiveAcknowledgementPermitted => expected.sack_permitted = true,
            TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                let blocks = std::iter::once(Some(first)).chain(rest).take_while(Option::is_some);
                for (kept, block) in expected.sack.iter_mut().zip(blocks) {
                    *kept = block;
                }
            }
            TcpOptionElement::Timestamp(a, b) => expected.timestamps = Some((a, b)),
        }
    }
    prop_assert_eq!(s.options, expected);
    Ok(())
}
