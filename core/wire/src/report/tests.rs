//! What a report counts, keeps and says of judged openings.

use whyslow_model::Wall;

use super::*;
use crate::anatomy::tests::{client_answers_at, plain};
use crate::anatomy::{Judge, judge};
use crate::handshake::Blame;
use crate::segment::FlowKey;

fn options(worst: usize) -> Options {
    Options { asn: None, seed: Seed(7), worst }
}

fn handshake(client: &str, think_ms: f64) -> Handshake {
    let mut opening = plain();
    opening.flow.client = client.parse().unwrap();
    client_answers_at(&mut opening, 101.23 + think_ms, 0x7d4c, 1102 + 1000);
    judge(opening, VantagePoint::Server, &Judge::default())
}

#[test]
fn a_cohort_that_is_plainly_worse_than_all_others_is_named() {
    let mut report = Report::new(options(10));
    for n in 0..20 {
        report.handle_handshake(&handshake("198.51.100.7:4000", if n < 12 { 400.0 } else { 0.6 }));
        report.handle_handshake(&handshake(&format!("192.0.2.{n}:4000"), 0.6));
    }
    let outcome = report.finish();
    assert_eq!((outcome.total.handshakes, outcome.total.slow), (40, 12));
    assert_eq!(outcome.cohorts.rows[0].0, Cohort::Prefix("198.51.100.0/24".parse().unwrap()));
    assert_eq!(outcome.cohorts.rows[0].1.blame(), Blame::Client);
    let sentence = headline(&outcome, |cohort| format!("{cohort:?}"));
    assert!(sentence.starts_with("The clients are the slow ones: 12 of 40"), "{sentence}");
    assert!(sentence.contains("60.0 % of its own are slow, 0.0 % of all others"), "{sentence}");
    assert_eq!(outcome.vantage, VantagePoint::Server);
}

#[test]
fn the_worst_are_the_slowest_in_their_order_and_no_more() {
    let mut report = Report::new(options(3));
    for n in [5, 90, 10, 400, 20, 300, 40, 350, 8, 310_u32] {
        report.handle_handshake(&handshake("198.51.100.7:4000", f64::from(n)));
    }
    let worst: Vec<f64> = report.finish().worst.iter().map(|h| h.total_ms.round()).collect();
    assert_eq!(worst, [501.0, 451.0, 411.0]);
}

#[test]
fn rows_folded_into_other_still_add_up() {
    let mut report = Report::new(options(0));
    for n in 0..9 {
        report.handle_handshake(&handshake(&format!("10.0.{n}.1:999"), 1.0));
    }
    let mut outcome = report.finish();
    assert!(outcome.worst.is_empty());
    assert_eq!(outcome.cohorts.keep(4), 5);
    let shown: u64 = outcome.cohorts.rows.iter().map(|(_, cell)| cell.handshakes).sum();
    assert_eq!(shown + outcome.cohorts.other.handshakes, 9);
    assert_eq!(outcome.cohorts.other.total.count(), 5);
}

fn unanswered(client: &str, server: &str, refused: bool) -> Unanswered {
    let flow = FlowKey { client: client.parse().unwrap(), server: server.parse().unwrap() };
    Unanswered {
        flow,
        interface: 0,
        first: Wall::from_millis(1000),
        last: Wall::from_millis(8000),
        retries: 3,
        answered: None,
        refused,
        syn_ack_lost: false,
    }
}

#[test]
fn silences_are_told_by_server_with_their_cause() {
    let mut report = Report::new(options(0));
    for n in 1..=5 {
        report.handle_unanswered(unanswered(&format!("192.0.2.{n}:999"), "203.0.113.8:443", false));
    }
    report.handle_unanswered(unanswered("192.0.2.1:999", "203.0.113.9:8443", true));
    let outcome = report.finish();
    let rows: Vec<_> =
        outcome.silences.iter().map(|s| (s.connections, s.syns, s.clients)).collect();
    assert_eq!(rows, [(5, 20, 5), (1, 4, 1)]);
    assert_eq!(outcome.silences[0].cause(), SynFate::Silence);
    assert_eq!(outcome.silences[1].cause(), SynFate::Refused);
    let sentence = headline(&outcome, |_| String::new());
    assert_eq!(sentence, "No handshake: 6 connections were tried and got no answer.");
}

#[test]
fn connections_without_tls_are_counted_apart() {
    let mut opening = plain();
    opening.tls = None;
    opening.hello = None;
    opening.flight = None;
    opening.reply = None;
    let mut report = Report::new(options(5));
    report.handle_handshake(&judge(opening.clone(), VantagePoint::Server, &Judge::default()));
    opening.client_data = None;
    report.handle_handshake(&judge(opening, VantagePoint::Server, &Judge::default()));
    let outcome = report.finish();
    assert_eq!((outcome.plain_tcp, outcome.wordless, outcome.total.handshakes), (1, 1, 0));
}

#[test]
fn a_handshakes_document_has_the_promised_members() {
    let text = serde_json::to_value(document::HandshakeDocument::from(&handshake(
        "[2001:db8::1]:4000",
        400.0,
    )))
    .unwrap();
    assert_eq!(text["client"], "[2001:db8::1]:4000");
    assert_eq!(text["version"], "TLS 1.3");
    assert_eq!(text["blame"], "client");
    assert_eq!(text["phases_ms"]["syn_ack"], 0.03);
    assert!(text["bounds_ms"]["client"][0].as_f64().unwrap() >= 400.0, "{text}");
    assert_eq!(text["started"], "2023-11-14T22:13:20.000000Z");
}
