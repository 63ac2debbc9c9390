//! The same bytes in other segments, twice, and in another order tell the same.

use proptest::prelude::*;

use super::handshakes::{full_1_2, full_1_3, retry_1_3};
use super::*;
use crate::made::Packet;
use crate::opening::Tls;

/// What must not depend on how bytes were carried.
fn gist(wire: &Wire) -> (Option<Tls>, Outcome, [u32; 4]) {
    let o = opening(wire);
    let bytes = [
        o.hello.map_or(0, |s| s.bytes),
        o.flight.map_or(0, |f| f.span.bytes),
        o.reply.map_or(0, |f| f.span.bytes),
        o.closing.map_or(0, |s| s.bytes),
    ];
    (o.tls, o.outcome, bytes)
}

/// Cuts each packet's payload at those places, some nanoseconds apart.
fn cut(packets: &[Packet], places: &[prop::sample::Index]) -> Vec<Packet> {
    let mut cut = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        let place = places[n % places.len()].index(packet.payload.len().max(1));
        if place == 0 {
            cut.push(packet.clone());
            continue;
        }
        let (mut first, mut second) = (packet.clone(), packet.clone());
        first.payload.truncate(place);
        second.payload.drain(..place);
        first.len = u32::try_from(place).unwrap();
        second.len -= first.len;
        second.seq = second.seq.wrapping_add(first.len);
        second.ip_id = second.ip_id.wrapping_add(0x4000);
        second.at = Wall::from_nanos(second.at.as_nanos() + 100);
        cut.extend([first, second]);
    }
    cut
}

/// Lets neighbours of one side overtake each other, and some come again.
fn disturb(
    packets: &mut Vec<Packet>,
    swaps: &[prop::sample::Index],
    again: &[prop::sample::Index],
) {
    for at in swaps {
        let at = at.index(packets.len() - 1);
        let (a, b) = (&packets[at], &packets[at + 1]);
        if a.from_client == b.from_client && a.len > 0 && b.len > 0 {
            let (first, second) = (a.at, b.at);
            packets.swap(at, at + 1);
            (packets[at].at, packets[at + 1].at) = (first, second);
        }
    }
    for at in again {
        let at = at.index(packets.len());
        if packets[at].len > 0 {
            let mut copy = packets[at].clone();
            copy.ip_id = copy.ip_id.wrapping_add(0x2000);
            packets.insert(at + 1, copy);
        }
    }
}

proptest! {
    #[test]
    fn any_segments_in_any_order_tell_the_same(
        which in 0..3_usize,
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        more in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut wire = [full_1_3, full_1_2, retry_1_3][which]();
        let expected = gist(&wire);
        let mut packets = cut(&cut(&wire.packets, &places), &more);
        disturb(&mut packets, &swaps, &again);
        wire.packets = packets;
        prop_assert_eq!(gist(&wire), expected);
    }

    #[test]
    fn no_bytes_break_the_engine(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_wire_engine(&bytes);
        crate::tls::fuzz_tls_walker(&bytes);
    }
}

#[test]
fn bytes_one_by_one_tell_the_same() {
    for script in [full_1_3, full_1_2, retry_1_3] {
        let mut wire = script();
        let expected = gist(&wire);
        let packets = std::mem::take(&mut wire.packets);
        for packet in &packets {
            if packet.len == 0 {
                wire.packets.push(packet.clone());
            }
            for (n, byte) in (0..packet.len).zip(&packet.payload) {
                let mut one = packet.clone();
                (one.len, one.payload) = (1, vec![*byte]);
                one.seq = one.seq.wrapping_add(n);
                one.ip_id = one.ip_id.wrapping_add(u16::try_from(n).unwrap());
                wire.packets.push(one);
            }
        }
        assert_eq!(gist(&wire), expected);
    }
}
