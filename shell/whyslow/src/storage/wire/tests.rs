//! What the wire plane keeps, on a real directory.

use std::time::Duration;

use whyslow_wire::row::{Cell, Row, Totals};

use super::super::days::Kind;
use super::super::{Batch, Retention, StoreOptions, rollup as levels_of};
use super::*;

fn now() -> Wall {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Wall::from_nanos(i64::try_from(now.as_nanos()).unwrap())
}

async fn put(db: &Db, wire: WireBatch) -> WireAppended {
    db.append(Batch { wire, ..Batch::default() }).await.unwrap().wire
}

fn window(from: Wall, handshakes: u64) -> Window {
    let mut totals = Totals { handshakes, slow: 1, ..Totals::default() };
    (1..=handshakes).for_each(|n| totals.total.observe(n * 1000));
    totals.blame.insert("client".into(), 1);
    let cells = [Cell::All, Cell::Asn(64_507), Cell::Server("10.0.0.1:443".parse().unwrap())];
    let rows = cells.map(|cell| Row { cell, totals: totals.clone() }).to_vec();
    let to = from.after(Duration::from_secs(60));
    Window { from, to, packets: 100, drops: 1, blind: false, rows }
}

fn event(at: Wall, n: u16, total_us: u64) -> WireEvent {
    let client: SocketAddr = ([198, 51, 100, 7], 40_000 + n).into();
    let server: SocketAddr = ([10, 0, 0, 1], 443).into();
    WireEvent {
        id: WireEvent::id_of(WireKind::Handshake, at, client, server),
        at,
        tap: "eth0".into(),
        kind: WireKind::Handshake,
        client,
        server,
        asn: Some(64_507),
        rdns: None,
        total_us: Some(total_us),
        word: "client".to_owned(),
        outcome: Some("complete".to_owned()),
        notable: total_us > 300_000,
        evidence: None,
        document: "{}".to_owned(),
    }
}

#[tokio::test]
async fn windows_come_back_as_they_were_and_a_repeated_one_replaces_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let from = Wall::from_millis(now().as_millis() - 120_000);
    let of = |n| WireBatch {
        windows: vec![("eth0".into(), window(from, n)), ("lo".into(), window(from, 1))],
        ..WireBatch::default()
    };
    put(&db, of(3)).await;
    assert_eq!(put(&db, of(40)).await.windows, 2);
    let found = db.wire_windows(Some("eth0"), from, now()).unwrap();
    assert_eq!(found, [("eth0".into(), window(from, 40))]);
    assert_eq!(db.wire_windows(None, from, now()).unwrap().len(), 2);
    assert_eq!(db.wire_taps(from, now()).unwrap(), ["eth0".into(), "lo".into()]);
    let old = window(Wall::from_millis(0), 1);
    let refused =
        put(&db, WireBatch { windows: vec![("eth0".into(), old)], ..WireBatch::default() });
    assert_eq!(refused.await.refused, 1);
}

#[tokio::test]
async fn events_are_found_by_what_they_are_and_keep_their_packets() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let at = Wall::from_millis(now().as_millis() - 60_000);
    let mut events: Vec<WireEvent> = (0..50)
        .map(|n| event(at.after(Duration::from_millis(n.into())), n, u64::from(n) * 10_000))
        .collect();
    events[40].evidence = Some("a.pcapng".to_owned());
    put(&db, WireBatch { events: events.clone(), ..WireBatch::default() }).await;
    let slowest =
        WireEventQuery { order: WireOrder::Slowest, limit: 3, ..WireEventQuery::default() };
    let page = db.wire_events(&slowest).unwrap();
    assert_eq!(
        (page.of, page.events),
        (50, vec![events[49].clone(), events[48].clone(), events[47].clone()])
    );
    let notable = WireEventQuery {
        notable: true,
        prefix: Some("198.51.100.0/24".to_owned()),
        asn: Some(64_507),
        ..WireEventQuery::default()
    };
    assert_eq!(db.wire_events(&notable).unwrap().of, 19);
    // Told again without its packets, it keeps them.
    put(
        &db,
        WireBatch {
            events: vec![WireEvent { evidence: None, ..events[40].clone() }],
            ..WireBatch::default()
        },
    )
    .await;
    assert_eq!(db.wire_event(events[40].id).unwrap(), Some(events[40].clone()));
    let with = WireEventQuery { with_evidence: true, ..WireEventQuery::default() };
    assert_eq!(db.wire_events(&with).unwrap().of, 1);
    let told = WireEvidence { id: events[45].id, at: events[45].at, file: "b.pcapng".to_owned() };
    put(&db, WireBatch { evidence: vec![told], ..WireBatch::default() }).await;
    let found = db.wire_event(events[45].id).unwrap().unwrap();
    assert_eq!(found.evidence.as_deref(), Some("b.pcapng"));
    let none = WireEventQuery { rdns: Some("*.x".to_owned()), ..WireEventQuery::default() };
    assert_eq!(db.wire_events(&none).unwrap(), WireEventPage::default());
}

const HOUR: Duration = Duration::from_hours(1);

/// Windows of a minute, `n` of them, of two taps.
fn minutes(start: Wall, n: u32) -> WireBatch {
    let windows = (0..n).flat_map(|n| {
        let from = start.after(Duration::from_secs(60) * n);
        [("eth0", 1 + n % 7), ("lo", 2)].map(|(tap, n)| (tap.into(), window(from, n.into())))
    });
    WireBatch { windows: windows.collect(), ..WireBatch::default() }
}

/// A full two hours, so many hours ago at least.
fn hours_ago(hours: u64) -> Wall {
    let at = now().as_millis() - i64::try_from(hours).unwrap() * 3_600_000;
    Wall::from_millis(at.div_euclid(7_200_000) * 7_200_000)
}

/// What a range is of in windows of at most `wanted_s`: their seconds, how many, and their sum.
fn over(db: &Db, range: (Wall, Wall), wanted_s: i64) -> (i64, usize, Window) {
    let mut all: Vec<Window> = Vec::new();
    let mut each = |_: Arc<str>, window| all.push(window);
    let step_s = db.wire_over(None, range, Some(wanted_s), &mut each).unwrap();
    let n = all.len();
    let sum = all.into_iter().reduce(|mut sum, window| {
        sum.merge(window);
        sum
    });
    (step_s, n, sum.unwrap())
}

/// Waits until nothing of the levels below the last is to be rolled up any more.
async fn rolled_up(db: &Db) {
    let stale = |seconds: i64| {
        let kind = Kind::WireWindows { seconds, days: 1 };
        let files = &db.0.files;
        let of = |day| files.read(kind, day, |c| levels_of::stale(c, 0, i64::MAX));
        files.days(kind).into_iter().any(|day| !of(day).unwrap().unwrap().is_empty())
    };
    while stale(60) || stale(300) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn roll_ups_hold_what_their_windows_held_and_the_same_percentiles() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let start = hours_ago(5);
    put(&db, minutes(start, 180)).await;
    let range = (start, start.after(HOUR * 3));
    let all = [60, 300, 3600].map(|s| over(&db, range, s));
    // Some of it may be rolled up already.
    assert!(all.iter().all(|(.., sum)| sum == &all[0].2), "it depends on the step");
    db.close().await;
    // At its start the store rolls up what is due; nothing else says when it has.
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    rolled_up(&db).await;
    for (wanted_s, n) in [(60, 360), (299, 360), (300, 72), (3600, 6)] {
        let (step_s, windows, sum) = over(&db, range, wanted_s);
        assert_eq!((windows, step_s), (n, if wanted_s == 299 { 60 } else { wanted_s }));
        assert_eq!(sum, all[0].2, "{wanted_s}");
        let (total, before) = (&sum.rows[0].totals.total, &all[0].2.rows[0].totals.total);
        assert_eq!((total.count(), total.quantile(0.99)), (before.count(), before.quantile(0.99)));
    }
    // A window that comes late: the finer ones answer until it is rolled up again.
    let late = window(start, 1000);
    put(&db, WireBatch { windows: vec![("eth0".into(), late)], ..WireBatch::default() }).await;
    let (_, _, sum) = over(&db, range, 3600);
    assert_eq!(sum.rows[0].totals.handshakes, all[0].2.rows[0].totals.handshakes + 999);
    // A minute that is missing makes the windows around it blind, and no others.
    let gap = start.after(HOUR * 4);
    put(&db, minutes(gap, 3)).await;
    db.close().await;
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    rolled_up(&db).await;
    let mut blind = Vec::new();
    let range = (start, start.after(HOUR * 5));
    let mut each = |tap: Arc<str>, w: Window| blind.push((tap, w.from, w.to, w.blind));
    db.wire_over(Some("lo"), range, Some(300), &mut each).unwrap();
    let last = blind.pop().unwrap();
    assert!(blind.iter().all(|(.., blind)| !blind), "{blind:?}");
    assert_eq!(last, ("lo".into(), gap, gap.after(Duration::from_secs(180)), true));
    assert_eq!(db.wire_ends().unwrap()["lo"], last.2);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_answered_by_roll_ups_also_of_files_without_notes() {
    let dir = tempfile::tempdir().unwrap();
    let keeping = |raw| {
        let steps = [(Duration::from_secs(10), raw), (Duration::from_mins(5), HOUR * 24 * 30)];
        StoreOptions { retention: Retention::new(&steps).unwrap(), ..StoreOptions::default() }
    };
    let start = hours_ago(60);
    let db = Db::open(dir.path(), keeping(HOUR * 24 * 7)).unwrap();
    put(&db, minutes(start, 30)).await;
    let range = (start, start.after(HOUR));
    let before = over(&db, range, 60);
    let files = &db.0.files;
    let paths: Vec<_> = files
        .days(Kind::WIRE_FINEST)
        .into_iter()
        .map(|d| files.path(Kind::WIRE_FINEST, d))
        .collect();
    db.close().await;
    for path in paths {
        let file = rusqlite::Connection::open(path).unwrap();
        file.execute_batch("DROP TABLE stale").unwrap();
    }
    let db = Db::open(dir.path(), keeping(HOUR * 24)).unwrap();
    while !db.0.files.days(Kind::WIRE_FINEST).is_empty() {
        tokio::task::yield_now().await;
    }
    let (step_s, n, sum) = over(&db, range, 60);
    assert_eq!((step_s, n), (60, 12), "of five minutes each");
    assert_eq!((sum.rows, sum.packets), (before.2.rows, before.2.packets));
    assert_eq!(db.wire_taps(range.0, range.1).unwrap(), ["eth0".into(), "lo".into()]);
    assert!(db.wire_windows(None, range.0, range.1).unwrap().is_empty());
}
