//! Detectors over simulated hours: quiet ones, and ones with a fault.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use whyslow_model::Wall;

use super::*;
use crate::row::Row;

#[test]
fn the_page_of_notices_is_what_the_list_says() {
    let written = include_str!("../../../../docs/wire-notices.md");
    assert_eq!(written, page(), "docs/wire-notices.md is not what detect::page() makes");
}

/// A gateway with two servers and five client networks, one of them far away and one of small
/// machines; each minute has a load of its own.
struct World {
    state: u64,
}

/// What a minute of one cell is like.
#[derive(Clone, Copy)]
struct Minute {
    handshakes: u64,
    slow: f64,
    blame: &'static str,
    think_ms: f64,
    network_ms: f64,
    lost: f64,
    unanswered: u64,
    abandoned: f64,
}

const QUIET: Minute = Minute {
    handshakes: 400,
    slow: 0.004,
    blame: "network",
    think_ms: 0.9,
    network_ms: 25.0,
    lost: 0.01,
    unanswered: 0,
    abandoned: 0.01,
};

impl World {
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        #[expect(clippy::cast_precision_loss, reason = "31 bits fit")]
        let bits = (self.state >> 33) as f64;
        bits / f64::from(1_u32 << 31)
    }

    fn some(&mut self, of: u64, share: f64) -> u64 {
        (0..of).filter(|_| self.uniform() < share).count() as u64
    }

    fn totals(&mut self, minute: Minute) -> Totals {
        let load = 0.6 + 0.8 * self.uniform();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a simulation rounds its own figures"
        )]
        let n = (minute.handshakes as f64 * load) as u64;
        let mut totals = Totals { handshakes: n, ..Totals::default() };
        totals.slow = self.some(n, minute.slow);
        totals.blame.insert(Cow::Borrowed(minute.blame), totals.slow);
        totals.lost_before_tap = self.some(n, minute.lost);
        totals.unanswered = minute.unanswered;
        if minute.unanswered > 0 {
            totals.causes.insert(Cow::Borrowed("accept_queue_full"), minute.unanswered);
        }
        totals.endings.insert(Cow::Borrowed("unused"), 20);
        totals.endings.insert(Cow::Borrowed("request_abandoned"), self.some(n, minute.abandoned));
        for _ in 0..n {
            let jitter = 0.5 + self.uniform();
            let us = |ms: f64| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a simulation rounds its own figures"
                )]
                let us = (ms * jitter * 1000.0) as u64;
                us
            };
            totals.server_think.observe(us(minute.think_ms));
            totals.server.observe(us(minute.think_ms));
            totals.network.observe(us(minute.network_ms));
            totals.client.observe(us(2.0));
            totals.total.observe(us(minute.network_ms + minute.think_ms + 2.0));
        }
        totals
    }

    /// A window of the networks 1 to 5, and of the servers 1 and 2.
    fn window(&mut self, n: i64, networks: [Minute; 5], servers: [Minute; 2]) -> Window {
        let mut all = Totals::default();
        let mut rows = Vec::new();
        for (asn, minute) in (1_u32..).zip(networks) {
            let totals = self.totals(minute);
            all.merge(&totals);
            rows.push(Row { cell: Cell::Asn(asn), totals });
        }
        for (port, minute) in (1_u16..).zip(servers) {
            let address = ([10, 0, 0, 1], port).into();
            rows.push(Row { cell: Cell::Server(address), totals: self.totals(minute) });
        }
        rows.insert(0, Row { cell: Cell::All, totals: all });
        let from = Wall::from_millis(n * 60_000);
        let to = from.after(Duration::from_secs(60));
        Window { from, to, packets: 100_000, drops: 0, blind: false, rows }
    }
}

/// The codes, and what they are about, of findings that opened within `minutes` of a fault after
/// two quiet hours.
fn noticed(
    seed: u64,
    minutes: i64,
    fault: impl Fn(&mut [Minute; 5], &mut [Minute; 2]),
) -> Vec<Finding> {
    let mut world = World { state: seed };
    let mut detectors = Detectors::new(Options::default());
    let far = Minute { slow: 0.03, network_ms: 180.0, ..QUIET };
    let usual = [QUIET, QUIET, far, QUIET, Minute { handshakes: 60, ..QUIET }];
    for n in 0..120 + minutes {
        let (mut networks, mut servers) = (usual, [QUIET; 2]);
        if n >= 120 {
            fault(&mut networks, &mut servers);
        }
        detectors.handle_window(&world.window(n, networks, servers));
        let early = std::iter::from_fn(|| detectors.poll_finding());
        assert!(n >= 120 || early.count() == 0, "a finding in a quiet hour (seed {seed})");
        if n < 119 + minutes {
            while detectors.poll_reading().is_some() {}
        }
    }
    std::iter::from_fn(|| detectors.poll_finding()).collect()
}

#[test]
fn quiet_days_have_no_findings() {
    for seed in 1..=5 {
        let found = noticed(seed, 600, |_, _| {});
        assert!(found.is_empty(), "{found:?}");
    }
}

fn codes(found: &[Finding]) -> BTreeSet<(&str, Option<u32>, Option<&str>)> {
    found.iter().map(|f| (&*f.code, f.locus.asn, f.locus.server.as_deref())).collect()
}

#[test]
fn a_network_of_pegged_machines_is_named_with_its_own_part() {
    let found = noticed(7, 6, |networks, _| {
        networks[1] = Minute { slow: 0.37, blame: "client", ..QUIET };
    });
    assert_eq!(codes(&found), [("wire_client_network_slow", Some(2), None)].into());
    assert_eq!(found[0].implicates, [Segment::Client]);
    assert!(found[0].text.contains("wait for themselves"), "{}", found[0].text);
}

#[test]
fn a_server_that_thinks_longer_is_named_and_the_other_is_not() {
    let found = noticed(8, 6, |_, servers| servers[0] = Minute { think_ms: 40.0, ..QUIET });
    assert_eq!(codes(&found), [("wire_server_think_rose", None, Some("10.0.0.1:1"))].into());
}

#[test]
fn loss_on_one_networks_way_is_told_from_loss_on_everybodys() {
    let one = noticed(9, 6, |networks, _| networks[0] = Minute { lost: 0.15, ..QUIET });
    assert!(codes(&one).contains(&("wire_loss_before_tap", Some(1), None)), "{one:?}");
    assert!(!codes(&one).contains(&("wire_loss_before_tap", Some(2), None)), "{one:?}");
    let all = noticed(9, 6, |networks, _| networks.iter_mut().for_each(|m| m.lost = 0.15));
    assert!(codes(&all).contains(&("wire_loss_before_tap", None, None)), "{all:?}");
}

#[test]
fn unanswered_syns_and_abandoned_requests_are_noticed_per_server() {
    let found = noticed(10, 6, |_, servers| {
        servers[0] = Minute { unanswered: 12, ..QUIET };
        servers[1] = Minute { abandoned: 0.2, ..QUIET };
    });
    let expected = [
        ("wire_unanswered_syns", None, Some("10.0.0.1:1")),
        ("wire_requests_abandoned", None, Some("10.0.0.1:2")),
    ];
    assert_eq!(codes(&found), expected.into());
}

#[test]
fn a_window_that_lost_packets_clears_nobody() {
    let mut world = World { state: 3 };
    let mut detectors = Detectors::new(Options::default());
    detectors.handle_window(&world.window(0, [QUIET; 5], [QUIET; 2]));
    let before = std::iter::from_fn(|| detectors.poll_reading()).count();
    let lost = world.window(1, [QUIET; 5], [QUIET; 2]);
    detectors.handle_window(&Window { drops: 10_000, ..lost });
    let readings: Vec<Reading> = std::iter::from_fn(|| detectors.poll_reading()).collect();
    assert_eq!(readings.len(), before);
    assert!(
        readings
            .iter()
            .all(|r| r.status == Status::Blind && r.completeness.is_some_and(|c| c < 0.95))
    );
}
