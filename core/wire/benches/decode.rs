//! Packets decoded a second. Budget: 50 ns for a TCP segment, so that a file of any kind is read,
//! followed and judged at three million packets a second.

use std::net::SocketAddr;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use etherparse::{LaxSlicedPacket, SlicedPacket, TcpOptionElement, TransportSlice};
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_wire::capture::{Reader, Step, write};
use whyslow_wire::packet::duplicates::Duplicates;
use whyslow_wire::packet::made::Made;
use whyslow_wire::packet::{Captured, Decoded, Decoder, LinkType};
use whyslow_wire::segment::{Flags, Options};

const PACKETS: u32 = 4096;

fn main() {
    divan::main();
}

/// Ethernet and IPv4 or IPv6 to the segment.
#[divan::bench(args = [4, 6])]
fn ours(bencher: Bencher<'_, '_>, family: u8) {
    let frames = frames(family);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        let mut decoder = Decoder::new();
        frames.iter().map(|f| sum(&decoder.decode(&captured(black_box(f))))).sum::<u64>()
    });
}

/// The same by etherparse, which takes whole packets only.
#[divan::bench(args = [4, 6])]
fn etherparse_strict(bencher: Bencher<'_, '_>, family: u8) {
    let frames = frames(family);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        let sliced = |f| SlicedPacket::from_ethernet(f).ok().map_or(0, |p| peer(p.transport));
        frames.iter().map(|f| sliced(black_box(f))).sum::<u64>()
    });
}

/// The same by etherparse in the way that takes cut packets too, as captures have them.
#[divan::bench(args = [4, 6])]
fn etherparse_lax(bencher: Bencher<'_, '_>, family: u8) {
    let frames = frames(family);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        let sliced = |f| LaxSlicedPacket::from_ethernet(f).ok().map_or(0, |p| peer(p.transport));
        frames.iter().map(|f| sliced(black_box(f))).sum::<u64>()
    });
}

/// From the bytes of a pcapng file, copies told from retransmissions.
#[divan::bench]
fn file_to_segments(bencher: Bencher<'_, '_>) {
    let mut file = Vec::new();
    write::section(&mut file, &write::Origin::default());
    let (name, link) = ("eth0", LinkType::Ethernet);
    write::interface(&mut file, &write::Description { name, link, snap_len: 0, filter: None });
    for frame in frames(4) {
        write::packet(&mut file, &captured(&frame), &[]);
    }
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        let (mut reader, mut decoder) = (Reader::new(), Decoder::new());
        let mut duplicates = Duplicates::new(Seed(7));
        let (mut at, mut segments) = (0, 0);
        while let Ok(Step::Packet { consumed, .. } | Step::Other { consumed }) =
            reader.next(black_box(&file[at..])).inspect(|step| {
                let Step::Packet { packet, .. } = step else { return };
                let Decoded::Tcp(segment) = decoder.decode(packet) else { return };
                segments += u64::from(!duplicates.is_again(&segment));
            })
        {
            at += consumed;
        }
        segments
    });
}

fn sum(decoded: &Decoded<'_>) -> u64 {
    let Decoded::Tcp(s) = decoded else { return 0 };
    let (value, _) = s.options.timestamps.unwrap_or_default();
    u64::from(s.seq) + u64::from(s.len) + u64::from(value) + u64::from(s.from.port())
}

fn peer(transport: Option<TransportSlice<'_>>) -> u64 {
    let Some(TransportSlice::Tcp(s)) = transport else { return 0 };
    let mut stamp = 0;
    for option in s.options_iterator().flatten() {
        if let TcpOptionElement::Timestamp(value, _) = option {
            stamp = value;
        }
    }
    let len = s.payload().len() as u64;
    u64::from(s.sequence_number()) + len + u64::from(stamp) + u64::from(s.source_port())
}

fn captured(bytes: &[u8]) -> Captured<'_> {
    Captured {
        at: Wall::from_nanos(0),
        interface: 0,
        link: LinkType::Ethernet,
        outgoing: None,
        original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        bytes,
    }
}

/// Segments of many connections, data and acknowledgments in turn.
fn frames(family: u8) -> Vec<Vec<u8>> {
    let (client, server) = match family {
        4 => ([192, 0, 2, 7].into(), [198, 51, 100, 1].into()),
        _ => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
    };
    let payload = [0x17; 400];
    let frame = |n: u32| {
        let port = 1024 + u16::try_from(n % 20_000).unwrap_or(0);
        let made = Made {
            from: SocketAddr::new(client, port),
            to: SocketAddr::new(server, 443),
            ip_id: (family == 4).then_some(port),
            ttl: 57,
            seq: n,
            ack: n,
            flags: Flags(Flags::ACK),
            window: 502,
            options: Options { timestamps: Some((n, n)), ..Options::default() },
            payload: if n.is_multiple_of(2) { &payload } else { &[] },
        };
        made.ethernet()
    };
    (0..PACKETS).map(frame).collect()
}
