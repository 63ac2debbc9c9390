//! What the wire plane keeps, on a real directory.

use std::time::Duration;

use whyslow_wire::row::{Cell, Row, Totals};

use super::super::{Batch, StoreOptions};
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
