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
pub(super) fn full_1_3() -> Wire {
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

/// A `ClientHello` of 1.3 with these extensions more, over a link of 50 ms.
fn hello_with(more: &[Vec<u8>]) -> Wire {
    let mut wire = Wire::new();
    let extensions = [vec![versions()], more.to_vec()].concat();
    wire.connect(50).wait_us(100).client(&record(22, &client_hello(&extensions)));
    wire
}

/// The request and its answer, which end what is followed of a connection.
fn request(wire: &mut Wire) -> &mut Wire {
    wire.wait_ms(3).client(&sealed(200)).wait_ms(7).server(&sealed(1200)).wait_ms(60)
}

#[test]
fn a_pre_shared_key_that_was_taken_is_a_resumption() {
    let mut wire = hello_with(&[extension(41, &[0; 60])]);
    let flight = [
        record(22, &server_hello_1_3(&[extension(41, &[0, 0])])),
        ccs(),
        [sealed(23), sealed(53)].concat(),
        // Sent before the client's Finished: not of the flight.
        sealed(70),
    ];
    let flight_bytes = flight.concat().len();
    wire.wait_ms(2).server(&flight.concat()).wait_ms(50);
    wire.client(&[ccs(), sealed(53)].concat()).wait_us(50).server(&sealed(250));
    let o = opening(request(&mut wire));
    assert_eq!(o.tls.unwrap().resumed, Some(true));
    let flight = o.flight.unwrap();
    assert_eq!(flight.span.bytes as usize, flight_bytes - 75);
    assert!(!flight.acked_alone);
    near(ms(o.client_data.unwrap(), o.server_data.unwrap()), 7.0);
}

pub(super) fn retry_1_3() -> Wire {
    let mut wire = hello_with(&[]);
    let request_again = server_hello(&RETRY, 0x1301, &[extension(43, &[3, 4])]);
    wire.wait_ms(3).server(&[record(22, &request_again), ccs()].concat()).wait_ms(50);
    let second = client_hello(&[versions(), extension(44, &[0; 20])]);
    wire.client(&[ccs(), record(22, &second)].concat()).wait_ms(4).server(&flight_1_3());
    wire.wait_ms(50).client(&sealed(53));
    request(&mut wire);
    wire
}

#[test]
fn a_hello_retry_request_adds_a_round() {
    let o = opening(&retry_1_3());
    assert_eq!(o.outcome, Outcome::Complete);
    let (retry, hello, flight) = (o.retry.unwrap(), o.hello.unwrap(), o.flight.unwrap());
    near(ms(retry.hello.last, retry.request.first), 3.0);
    near(ms(retry.request.last, hello.first), 50.0);
    assert_eq!(hello.bytes - retry.hello.bytes, 24);
    near(ms(hello.last, flight.span.first), 4.0);
    assert_eq!(o.tls.unwrap().sni.as_deref(), Some("shop.example"));
    assert_eq!(o.reply.unwrap().span.bytes, 58);
}

#[test]
fn early_data_is_no_reply_whether_it_is_taken_or_refused() {
    for taken in [true, false] {
        let mut wire = hello_with(&[extension(41, &[0; 60]), extension(42, &[])]);
        // Early data of the size of a Finished, and of an end of early data that is none.
        wire.client(&[ccs(), sealed(53), sealed(400)].concat());
        wire.wait_ms(2).server(
            &[
                record(22, &server_hello_1_3(&[extension(41, &[0, 0])])),
                ccs(),
                [sealed(27), sealed(53)].concat(),
            ]
            .concat(),
        );
        let before = wire.packets[4].ack;
        wire.wait_ms(1).client(&sealed(53));
        wire.packets.last_mut().unwrap().ack = before;
        wire.wait_ms(49).ack(true).wait_ms(5);
        let end = if taken { sealed(21) } else { Vec::new() };
        wire.client(&[end.clone(), sealed(53)].concat());
        let reply_at = wire.now();
        let o = opening(request(&mut wire));
        assert_eq!(o.outcome, Outcome::Complete);
        assert!(o.tls.unwrap().early_data);
        let reply = o.reply.unwrap();
        assert_eq!(reply.span.first, reply_at, "taken: {taken}");
        assert_eq!(reply.span.bytes as usize, end.len() + 58);
        near(ms(o.flight.unwrap().acked.unwrap(), reply.span.first), 5.0);
    }
}

#[test]
fn a_server_that_answers_early_data_and_closes_has_not_ended_the_handshake() {
    let mut wire = hello_with(&[extension(41, &[0; 60]), extension(42, &[])]);
    wire.client(&[ccs(), sealed(35)].concat());
    let hello = record(22, &server_hello_1_3(&[extension(41, &[0, 0])]));
    wire.wait_ms(2).server(&[hello, ccs(), sealed(31), sealed(53)].concat()).wait_us(100);
    wire.server(&[sealed(184), sealed(19)].concat()).send(false, Flags::FIN | Flags::ACK, &[]);
    wire.wait_ms(50).ack(true).client(&[sealed(21), sealed(53)].concat());
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    assert_eq!(o.reply.unwrap().span.bytes, 26 + 58);
}

#[test]
fn a_client_certificate_is_told_by_the_records_before_the_finished() {
    let mut wire = hello_with(&[]);
    let hello = record(22, &server_hello_1_3(&[]));
    let flight = [hello, ccs(), sealed(23), sealed(62), sealed(817), sealed(96), sealed(53)];
    wire.wait_ms(2).server(&flight.concat()).wait_ms(50).ack(true).wait_ms(80);
    let reply = [ccs(), sealed(815), sealed(281), sealed(53)].concat();
    wire.client(&reply[..700]).wait_ms(1).client(&reply[700..]);
    let o = opening(request(&mut wire));
    assert_eq!(o.tls.unwrap().client_auth, Some(true));
    let (flight, answer) = (o.flight.unwrap(), o.reply.unwrap());
    near(ms(flight.acked.unwrap(), answer.span.first), 80.0);
    assert_eq!((answer.span.bytes as usize, answer.segments), (reply.len(), 2));
    near(answer.writer_pause_ns as f64 / 1e6, 1.0);
}

#[test]
fn a_reply_in_one_record_is_told_by_what_the_server_does_next() {
    let mut wire = hello_with(&[]);
    wire.wait_ms(2).server(&flight_1_3()).wait_ms(50).client(&[ccs(), sealed(1400)].concat());
    wire.wait_ms(1).server(&sealed(250));
    let o = opening(request(&mut wire));
    assert_eq!(o.outcome, Outcome::Complete);
    assert_eq!(o.tls.unwrap().client_auth, Some(true));
    assert_eq!(o.reply.unwrap().span.bytes, 6 + 1405);
}

#[test]
fn a_request_behind_a_reply_in_one_record_is_no_part_of_it() {
    let mut wire = hello_with(&[]);
    wire.wait_ms(2).server(&flight_1_3()).wait_ms(50).ack(true).wait_ms(20);
    wire.client(&[ccs(), sealed(539)].concat()).wait_us(30).client(&sealed(28)).wait_ms(1);
    // Tickets, the answer, and goodbye, which is no refusal of the certificate.
    wire.server(&[sealed(179), sealed(29), sealed(19)].concat()).wait_ms(60).ack(true);
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Complete);
    assert_eq!(o.reply.unwrap().span.bytes, 6 + 544);
    near(ms(o.reply.unwrap().span.last, o.client_data.unwrap()), 0.03);
}

#[test]
fn a_hello_in_several_segments_and_records_is_one() {
    let mut wire = Wire::new();
    let hello = client_hello(&[versions(), extension(21, &[0; 2300])]);
    let records = [record(22, &hello[..1000]), record(22, &hello[1000..])].concat();
    wire.connect(50).client(&records[..3]).wait_ms(1).client(&records[3..1448]);
    wire.wait_ms(2).client(&records[1448..]).wait_ms(9).server(&flight_1_3()).wait_ms(50);
    wire.client(&[ccs(), sealed(53)].concat());
    let o = opening(request(&mut wire));
    let span = o.hello.unwrap();
    assert_eq!(span.bytes as usize, records.len());
    near(ms(span.first, span.last), 3.0);
    near(ms(span.last, o.flight.unwrap().span.first), 9.0);
    assert!(o.tls.unwrap().ja4.is_some());
}

/// The server's first flight in 1.2: `ServerHello`, Certificate, `ServerKeyExchange`, Done, all in
/// one record.
fn flight_1_2() -> Vec<u8> {
    let messages = [
        server_hello(&[0x33; 32], 0xc02b, &[]),
        message(11, &[0; 900]),
        message(12, &[0; 110]),
        message(14, &[]),
    ];
    record(22, &messages.concat())
}

fn sealed_finished() -> Vec<u8> {
    [ccs(), record(22, &[0x5a; 40])].concat()
}

/// Client think 30 ms, the server's second flight after 6 ms.
pub(super) fn full_1_2() -> Wire {
    let mut wire = Wire::new();
    wire.connect(50).client(&record(22, &client_hello(&[]))).wait_ms(4).server(&flight_1_2());
    wire.wait_ms(50).ack(true).wait_ms(30);
    let certificate = record(22, &message(11, &[0, 0, 0]));
    let reply = [certificate, record(22, &message(16, &[0; 66])), sealed_finished()].concat();
    wire.client(&reply).wait_ms(6);
    let closing = [record(22, &message(4, &[0; 180])), sealed_finished()].concat();
    wire.server(&closing).wait_ms(50);
    request(&mut wire);
    wire
}

#[test]
fn a_full_1_2_handshake_has_a_second_flight_of_the_server() {
    let o = opening(&full_1_2());
    assert_eq!(o.outcome, Outcome::Complete);
    let tls = o.tls.unwrap();
    assert_eq!((tls.version, tls.cipher, tls.resumed), (0x0303, Some(0xc02b), Some(false)));
    assert_eq!((tls.client_auth, tls.certificate_bytes), (Some(false), Some(900)));
    let (flight, answer, closed) = (o.flight.unwrap(), o.reply.unwrap(), o.closing.unwrap());
    assert_eq!(flight.span.bytes as usize, flight_1_2().len());
    near(ms(flight.acked.unwrap(), answer.span.first), 30.0);
    assert_eq!(answer.span.bytes as usize, 12 + 75 + sealed_finished().len());
    near(ms(answer.span.last, closed.first), 6.0);
    assert_eq!(closed.bytes as usize, 189 + sealed_finished().len());
    near(ms(o.client_data.unwrap(), o.server_data.unwrap()), 7.0);
}

#[test]
fn a_resumed_1_2_handshake_ends_with_the_client() {
    let mut wire = Wire::new();
    wire.connect(50).client(&record(22, &client_hello(&[extension(35, &[9; 160])])));
    let hello = record(22, &server_hello(&[0x33; 32], 0xc02b, &[]));
    let flight = [hello, record(22, &message(4, &[0; 180])), sealed_finished()].concat();
    wire.wait_ms(1).server(&flight).wait_ms(50).client(&sealed_finished());
    let o = opening(request(&mut wire));
    assert_eq!((o.outcome, o.tls.unwrap().resumed), (Outcome::Complete, Some(true)));
    assert_eq!(o.flight.unwrap().span.bytes as usize, flight.len());
    assert_eq!(o.reply.unwrap().span.bytes as usize, sealed_finished().len());
    assert_eq!(o.closing, None);
}

#[test]
fn alerts_are_told_in_the_clear_and_by_their_size() {
    let mut wire = hello_with(&[]);
    wire.wait_ms(2).server(&record(21, &[2, 40])).send(false, Flags::FIN | Flags::ACK, &[]);
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Alert { by_client: false });
    assert_eq!(o.tls.unwrap().alert, Some((40, false)));
    let mut wire = hello_with(&[]);
    wire.wait_ms(2).server(&flight_1_3()).wait_ms(50).client(&[ccs(), sealed(19)].concat());
    let o = opening(&wire);
    assert_eq!(o.outcome, Outcome::Alert { by_client: true });
    assert_eq!(o.tls.unwrap().alert, None);
}

#[test]
fn what_is_no_tls_is_plain() {
    let ssl2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15];
    for first in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &ssl2, &[22, 9, 9, 9, 9, 9, 9]] {
        let mut wire = Wire::new();
        wire.connect(50).wait_ms(1).client(first).wait_ms(25).server(b"HTTP/1.1 200 OK\r\n\r\n");
        let o = opening(&wire);
        assert_eq!((o.outcome, o.hello), (Outcome::Plain, None), "{first:?}");
        assert_eq!(o.tls, None);
        near(ms(o.client_data.unwrap(), o.server_data.unwrap()), 25.0);
    }
    let mut wire = Wire::new();
    wire.connect(50).wait_ms(300).server(b"220 mail.example ESMTP\r\n");
    let o = opening(&wire);
    assert_eq!((o.outcome, o.client_data), (Outcome::Plain, None));
}

#[test]
fn a_connection_that_is_older_than_the_capture_begins_with_its_hello() {
    let mut wire = full_1_3();
    wire.packets.drain(..3);
    let o = opening(&wire);
    assert!(o.gaps.no_syn);
    assert_eq!((o.outcome, o.acked, o.syns.count), (Outcome::Complete, None, 0));
    near(ms(o.hello.unwrap().last, o.flight.unwrap().span.first), 300.0);
    // Without the hello it is nothing.
    wire.packets.drain(..1);
    assert!(told(&wire).is_empty());
}

#[test]
fn one_side_alone_gives_its_half() {
    for client in [true, false] {
        let mut wire = full_1_3();
        wire.packets.retain(|p| p.from_client == client);
        let o = opening(&wire);
        assert!(o.gaps.one_sided);
        assert_eq!(o.hello.is_some(), client);
        assert_eq!(o.flight.is_some(), !client);
        assert_eq!(o.reply.is_some(), client);
    }
}

#[test]
fn a_large_flight_tells_waits_for_the_window_from_pauses_of_the_writer() {
    let mut wire = hello_with(&[]);
    let hello = record(22, &server_hello_1_3(&[]));
    let flight = [hello, ccs(), sealed(23), sealed(9000), sealed(96), sealed(53)].concat();
    wire.wait_ms(2).server(&flight[..3000]).wait_ms(50).ack(true).wait_us(30);
    wire.server(&flight[3000..6000]).wait_ms(12).server(&flight[6000..]).wait_ms(50).ack(true);
    wire.client(&[ccs(), sealed(53)].concat());
    let f = opening(request(&mut wire)).flight.unwrap();
    near(f.window_wait_ns as f64 / 1e6, 50.03);
    near(f.writer_pause_ns as f64 / 1e6, 12.0);
    assert_eq!((f.segments, f.span.bytes as usize), (3, flight.len()));
}

#[test]
fn a_wait_inside_the_first_record_of_a_flight_counts() {
    let mut wire = Wire::new();
    wire.connect(50).client(&record(22, &client_hello(&[])));
    let first = [server_hello(&[0x33; 32], 0xc02b, &[]), message(11, &[0; 15_000])].concat();
    let rest = [message(12, &[0; 300]), message(14, &[])].concat();
    let flight = [record(22, &first), record(22, &rest)].concat();
    wire.wait_ms(4).server(&flight[..14_000]).wait_ms(50).ack(true).wait_us(30);
    wire.server(&flight[14_000..]).wait_ms(50).ack(true);
    let f = opening(&wire).flight.unwrap();
    near(f.window_wait_ns as f64 / 1e6, 50.03);
    assert_eq!((f.segments, f.span.bytes as usize), (2, flight.len()));
}

/// RFC 8446, section 4.1.3.
const RETRY: [u8; 32] = *b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
