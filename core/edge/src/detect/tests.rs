//! Detectors over simulated hours: quiet ones, and ones with a fault.

mod world;

use std::collections::BTreeSet;

use world::*;

use super::*;
use crate::completeness::Witness;
use crate::record::{EdgePhase, Mark};
use crate::row::{ClientAsn, ClientPrefix, Key, Totals};

#[test]
fn the_page_of_notices_is_what_the_list_says() {
    let written = include_str!("../../../../docs/edge-notices.md");
    assert_eq!(written, page(), "docs/edge-notices.md is not what detect::page() makes");
}

/// What came of a run.
#[derive(Default)]
struct Outcome {
    readings: u64,
    by_status: BTreeMap<Status, u64>,
    /// Each finding as it was last told, by its id.
    findings: BTreeMap<String, Finding>,
}

impl Outcome {
    fn of(&self, code: &str) -> Vec<&Finding> {
        self.findings.values().filter(|f| f.code == code).collect()
    }

    fn codes(&self) -> BTreeSet<&str> {
        self.findings.values().map(|f| f.code.as_str()).collect()
    }
}

fn minute_of(at: Wall) -> i64 {
    (at.as_millis() / 1000 - BEGIN_S) / 60
}

/// Runs a world for so many minutes; `fault` may change requests and how many of 1000 lines come.
fn run(
    mut world: World,
    minutes: i64,
    mut fault: impl FnMut(i64, &mut [Request]) -> u64,
) -> Outcome {
    let mut detectors = Detectors::new(Options::default());
    let source: Arc<str> = "lb1".into();
    let mut outcome = Outcome::default();
    for minute in 0..minutes {
        let start_s = BEGIN_S + minute * 60;
        let mut requests = world.requests(minute);
        let seen = fault(minute, &mut requests);
        let rows = world.rows(start_s, &requests);
        let completeness = Some(Completeness { expected: 1000, seen, source: Witness::Sequence });
        let window = WindowOf { source: &source, start_s, rows: &rows, completeness };
        detectors.handle_window(&window, Wall::from_millis((start_s + 70) * 1000));
        detectors.handle_timeout(Wall::from_millis((start_s + 80) * 1000));
        while let Some(reading) = detectors.poll_reading() {
            outcome.readings += 1;
            *outcome.by_status.entry(reading.status).or_default() += 1;
        }
        while let Some(finding) = detectors.poll_finding() {
            outcome.findings.insert(finding.id.clone(), finding);
        }
    }
    outcome
}

#[test]
fn quiet_hours_bring_readings_and_no_finding() {
    for (seed, begin) in [(1, 0), (2, 480), (3, 960)] {
        let quiet = run(World { begin, ..World::new(seed) }, 8 * 60, |_, _| 1000);
        let told: Vec<&str> = quiet.findings.values().map(|f| f.text.as_str()).collect();
        assert!(told.is_empty(), "seed {seed}: {told:#?}");
        assert!(quiet.readings > 25_000, "{}", quiet.readings);
        let abnormal = quiet.by_status.get(&Status::Abnormal).copied().unwrap_or(0);
        assert!(abnormal * 200 < quiet.readings, "seed {seed}: {:?}", quiet.by_status);
        assert!(!quiet.by_status.contains_key(&Status::Blind), "{:?}", quiet.by_status);
    }
}

/// A fault from minute 60 to 120 brings a finding of this code within `within` minutes, about
/// `locus` alone; it closes after.
fn found(code: &str, within: i64, locus: &Locus, mut fault: impl FnMut(&mut Request)) {
    for seed in 11..=12 {
        let outcome = run(World::new(seed), 140, |minute, requests| {
            if (60..120).contains(&minute) {
                requests.iter_mut().for_each(&mut fault);
            }
            1000
        });
        let of = outcome.of(code);
        let texts: Vec<&str> = of.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(of.len(), 1, "seed {seed}: {texts:?} of {:?}", outcome.codes());
        let finding = of[0];
        assert_eq!(&finding.locus, locus, "seed {seed}");
        assert!(minute_of(finding.opened) >= 60, "seed {seed}: {finding:?}");
        assert!(minute_of(finding.opened) < 60 + within, "seed {seed}: {finding:?}");
        let closed = finding.closed.map(minute_of);
        assert!(closed.is_some_and(|m| m >= 120), "seed {seed}: {finding:?}");
        assert!(!finding.implicates.is_empty() && !finding.evidence.is_empty());
        let others: Vec<&str> = outcome.codes().into_iter().filter(|c| !beside(code, c)).collect();
        assert!(others.is_empty(), "seed {seed}: {others:?}");
        assert!(finding.text.ends_with('.') && finding.text.len() < 200, "{}", finding.text);
    }
}

/// Whether a fault that brings the one finding may bring the other too.
fn beside(code: &str, other: &str) -> bool {
    let network = code == "edge_client_network_slow" && other == "edge_client_prefix_slow";
    code == other || network
}

fn locus(backend: &str, server: Option<&str>, route: Option<&str>) -> Locus {
    Locus {
        backend: Some(backend.to_owned()),
        server: server.map(str::to_owned),
        route: route.map(str::to_owned),
        ..Locus::default()
    }
}

#[test]
fn a_server_slower_than_its_twins_is_found() {
    let slow = locus("ads", Some("app3"), Some("/bid"));
    found("edge_server_slower_than_twins", 5, &slow, |r| {
        if r.server == 3 && r.route == 0 {
            r.wait_us *= 2.3;
        }
    });
}

#[test]
fn a_route_that_regressed_is_found() {
    let slow = locus("ads", None, Some("/win"));
    found("edge_route_regressed", 5, &slow, |r| {
        if r.route == 1 {
            r.wait_us *= 2.0;
        }
    });
}

#[test]
fn hits_that_are_no_longer_200s_are_found() {
    let broken = locus("ads", None, Some("/bid"));
    let mut n = 0;
    found("edge_hits_without_success", 5, &broken, |r| {
        n += 1;
        if r.route == 0 && n % 5 == 0 {
            r.code = 503;
        }
    });
}

#[test]
fn a_route_that_loses_its_hits_is_found() {
    let mut n = 0;
    found("edge_hits_fall", 5, &locus("ads", None, Some("/win")), |r| {
        n += 1;
        r.lost = r.route == 1 && n % 4 != 0;
    });
}

#[test]
fn queueing_at_the_balancer_is_found() {
    let mut n = 0;
    found("edge_queueing", 5, &locus("ads", None, None), |r| {
        n += 1;
        if n % 3 == 0 {
            r.queue_us = 40_000.0;
        }
    });
}

#[test]
fn a_slow_client_network_is_found() {
    let network = Locus { asn: Some(64_502), ..Locus::default() };
    let mut n = 0;
    let mut fault = |r: &mut Request| {
        n += 1;
        if r.network == 2 && n % 5 < 2 {
            r.body_us += 800_000.0;
        }
    };
    found("edge_client_network_slow", 5, &network, &mut fault);
}

#[test]
fn retries_are_found() {
    let mut n = 0;
    found("edge_retries", 5, &locus("ads", None, None), |r| {
        n += 1;
        r.retries = u16::from(n % 8 == 0);
    });
}

#[test]
fn lines_that_never_arrive_are_found() {
    let outcome = run(World::new(5), 60, |minute, _| if minute >= 20 { 980 } else { 1000 });
    let of = outcome.of("edge_lines_missing");
    assert_eq!(outcome.findings.len(), 1, "{:?}", outcome.codes());
    assert_eq!(minute_of(of[0].opened), 20);
    assert_eq!(of[0].locus.edge.as_deref(), Some("lb1"));
}

#[test]
fn what_is_half_blind_accuses_and_clears_nobody() {
    let outcome = run(World::new(6), 120, |minute, requests| {
        if minute >= 60 {
            requests.iter_mut().filter(|r| r.server == 3).for_each(|r| r.wait_us *= 3.0);
        }
        // From then on too many lines are missing, and the fault is over.
        if minute >= 80 { 900 } else { 1000 }
    });
    let blind = outcome.by_status[&Status::Blind];
    assert!(blind > 1000, "{:?}", outcome.by_status);
    let twins = outcome.of("edge_server_slower_than_twins");
    assert!(!twins.is_empty() && twins.iter().all(|f| f.closed.is_none()), "{twins:?}");
    let accused: BTreeSet<_> = twins.iter().map(|f| f.locus.server.as_deref()).collect();
    assert_eq!(accused, BTreeSet::from([Some("app3")]));
}

#[test]
fn a_slow_answer_for_everybody_is_no_clients_fault() {
    let outcome = run(World::new(7), 120, |minute, requests| {
        if minute >= 60 {
            requests.iter_mut().for_each(|r| r.body_us += 500_000.0);
        }
        1000
    });
    assert!(outcome.findings.is_empty(), "{:?}", outcome.codes());
}

#[test]
fn a_network_whose_requests_the_server_answers_slowly_is_not_accused() {
    let outcome = run(World { begin: 0, ..World::new(8) }, 120, |minute, requests| {
        for r in requests.iter_mut().filter(|r| minute >= 60 && r.network == 2) {
            r.body_us += 500_000.0;
            r.wait_us *= 4.0;
        }
        1000
    });
    let accused = outcome.of("edge_client_network_slow");
    assert!(accused.is_empty(), "{accused:?}");
}

/// Story E: two servers, a URL with little traffic, one of them 2.3 times slower on it alone.
#[test]
fn a_twin_slower_on_one_url_at_low_traffic_is_found() {
    const QUIET: &[Route] = &[("/bid", 300.0, 16_000.0), ("/optout", 18.0, 12_000.0)];
    for seed in 21..=22 {
        // By night, when even less is asked.
        let world = World { routes: QUIET, servers: 2, begin: 60, ..World::new(seed) };
        let outcome = run(world, 180, |minute, requests| {
            for r in requests.iter_mut().filter(|r| minute >= 60 && r.route == 1 && r.server == 1) {
                r.wait_us *= 2.3;
            }
            1000
        });
        let of = outcome.of("edge_server_slower_than_twins");
        assert_eq!(of.len(), 1, "seed {seed}: {of:?}");
        assert_eq!(of[0].locus, locus("ads", Some("app1"), Some("/optout")));
        assert!((60..110).contains(&minute_of(of[0].opened)), "seed {seed}: {:?}", of[0]);
    }
}

#[test]
fn the_same_hours_give_the_same_findings_and_an_open_one_survives_a_restart() {
    let fault = |minute: i64, requests: &mut [Request]| {
        for r in requests.iter_mut().filter(|r| minute >= 30 && r.server == 1) {
            r.wait_us *= 3.0;
        }
        1000
    };
    let (a, b) = (run(World::new(9), 45, fault), run(World::new(9), 45, fault));
    assert_eq!(a.findings, b.findings);
    let of = a.of("edge_server_slower_than_twins");
    let on_bid = |f: &&&Finding| f.locus.route.as_deref() == Some("/bid");
    let open = (*of.iter().find(on_bid).unwrap()).clone();
    let mut detectors = Detectors::new(Options::default());
    detectors.restore([open.clone()]);
    let source: Arc<str> = "lb1".into();
    let mut world = World::new(10);
    let mut last = None;
    for minute in 60..80 {
        let start_s = BEGIN_S + minute * 60;
        let requests = world.requests(minute);
        let rows = world.rows(start_s, &requests);
        let window = WindowOf { source: &source, start_s, rows: &rows, completeness: None };
        detectors.handle_window(&window, Wall::from_millis((start_s + 70) * 1000));
        last = std::iter::from_fn(|| detectors.poll_finding()).last().or(last);
    }
    let last = last.unwrap();
    assert_eq!((last.id, last.closed.is_some()), (open.id, true));
}

#[test]
fn an_old_log_that_is_read_in_a_hurry_is_judged_as_it_would_have_been_then() {
    let mut detectors = Detectors::new(Options::default());
    let source: Arc<str> = "lb1".into();
    let mut world = World::new(3);
    let mut hits = 0;
    // A month later, ten seconds of the log at a time, within a second.
    let now = Wall::from_millis((BEGIN_S + 30 * 86_400) * 1000);
    let mut judged = 0;
    for window in 0..60 {
        let start_s = BEGIN_S + window * 10;
        let requests = world.requests(window / 6);
        hits += requests.iter().filter(|r| r.route != 4).count() as u64;
        let rows = world.rows(start_s, &requests);
        let window = WindowOf { source: &source, start_s, rows: &rows, completeness: None };
        detectors.handle_window(&window, now);
    }
    detectors.handle_timeout(now.after(Duration::from_secs(20)));
    while let Some(reading) = detectors.poll_reading() {
        assert_eq!(reading.completeness, None, "nobody tells how complete the log is");
        judged += if reading.code == "edge_hits_fall" { reading.here.n } else { 0 };
    }
    assert_eq!((judged, detectors.counters().too_late), (hits, 0));
}

#[test]
fn completeness_is_told_of_all_sources_or_of_none_unless_too_much_is_missing() {
    let told = |seen| Some(Completeness { expected: 1000, seen, source: Witness::Sequence });
    let of = |one, two| {
        let mut detectors = Detectors::new(Options::default());
        let mut world = World::new(3);
        let requests = world.requests(0);
        let rows = world.rows(BEGIN_S, &requests);
        let now = |s: i64| Wall::from_millis((BEGIN_S + s) * 1000);
        for (source, completeness) in [("lb1", one), ("lb2", two)] {
            let source: Arc<str> = source.into();
            let window = WindowOf { source: &source, start_s: BEGIN_S, rows: &rows, completeness };
            detectors.handle_window(&window, now(12));
        }
        detectors.handle_timeout(now(80));
        let readings = std::iter::from_fn(|| detectors.poll_reading());
        let of_hits: Vec<_> = readings.filter(|r| r.code == "edge_hits_fall").collect();
        assert!(!of_hits.is_empty());
        let blind = of_hits.iter().all(|r| r.status == Status::Blind);
        (of_hits[0].completeness, blind)
    };
    assert_eq!(of(told(1000), told(980)), (Some(0.99), false));
    assert_eq!(of(told(1000), None), (None, false));
    assert_eq!(of(None, None), (None, false));
    assert_eq!(of(told(500), None), (Some(0.5), true));
}

#[test]
fn a_revised_window_is_counted_once_and_one_that_is_judged_not_at_all() {
    let mut detectors = Detectors::new(Options::default());
    let source: Arc<str> = "lb1".into();
    let mut world = World::new(3);
    let requests = world.requests(0);
    let (few, all) = (world.rows(BEGIN_S, &requests[..100]), world.rows(BEGIN_S, &requests));
    let window = |rows| WindowOf { source: &source, start_s: BEGIN_S, rows, completeness: None };
    let now = |s: i64| Wall::from_millis((BEGIN_S + s) * 1000);
    detectors.handle_window(&window(&few), now(12));
    detectors.handle_window(&window(&all), now(30));
    assert!(detectors.poll_reading().is_none(), "late lines may come");
    detectors.handle_timeout(now(80));
    let hits = std::iter::from_fn(|| detectors.poll_reading())
        .filter(|r| r.code == "edge_hits_fall")
        .map(|r| r.here.n)
        .sum::<u64>();
    assert_eq!(hits, requests.iter().filter(|r| r.route != 4).count() as u64);
    detectors.handle_window(&window(&all), now(90));
    assert_eq!(detectors.counters().too_late, 1);
}
