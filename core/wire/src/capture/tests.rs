//! What is written is read again; what is cut, foreign or broken is said to be.

use std::net::IpAddr;

use proptest::prelude::*;
use whyslow_model::Wall;

use super::*;
use crate::packet::LinkType;

/// One packet, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    at: i64,
    interface: u32,
    link: u16,
    outgoing: Option<bool>,
    original_len: u32,
    bytes: Vec<u8>,
    comment: Option<String>,
}

/// What a capture gave, read with no more bytes at hand than a step asks for.
#[derive(Debug, Default)]
struct Read {
    packets: Vec<Kept>,
    statistics: Vec<Statistics>,
    noted: Noted,
    interfaces: Vec<Interface>,
}

fn read(file: &[u8], piece: usize) -> (Read, Result<Ending, CaptureError>) {
    let mut reader = Reader::new();
    let mut read = Read::default();
    let (mut at, mut there) = (0, piece.min(file.len()));
    let ending = loop {
        match reader.next(&file[at..there]) {
            Err(e) => break Err(e),
            Ok(Step::Need(n)) => {
                assert!(n > there - at, "asks for what was there");
                if there == file.len() {
                    break reader.finish(&file[at..]);
                }
                there = file.len().min((at + n).max(there + piece));
            }
            Ok(Step::Packet { packet, comment, consumed }) => {
                read.packets.push(kept(&packet, comment));
                at += consumed;
            }
            Ok(Step::Statistics { statistics, consumed }) => {
                read.statistics.push(statistics);
                at += consumed;
            }
            Ok(Step::Other { consumed }) => {
                assert!(consumed > 0);
                at += consumed;
            }
        }
    };
    read.noted = reader.noted();
    read.interfaces = reader.interfaces().to_vec();
    (read, ending)
}

fn kept(packet: &Captured<'_>, comment: Option<&[u8]>) -> Kept {
    Kept {
        at: packet.at.as_nanos(),
        interface: packet.interface,
        link: packet.link.number(),
        outgoing: packet.outgoing,
        original_len: packet.original_len,
        bytes: packet.bytes.to_vec(),
        comment: comment.map(|c| String::from_utf8(c.to_vec()).unwrap()),
    }
}

fn any_packet() -> impl Strategy<Value = Kept> {
    let bytes = prop::collection::vec(any::<u8>(), 0..90);
    let comment = prop::option::of("[a-z é]{1,20}");
    (0..i64::MAX, 0..2_u32, any::<Option<bool>>(), 0..4000_u32, bytes, comment).prop_map(
        |(at, interface, outgoing, more, bytes, comment)| Kept {
            at,
            interface,
            link: if interface == 0 { 1 } else { 113 },
            outgoing,
            original_len: u32::try_from(bytes.len()).unwrap() + more,
            bytes,
            comment,
        },
    )
}

fn written(packets: &[Kept]) -> Vec<u8> {
    let mut out = Vec::new();
    let origin = write::Origin { application: Some("whyslow"), ..write::Origin::default() };
    write::section(&mut out, &origin);
    for (name, link) in [("eth0", LinkType::Ethernet), ("any", LinkType::LinuxSll)] {
        let filter = Some("tcp port 443");
        write::interface(&mut out, &write::Description { name, link, snap_len: 192, filter });
    }
    for kept in packets {
        let packet = Captured {
            at: Wall::from_nanos(kept.at),
            interface: kept.interface,
            link: LinkType::from_number(kept.link),
            outgoing: kept.outgoing,
            original_len: kept.original_len,
            bytes: &kept.bytes,
        };
        write::packet(&mut out, &packet, kept.comment.as_deref().as_slice());
    }
    out
}

/// Two counts; the second leaves some out.
fn counts() -> [Statistics; 2] {
    let all = Statistics {
        interface: 1,
        at: Wall::from_millis(7),
        received: Some(10),
        dropped_by_interface: Some(2),
        dropped_by_system: Some(u64::MAX),
    };
    [all, Statistics { received: None, dropped_by_system: None, ..all }]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_however_the_reads_are_cut(
        packets in prop::collection::vec(any_packet(), 0..8),
        piece in 1..200_usize,
    ) {
        let mut file = written(&packets);
        let address = IpAddr::from([192, 0, 2, 7]);
        write::names(&mut file, [(address, "seven.example"), ("2001:db8::7".parse().unwrap(), "s")]);
        for counted in counts() {
            write::statistics(&mut file, &counted);
        }
        let (read, ending) = read(&file, piece);
        prop_assert_eq!(ending, Ok(Ending::Whole));
        prop_assert_eq!(read.packets, packets);
        prop_assert_eq!(read.statistics, counts());
        let names: Vec<_> = read.interfaces.iter().map(|i| (i.name.as_deref(), i.snap_len)).collect();
        prop_assert_eq!(names, [(Some("eth0"), 192), (Some("any"), 192)]);
    }

    #[test]
    fn a_capture_that_ends_within_a_packet_is_cut_and_no_error(
        packets in prop::collection::vec(any_packet(), 1..4),
        keep in 0.0..1.0_f64,
    ) {
        let (header, file) = (written(&[]).len(), written(&packets));
        let keep = header + ratio(file.len() - header, keep);
        let (read, ending) = read(&file[..keep], 64);
        let whole: Vec<usize> = (0..=packets.len()).map(|n| written(&packets[..n]).len()).collect();
        let last = whole.iter().rposition(|len| *len <= keep).unwrap();
        let expected = match keep - whole[last] {
            0 => Ending::Whole,
            rest => Ending::Cut(rest),
        };
        prop_assert_eq!(ending, Ok(expected));
        prop_assert_eq!(&read.packets, &packets[..last]);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, 16);
        let mut file = written(&[]);
        file.extend(bytes);
        let _ = read(&file, 16);
    }
}

fn ratio(of: usize, by: f64) -> usize {
    let parts = u32::try_from(of).unwrap();
    (0..of).filter(|n| f64::from(u32::try_from(*n).unwrap()) < by * f64::from(parts)).count()
}

/// A classic capture of one packet of 4 bytes out of 60, in one of the four forms.
fn classic(big_endian: bool, magic: u32, fraction: u32) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let version = if big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    let mut file = [word(magic), version, word(0), word(0), word(65_535), word(1)].concat();
    file.extend([word(1_700_000_000), word(fraction), word(4), word(60)].concat());
    file.extend([9, 8, 7, 6]);
    file
}

#[test]
fn classic_captures_are_read_in_both_orders_and_units() {
    for big_endian in [false, true] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let (read, ending) = read(&classic(big_endian, magic, 12), 1);
            assert_eq!(ending, Ok(Ending::Whole));
            let [packet] = read.packets.as_slice() else { panic!("{read:?}") };
            assert_eq!(packet.at, 1_700_000_000_000_000_000 + 12 * unit);
            assert_eq!(
                (packet.original_len, packet.bytes.as_slice()),
                (60, [9, 8, 7, 6].as_slice())
            );
        }
    }
}

#[test]
fn a_capture_of_another_kind_is_refused_by_name() {
    let told = |file: &[u8]| read(file, 4096).1.unwrap_err().to_string();
    assert_eq!(told(b""), "the capture is empty");
    assert_eq!(told(b"hello"), "not a capture: this looks like text");
    assert_eq!(told(&[b'{'; 100]), "not a capture: this looks like JSON");
    assert_eq!(
        told(b"\n\r\r\nsome lines of text that are no capture"),
        "not a capture: this looks like text"
    );
    assert!(told(b"\x1f\x8b\x08\0\0\0\0\0").contains("gzip"));
    assert!(told(b"\x89PNG\r\n\x1a\n________________").contains("PNG"));
    assert!(told(b"\x7fELF____________________").contains("ELF"));
    assert!(told(&[0; 64]).contains("zeros"));
    assert!(told(&[0xfe; 64]).contains("no known kind"));
    assert!(told(&classic(false, 0xa1b2_cd34, 0)).contains("Kuznetzov"));
    assert!(told(&classic(true, 0xa1b2_c3d4, 0)[..10]).contains("ends within its header"));
    assert!(told(&written(&[])[..20]).contains("ends within its header"));
    let mut other_link = classic(false, 0xa1b2_c3d4, 0);
    other_link[20] = 105;
    assert!(told(&other_link).contains("link type 105"));
    let mut long = classic(false, 0xa1b2_c3d4, 0);
    long[34] = 0xff;
    assert!(told(&long).contains("at byte 24: a packet longer"));
}

/// A block in big-endian.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(12 + body.len()).unwrap().to_be_bytes();
    [&kind.to_be_bytes(), len.as_slice(), body, &len].concat()
}

/// A section in big-endian with one Ethernet interface whose ticks are 2^-10 s, and whose packets
/// keep 6 bytes.
fn big_endian_section() -> Vec<u8> {
    let head = [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let mut file = block(0x0a0d_0d0a, &head);
    let described =
        [0, 1, 0, 0, 0, 0, 0, 6, 0, 9, 0, 1, 0x8a, 0, 0, 0, 0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100];
    file.extend(block(1, &described));
    file
}

#[test]
fn sections_of_both_orders_follow_each_other_and_their_interfaces_are_numbered_on() {
    let first = Kept {
        at: 5,
        interface: 0,
        link: 1,
        outgoing: None,
        original_len: 9,
        bytes: vec![1],
        comment: None,
    };
    let mut file = written(std::slice::from_ref(&first));
    file.extend(big_endian_section());
    // A current packet: 1536 ticks are 1.5 s, an offset of 100 s; 3 lost before it.
    let packet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 2, 0, 0, 0, 40, 7, 7, 0, 0];
    let lost = [0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3];
    file.extend(block(6, &[packet.as_slice(), &lost].concat()));
    // An old one: interface and drops have 16 bits; direction in its flags.
    let old = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 40, 8, 0, 0, 0];
    file.extend(block(2, &[old.as_slice(), &[0, 2, 0, 4, 0, 0, 0, 2]].concat()));
    // A simple one, which has no time; an unknown block that is longer than a read.
    file.extend(block(3, &[0, 0, 0, 1, 5, 0, 0, 0]));
    file.extend(block(0x0bad, &[0; 4096]));
    let (read, ending) = read(&file, 32);
    assert_eq!(ending, Ok(Ending::Whole));
    let told: Vec<_> =
        read.packets.iter().map(|p| (p.interface, p.at, p.outgoing, p.bytes.clone())).collect();
    let expected = [
        (0, 5, None, vec![1]),
        (2, 101_500_000_000, None, vec![7, 7]),
        (2, 101_000_000_000, Some(true), vec![8]),
    ];
    assert_eq!(told, expected);
    assert_eq!(read.noted, Noted { lost: 7, timeless: 1, unknown_link: 0 });
}

#[test]
fn blocks_that_cannot_be_are_refused_with_their_place() {
    let begin = big_endian_section();
    let place = begin.len();
    let told = |tail: &[u8]| read(&[&begin, tail].concat(), 4096).1.unwrap_err().to_string();
    let at = |what: &str| format!("broken capture at byte {place}: {what}");
    let lengths = [0, 0, 0, 6, 0, 0, 0, 12, 0, 0, 0, 16];
    assert_eq!(told(&lengths), at("the two lengths of a block differ"));
    assert_eq!(told(&[0, 0, 0, 6, 0, 0, 0, 13, 0, 0, 0, 13]), at("the length of a block"));
    assert_eq!(told(&block(6, &[])), at("a block too short for its type"));
    let mut elsewhere = [0; 20];
    elsewhere[3] = 1;
    assert_eq!(told(&block(6, &elsewhere)), at("an interface that was not described"));
    let mut longer = [0; 20];
    longer[15] = 9;
    assert_eq!(told(&block(6, &longer)), at("a block too short for its type"));
}
