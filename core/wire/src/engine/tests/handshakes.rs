//! Handshakes that go well, of every kind.

use super::*;

/// The first flight of a 1.3 server with a certificate, as a dozen libraries send it.
pub(super) fn flight_1_3() -> Vec<u8> {
    let hello = record(22, &server_hello_1_3(&[]));
    [hello, ccs(), sealed(23), sealed(817), sealed(96), sealed(53)].concat()
}

pub(super) fn begin_1_3(wire: &mut Wire) -> &mut Wire {
    wire.connect(50).wait_us(100).client(&record(22, &client_hello(&[versions()])))
}

/// Server think 300 ms, client think 200 ms, one round trip of 50 ms between.
fn full_1_3() -> Wire {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_us(20).ack(false).wait_ms(300).server(&flight_1_3());
    wire.wait_ms(50).ack(true).wait_ms(200);
    wire.client(&[ccs(), sealed(53), sealed(120)].concat());
    wire.wait_us(200).server(&[sealed(250), sealed(250)].concat());
    wire.wait_ms(10).server(&sealed(900)).wait_ms(60);
    wire
}

#[test]
fn a_full_1_3_handshake_is_taken_apart() {
    let wire = full_1_3();
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    assert_eq!(o.server_is_local, Some(true));
    assert_eq!((o.syns.count, o.syn_acks.count), (1, 1));
    let (acked, hello) = (o.acked.unwrap(), o.hello.unwrap());
    near(ms(o.syn_acks.last.unwrap(), acked), 50.0);
    near(ms(acked, hello.last), 0.1);
    let (flight, reply) = (o.flight.unwrap(), o.reply.unwrap());
    near(ms(hello.last, flight.span.first), 300.0);
    near(ms(flight.span.last, flight.acked.unwrap()), 50.0);
    assert!(flight.acked_alone);
    near(ms(flight.acked.unwrap(), reply.span.first), 200.0);
    assert_eq!(reply.span.bytes, 6 + 58);
    near(ms(reply.span.last, o.client_data.unwrap()), 0.0);
    near(ms(o.client_data.unwrap(), o.server_data.unwrap()), 10.2);
    near(o.rtt_client_ns.unwrap() as f64 / 1e6, 50.0);
    near(o.rtt_server_ns.unwrap() as f64 / 1e6, 0.02);
    let tls = o.tls.unwrap();
    assert_eq!((tls.version, tls.cipher, tls.resumed), (0x0304, Some(0x1301), Some(false)));
    assert_eq!(tls.sni.as_deref(), Some("shop.example"));
    assert_eq!(tls.alpn, ["h2", "http/1.1"]);
    assert_eq!(tls.client_auth, Some(false));
    assert!(tls.ja4.unwrap().starts_with("t13d0304h2_"));
    assert_eq!(o.gaps, crate::opening::Gaps::default());
}

#[test]
fn bytes_that_come_twice_and_in_another_order_tell_the_same() {
    let mut wire = full_1_3();
    let expected = opening(&wire);
    // The client's second flight is lost once behind the tap.
    let again = wire.packets.iter().rposition(|p| p.from_client && p.len > 0).unwrap();
    let copy = wire.packets[again].clone();
    wire.packets.insert(again + 1, copy);
    let o = opening(&wire);
    assert_eq!(o.reply.map(|r| r.span), expected.reply.map(|r| r.span));
}
