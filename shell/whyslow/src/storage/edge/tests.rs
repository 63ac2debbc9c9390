//! What the edge plane keeps, on a real directory.

use std::path::Path;
use std::time::Duration;

use whyslow_edge::grouping::Grouping;
use whyslow_edge::record::{EdgePhase, Mark};
use whyslow_edge::row::{Key, Totals};
use whyslow_edge::slow::{Reason, SlowPhase};
use whyslow_model::Wall;
use whyslow_model::hash::fnv1a;
use whyslow_model::observation::{Cohort, Locus};
use whyslow_model::reading::{Stat, Status};

use super::super::{Batch, StoreOptions};
use super::*;

const HOUR: i64 = 3600;

fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn open(dir: &Path) -> Db {
    Db::open(dir, StoreOptions::default()).unwrap()
}

async fn put(db: &Db, edge: EdgeBatch) -> EdgeAppended {
    db.append(Batch { edge, ..Batch::default() }).await.unwrap().edge
}

fn row(start_s: i64, server: &str, hits: u64) -> Row {
    let mut totals = Totals { hits, ..Totals::default() };
    (0..hits).for_each(|n| totals.latency.observe(1000 * (n + 1)));
    totals.codes.insert(200, hits);
    totals.by_second = vec![u32::try_from(hits).unwrap(), 0, 0, 0, 0, 0, 0, 0, 0, 0];
    totals.peak_per_s = totals.by_second[0];
    let key = Key { backend: Some("app".into()), server: Some(server.into()), ..Key::default() };
    Row { start_s, span_s: 10, key, totals }
}

fn rows(source: &str, revision: u32, rows: Vec<Row>) -> EdgeBatch {
    let source: Arc<str> = source.into();
    let rows = rows.into_iter().map(|r| (Arc::clone(&source), revision, r)).collect();
    EdgeBatch { rows, ..EdgeBatch::default() }
}

fn by_server() -> Grouping {
    Grouping::BACKEND.and(Grouping::SERVER)
}

fn hits(db: &Db, query: &EdgeQuery) -> Vec<(i64, u64)> {
    let rows = db.edge_rows(query).unwrap();
    rows.into_iter().map(|r| (r.start_s, r.totals.hits)).collect()
}

#[tokio::test]
async fn what_a_key_may_have_missed_survives_the_store_and_its_roll_ups() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let start = now_s() / HOUR * HOUR - HOUR;
    let of = |start_s, route: &str, hidden_at_most, spared| {
        let mut row = row(start_s, "a", 5);
        row.key = Key { backend: Some("app".into()), route: Some(route.into()), ..Key::default() };
        (row.totals.hidden_at_most, row.totals.spared) = (hidden_at_most, spared);
        row
    };
    for n in 0..30 {
        // The route was not told apart in every other window.
        let other = of(start + n * 10, "other", 3, 0);
        let own = (n % 2 == 0).then(|| of(start + n * 10, "/a", 0, 2));
        put(&db, rows("lb1", 0, own.into_iter().chain([other]).collect())).await;
    }
    let grouping = Grouping::BACKEND.and(Grouping::ROUTE);
    for span_s in [Some(10), Some(300)] {
        let (from_s, to_s) = (start, start + 300);
        let query = EdgeQuery { from_s, to_s, span_s, grouping, ..EdgeQuery::default() };
        let found = db.edge_rows(&query).unwrap();
        let sum = |route: &str| {
            let mut sum = Totals::default();
            let its = found.iter().filter(|row| row.key.route.as_deref() == Some(route));
            its.for_each(|row| sum.merge_later(&row.totals));
            sum
        };
        let (own, other) = (sum("/a"), sum("other"));
        assert_eq!((own.hits, own.missed_at_most(Some(&other))), (75, 15 + 15 * 3));
        let beside = found[0].key.of_others();
        assert_eq!(beside.unwrap().route.as_deref(), Some("other"));
    }
}

#[tokio::test]
async fn a_revised_window_takes_the_place_of_the_one_before_and_never_adds_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let start = now_s() / HOUR * HOUR - HOUR;
    assert_eq!(put(&db, rows("lb1", 0, vec![row(start, "a", 5)])).await.rows, 1);
    assert_eq!(put(&db, rows("lb1", 2, vec![row(start, "a", 7)])).await.rows, 1);
    assert_eq!(put(&db, rows("lb1", 1, vec![row(start, "a", 6)])).await.rows, 0, "older");
    put(&db, rows("lb1", 2, vec![row(start, "a", 7)])).await;
    put(&db, rows("lb2", 0, vec![row(start, "a", 100)])).await;
    let query = EdgeQuery {
        from_s: start,
        to_s: start + 10,
        grouping: by_server(),
        ..EdgeQuery::default()
    };
    assert_eq!(hits(&db, &query), [(start, 107)]);
    let only = EdgeQuery { sources: vec!["lb1".to_owned()], ..query.clone() };
    assert_eq!(hits(&db, &only), [(start, 7)]);
    let both = &db.edge_rows(&query).unwrap()[0];
    assert_eq!(both.totals.peak_per_s, 107, "of one second");
    assert_eq!(both.totals.latency.histogram.count(), 107);
    db.close().await;
    assert_eq!(hits(&open(dir.path()), &query), [(start, 107)]);
}

#[tokio::test]
async fn long_windows_say_the_same_before_and_after_they_are_rolled_up() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let start = now_s() / HOUR * HOUR - 3 * HOUR;
    let all: Vec<Row> = (0..720)
        .flat_map(|n| {
            let at = start + n * 10;
            [row(at, "a", 1 + n.unsigned_abs() % 3), row(at, "b", 2)]
        })
        .collect();
    put(&db, rows("lb1", 0, all[..1000].to_vec())).await;
    put(&db, rows("lb2", 0, all[1000..].to_vec())).await;
    let query = |span_s| EdgeQuery {
        from_s: start,
        to_s: start + 2 * HOUR,
        span_s: Some(span_s),
        grouping: by_server(),
        ..EdgeQuery::default()
    };
    let asked: Vec<EdgeQuery> = [10, 60, 300, 900, 3600].map(query).to_vec();
    let before: Vec<Vec<Row>> = asked.iter().map(|q| db.edge_rows(q).unwrap()).collect();
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [1440, 240, 48, 16, 4]);
    db.close().await;
    // At its start the store rolls up what is due; nothing else says when it has.
    let db = open(dir.path());
    let stale = |seconds: i64| {
        let kind = super::super::days::Kind::Windows { seconds, days: 1 };
        let files = &db.0.files;
        let left = files.days(kind).into_iter().map(|day| {
            files
                .read(kind, day, |c| crate::storage::rollup::stale(c, 0, i64::MAX))
                .unwrap()
                .unwrap()
                .len()
        });
        left.sum::<usize>()
    };
    while stale(10) > 0 || stale(300) > 0 {
        tokio::task::yield_now().await;
    }
    let after: Vec<Vec<Row>> = asked.iter().map(|q| db.edge_rows(q).unwrap()).collect();
    assert_eq!(before, after);
    // A late line: the finer rows answer until it is rolled up again.
    put(&db, rows("lb1", 1, vec![row(start, "a", 1000)])).await;
    let hour = &db.edge_rows(&query(3600)).unwrap()[0];
    assert_eq!(hour.totals.hits, after[4][0].totals.hits + 999);
    let filtered = EdgeQuery {
        grouping: Grouping::BACKEND,
        filter: Key { server: Some("b".into()), ..Key::default() },
        ..query(3600)
    };
    assert_eq!(hits(&db, &filtered), [(start, 720), (start + HOUR, 720)]);
}

#[tokio::test]
async fn what_is_too_old_or_no_window_is_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let now = now_s() / 10 * 10;
    let odd = Row { span_s: 60, ..row(now, "a", 1) };
    let old = row(now - 48 * HOUR, "a", 1);
    let ahead = row(now + 48 * HOUR, "a", 1);
    let done = put(&db, rows("lb1", 0, vec![odd, old, ahead, row(now, "a", 1)])).await;
    assert_eq!((done.rows, done.refused), (1, 3));
    assert_eq!(db.counters().edge.refused, 3);
}

fn slow(n: i64, at_s: i64) -> SlowRow {
    let server = if n % 4 == 0 { "app7" } else { "app1" };
    let phase = |phase, us| SlowPhase { phase, us, mark: Mark::Exact };
    let wait = 1000 * n.unsigned_abs();
    serde_json::from_value(serde_json::json!({
        "id": format!("{:016x}", fnv1a(&format!("lb1 {at_s} {n}"))),
        "at": Wall::from_millis(at_s * 1000 + n), "source": "lb1",
        "client": format!("198.51.100.{}", n % 50), "asn": if n % 5 == 0 { 64500 } else { 64501 },
        "prefix": "198.51.100.0/24", "backend": "app", "server": server, "method": "GET",
        "path": format!("/cart/{}", n % 10), "route": "/cart/*", "code": 200, "flags": "----",
        "phases": [phase(EdgePhase::Wait, wait), phase(EdgePhase::Connect, 10)],
        "total_us": wait + 10, "total_mark": "exact", "dominant": "wait",
        "reason": Reason::OverThreshold, "limit_us": 1, "stands_for": 2.0,
    }))
    .unwrap()
}

fn is(field: SlowField, value: &str) -> SlowMatch {
    SlowMatch { field, values: vec![value.to_owned()], exclude: false }
}

#[tokio::test]
async fn slow_requests_are_found_by_any_field_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let now = now_s();
    // Two days' files, and every line read twice.
    let all: Vec<SlowRow> =
        (1..=200).map(|n| slow(n, if n <= 100 { now - 26 * HOUR } else { now - HOUR })).collect();
    let batch = || EdgeBatch { slow: all.clone(), ..EdgeBatch::default() };
    assert_eq!(put(&db, batch()).await.slow, 200);
    assert_eq!(put(&db, batch()).await.slow, 0, "the same lines again");
    let every = SlowFilter::default();
    for order in [SlowOrder::Newest, SlowOrder::Slowest] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = db.slow(&every, order, 30, after.as_deref()).unwrap();
            seen.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<SlowRow> = all.iter().rev().cloned().collect();
        assert_eq!(seen, expected, "{order:?}: here the newest are the slowest");
    }
    for field in SlowField::ALL {
        let value = field.of(&all[99]).unwrap_or_default();
        let filter = SlowFilter { matches: vec![is(field, &value)], ..SlowFilter::default() };
        let found = db.slow(&filter, SlowOrder::Newest, 1000, None).unwrap().rows;
        let expected = all.iter().rev().filter(|r| field.of(r).unwrap_or_default() == value);
        assert!(found.iter().eq(expected), "{field:?} {value}");
        let without = SlowMatch { exclude: true, ..is(field, &value) };
        let filter = SlowFilter { matches: vec![without], ..SlowFilter::default() };
        let others = db.slow(&filter, SlowOrder::Newest, 1000, None).unwrap().rows;
        assert_eq!(found.len() + others.len(), 200, "{field:?} {value}");
    }
    let narrow = SlowFilter {
        from: Some(Wall::from_millis((now - 2 * HOUR) * 1000)),
        total_us_min: Some(150_000),
        path_has: Some("/3".to_owned()),
        ..SlowFilter::default()
    };
    let found = db.slow(&narrow, SlowOrder::Newest, 1000, None).unwrap().rows;
    assert_eq!(
        found.iter().map(|r| r.total_us).collect::<Vec<_>>(),
        [193_010, 183_010, 173_010, 163_010, 153_010]
    );
    assert!(db.slow(&every, SlowOrder::Newest, 1, Some("x.1")).is_err());
}

#[tokio::test]
async fn facets_and_the_histogram_count_what_is_kept_and_what_it_stands_for() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let now = now_s() / HOUR * HOUR;
    let all: Vec<SlowRow> =
        (1..=200).map(|n| slow(n, if n <= 100 { now - 26 * HOUR } else { now - HOUR })).collect();
    let counts = vec![SlowCount {
        source: "lb1".into(),
        start_s: now - HOUR,
        route: "/cart/*".into(),
        reason: Reason::OverThreshold,
        seen: 200,
        kept: 100,
    }];
    put(&db, EdgeBatch { slow: all, slow_counts: counts.clone(), ..EdgeBatch::default() }).await;
    let filter = SlowFilter { matches: vec![is(SlowField::Asn, "64501")], ..SlowFilter::default() };
    let fields = [SlowField::Server, SlowField::Dominant, SlowField::Path, SlowField::Country];
    let facets = db.slow_facets(&filter, &fields, 3).unwrap();
    let kept = |f: &Facet| -> Vec<(String, u64)> {
        f.values.iter().map(|v| (v.value.clone(), v.count.kept)).collect()
    };
    assert_eq!(kept(&facets[0]), [("app1".to_owned(), 120), ("app7".to_owned(), 40)]);
    assert_eq!(kept(&facets[1]), [("wait".to_owned(), 160)]);
    assert_eq!((facets[2].values.len(), facets[2].more, facets[2].rest.kept), (3, 5, 100));
    assert_eq!(kept(&facets[3]), [(String::new(), 160)], "not told");
    assert!((facets[0].all.stands_for - 320.0).abs() < 1e-9);
    let bars = db.slow_histogram(&filter, HOUR, Some(SlowField::Server)).unwrap();
    let bars: Vec<(i64, &str, u64)> =
        bars.iter().map(|b| (b.start_s, b.value.as_str(), b.count.kept)).collect();
    let (old, new) = (now - 26 * HOUR, now - HOUR);
    assert_eq!(bars, [(old, "app1", 60), (old, "app7", 20), (new, "app1", 60), (new, "app7", 20)]);
    assert_eq!(db.slow_counts(now - HOUR, now).unwrap(), counts);
    assert!(db.slow_counts(now, now + HOUR).unwrap().is_empty());
}

#[tokio::test]
async fn readings_and_findings_come_newest_first_and_replace_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let at = |minutes: i64| Wall::from_millis((now_s() / 60 - minutes) * 60_000);
    let reading = |minutes: i64, server: &str, status| Reading {
        code: "edge_x".to_owned(),
        cohort: Cohort::default(),
        locus: Locus { server: Some(server.to_owned()), ..Locus::default() },
        from: at(minutes),
        to: at(minutes - 1),
        status,
        here: Stat { n: 3, median: Some(1.5), unit: "ms".to_owned(), ..Stat::default() },
        there: None,
        against: None,
        completeness: Some(0.98),
        evidence: Vec::new(),
    };
    let all = vec![
        reading(1, "a", Status::Normal),
        reading(1, "b", Status::Abnormal),
        reading(2, "a", Status::Blind),
    ];
    for _ in 0..2 {
        put(&db, EdgeBatch { readings: all.clone(), ..EdgeBatch::default() }).await;
    }
    assert_eq!(db.readings(&ReadingQuery::default()).unwrap(), all);
    let locus = Locus { server: Some("a".to_owned()), ..Locus::default() };
    let of_a = ReadingQuery { locus, limit: 1, ..ReadingQuery::default() };
    assert_eq!(db.readings(&of_a).unwrap(), all[..1]);
    let bad = ReadingQuery { statuses: vec![Status::Abnormal], ..ReadingQuery::default() };
    assert_eq!(db.readings(&bad).unwrap(), all[1..2]);

    let finding = |id: &str, minutes: i64, closed: Option<Wall>| Finding {
        id: id.to_owned(),
        code: "edge_x".to_owned(),
        cohort: Cohort::default(),
        locus: Locus::default(),
        opened: at(minutes),
        closed,
        readings: 3,
        implicates: Vec::new(),
        text: "it is slow".to_owned(),
        evidence: Vec::new(),
    };
    let first = vec![finding("1", 50, None), finding("2", 40, None)];
    put(&db, EdgeBatch { findings: first, ..EdgeBatch::default() }).await;
    let closed = finding("1", 50, Some(at(30)));
    put(&db, EdgeBatch { findings: vec![closed.clone()], ..EdgeBatch::default() }).await;
    let open = FindingQuery { open_only: true, ..FindingQuery::default() };
    assert_eq!(db.findings(&open).unwrap(), [finding("2", 40, None)]);
    let then = FindingQuery { from: Some(at(35)), to: Some(at(40)), ..FindingQuery::default() };
    assert_eq!(db.findings(&then).unwrap(), [closed]);
}

#[tokio::test]
async fn a_source_goes_on_where_it_said() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    assert_eq!(db.edge_resume("lb1").unwrap(), None);
    for place in [b"1".to_vec(), b"22".to_vec()] {
        put(&db, EdgeBatch { resume: vec![("lb1".into(), place)], ..EdgeBatch::default() }).await;
    }
    db.close().await;
    assert_eq!(open(dir.path()).edge_resume("lb1").unwrap(), Some(b"22".to_vec()));
}

#[tokio::test]
async fn roll_ups_answer_for_windows_that_are_no_longer_kept() {
    let dir = tempfile::tempdir().unwrap();
    let hours = |h| Duration::from_hours(h);
    let keeping = |raw| StoreOptions {
        retention: super::super::Retention::new(&[
            (Duration::from_secs(10), raw),
            (Duration::from_mins(5), hours(24 * 30)),
        ])
        .unwrap(),
        ..StoreOptions::default()
    };
    let start = now_s() / HOUR * HOUR - 60 * HOUR;
    let db = Db::open(dir.path(), keeping(hours(24 * 7))).unwrap();
    put(&db, rows("lb1", 0, (0..60).map(|n| row(start + n * 10, "a", 1)).collect())).await;
    db.close().await;
    // The files that are too old go only once what they hold is rolled up.
    let db = Db::open(dir.path(), keeping(hours(24))).unwrap();
    let finest = super::super::days::Kind::Windows { seconds: 10, days: 1 };
    let query = EdgeQuery {
        from_s: start,
        to_s: start + 600,
        span_s: Some(10),
        grouping: by_server(),
        ..EdgeQuery::default()
    };
    while !db.0.files.days(finest).is_empty() {
        tokio::task::yield_now().await;
    }
    let rows = db.edge_rows(&query).unwrap();
    let told: Vec<_> = rows.iter().map(|r| (r.start_s, r.span_s, r.totals.hits)).collect();
    assert_eq!(told, [(start, 300, 30), (start + 300, 300, 30)]);
}
