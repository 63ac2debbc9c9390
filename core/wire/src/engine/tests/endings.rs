//! How connections end, and SYNs that get nothing.

use super::handshakes::{begin_1_3, flight_1_3};
use super::*;
use crate::event::Unanswered;

const ACK: u8 = Flags::ACK;

fn unanswered(wire: &Wire) -> Unanswered {
    let all = told(wire).into_iter();
    let mut found = all.filter_map(|e| if let Event::Unanswered(u) = e { Some(u) } else { None });
    let first = found.next().unwrap();
    assert_eq!(found.next(), None);
    first
}

fn ending(wire: &Wire) -> (EndingKind, &'static str, bool, bool) {
    let found = endings(wire);
    assert_eq!(found.len(), 1, "{found:#?}");
    (found[0].kind, found[0].phase, found[0].reset, found[0].by_client)
}

/// A complete handshake, its tickets sent, and no request.
fn established() -> Wire {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(50);
    wire.client(&[ccs(), sealed(53)].concat()).wait_us(100);
    wire.server(&[sealed(250), sealed(250)].concat()).wait_ms(50).ack(true);
    wire
}

#[test]
fn a_health_check_that_resets_is_told_as_unused() {
    let mut wire = Wire::new();
    wire.connect(1).wait_us(10).send(true, Flags::RST | ACK, &[]);
    assert_eq!(ending(&wire), (EndingKind::Unused, "hello", true, true));
    let mut wire = Wire::new();
    wire.connect(1).wait_us(10).send(true, Flags::FIN | ACK, &[]);
    wire.wait_us(50).send(false, Flags::FIN | ACK, &[]).wait_ms(1).ack(true);
    assert_eq!(ending(&wire), (EndingKind::Unused, "hello", false, true));
    assert_eq!(opening(&wire).outcome, Outcome::Closed { by_client: true });
}

#[test]
fn a_client_that_goes_during_the_server_think_leaves_the_handshake_unfinished() {
    let mut wire = Wire::new();
    begin_1_3(&mut wire).wait_ms(900).send(true, Flags::RST | ACK, &[]);
    assert_eq!(opening(&wire).outcome, Outcome::Reset { by_client: true });
    assert_eq!(ending(&wire), (EndingKind::HandshakeUnfinished, "server_flight", true, true));
}

#[test]
fn a_connection_without_a_request_is_told() {
    let mut wire = established();
    wire.wait_ms(3000).send(true, Flags::FIN | ACK, &sealed(19));
    assert_eq!(opening(&wire).outcome, Outcome::Complete);
    assert_eq!(ending(&wire), (EndingKind::BeforeRequest, "request", false, true));
}

#[test]
fn a_request_that_is_abandoned_is_told_and_an_answered_one_is_not() {
    let mut wire = established();
    wire.client(&sealed(300)).wait_us(20).ack(false).wait_ms(4000);
    let mut answered = wire.clone();
    wire.client(&sealed(19)).send(true, Flags::FIN | ACK, &[]).wait_us(50).ack(false);
    wire.wait_ms(20).send(false, Flags::FIN | ACK, &[]);
    assert_eq!(ending(&wire), (EndingKind::RequestAbandoned, "response", false, true));
    answered.server(&sealed(900)).wait_ms(50).ack(true);
    answered.client(&sealed(19)).send(true, Flags::FIN | ACK, &[]);
    answered.wait_us(50).send(false, Flags::FIN | ACK, &[]);
    assert_eq!(endings(&answered), []);
}

#[test]
fn a_server_that_closes_instead_of_answering_refuses() {
    let mut wire = established();
    wire.client(&sealed(300)).wait_ms(20).send(false, Flags::RST, &[]);
    assert_eq!(ending(&wire), (EndingKind::RequestRefused, "response", true, false));
}

#[test]
fn a_reset_with_bytes_on_the_way_is_midway() {
    let mut wire = established();
    wire.client(&sealed(300)).wait_ms(5).server(&sealed(900)).wait_ms(50).ack(true);
    let mut acked = wire.clone();
    wire.wait_ms(10).server(&sealed(1200)).wait_ms(9).send(true, Flags::RST, &[]);
    assert_eq!(ending(&wire), (EndingKind::ResetMidway, "response", true, true));
    acked.send(true, Flags::RST | ACK, &[]);
    assert_eq!(endings(&acked), []);
}

#[test]
fn syns_without_an_answer_are_counted() {
    let mut wire = Wire::new();
    for _ in 0..4 {
        wire.send(true, Flags::SYN, &[]).rewind(1).wait_ms(1020);
    }
    let u = unanswered(&wire);
    assert_eq!((u.retries, u.answered, u.refused, u.syn_ack_lost), (3, None, false, false));
    near(ms(u.first, u.last), 3060.0);
}

#[test]
fn a_reset_refuses_a_syn() {
    let mut wire = Wire::new();
    wire.send(true, Flags::SYN, &[]).wait_us(40).send(false, Flags::RST | ACK, &[]);
    let u = unanswered(&wire);
    assert!(u.refused);
    assert_eq!(u.answered, Some(wire.now()));
    assert!(endings(&wire).is_empty());
}

#[test]
fn a_syn_ack_that_does_not_arrive_shows_as_syns_that_come_again() {
    let mut wire = Wire::new();
    for _ in 0..3 {
        wire.send(true, Flags::SYN, &[]).rewind(1).wait_us(30);
        wire.send_after_syn().wait_ms(1020);
    }
    let u = unanswered(&wire);
    assert_eq!((u.retries, u.refused, u.syn_ack_lost), (2, false, true));
}

#[test]
fn a_late_answer_is_told_with_the_opening() {
    let mut wire = Wire::new();
    wire.send(true, Flags::SYN, &[]).rewind(1).wait_ms(1020);
    begin_1_3(&mut wire).wait_ms(1).server(&flight_1_3()).wait_ms(50);
    wire.client(&[ccs(), sealed(53)].concat());
    let u = unanswered(&wire);
    assert_eq!((u.retries, u.syn_ack_lost), (1, false));
    let o = opening(&wire);
    assert_eq!((o.outcome, o.syns.count), (Outcome::Complete, 2));
}
