//! Packets of every link type, cut, tagged, offloaded and in fragments.

use whyslow_model::Wall;

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

#[test]
fn every_link_type_leads_to_the_segment_and_cooked_ones_tell_the_direction() {
    let ip = made().ip();
    let v4 = [0x08, 0x00];
    let sll = |kind| [&[0, kind, 0, 1, 0, 6], &[2; 8][..], &v4, &ip].concat();
    let sll2 = |kind| [&v4, &[0, 0, 0, 0, 0, 9, 0, 1, kind, 6][..], &[2; 8], &ip].concat();
    let tagged = [&[2; 12], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7][..], &v4, &ip, &[0; 4]].concat();
    let pppoe = [&[2; 12], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 59, 0, 0x21][..], &ip].concat();
    let cases = [
        (LinkType::LinuxSll, sll(4), Some(true), 3),
        (LinkType::LinuxSll, sll(0), Some(false), 3),
        (LinkType::LinuxSll, sll(3), None, 3),
        (LinkType::LinuxSll2, sll2(4), Some(true), 9),
        (LinkType::LinuxSll2, sll2(0), Some(false), 9),
        (LinkType::Ethernet, tagged, None, 3),
        (LinkType::Ethernet, pppoe, None, 3),
        (LinkType::Null, [&[2, 0, 0, 0], &ip[..]].concat(), None, 3),
        (LinkType::Null, [&[0, 0, 0, 2], &ip[..]].concat(), None, 3),
        (LinkType::Loop, [&[0, 0, 0, 2], &ip[..]].concat(), None, 3),
        (LinkType::Raw, ip.clone(), None, 3),
        (LinkType::Ipv4, ip.clone(), None, 3),
    ];
    for (link, bytes, outgoing, interface) in cases {
        let mut decoder = Decoder::new();
        let s = tcp(&mut decoder, &captured(&bytes, link));
        assert_eq!((s.outgoing, s.interface, s.payload), (outgoing, interface, made().payload));
        assert_eq!(LinkType::from_number(link.number()), link);
    }
}

#[test]
fn what_is_not_followed_is_other_and_what_cannot_be_is_malformed() {
    let of = |bytes: &[u8], link| format!("{:?}", Decoder::new().decode(&captured(bytes, link)));
    let arp = [&[2; 12], &[0x08, 0x06][..], &[0; 28]].concat();
    assert_eq!(of(&arp, LinkType::Ethernet), "Other");
    assert_eq!(of(&made().ip(), LinkType::Unknown(105)), "Other");
    assert_eq!(of(&[0x50; 40], LinkType::Raw), "Malformed(\"IP version\")");
    assert_eq!(of(&[0x41; 40], LinkType::Raw), "Malformed(\"IPv4 header length\")");
    let endless = [&[2; 12], &[0x81, 0, 0, 1].repeat(20)[..]].concat();
    assert_eq!(of(&endless, LinkType::Ethernet), "Malformed(\"VLAN tags without end\")");
    let mut short_header = made().ip();
    short_header[32] = 0x40;
    assert_eq!(of(&short_header, LinkType::Raw), "Malformed(\"TCP header length\")");
}

#[test]
fn an_offloaded_segment_is_as_long_as_its_frame() {
    let payload = vec![7; 30_000];
    let mut v4 = Made { payload: &payload, ..made() }.ip();
    v4[2..4].fill(0);
    let ends = ("[2001:db8::7]:50000".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap());
    let mut v6 = Made { from: ends.0, to: ends.1, payload: &payload, ..made() }.ip();
    v6[4..6].fill(0);
    for bytes in [v4, v6] {
        let mut decoder = Decoder::new();
        assert_eq!(tcp(&mut decoder, &captured(&bytes, LinkType::Raw)).len, 30_000);
        // Bigger than a length field can say, of which a snap length left little.
        let original_len = 200_000 + u32::try_from(bytes.len()).unwrap() - 30_000;
        let packet = Captured { original_len, ..captured(&bytes[..1000], LinkType::Raw) };
        assert_eq!(tcp(&mut decoder, &packet).len, 200_000);
    }
}

#[test]
fn the_padding_of_a_short_frame_is_no_payload() {
    let frame = [Made { payload: &[], ..made() }.ethernet(), vec![0; 6]].concat();
    let mut decoder = Decoder::new();
    let s = tcp(&mut decoder, &captured(&frame, LinkType::Ethernet));
    assert_eq!((s.len, s.payload.len()), (0, 0));
}

#[test]
fn a_segment_in_fragments_is_one_segment_when_the_last_of_them_came() {
    let payload: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let whole = Made { payload: &payload, ..made() }.ip();
    let (head, body) = whole.split_at(20);
    let mut decoder = Decoder::new();
    let mut parts = body.chunks(1000).enumerate().rev().peekable();
    while let Some((n, part)) = parts.next() {
        let mut packet = [head, part].concat();
        let len = u16::try_from(packet.len()).unwrap().to_be_bytes();
        let placed = u16::try_from(n * 125).unwrap() | if n < 3 { 0x2000 } else { 0 };
        packet[2..4].copy_from_slice(&len);
        packet[6..8].copy_from_slice(&placed.to_be_bytes());
        let packet = captured(&packet, LinkType::Raw);
        if parts.peek().is_some() {
            assert!(matches!(decoder.decode(&packet), Decoded::Fragment), "{n}");
        } else {
            let s = tcp(&mut decoder, &packet);
            assert_eq!((s.seq, s.len, s.payload), (made().seq, 3000, payload.as_slice()));
        }
    }
    let Counters { packets, tcp, fragments, put_together, .. } = decoder.counters();
    assert_eq!((packets, tcp, fragments, put_together), (4, 1, 3, 1));
}

#[test]
fn ipv6_fragments_are_put_together_with_the_headers_within() {
    let ends = ("[2001:db8::7]:50000".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap());
    let whole = Made { from: ends.0, to: ends.1, ..made() }.ip();
    let (head, tcp_bytes) = whole.split_at(40);
    // Destination options before TCP, inside of what is fragmented.
    let body = [&[6, 0, 1, 4, 0, 0, 0, 0], tcp_bytes].concat();
    let part = |offset: u8, more: u8, bytes: &[u8]| {
        let fragment = [60, 0, 0, offset | more, 0, 0, 0, 9];
        let mut packet = [head, &fragment, bytes].concat();
        packet[4..6].copy_from_slice(&u16::try_from(8 + bytes.len()).unwrap().to_be_bytes());
        packet[6] = 44;
        packet
    };
    let (first, last) = (part(0, 1, &body[..16]), part(16, 0, &body[16..]));
    let mut decoder = Decoder::new();
    let outcome = decoder.decode(&captured(&first, LinkType::Ipv6));
    assert!(matches!(outcome, Decoded::Fragment));
    let s = tcp(&mut decoder, &captured(&last, LinkType::Ipv6));
    assert_eq!((s.from, s.seq, s.payload), (ends.0, made().seq, made().payload));
}
