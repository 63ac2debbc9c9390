//! What windows hold, against a count of one's own.

use std::collections::BTreeMap;

use proptest::prelude::*;
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

/// One request as a few small numbers.
#[derive(Clone, Debug)]
struct Small {
    second: i64,
    server: u8,
    path: u8,
    code: u16,
    total_us: u64,
    wait_us: Option<u64>,
    client: u8,
    local: bool,
}

fn small() -> impl Strategy<Value = Small> {
    (
        0_i64..40,
        0_u8..3,
        0_u8..4,
        200_u16..203,
        0_u64..100_000,
        any::<Option<u16>>(),
        0_u8..4,
        any::<bool>(),
    )
        .prop_map(|(second, server, path, code, total_us, wait, client, local)| Small {
            second,
            server,
            path,
            code,
            total_us,
            wait_us: wait.map(u64::from),
            client,
            local,
        })
}

fn feed(windows: &mut Windows, small: &Small) {
    const SERVERS: [&[u8]; 3] = [b"one", b"two", b"<NOSRV>"];
    const PATHS: [&[u8]; 4] = [b"/a", b"/b/1", b"/b/2", b""];
    let mut record = Record {
        server: SERVERS[usize::from(small.server)],
        path: PATHS[usize::from(small.path)],
        code: small.code,
        total: Span::exact(small.total_us),
        client: Some(std::net::Ipv4Addr::new(10, 0, small.client, 1).into()),
        ..request(small.second)
    };
    record.end.local = small.local;
    if let Some(us) = small.wait_us {
        record.phases.set(EdgePhase::Wait, Span::exact(us));
    }
    windows.handle_record(&record, at(small.second));
}

/// All rows in their last revision.
fn last_rows(windows: &mut Windows) -> Vec<Row> {
    windows.finish();
    let mut last: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    while let Some(window) = windows.poll_window() {
        last.insert(window.start_s, window.rows);
    }
    last.into_values().flatten().collect()
}

/// The requests of each key of a grouping, counted one by one.
fn counted(requests: &[(u8, u8, u8)], grouping: Grouping) -> BTreeMap<Key, u64> {
    let mut counts: BTreeMap<Key, u64> = BTreeMap::new();
    for (what, server, _) in requests {
        let (vip, backend) = (Some("web".into()), Some("app".into()));
        let mut key = Key { vip, backend, ..Key::default() };
        match grouping {
            Grouping::Route => key.route = Some(route_of(*what).into()),
            Grouping::Leaf => {
                key.route = Some(route_of(*what).into());
                key.server = Some(format!("app{server}").into());
            }
            Grouping::Vip
            | Grouping::Backend
            | Grouping::Server
            | Grouping::Code
            | Grouping::ClientAsn
            | Grouping::ClientPrefix => {
                key.client_asn = Some(ClientAsn::As((*what).into()));
            }
        }
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn route_of(what: u8) -> String {
    format!("/{}{}", char::from(b'a' + what / 16), char::from(b'a' + what % 16))
}

/// The windows of such requests, told apart in so much room.
fn told_in(room: Room, requests: &[(u8, u8, u8)], balancer: u8) -> Vec<Row> {
    let mut windows = windows(600);
    windows.room = room;
    for (n, (what, server, of)) in (0_i64..).zip(requests) {
        if *of != balancer {
            continue;
        }
        let (path, server) = (route_of(*what), format!("app{server}"));
        let second = n * 30 / 400;
        let record = Record {
            server: server.as_bytes(),
            path: path.as_bytes(),
            client_asn: Some((*what).into()),
            ..request(second)
        };
        windows.handle_record(&record, at(second));
    }
    last_rows(&mut windows)
}

proptest! {
    #[test]
    fn what_is_told_apart_is_exact_within_its_bounds_however_windows_are_merged(
        requests in proptest::collection::vec(
            (prop_oneof![0..3_u8, 0..9_u8, any::<u8>()], 0..3_u8, 0..2_u8), 0..400),
        routes in 1..6_usize,
        keys in prop_oneof![Just(10_000_usize), 12..40_usize],
    ) {
        let room = Room { keys, backends: 10, routes, clients: 3 };
        let parts = vec![told_in(room, &requests, 0), told_in(room, &requests, 1)];
        let mut sums: BTreeMap<Key, Totals> = BTreeMap::new();
        for row in merge_windows(parts) {
            sums.entry(row.key).or_default().merge_later(&row.totals);
        }
        for grouping in [Grouping::Route, Grouping::Leaf, Grouping::ClientAsn] {
            let of = |key: &Key| Grouping::of(key) == Some(grouping);
            let hits: u64 = sums.iter().filter(|(k, _)| of(k)).map(|(_, t)| t.hits).sum();
            prop_assert_eq!(hits, requests.len() as u64, "totals of {:?} reconcile", grouping);
            for (key, exact) in counted(&requests, grouping) {
                let (own, other) = (sums.get(&key), sums.get(&key.of_others().unwrap()));
                let none = Totals::default();
                if grouping == Grouping::Leaf && keys < 100 && other.is_none() {
                    // Where keys themselves find no room, a server may have no row at all.
                    continue;
                }
                let own = own.unwrap_or(&none);
                let missed = own.missed_at_most(other);
                prop_assert!(
                    own.hits <= exact && exact <= own.hits + missed,
                    "{:?}: {} of {} and {}", key, own.hits, exact, missed
                );
            }
        }
    }

    #[test]
    fn merging_the_windows_of_several_balancers_is_one_pass(
        requests in proptest::collection::vec((small(), 0_usize..3), 0..80),
    ) {
        let mut one = windows(600);
        let mut apart = [windows(600), windows(600), windows(600)];
        for (request, balancer) in &requests {
            feed(&mut one, request);
            feed(&mut apart[*balancer], request);
        }
        let merged = merge_windows(apart.iter_mut().map(last_rows).collect());
        let mut wanted = last_rows(&mut one);
        wanted.sort_by(|a, b| (a.start_s, &a.key).cmp(&(b.start_s, &b.key)));
        prop_assert_eq!(merged, wanted);
    }

    #[test]
    fn every_request_is_in_each_grouping_once_whatever_the_order(
        requests in proptest::collection::vec(small(), 1..80),
    ) {
        let mut windows = windows(600);
        requests.iter().for_each(|r| feed(&mut windows, r));
        let mut sums: BTreeMap<Grouping, Totals> = BTreeMap::new();
        for row in last_rows(&mut windows) {
            sums.entry(Grouping::of(&row.key).unwrap()).or_default().merge_later(&row.totals);
        }
        let timed = requests.iter().filter(|r| !r.local).count() as u64;
        let sum_us: u64 = requests.iter().filter(|r| !r.local).map(|r| r.total_us).sum();
        prop_assert_eq!(sums.len(), 8);
        for totals in sums.values() {
            prop_assert_eq!(totals.hits, requests.len() as u64);
            prop_assert_eq!(totals.latency.histogram.count(), timed);
            prop_assert_eq!(totals.latency.sum_us, sum_us);
            prop_assert_eq!(totals.codes.values().sum::<u64>(), totals.hits);
        }
    }
}

#[test]
fn a_key_that_no_window_gives_is_of_no_grouping() {
    assert_eq!(Grouping::of(&Key::default()), None);
}
