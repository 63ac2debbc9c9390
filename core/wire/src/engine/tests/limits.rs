//! Many connections, and hostile ones.

use super::*;
use crate::made::Packet;

/// A SYN of the `n`-th client.
fn flood(packet: &Packet, n: u32) -> Segment<'_> {
    let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 1024));
    Segment { from, seq: n, ..packet.segment(1024) }
}

#[test]
fn a_flood_of_syns_pushes_out_no_connection() {
    let mut wire = handshakes::full_1_3();
    let rest = wire.packets.split_off(4);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    let mut syn = wire.packets[0].clone();
    syn.at = wire.packets[3].at;
    let most = u32::try_from(WIRE_HALF_OPEN_MAX).unwrap();
    for n in 0..most + 10 {
        engine.segment(&flood(&syn, n));
    }
    assert_eq!(engine.under_way(), (1, WIRE_HALF_OPEN_MAX));
    assert_eq!(engine.counters().evicted_half_open, 10);
    while engine.poll().is_some() {}
    wire.packets = rest;
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert_eq!(o.outcome, Outcome::Complete);
}

#[test]
fn answered_syns_of_a_flood_stay_half_open_and_are_forgotten() {
    let mut wire = Wire::new();
    wire.send(true, Flags::SYN, &[]).wait_us(20).send(false, Flags::SYN | Flags::ACK, &[]);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    assert_eq!(engine.under_way(), (0, 1));
    // The clock may ring early, but never without end.
    for _ in 0..2 {
        let due = engine.poll_timeout().unwrap();
        near(ms(wire.now(), due), 3000.0);
        engine.handle_timeout(due);
    }
    assert_eq!(engine.poll_timeout(), None);
    assert_eq!(engine.under_way(), (0, 0));
    assert!(engine.poll().is_none());
    assert_eq!(engine.counters().never_acked, 1);
}

#[test]
fn a_packet_from_an_end_to_itself_begins_no_connection() {
    let mut wire = Wire::new();
    wire.connect(1).client(&client_hello(&[])).send(true, Flags::FIN | Flags::ACK, &[]);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&Segment { from: segment.to, ..segment });
    }
    assert_eq!((engine.counters().strays, engine.counters().segments), (5, 5));
    assert_eq!(engine.under_way(), (0, 0));
    engine.finish(wire.now());
    assert!(engine.poll().is_none());
}

#[test]
fn the_oldest_opening_goes_when_there_are_too_many() {
    let mut wire = Wire::new();
    wire.connect(1);
    let mut engine = Engine::new(Options::default(), 7);
    let most = u32::try_from(WIRE_FLOWS_MAX).unwrap();
    for n in 0..=most {
        for packet in &wire.packets {
            let end = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 1024));
            let mut segment = packet.segment(1024);
            if packet.from_client {
                segment.from = end
            } else {
                segment.to = end
            }
            engine.segment(&segment);
        }
    }
    assert_eq!(engine.under_way().0, WIRE_FLOWS_MAX);
    assert_eq!(engine.counters().evicted, 1);
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert_eq!((o.outcome, o.flow.client.to_string()), (Outcome::CutOff, "10.0.0.0:1024".into()));
}

#[test]
fn a_handshake_that_stops_times_out_and_one_that_is_done_is_told_soon() {
    let mut wire = handshakes::full_1_3();
    wire.packets.truncate(6);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    let last = wire.packets[5].at;
    engine.handle_timeout(last.after(Duration::from_secs(64)));
    assert!(engine.poll().is_none());
    engine.handle_timeout(last.after(Duration::from_secs(66)));
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert_eq!(o.outcome, Outcome::TimedOut);

    let mut wire = handshakes::full_1_3();
    wire.packets.truncate(8);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    assert!(engine.poll().is_none());
    engine.handle_timeout(wire.packets[7].at.after(Options::default().first_data));
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert_eq!((o.outcome, o.server_data), (Outcome::Complete, None));
}

#[test]
fn a_reset_from_nowhere_near_the_window_ends_nothing() {
    let mut wire = handshakes::full_1_3();
    let mut reset = wire.packets[4].clone();
    reset.flags = Flags::RST;
    reset.seq = reset.seq.wrapping_add(1 << 30);
    reset.ip_id = 9;
    wire.packets.insert(5, reset);
    assert_eq!(opening(&wire).outcome, Outcome::Complete);
}

#[test]
fn bytes_that_cannot_be_kept_are_counted() {
    let mut wire = Wire::new();
    wire.connect(1);
    let mut engine = Engine::new(Options::default(), 7);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    let mut late = wire.packets[2].clone();
    late.payload = vec![0; 60_000];
    late.len = 60_000;
    for n in 0..2000_u32 {
        late.seq = late.seq.wrapping_add(60_001);
        late.ip_id = u16::try_from(n).unwrap();
        engine.segment(&late.segment(40_000));
    }
    assert!(engine.held < WIRE_REASSEMBLY_BYTES_MAX + 100_000, "{}", engine.held);
    engine.finish(wire.now());
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert!(o.gaps.limit);
    assert_eq!((engine.held, engine.counters().limited), (0, 1));
}
