//! The rows of the laboratory's truth table: what was done to a handshake, and what must be said
//! of it. Times are milliseconds from the first SYN, as a server's tap sees them 50 ms away.

use whyslow_model::Wall;

use super::*;
use crate::handshake::Phase;
use crate::opening::{Flight, Gaps, Hole, Outcome, Repeated, Seen, Side, Span, Tls};
use crate::segment::FlowKey;

fn at(ms: f64) -> Wall {
    #[expect(clippy::cast_possible_truncation, reason = "test figures are small")]
    Wall::from_nanos(1_700_000_000_000_000_000 + (ms * 1e6).round() as i64)
}

fn span(first: f64, last: f64, bytes: u32) -> Span {
    Span { first: at(first), last: at(last), bytes }
}

fn once(ms: f64) -> Repeated {
    Repeated { first: Some(at(ms)), last: Some(at(ms)), count: 1 }
}

/// One of the client's segments; its clock ticks every millisecond and is shown as `tsval`.
fn seen(ms: f64, ip_id: u16, tsval: u32, len: u32) -> Seen {
    Seen {
        at: at(ms),
        ip_id: Some(ip_id),
        tsval: Some(tsval),
        seq: 0,
        len,
        ack: None,
        again: false,
        filled: false,
    }
}

fn side(seen: &[Seen]) -> Side {
    Side { seen: seen.to_vec(), ..Side::default() }
}

/// A handshake without anything special: 50 ms round trip, 1 ms in the server, 0.6 ms in the client.
pub(crate) fn plain() -> Opening {
    Opening {
        flow: FlowKey {
            client: "198.51.100.73:51644".parse().unwrap(),
            server: "203.0.113.7:443".parse().unwrap(),
        },
        interface: 0,
        server_is_local: None,
        first: at(0.0),
        last: at(102.0),
        syns: once(0.0),
        syn_acks: once(0.03),
        acked: Some(at(50.03)),
        hello: Some(span(50.13, 50.13, 517)),
        flight: Some(Flight {
            span: span(51.13, 51.13, 1280),
            acked: Some(at(101.23)),
            acked_alone: true,
            window_wait_ns: 0,
            writer_pause_ns: 0,
            segments: 1,
            zero_window: false,
        }),
        reply: Some(Flight {
            span: span(101.83, 101.83, 80),
            acked: None,
            acked_alone: false,
            window_wait_ns: 0,
            writer_pause_ns: 0,
            segments: 1,
            zero_window: false,
        }),
        closing: None,
        client_data: Some(at(101.83)),
        server_data: None,
        retry: None,
        tls: Some(Tls { version: 0x0304, resumed: Some(false), ..Tls::default() }),
        rtt_client_ns: Some(50_000_000),
        rtt_server_ns: None,
        client_side: side(&[
            seen(0.0, 0x7d48, 1000, 0),
            seen(50.03, 0x7d49, 1050, 0),
            seen(50.13, 0x7d4a, 1050, 517),
            seen(101.23, 0x7d4b, 1101, 0),
            seen(101.83, 0x7d4c, 1102, 80),
        ]),
        server_side: Side::default(),
        outcome: Outcome::Complete,
        gaps: Gaps::default(),
    }
}

/// Moves what follows the server's flight `ms` later.
pub(crate) fn client_answers_at(opening: &mut Opening, ms: f64, ip_id: u16, tsval: u32) {
    let reply = opening.reply.as_mut().unwrap();
    reply.span = span(ms, ms, 80);
    opening.last = at(ms);
    *opening.client_side.seen.last_mut().unwrap() = seen(ms, ip_id, tsval, 80);
}

fn judged(opening: Opening) -> Handshake {
    let mut vantage = Vantage::default();
    vantage.handle_opening(&opening);
    let point = vantage.point(&opening);
    let judged = judge(opening, point, &Judge::default());
    holds_together(&judged);
    judged
}

/// What is true of every judgment.
fn holds_together(judged: &Handshake) {
    let phases: f64 = Phase::ALL.into_iter().filter_map(|p| judged.phases.of(p)).sum();
    assert!((phases - judged.total_ms).abs() < 1e-6 * judged.total_ms.max(1.0), "{judged:?}");
    let s = judged.shares;
    let shares = s.server + s.network + s.client + s.unknown;
    assert!((shares - 1.0).abs() < 1e-9, "{s:?}");
    for (least, most) in [judged.bounds.server, judged.bounds.network, judged.bounds.client]
        .into_iter()
        .chain([judged.bounds.client_think, judged.bounds.ack_delay])
        .flatten()
    {
        assert!(least >= 0.0 && least <= most, "{:?}", judged.bounds);
    }
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 0.05)
}

fn says(judged: &Handshake, what: &str) -> bool {
    judged.evidence.iter().any(|sentence| sentence.contains(what))
}

#[test]
fn a_handshake_that_is_not_slow_is_nobodys_fault() {
    let judged = judged(plain());
    assert_eq!((judged.vantage, judged.blame), (VantagePoint::Server, Blame::None));
    let p = judged.phases;
    let expected = [0.0, 0.03, 50.0, 0.1, 1.0, 0.0, 50.1, 0.6, 0.0];
    for (phase, ms) in Phase::ALL.into_iter().zip(expected) {
        assert!(close(p.of(phase), ms), "{phase:?} {p:?}");
    }
    assert!(judged.shares.network > 0.97 && judged.incomplete().is_empty());
    assert!(close(judged.rtt_ref_ms, 50.0));
}

#[test]
fn a_server_that_thinks_for_300_ms_is_blamed() {
    let mut opening = plain();
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(351.13, 351.13, 1280);
    flight.acked = Some(at(401.3));
    opening.client_side.seen[3].at = at(401.3);
    client_answers_at(&mut opening, 401.9, 0x7d4c, 1402);
    let judged = judged(opening);
    assert!(close(judged.phases.server_think, 301.0), "{:?}", judged.phases);
    assert_eq!(judged.blame, Blame::Server);
}

#[test]
fn a_client_that_thinks_for_300_ms_is_blamed_with_its_proofs() {
    let mut opening = plain();
    client_answers_at(&mut opening, 402.43, 0x7d4c, 1402);
    let judged = judged(opening);
    assert!(close(judged.phases.ack, 50.1) && close(judged.phases.client_think, 301.2));
    assert_eq!(judged.blame, Blame::Client);
    let (least, most) = judged.bounds.client_think.unwrap();
    assert!(close(Some(least), 301.2) && close(Some(most), 301.3), "{least} {most}");
    assert!(says(&judged, "no hole in the packet numbers (IP id 7d4b, 7d4c)"), "{judged:?}");
    // The whole took less than half a second.
    assert!(says(&judged, "301 ticks of the client's clock passed"), "{:?}", judged.evidence);
}

#[test]
fn the_clients_clock_proves_a_pause_its_own_where_it_can_be_fitted() {
    let mut opening = plain();
    client_answers_at(&mut opening, 514.23, 0x7d4c, 1514);
    let judged = judged(opening);
    assert!(says(&judged, "413 ticks of 1 ms passed in the gap: the client was not cut off"));
    assert_eq!(judged.blame, Blame::Client);
}

#[test]
fn an_acknowledgment_held_back_hides_client_time_and_is_not_the_networks() {
    let mut opening = plain();
    opening.flight.as_mut().unwrap().acked = Some(at(145.03));
    opening.client_side.seen[3] = seen(145.03, 0x7d4b, 1145, 0);
    client_answers_at(&mut opening, 406.03, 0x7d4c, 1406);
    let judged = judged(opening);
    assert!(close(judged.phases.ack, 93.9) && close(judged.phases.client_think, 261.0));
    let (least, most) = judged.bounds.client_think.unwrap();
    assert!(close(Some(least), 261.0) && close(Some(most), 304.9), "{least} {most}");
    assert!(close(judged.bounds.ack_delay.map(|(_, most)| most), 43.9));
    assert!(judged.shares.network < 0.26 && judged.shares.unknown > 0.1, "{:?}", judged.shares);
    assert_eq!(judged.blame, Blame::Client);
}

#[test]
fn a_client_hello_lost_once_is_not_the_clients_time() {
    let mut opening = plain();
    opening.hello = Some(span(320.03, 320.03, 517));
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(321.03, 321.03, 1280);
    flight.acked = Some(at(371.1));
    opening.client_side = side(&[
        seen(0.0, 0x7d48, 1000, 0),
        seen(50.03, 0x7d49, 1050, 0),
        seen(320.03, 0x7d4b, 1321, 517),
        seen(371.1, 0x7d4c, 1372, 0),
        seen(371.6, 0x7d4d, 1373, 80),
    ]);
    opening.reply.as_mut().unwrap().span = span(371.6, 371.6, 80);
    let judged = judged(opening);
    assert!(close(judged.phases.hello_wait, 270.0));
    assert_eq!(judged.blame, Blame::Network, "{:?} {:?}", judged.shares, judged.bounds);
    assert!(says(&judged, "1 of the client's packets never came here (IP id 7d49, then 7d4b)"));
    assert!(judged.shares.client < 0.02, "{:?}", judged.shares);
}

#[test]
fn a_finished_lost_once_or_twice_shows_as_a_hole_that_was_filled() {
    for (lost, filled, blame) in [(1, 169.83, Blame::None), (2, 425.83, Blame::Network)] {
        let mut opening = plain();
        opening.client_side.holes =
            vec![Hole { from: 518, to: 598, noticed: at(101.83), filled: Some(at(filled)) }];
        client_answers_at(&mut opening, filled, 0x7d4d + lost, 1102);
        opening.client_side.seen.insert(4, seen(101.83, 0x7d4d, 1102, 120));
        let judged = judged(opening);
        assert!(close(judged.phases.client_think, filled - 101.23), "{:?}", judged.phases);
        assert_eq!(judged.blame, blame);
        assert!(judged.shares.client < 0.02, "{:?}", judged.shares);
        assert!(says(&judged, "were missing for"), "{:?}", judged.evidence);
    }
}

#[test]
fn a_server_flight_lost_once_is_the_networks_though_the_clients_clock_ran() {
    let mut opening = plain();
    let flight = opening.flight.as_mut().unwrap();
    flight.acked = Some(at(371.5));
    opening.server_side.again = 1;
    opening.server_side.again_first = Some(at(320.1));
    opening.client_side.seen[3] = seen(371.5, 0x7d4b, 1371, 0);
    client_answers_at(&mut opening, 372.1, 0x7d4c, 1372);
    let judged = judged(opening);
    assert!(close(judged.phases.ack, 320.37));
    assert_eq!(judged.blame, Blame::Network);
    assert!(says(&judged, "packets were lost and sent again"), "{:?}", judged.evidence);
}

#[test]
fn a_finished_held_up_on_the_way_is_told_from_one_that_was_lost() {
    let mut opening = plain();
    opening.client_side.holes =
        vec![Hole { from: 518, to: 598, noticed: at(101.83), filled: Some(at(325.0)) }];
    opening.client_side.seen = vec![
        seen(0.0, 0x7d48, 1000, 0),
        seen(50.03, 0x7d49, 1050, 0),
        seen(50.13, 0x7d4a, 1050, 517),
        seen(101.23, 0x7d4b, 1101, 0),
        seen(101.83, 0x7d4d, 1102, 120),
        seen(325.0, 0x7d4e, 1325, 80),
        Seen { again: true, ..seen(401.8, 0x7d4c, 1102, 80) },
    ];
    opening.reply.as_mut().unwrap().span = span(325.0, 325.0, 80);
    let judged = judged(opening);
    assert_eq!(judged.blame, Blame::Network);
    assert!(judged.shares.client < 0.02, "{:?}", judged.shares);
}

#[test]
fn a_packet_that_was_only_late_is_told_by_the_clients_clock() {
    let mut opening = plain();
    // Sent 1 ms after the acknowledgment, and 500 ms under way.
    client_answers_at(&mut opening, 602.0, 0x7d4c, 1102);
    opening.client_side.seen.push(seen(603.0, 0x7d4d, 1603, 40));
    let judged = judged(opening);
    assert_eq!(judged.blame, Blame::Network, "{:?} {:?}", judged.bounds, judged.evidence);
    assert!(says(&judged, "was held up for"), "{:?}", judged.evidence);
}

#[test]
fn a_large_flight_that_waits_for_the_window_is_the_networks() {
    let mut opening = plain();
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(51.13, 110.73, 25_000);
    flight.window_wait_ns = 50_200_000;
    flight.segments = 18;
    flight.acked = Some(at(160.9));
    opening.client_side.seen[3].at = at(160.9);
    client_answers_at(&mut opening, 161.5, 0x7d4c, 1162);
    let judged = judged(opening);
    assert!(close(judged.phases.server_flight, 59.6));
    let server = judged.bounds.server.unwrap().1;
    assert!((10.0..11.0).contains(&server), "{server}");
    assert!(says(&judged, "waited 50.2 ms for acknowledgments"), "{:?}", judged.evidence);
}

#[test]
fn a_server_that_stops_writing_is_not_mistaken_for_a_full_window() {
    let mut opening = plain();
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(51.13, 371.13, 4000);
    flight.writer_pause_ns = 320_000_000;
    flight.acked = Some(at(421.3));
    opening.client_side.seen[3].at = at(421.3);
    client_answers_at(&mut opening, 421.9, 0x7d4c, 1422);
    let judged = judged(opening);
    assert_eq!(judged.blame, Blame::Server);
    assert!(says(&judged, "the server paused 320.0 ms"), "{:?}", judged.evidence);
}

#[test]
fn syns_that_wait_for_an_answer_are_the_servers_at_its_own_tap() {
    let mut opening = plain();
    opening.syns = Repeated { first: Some(at(-3070.0)), last: Some(at(0.0)), count: 4 };
    opening.first = at(-3070.0);
    let judged = judged_at(opening, VantagePoint::Server);
    assert!(close(judged.phases.syn_wait, 3070.0));
    assert_eq!(judged.blame, Blame::Server);
    assert!(says(&judged, "the SYN was sent again 3 times over 3070.0 ms"));
}

#[test]
fn syns_that_came_after_a_syn_ack_show_that_the_way_back_loses() {
    let mut opening = plain();
    opening.first = at(-1020.0);
    opening.syns = Repeated { first: Some(at(-1020.0)), last: Some(at(0.0)), count: 2 };
    opening.syn_acks = Repeated { first: Some(at(-1019.97)), last: Some(at(0.03)), count: 2 };
    let judged = judged_at(opening, VantagePoint::Server);
    assert_eq!(judged.blame, Blame::Network, "{:?}", judged.shares);
}

fn judged_at(opening: Opening, point: VantagePoint) -> Handshake {
    let judged = judge(opening, point, &Judge::default());
    holds_together(&judged);
    judged
}

#[test]
fn an_answer_that_carries_its_acknowledgment_gives_an_estimate_and_no_lower_bound() {
    let mut opening = plain();
    opening.flight.as_mut().unwrap().acked = Some(at(131.13));
    opening.flight.as_mut().unwrap().acked_alone = false;
    opening.client_side.seen.remove(3);
    client_answers_at(&mut opening, 131.13, 0x7d4b, 1131);
    let judged = judged(opening);
    assert!(judged.estimated);
    assert!(close(judged.phases.ack, 50.0) && close(judged.phases.client_think, 30.0));
    let (least, most) = judged.bounds.client_think.unwrap();
    assert!(least == 0.0 && close(Some(most), 30.0), "{least} {most}");
    assert!(says(&judged, "estimated"));
}

#[test]
fn between_the_two_a_servers_round_trip_is_taken_from_its_think() {
    let mut opening = plain();
    opening.syn_acks = once(20.0);
    opening.acked = Some(at(70.0));
    opening.hello = Some(span(70.1, 70.1, 517));
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(511.1, 511.1, 1280);
    flight.acked = Some(at(561.2));
    opening.client_side.seen.clear();
    opening.reply.as_mut().unwrap().span = span(561.8, 561.8, 80);
    let judged = judged(opening);
    assert_eq!((judged.vantage, judged.blame), (VantagePoint::Middle, Blame::Server));
    assert!(close(judged.phases.server_think, 441.0));
    assert!((judged.shares.server * judged.total_ms - 421.0).abs() < 0.1, "{:?}", judged.shares);
}

#[test]
fn at_the_client_its_own_think_needs_no_proof() {
    let mut opening = plain();
    opening.syn_acks = once(50.0);
    opening.acked = Some(at(50.1));
    opening.hello = Some(span(50.3, 50.3, 517));
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(101.4, 101.5, 1280);
    flight.acked = Some(at(101.6));
    opening.client_side.seen.clear();
    opening.reply.as_mut().unwrap().span = span(401.6, 401.6, 80);
    let judged = judged(opening);
    assert_eq!((judged.vantage, judged.blame), (VantagePoint::Client, Blame::Client));
    assert!((judged.shares.client * judged.total_ms - 300.4).abs() < 0.2, "{:?}", judged.shares);
}

#[test]
fn without_packet_numbers_a_pause_like_a_timeout_stays_open() {
    for (pause, blame) in [(262.0, Blame::Unknown), (420.0, Blame::Client)] {
        let mut opening = plain();
        client_answers_at(&mut opening, 101.23 + pause, 0, 1102);
        opening.client_side.seen.iter_mut().for_each(|seen| {
            seen.ip_id = None;
            seen.tsval = None;
        });
        let judged = judged(opening);
        assert_eq!(judged.blame, blame, "{pause}: {:?}", judged.bounds);
        assert!(says(&judged, "IPv6 has none"), "{:?}", judged.evidence);
        assert!(says(&judged, "sends no timestamps"), "{:?}", judged.evidence);
    }
}

#[test]
fn the_second_think_of_a_tls_1_2_server_is_the_servers() {
    let mut opening = plain();
    opening.tls = Some(Tls { version: 0x0303, resumed: Some(false), ..Tls::default() });
    opening.closing = Some(span(401.83, 402.0, 250));
    opening.last = at(402.0);
    let judged = judged(opening);
    assert!(close(judged.phases.finish, 300.17));
    assert_eq!(judged.blame, Blame::Server);
}

#[test]
fn the_round_of_a_hello_retry_request_is_divided_too() {
    let mut opening = plain();
    opening.retry = Some(crate::opening::Retry {
        hello: span(50.13, 50.13, 300),
        request: span(250.13, 250.13, 99),
    });
    opening.hello = Some(span(300.73, 300.73, 517));
    let flight = opening.flight.as_mut().unwrap();
    flight.span = span(301.7, 301.7, 1280);
    flight.acked = Some(at(352.0));
    opening.reply.as_mut().unwrap().span = span(352.5, 352.5, 80);
    opening.client_side.seen.clear();
    let judged = judged(opening);
    assert!(close(judged.phases.hello_wait, 250.7));
    assert_eq!(judged.blame, Blame::Server);
    assert!((judged.shares.server * judged.total_ms - 201.0).abs() < 0.5, "{:?}", judged.shares);
    assert!(says(&judged, "a HelloRetryRequest cost a further round of 250.6 ms"));
}

#[test]
fn a_reset_ends_the_phase_it_came_in() {
    let mut opening = plain();
    opening.reply = None;
    opening.outcome = Outcome::Reset { by_client: true };
    opening.last = at(1101.23);
    let judged = judged(opening);
    assert!(close(judged.phases.client_think, 1000.0) && judged.phases.finish.is_none());
    assert!(says(&judged, "the client reset the connection 1000.0 ms into client_think"));
    assert_eq!(judged.opening.outcome.word(), "reset_by_client");
}

#[test]
fn what_the_capture_lost_makes_the_verdict_incomplete() {
    let mut opening = plain();
    client_answers_at(&mut opening, 402.43, 0x7d4c, 1402);
    opening.gaps.drops = 12;
    let judged = judged(opening);
    assert_eq!(judged.blame, Blame::Unknown);
    assert_eq!(judged.incomplete(), ["the capture lost packets"]);
    assert!(says(&judged, "incomplete: the capture lost 12 packets"));
}

#[test]
fn one_direction_alone_gives_a_total_and_no_verdict() {
    let mut opening = plain();
    opening.syn_acks = Repeated::default();
    opening.flight = None;
    opening.gaps.one_sided = true;
    client_answers_at(&mut opening, 402.43, 0x7d4c, 1402);
    let judged = judged(opening);
    assert_eq!((judged.vantage, judged.blame), (VantagePoint::Unknown, Blame::Unknown));
    assert_eq!(judged.phases.server_think, None);
    assert!(judged.shares.unknown > 0.9, "{:?}", judged.shares);
}

#[test]
fn a_tap_that_knows_its_side_needs_no_medians() {
    let vantage = Vantage::default();
    let mut opening = plain();
    opening.server_is_local = Some(false);
    assert_eq!(vantage.point(&opening), VantagePoint::Client);
}

#[test]
fn a_connection_the_tapped_machine_opened_is_not_taken_for_a_slow_answer() {
    let mut vantage = Vantage::default();
    (0..100).for_each(|_| vantage.handle_opening(&plain()));
    let mut own = plain();
    own.syn_acks = once(20.0);
    own.acked = Some(at(20.05));
    assert_eq!(vantage.point(&own), VantagePoint::Client);
    assert_eq!(vantage.place(0).point, VantagePoint::Server);
}
