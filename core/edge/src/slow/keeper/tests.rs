//! What is kept of which traffic, and that every slow request is counted.

use std::collections::BTreeMap;

use whyslow_model::seeded::Seed;

use super::*;
use crate::record::{EdgePhase, Span};
use crate::row::{Key, Totals};

fn record(path: &str, total_us: u64) -> Record<'_> {
    let mut r = Record {
        at_us: Some(1_700_000_000_000_000),
        client: Some("203.0.113.7".parse().unwrap()),
        vip: b"web",
        server: b"app7",
        method: b"GET",
        path: path.as_bytes(),
        code: 200,
        total: Span::exact(total_us),
        ..Record::default()
    };
    r.phases.set(EdgePhase::Wait, Span::exact(total_us * 3 / 4));
    r.phases.set(EdgePhase::Body, Span::mixed(total_us / 8));
    r
}

fn keeper(change: impl FnOnce(&mut Options)) -> SlowKeeper {
    let mut options = Options::new("lb1".into(), Seed(11));
    change(&mut options);
    SlowKeeper::new(options)
}

fn drained(keeper: &mut SlowKeeper) -> (Vec<SlowRow>, Vec<SlowCount>) {
    keeper.handle_window_end(1_700_000_000);
    let rows = std::iter::from_fn(|| keeper.poll_kept()).collect();
    (rows, std::iter::from_fn(|| keeper.poll_count()).collect())
}

#[test]
fn a_request_over_its_routes_limit_is_kept_whole() {
    let mut k = keeper(|o| {
        o.limit_us = Some(100_000);
        o.route_limits = vec![("/slow/**".to_owned(), 2_000_000)];
    });
    k.handle_record(&record("/cart/view", 99_999));
    k.handle_record(&record("/slow/report", 1_999_999));
    let mut local = record("/cart/view", 5_000_000);
    local.end.local = true;
    k.handle_record(&local);
    k.handle_record(&record("/cart/view", 100_000));
    let long = format!("/cart/{}\u{e9}", "x".repeat(600));
    k.handle_record(&Record { request_id: b"\xff\x00id", ..record(&long, 300_000) });
    let (mut rows, counts) = drained(&mut k);
    rows.sort_by_key(|r| r.total_us);
    assert_eq!(rows.iter().map(|r| r.total_us).collect::<Vec<_>>(), [100_000, 300_000]);
    let row = &rows[0];
    assert_eq!((row.dominant, row.limit_us), (Some(EdgePhase::Wait), 100_000));
    assert_eq!(row.prefix.map(|p| p.to_string()).as_deref(), Some("203.0.113.0/24"));
    assert_eq!(row.phases.len(), 2, "what is not told is not there");
    assert!(rows[1].path.len() <= whyslow_model::limits::EDGE_SLOW_TEXT_BYTES_MAX);
    assert_eq!(rows[1].request_id, "\u{fffd}\0id");
    let counted: Vec<_> = counts.iter().map(|c| (c.seen, c.kept)).collect();
    assert_eq!(counted, [(1, 1), (1, 1)]);
    assert!(drained(&mut k).0.is_empty());
    let again = serde_json::from_str::<SlowRow>(&serde_json::to_string(row).unwrap()).unwrap();
    assert_eq!(again, *row);
}

#[test]
fn a_requests_name_is_that_of_its_line() {
    let mut k = keeper(|o| o.limit_us = Some(1));
    for us in [10, 10, 11] {
        k.handle_record(&record("/a", us));
    }
    let ids: Vec<String> = drained(&mut k).0.into_iter().map(|r| r.id).collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (3, 2));
}

#[test]
fn over_budget_every_route_gets_its_part_and_the_rest_is_counted() {
    let mut k = keeper(|o| {
        o.limit_us = Some(1000);
        o.rows_per_window = 100;
    });
    for n in 0..100_000_u64 {
        k.handle_record(&record("/flood", 1000 + n));
    }
    for n in 0..30 {
        k.handle_record(&record("/rare", 1000 + n));
    }
    let (rows, counts) = drained(&mut k);
    let mut by_route: BTreeMap<&str, Vec<&SlowRow>> = BTreeMap::new();
    rows.iter().for_each(|r| by_route.entry(&r.route).or_default().push(r));
    assert_eq!((by_route["/rare"].len(), by_route["/flood"].len()), (30, 70));
    let sum: f64 = rows.iter().map(|r| r.stands_for).sum();
    assert!((sum - 100_030.0).abs() < 1e-3, "what is kept stands for all: {sum}");
    let flood = counts.iter().find(|c| &*c.route == "/flood").unwrap();
    assert_eq!((flood.seen, flood.kept), (100_000, 70));
    // Drawn from all of them alike: the middle of 70 lies within 4 sigma of the middle.
    let mean = by_route["/flood"].iter().map(|r| r.total_us as f64).sum::<f64>() / 70.0;
    assert!((mean - 51_000.0).abs() < 4.0 * 28_868.0 / 70_f64.sqrt(), "{mean}");
}

#[test]
fn a_days_bytes_last_a_day() {
    let mut k = keeper(|o| {
        o.limit_us = Some(1000);
        o.bytes_per_day = 3 << 20;
    });
    let (mut bytes, mut last) = (0, 0);
    for _ in 0..WINDOWS_PER_DAY {
        (0..20).for_each(|n| k.handle_record(&record("/a", 1000 + n)));
        let (rows, _) = drained(&mut k);
        last = rows.len();
        bytes += rows.iter().map(bytes_of).sum::<u64>();
    }
    assert!(bytes <= 3 << 20, "{bytes}");
    assert!(bytes > 2 << 20 && last > 0, "{bytes}, {last} in the last window");
}

#[test]
fn a_routes_own_p99_is_learned_from_its_past() {
    let mut k = keeper(|_| ());
    assert_eq!(k.least_us(), u64::MAX, "nothing is slow yet");
    let mut totals = Totals::default();
    (0..100).for_each(|n| totals.latency.observe(if n < 98 { 10_000 } else { 50_000 }));
    let key = Key { route: Some("/a".into()), ..Key::default() };
    let row = Row { start_s: 0, span_s: 10, key, totals };
    (0..P99_WINDOWS).for_each(|_| k.handle_rows(std::slice::from_ref(&row)));
    let least = k.least_us();
    assert!((148_000..152_000).contains(&least), "{least}");
    k.handle_record(&record("/a", least));
    k.handle_record(&record("/b", least));
    let (rows, _) = drained(&mut k);
    assert_eq!(rows.len(), 1, "of /b nothing is known");
    assert_eq!(rows[0].reason, Reason::OverOwnP99);
}

#[test]
fn a_flood_of_routes_is_bounded() {
    let mut k = keeper(|o| o.limit_us = Some(1));
    for n in 0..3 * EDGE_ROUTES_MAX {
        k.handle_record(&record(&format!("/x{}y{}", n % 26, "a".repeat(n / 26)), 10));
    }
    assert!(k.routes.len() <= EDGE_ROUTES_MAX + 2);
}
