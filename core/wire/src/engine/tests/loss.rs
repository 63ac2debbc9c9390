//! What is lost, before the tap, behind it, and by it.

use super::handshakes::{begin_1_3, flight_1_3};
use super::*;

#[test]
fn a_finished_lost_before_the_tap_is_a_hole_that_is_filled() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(50).ack(true);
    let finished = [ccs(), sealed(53)].concat();
    wire.wait_ms(1).client(&finished).client(&sealed(200));
    let (lost, next) = (wire.packets.len() - 2, wire.packets.len() - 1);
    let noticed = wire.packets[next].at;
    let before = wire.packets[lost].seq;
    wire.wait_ms(1).ack(false).wait_ms(67);
    wire.packets.last_mut().unwrap().ack = before;
    let mut copy = wire.packets.remove(lost);
    copy.at = wire.now();
    copy.ip_id += 2;
    copy.options.timestamps = copy.options.timestamps.map(|(v, e)| (v + 68, e));
    wire.packets.push(copy);
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    let [hole] = o.client_side.holes[..] else { panic!("{:?}", o.client_side.holes) };
    assert_eq!((hole.to - hole.from) as usize, finished.len());
    assert_eq!(hole.noticed, noticed);
    assert_eq!(hole.filled, Some(wire.now()));
    assert_eq!(o.reply.unwrap().span.first, wire.now());
    assert_eq!(o.client_data, Some(wire.now()));
    assert!(o.client_side.seen.last().unwrap().filled);
    assert_eq!(o.client_side.again, 0);
}

#[test]
fn a_flight_lost_behind_the_tap_is_seen_again_and_its_round_trip_is_that_of_the_copy() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3());
    wire.wait_ms(269).again(false).wait_ms(51).ack(true);
    wire.client(&[ccs(), sealed(53)].concat());
    let o = opening(&wire);
    assert_eq!((o.server_side.again, o.server_side.holes.len()), (1, 0));
    assert!(o.server_side.seen.last().unwrap().again);
    let flight = o.flight.unwrap();
    near(ms(flight.span.last, flight.acked.unwrap()), 320.0);
    near(o.rtt_client_ns.unwrap() as f64 / 1e6, 50.0);
    // Of the flight alone: the stamp proves that the copy was answered.
    assert_eq!(flight.segments, 1);
}

#[test]
fn bytes_that_only_the_tap_missed_are_skipped_and_counted() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3());
    let server = wire.packets.len() - 1;
    // The second half of the flight: the tap gets the first segment only.
    let half = wire.packets[server].payload.len() / 2;
    wire.packets[server].payload.truncate(half);
    wire.packets[server].len = u32::try_from(half).unwrap();
    wire.wait_ms(50).ack(true).wait_ms(20).client(&[ccs(), sealed(53)].concat());
    wire.wait_ms(1).server(&sealed(250)).wait_ms(600);
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    assert_eq!(o.gaps.unseen_bytes, (flight_1_3().len() - half) as u64);
    near(ms(o.hello.unwrap().last, o.flight.unwrap().span.first), 1.0);
    near(ms(o.flight.unwrap().acked.unwrap(), o.reply.unwrap().span.first), 20.0);
}

#[test]
fn bytes_that_the_tap_missed_are_not_there_before_those_in_front_of_them() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3());
    let mut server = wire.packets.pop().unwrap();
    // A card swaps the directions, and the tap misses the second half of the flight.
    wire.wait_us(100).ack(true).wait_us(1200);
    let half = server.payload.len() / 2;
    server.payload.truncate(half);
    server.len = u32::try_from(half).unwrap();
    server.at = wire.now();
    wire.packets.push(server);
    wire.wait_ms(20).client(&[ccs(), sealed(53)].concat()).wait_ms(600);
    let o = opening(&wire);
    assert_eq!(o.gaps.unseen_bytes, (flight_1_3().len() - half) as u64);
    let flight = o.flight.unwrap();
    assert_eq!(flight.span.first, flight.span.last);
    near(ms(flight.span.last, o.reply.unwrap().span.first), 20.0);
}

#[test]
fn a_capture_cut_short_by_its_snap_length_still_gives_the_times() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(30).server(&flight_1_3()).wait_ms(50).ack(true);
    wire.wait_ms(70).client(&[ccs(), sealed(53)].concat()).wait_ms(600).client(&sealed(100));
    for packet in &mut wire.packets {
        packet.payload.truncate(60);
    }
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    assert!(o.gaps.cut);
    assert_eq!(o.tls.as_ref().unwrap().ja4, None);
    let (flight, reply) = (o.flight.unwrap(), o.reply.unwrap());
    near(ms(o.hello.unwrap().last, flight.span.first), 30.0);
    assert_eq!(flight.span.bytes as usize, flight_1_3().len());
    near(ms(flight.acked.unwrap(), reply.span.first), 70.0);
}

#[test]
fn drops_of_the_capture_are_noted_at_every_opening_under_way() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3());
    let mut engine = Engine::new(Options::default(), 7);
    engine.note_drops(5, wire.packets[0].at);
    for segment in wire.segments() {
        engine.segment(&segment);
    }
    engine.note_drops(3, wire.now());
    engine.finish(wire.now());
    let Some(Event::Opening(o)) = engine.poll() else { panic!("no opening") };
    assert_eq!((o.gaps.drops, o.outcome), (3, Outcome::CutOff));
    assert_eq!(engine.counters().drops, 8);
}

#[test]
fn a_client_that_takes_no_more_is_seen_by_its_window() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(20).window(0).ack(true);
    wire.wait_ms(300).window(502).client(&[ccs(), sealed(53)].concat());
    assert!(opening(&wire).flight.unwrap().zero_window);
}

#[test]
fn a_packet_that_the_tap_sees_twice_counts_once() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(50).ack(true);
    wire.client(&[ccs(), sealed(53)].concat());
    let expected = opening(&wire);
    wire.packets = wire.packets.iter().flat_map(|p| [p.clone(), p.clone()]).collect();
    let o = opening(&wire);
    assert_eq!(o.client_side.again + o.server_side.again, 0);
    assert_eq!(o.syns.count, 1);
    assert_eq!(o.reply, expected.reply);
}

#[test]
fn a_port_that_is_used_again_is_another_connection() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(50);
    wire.rewind(77_777).connect(50).client(b"GET / HTTP/1.1\r\n\r\n");
    let outcomes: Vec<Outcome> = told(&wire)
        .into_iter()
        .filter_map(|e| if let Event::Opening(o) = e { Some(o.outcome) } else { None })
        .collect();
    assert_eq!(outcomes, [Outcome::TimedOut, Outcome::Plain]);
}
