//! The program run as the kernel would, against what the decoder reads of the same frame.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use whyslow_model::Wall;

use super::program::*;
use super::*;
use crate::packet::made::Made;
use crate::packet::{Captured, Decoded, Decoder, LinkType};
use crate::segment::{Flags, Options};

/// Runs a program as `Documentation/networking/filter.rst` says: a load beyond the frame answers 0.
fn run(program: &[Instruction], frame: &[u8]) -> u32 {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let read = |offset: u32, len: usize| {
            let from = usize::try_from(offset).unwrap();
            let bytes = frame.get(from..from + len)?;
            Some(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
        };
        let loaded = match code {
            LOAD_HALF_AT => Some(read(k, 2)),
            LOAD_WORD => Some(read(x + k, 4)),
            LOAD_HALF => Some(read(x + k, 2)),
            LOAD_BYTE => Some(read(x + k, 1)),
            _ => None,
        };
        match (code, loaded) {
            (_, Some(None)) => return 0,
            (_, Some(Some(number))) => a = number,
            (LOAD, _) => a = k,
            (LOAD_X, _) => x = k,
            (AND, _) => a &= k,
            (SHIFT_LEFT, _) => a <<= k,
            (ADD_X, _) => a += x,
            (MOVE_TO_X, _) => x = a,
            (JUMP, _) => at += usize::try_from(k).unwrap(),
            (IF_EQUAL, _) => at += usize::from(if a == k { jt } else { jf }),
            (IF_ANY, _) => at += usize::from(if a & k != 0 { jt } else { jf }),
            (ANSWER, _) => return k,
            (code, None) => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn frame(from: SocketAddr, to: SocketAddr, tags: usize, framing: Framing) -> Vec<u8> {
    let made = Made {
        from,
        to,
        ip_id: Some(1),
        ttl: 64,
        seq: 1,
        ack: 2,
        flags: Flags(Flags::ACK),
        window: 9,
        options: Options::default(),
        payload: b"payload",
    };
    if framing == Framing::Raw {
        return made.ip();
    }
    let plain = made.ethernet();
    [&plain[..12], &[0x81, 0, 0, 7].repeat(tags), &plain[12..]].concat()
}

/// What the filter is to answer, by the decoder's reading.
fn expected(wanted: &Wanted, frame: &[u8]) -> u32 {
    let link = if wanted.framing == Framing::Raw { LinkType::Raw } else { LinkType::Ethernet };
    let packet = Captured {
        at: Wall::from_nanos(0),
        interface: 0,
        link,
        outgoing: None,
        original_len: u32::try_from(frame.len()).unwrap(),
        bytes: frame,
    };
    let mut decoder = Decoder::new();
    let Decoded::Tcp(s) = decoder.decode(&packet) else { return 0 };
    let ends = [s.from, s.to];
    let hosted = |e: &SocketAddr| wanted.hosts.iter().any(|net| net.contains(&e.ip()));
    if !wanted.hosts.is_empty() && !ends.iter().any(hosted) {
        return 0;
    }
    if wanted.ports.is_empty() {
        return wanted.snap_len;
    }
    let ports = wanted.ports.iter().filter(|p| ends.iter().any(|e| e.port() == p.number));
    ports.map(|p| p.snap_len).max().unwrap_or(0)
}

/// Addresses and ports from a small world, so that they often match.
fn end(family: u8) -> impl Strategy<Value = SocketAddr> {
    (0..4_u8, 0..3_u8, 1..9_u16).prop_map(move |(a, b, port)| {
        let ip: IpAddr = match family {
            4 => [10, a, 0, b].into(),
            _ => [0x2001, 0xdb8, 0, u16::from(a), 0, 0, 0, u16::from(b)].into(),
        };
        SocketAddr::new(ip, port)
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let net = (prop_oneof![end(4), end(6)], any::<prop::sample::Index>()).prop_map(|(end, len)| {
        let longest = if end.is_ipv4() { 33 } else { 129 };
        let len = u8::try_from(len.index(longest)).unwrap();
        IpNet::new(end.ip(), len).unwrap()
    });
    let port = (1..9_u16, prop::sample::select(vec![96, 192, WHOLE]))
        .prop_map(|(number, snap_len)| Port { number, snap_len });
    let framing = prop::sample::select(vec![Framing::Ethernet, Framing::Raw]);
    let (hosts, ports) = (prop::collection::vec(net, 0..3), prop::collection::vec(port, 0..4));
    (framing, hosts, ports).prop_map(|(framing, hosts, ports)| Wanted {
        framing,
        hosts,
        ports,
        snap_len: 128,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_kernel_keeps_what_the_decoder_says_is_wanted(
        wanted in wanted(),
        ends in prop_oneof![(end(4), end(4)), (end(6), end(6))],
        tags in 0..3_usize,
        protocol in prop_oneof![4 => Just(6_u8), 1 => Just(17)],
    ) {
        let program = compile(&wanted).unwrap();
        let mut frame = frame(ends.0, ends.1, tags, wanted.framing);
        let ip = if wanted.framing == Framing::Raw { 0 } else { 14 + 4 * tags };
        frame[ip + if ends.0.is_ipv4() { 9 } else { 6 }] = protocol;
        prop_assert_eq!(run(&program, &frame), expected(&wanted, &frame));
        for kept in 0..frame.len() {
            run(&program, &frame[..kept]);
        }
    }
}

fn https() -> Wanted {
    let ports = vec![Port { number: 443, snap_len: 192 }];
    Wanted { framing: Framing::Ethernet, hosts: Vec::new(), ports, snap_len: 0 }
}

#[test]
fn fragments_and_extended_packets_are_kept_whole() {
    let program = compile(&https()).unwrap();
    let plain =
        frame("10.0.0.1:9".parse().unwrap(), "10.0.0.2:80".parse().unwrap(), 0, Framing::Ethernet);
    assert_eq!(run(&program, &plain), 0);
    let mut later = plain.clone();
    later[21] = 0xb9;
    assert_eq!(run(&program, &later), WHOLE);
    let mut v6 =
        frame("[::1]:9".parse().unwrap(), "[::2]:80".parse().unwrap(), 0, Framing::Ethernet);
    assert_eq!(run(&program, &v6), 0);
    v6[20] = 44;
    assert_eq!(run(&program, &v6), WHOLE);
}

#[test]
fn options_of_ipv4_do_not_hide_the_ports() {
    let plain =
        frame("10.0.0.1:9".parse().unwrap(), "10.0.0.2:443".parse().unwrap(), 1, Framing::Ethernet);
    let mut long = [&plain[..38], &[1; 8], &plain[38..]].concat();
    long[18] = 0x47;
    assert_eq!(run(&compile(&https()).unwrap(), &long), 192);
}

#[test]
fn a_long_list_works_to_its_last_and_one_too_long_is_refused() {
    let ports = |n: u16| (1..=n).map(|number| Port { number, snap_len: 192 }).collect::<Vec<_>>();
    let many = Wanted { ports: ports(900), ..https() };
    let program = compile(&many).unwrap();
    let to = |port| SocketAddr::new([10, 0, 0, 2].into(), port);
    for (port, kept) in [(1, 192), (899, 192), (900, 192), (901, 0)] {
        let frame = frame(to(9000), to(port), 2, Framing::Ethernet);
        assert_eq!(run(&program, &frame), kept, "{port}");
    }
    let refused = compile(&Wanted { ports: ports(2000), ..https() }).unwrap_err();
    assert!(refused.needed > WIRE_FILTER_INSTRUCTIONS_MAX);
}
