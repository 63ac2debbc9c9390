//! What windows hold, against a count of one's own.

mod sums;

use std::collections::BTreeMap;

use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use super::table::Room;
use super::{Grouping, Options, Windows};
use crate::merge_windows;
use crate::record::{Attempt, EdgePhase, Record, Span};
use crate::routes::Routes;
use crate::row::{ClientAsn, Key, OTHER, Row, Totals};

const NOON_S: i64 = 1_800_000_000;

fn windows(lateness_s: u32) -> Windows {
    let routes = Routes::default();
    Windows::new(Options { span_s: 10, routes, asn: None, seed: Seed(7), lateness_s })
}

fn at(second: i64) -> Wall {
    Wall::from_millis((NOON_S + second) * 1000)
}

fn request(second: i64) -> Record<'static> {
    Record {
        at_us: Some((NOON_S + second) * 1_000_000),
        vip: b"web",
        backend: b"app",
        server: b"app1",
        path: b"/users/17",
        code: 200,
        total: Span::exact(5000),
        ..Record::default()
    }
}

fn drained(windows: &mut Windows) -> Vec<(i64, u32, u64)> {
    let hits = |rows: &[Row]| {
        rows.iter()
            .filter(|r| Grouping::of(&r.key) == Some(Grouping::Vip))
            .map(|r| r.totals.hits)
            .sum()
    };
    std::iter::from_fn(|| windows.poll_window())
        .map(|w| (w.start_s - NOON_S, w.revision, hits(&w.rows)))
        .collect()
}

#[test]
fn a_window_is_given_once_its_end_has_passed_and_again_when_a_late_record_changes_it() {
    let mut windows = windows(60);
    windows.handle_record(&request(1), at(1));
    windows.handle_record(&request(9), at(9));
    windows.handle_record(&request(11), at(11));
    assert_eq!(drained(&mut windows), []);
    windows.handle_record(&request(12), at(12));
    assert_eq!(drained(&mut windows), [(0, 0, 2)]);
    windows.handle_record(&request(3), at(13));
    windows.handle_record(&request(22), at(22));
    assert_eq!(drained(&mut windows), [(0, 1, 3), (10, 0, 2)]);
    let counters = windows.counters();
    assert_eq!((counters.on_time, counters.late, counters.beyond), (5, 1, 0));
}

#[test]
fn round_trips_to_clients_are_held_apart_from_phases() {
    let mut windows = windows(60);
    windows.handle_record(&Record { client_rtt_us: Some(24_000), ..request(1) }, at(1));
    windows.handle_record(&request(1), at(1));
    windows.finish();
    for row in windows.poll_window().unwrap().rows {
        let rtt = &row.totals.client_rtt;
        assert_eq!((row.totals.hits, rtt.histogram.count(), rtt.sum_us), (2, 1, 24_000));
    }
}

#[test]
fn a_record_beyond_the_lateness_bound_is_counted_and_changes_nothing() {
    let mut windows = windows(20);
    windows.handle_record(&request(5), at(5));
    windows.handle_record(&request(100), at(100));
    windows.handle_record(&request(6), at(100));
    windows.finish();
    assert_eq!(drained(&mut windows), [(0, 0, 1), (100, 0, 1)]);
    assert_eq!(windows.counters().beyond, 1);
}

#[test]
fn a_window_is_revised_until_the_bound_and_no_longer() {
    let mut windows = windows(20);
    windows.handle_record(&request(5), at(5));
    windows.handle_record(&request(31), at(31));
    windows.handle_record(&request(6), at(31));
    windows.handle_record(&request(52), at(52));
    windows.handle_record(&request(7), at(52));
    windows.finish();
    assert_eq!(drained(&mut windows), [(0, 0, 1), (0, 1, 2), (30, 0, 1), (50, 0, 1)]);
    assert_eq!((windows.counters().late, windows.counters().beyond), (1, 1));
}

#[test]
fn an_idle_input_gives_its_last_window_by_the_callers_clock() {
    let mut windows = windows(60);
    windows.handle_record(&request(8), at(1000));
    windows.handle_timeout(at(1002));
    assert_eq!(drained(&mut windows), []);
    windows.handle_timeout(at(1004));
    assert_eq!(drained(&mut windows), [(0, 0, 1)]);
}

#[test]
fn one_wild_date_closes_nothing_but_a_clock_that_is_ahead_is_believed() {
    let mut windows = windows(60);
    windows.handle_record(&request(1), at(1));
    windows.handle_record(&request(1_000_000), at(1));
    windows.handle_record(&request(2), at(2));
    assert_eq!(drained(&mut windows), []);
    assert_eq!(windows.counters().ahead, 1);
    for second in 0..40 {
        windows.handle_record(&request(5000 + second), at(2));
    }
    assert_eq!(drained(&mut windows)[0], (0, 0, 2));
}

#[test]
fn a_record_without_a_time_counts_at_the_callers() {
    let mut windows = windows(60);
    windows.handle_record(&Record { at_us: None, ..request(0) }, at(42));
    windows.finish();
    assert_eq!(drained(&mut windows), [(40, 0, 1)]);
    assert_eq!(windows.counters().undated, 1);
}

#[test]
fn seconds_of_all_keys_add_up_to_an_exact_peak() {
    let mut windows = windows(60);
    for (second, path) in
        [(0, &b"/a"[..]), (0, b"/b"), (1, b"/a"), (1, b"/b"), (1, b"/c"), (2, b"/a")]
    {
        windows.handle_record(&Record { path, ..request(second) }, at(second));
    }
    windows.finish();
    let rows = windows.poll_window().unwrap().rows;
    let vip = rows.iter().find(|r| Grouping::of(&r.key) == Some(Grouping::Vip)).unwrap();
    assert_eq!(vip.totals.by_second, [2, 3, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(vip.totals.peak_per_s, 3);
}

#[test]
fn a_failed_attempt_is_charged_to_the_server_that_failed() {
    let mut windows = windows(60);
    let attempts = vec![Attempt { server: b"app2", code: Some(502), micros: Some(9) }];
    windows.handle_record(&Record { attempts, ..request(0) }, at(0));
    windows.finish();
    let rows = windows.poll_window().unwrap().rows;
    let of = |server: &str| {
        let mine = |r: &&Row| {
            Grouping::of(&r.key) == Some(Grouping::Server)
                && r.key.server.as_deref() == Some(server)
        };
        rows.iter().find(mine).map(|r| (r.totals.hits, r.totals.failed_attempts))
    };
    assert_eq!((of("app1"), of("app2")), (Some((1, 0)), Some((0, 1))));
}

#[test]
fn a_flood_of_keys_is_bounded_and_every_grouping_still_sums_to_the_requests() {
    let mut windows = windows(60);
    let n = 60_000_u32;
    for i in 0..n {
        let word: String = i.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
        let (path, vip) = (format!("/{word}"), format!("v{}", i % 7));
        let backend = format!("b{}", i % 40_000);
        let client = std::net::Ipv4Addr::from_bits(i << 8);
        let record = Record {
            vip: vip.as_bytes(),
            backend: backend.as_bytes(),
            path: path.as_bytes(),
            client: Some(client.into()),
            client_asn: Some(i),
            code: u16::try_from(i).unwrap_or(u16::MAX),
            ..request(i64::from(i % 10))
        };
        windows.handle_record(&record, at(10));
    }
    windows.finish();
    let rows = windows.poll_window().unwrap().rows;
    let mut sums: BTreeMap<Grouping, u64> = BTreeMap::new();
    for row in &rows {
        *sums.entry(Grouping::of(&row.key).unwrap()).or_default() += row.totals.hits;
    }
    assert_eq!(sums.len(), 8);
    assert!(sums.values().all(|hits| *hits == u64::from(n)), "{sums:?}");
    let of_others = |row: &&Row| row.key.backend.as_deref() == Some(OTHER);
    assert!(rows.iter().any(|r| of_others(&r)));
    windows.handle_gone_before(i64::MAX);
    let counters = windows.counters();
    assert!(counters.names_to_other > 0 && counters.keys_to_other > 0, "{counters:?}");
    assert!(counters.clients_to_other > 0, "{counters:?}");
}

#[test]
fn among_a_million_routes_and_networks_the_frequent_ones_are_found_and_little_is_held() {
    let mut windows = windows(60);
    let n = 1_000_000_u32;
    let mut path = String::new();
    for i in 0..n {
        // Once the tables are full: one in a hundred, more than one in 256 and 2000.
        let frequent = i > 500_000 && i % 100 == 0;
        path.clear();
        path.push('/');
        if frequent {
            path.push_str("cart");
        } else {
            path.extend(i.to_string().bytes().map(|b| char::from(b - b'0' + b'a')));
        }
        let record = Record {
            path: path.as_bytes(),
            client_asn: Some(if frequent { 64_500 } else { 100_000 + i }),
            ..request(0)
        };
        windows.handle_record(&record, at(0));
        assert!(i % 1000 > 0 || windows.routes.len() <= super::ROUTES_HELD, "{i}");
    }
    windows.finish();
    let rows = windows.poll_window().unwrap().rows;
    let (told, frequent) = (u64::from(n), 4999);
    for (grouping, is_it, rows_max) in [
        (
            Grouping::Route,
            (|k: &Key| k.route.as_deref() == Some("/cart")) as fn(&Key) -> bool,
            2001,
        ),
        (Grouping::ClientAsn, |k: &Key| k.client_asn == Some(ClientAsn::As(64_500)), 257),
    ] {
        let its: Vec<&Row> =
            rows.iter().filter(|row| Grouping::of(&row.key) == Some(grouping)).collect();
        assert!(its.len() <= rows_max, "{grouping:?}: {} rows", its.len());
        assert_eq!(its.iter().map(|row| row.totals.hits).sum::<u64>(), told, "{grouping:?}");
        let row = its.iter().find(|row| is_it(&row.key)).unwrap();
        let others = row.key.of_others().unwrap();
        let other = &its.iter().find(|row| row.key == others).unwrap().totals;
        let (hits, missed) = (row.totals.hits, row.totals.missed_at_most(Some(other)));
        assert!(hits <= frequent && frequent <= hits + missed, "{grouping:?}: {hits} + {missed}");
        assert!(other.hidden_at_most <= told / (rows_max as u64 - 1), "{grouping:?}");
    }
    windows.handle_gone_before(i64::MAX);
    let counters = windows.counters();
    assert_eq!((counters.names_to_other, counters.keys_to_other), (0, 0));
    assert!(counters.routes_to_other > told / 2 && counters.clients_to_other > told / 2);
}

#[test]
fn a_key_that_no_window_gives_is_of_no_grouping() {
    assert_eq!(Grouping::of(&Key::default()), None);
}
