//! The keeper on a real store, with handshakes of a real capture that were moved in time and
//! given to other clients.

use whyslow_model::asn::{Owner, Range};
use whyslow_model::observation::Plane;
use whyslow_model::reading::Status;
use whyslow_model::seeded::Seed;
use whyslow_wire::capture::{Reader, Step};
use whyslow_wire::event::{Ending, EndingKind, Unanswered};
use whyslow_wire::handshake::{Blame, Handshake};
use whyslow_wire::plan::{Loss, Why};
use whyslow_wire::row::{Cell, Dimension, Totals, Window};
use whyslow_wire::segment::FlowKey;
use whyslow_wire::watch::{self, Told, Watch};

use super::names::Answer;
use super::*;
use crate::storage::{
    FindingQuery, ObservationFilter, PageRequest, ReadingQuery, StoreOptions, WireEventQuery,
    WireKind,
};
use crate::wire::TapStatus;
use crate::wire::counters::{TapCounts, TapGauges};
use crate::wire::event::What;
use crate::wire::tap::Sight;

const CAPTURE: &[u8] =
    include_bytes!("../../../../../core/wire/tests/fixtures/handshakes/tls13_full.pcap");
const MINUTE: Duration = Duration::from_secs(60);

/// The handshake of the capture.
fn real() -> Handshake {
    let (mut reader, mut capture) = (Reader::new(), CAPTURE);
    let mut watch = Watch::new(watch::Options::default(), Seed(1));
    while let Ok(step) = reader.next(capture) {
        let consumed = match step {
            Step::Need(_) => break,
            Step::Packet { packet, consumed, .. } => {
                watch.handle_packet(&packet);
                consumed
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => consumed,
        };
        capture = &capture[consumed..];
    }
    watch.finish();
    let found = std::iter::from_fn(|| watch.poll()).find_map(|told| match told {
        Told::Handshake(handshake) => Some(*handshake),
        Told::Unanswered(_) | Told::Ending(_) => None,
    });
    found.expect("a handshake")
}

/// Client `n` of network `net`: 10.NET.n.n.
fn flow(net: u8, n: u32) -> FlowKey {
    let [.., high, low] = n.to_be_bytes();
    FlowKey { client: ([10, net, high, low], 40_000).into(), server: ([192, 0, 2, 1], 443).into() }
}

fn moved(of: &Handshake, flow: FlowKey, at: Wall, slow: bool) -> Handshake {
    let mut handshake = of.clone();
    handshake.opening.flow = flow;
    handshake.opening.first = at;
    handshake.blame = if slow { Blame::Client } else { Blame::None };
    handshake
}

/// Networks 1 to 9 are those of AS 64501 to 64509.
fn clients() -> Clients {
    let range = |net: u8| Range {
        first: [10, net, 0, 0].into(),
        last: [10, net, 255, 255].into(),
        owner: Owner { asn: Some(64_500 + u32::from(net)), ..Owner::default() },
    };
    let asn = Some(Arc::new(AsnTable::build((1..10).map(range))));
    Clients { asn, ..Clients::default() }
}

struct World {
    dir: tempfile::TempDir,
    db: Db,
    start: Wall,
}

impl World {
    /// Time begins at a full minute, ten minutes ago.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
        let minutes = clock::wall().as_millis().div_euclid(60_000) - 10;
        Self { dir, db, start: Wall::from_millis(minutes * 60_000) }
    }

    fn keeper(&self, clients: Clients, now: Wall) -> Keeper {
        Keeper::of(&self.db, Options::default(), clients, now)
    }

    fn at(&self, s: u64) -> Wall {
        self.start.after(Duration::from_secs(s))
    }

    async fn put(&self, keeper: &mut Keeper) {
        self.db.append(keeper.drain()).await.unwrap();
    }

    fn windows(&self) -> Vec<Window> {
        let all = self.db.wire_windows(Some("eth0"), self.start, self.at(3600)).unwrap();
        all.into_iter().map(|(_, window)| window).collect()
    }
}

fn eth0() -> Source {
    Source::of("eth0", Some("shop"))
}

fn of<'a>(window: &'a Window, cell: &Cell) -> &'a Totals {
    &window.rows.iter().find(|row| row.cell == *cell).expect("the cell").totals
}

fn syns(flow: FlowKey, first: Wall) -> Unanswered {
    let last = first.after(Duration::from_secs(3));
    Unanswered {
        flow,
        interface: 0,
        first,
        last,
        retries: 2,
        answered: None,
        refused: false,
        syn_ack_lost: false,
    }
}

fn ending(flow: FlowKey, first: Wall) -> Ending {
    Ending {
        flow,
        interface: 0,
        first,
        at: first.after(Duration::from_millis(20)),
        kind: EndingKind::RequestAbandoned,
        reset: true,
        by_client: true,
        client_bytes: 900,
        server_bytes: 3000,
        phase: "response",
    }
}

#[tokio::test]
async fn windows_count_all_and_the_slow_and_a_sample_of_others_are_kept_by_themselves() {
    let (world, real) = (World::new(), real());
    let mut keeper = world.keeper(clients(), world.start);
    for n in 0..200 {
        let at = world.at(u64::from(n) / 4);
        let one = moved(&real, flow(1, n), at, n % 10 == 0);
        keeper.handle(&eth0(), &What::Handshake(Box::new(one)), at);
    }
    keeper.handle(&eth0(), &What::Unanswered(syns(flow(2, 1), world.at(40))), world.at(44));
    let cause = Some("accept_queue_full");
    keeper.handle_unanswered(&eth0(), &syns(flow(2, 2), world.at(41)), cause, world.at(45));
    keeper.handle(&eth0(), &What::Ending(ending(flow(3, 1), world.at(50))), world.at(50));
    keeper.handle_timeout(world.at(61));
    world.put(&mut keeper).await;
    assert!(world.windows().is_empty(), "what is late is waited for");
    keeper.handle_timeout(world.at(62));
    world.put(&mut keeper).await;
    let windows = world.windows();
    let all = of(&windows[0], &Cell::All);
    assert_eq!((windows.len(), all.handshakes, all.slow, all.unanswered), (1, 200, 20, 2));
    assert_eq!((all.causes["silence"], all.causes["accept_queue_full"]), (1, 1));
    assert_eq!(of(&windows[0], &Cell::Asn(64_501)).handshakes, 200);
    assert_eq!(of(&windows[0], &Cell::Unknown(Dimension::Rdns)).ending("request_abandoned"), 1);
    let count = |query: &WireEventQuery| world.db.wire_events(query).unwrap();
    let kind = |kind| WireEventQuery { kind: Some(kind), ..WireEventQuery::default() };
    let handshakes = kind(WireKind::Handshake);
    assert_eq!(count(&handshakes).of, 50, "20 slow ones and 30 of the others");
    assert_eq!(count(&WireEventQuery { notable: true, ..handshakes }).of, 20);
    let unanswered = count(&kind(WireKind::Unanswered)).events;
    let words: Vec<&str> = unanswered.iter().map(|e| e.word.as_str()).collect();
    assert_eq!(words, ["accept_queue_full", "silence"]);
    let ended = &count(&kind(WireKind::Ending)).events[0];
    assert!(ended.document.contains(r#""phase":"response""#), "{}", ended.document);
    assert_eq!(ended.asn, Some(64_503));
}

#[tokio::test]
async fn of_a_flood_the_budget_is_kept_and_the_rest_is_counted() {
    let (world, real) = (World::new(), real());
    let mut keeper = world.keeper(clients(), world.start);
    for n in 0..3000 {
        let at = world.at(u64::from(n) / 51);
        keeper.handle_handshake(&eth0(), &moved(&real, flow(1, n), at, true), at);
        keeper.handle_unanswered(&eth0(), &syns(flow(2, n), at), None, at);
        keeper.handle_ending(&eth0(), &ending(flow(3, n), at), at);
    }
    keeper.finish(world.at(59));
    world.put(&mut keeper).await;
    let windows = world.windows();
    let all = of(&windows[0], &Cell::All);
    assert_eq!((all.slow, all.unanswered, all.ending("request_abandoned")), (3000, 3000, 3000));
    let counted = keeper.counted();
    let kinds = [WireKind::Handshake, WireKind::Unanswered, WireKind::Ending];
    for ((kind, not), most) in kinds.into_iter().zip(NotKept::ALL).zip([500, 200, 200]) {
        let query = WireEventQuery { kind: Some(kind), limit: 1, ..WireEventQuery::default() };
        let kept = world.db.wire_events(&query).unwrap().of;
        assert!(kept <= most && kept > most * 9 / 10, "{kept} of {kind:?}");
        assert_eq!(kept + counted.of(not), 3000);
        // Not only the beginning of the window is shown.
        let late = WireEventQuery { from: Some(world.at(50)), ..query };
        assert!(world.db.wire_events(&late).unwrap().of > kept / 10);
    }
}

/// Sixty handshakes of one network, slow or not, among sixty of others.
fn minute(keeper: &mut Keeper, world: &World, real: &Handshake, minute: u64, slow: bool) {
    for n in 0..60 {
        let at = world.at(minute * 60 + u64::from(n));
        let shift = u32::try_from(minute).unwrap() * 60;
        keeper.handle_handshake(&eth0(), &moved(real, flow(7, shift + n), at, slow), at);
        keeper.handle_handshake(&eth0(), &moved(real, flow(1, shift + n), at, false), at);
    }
    keeper.handle_timeout(world.at(minute * 60 + 62));
}

#[tokio::test]
async fn a_finding_outlives_a_restart_and_closes_when_all_is_well() {
    let (world, real) = (World::new(), real());
    let mut keeper = world.keeper(clients(), world.start);
    for m in 0..3 {
        minute(&mut keeper, &world, &real, m, true);
    }
    world.put(&mut keeper).await;
    let codes = vec!["wire_client_network_slow".to_owned()];
    let query = FindingQuery { codes: codes.clone(), ..FindingQuery::default() };
    let open = world.db.findings(&query).unwrap();
    assert_eq!((open.len(), open[0].locus.asn, open[0].closed), (1, Some(64_507), None));
    assert_eq!(open[0].cohort.service.as_deref(), Some("shop"));
    drop(keeper);
    let mut keeper = world.keeper(clients(), world.at(182));
    for m in 3..8 {
        minute(&mut keeper, &world, &real, m, false);
    }
    world.put(&mut keeper).await;
    let closed = world.db.findings(&query).unwrap();
    assert_eq!((closed.len(), &closed[0].id), (1, &open[0].id));
    assert!(closed[0].closed.is_some(), "{closed:?}");
    let normal = ReadingQuery { codes, statuses: vec![Status::Normal], ..ReadingQuery::default() };
    assert!(!world.db.readings(&normal).unwrap().is_empty());
}

fn status(since: Wall, packets: u64, drops: u64, sight: Sight) -> TapStatus {
    TapStatus {
        interface: "eth0".to_owned(),
        service: Some("shop".to_owned()),
        since,
        counts: TapCounts { packets, drops, ..TapCounts::default() },
        gauges: TapGauges { sight: Some(sight), ..TapGauges::default() },
        events_lost: 0,
    }
}

#[tokio::test]
async fn what_was_not_seen_makes_windows_blind_or_incomplete_and_is_a_gap() {
    let world = World::new();
    let mut keeper = world.keeper(Clients::default(), world.start);
    let since = world.at(30);
    keeper.handle_status(&[status(since, 100, 0, Sight::Sees)], world.at(31));
    keeper.handle_status(&[status(since, 190, 10, Sight::Sees)], world.at(70));
    let dropped = Loss { from: world.at(69), to: world.at(70), lost: Some(10), why: Why::Dropped };
    keeper.handle(&eth0(), &What::Loss(dropped), world.at(70));
    // The recorder began anew and counts from zero; the interface is down for a while.
    keeper.handle_status(&[status(world.at(121), 5, 0, Sight::Sees)], world.at(125));
    keeper.handle_status(&[status(world.at(121), 9, 0, Sight::Down)], world.at(190));
    let down = Loss { from: world.at(185), to: world.at(250), lost: None, why: Why::Down };
    keeper.handle(&eth0(), &What::Loss(down), world.at(250));
    keeper.handle_status(&[status(world.at(121), 20, 0, Sight::Sees)], world.at(310));
    keeper.handle_timeout(world.at(400));
    world.put(&mut keeper).await;
    let seen: Vec<_> = world.windows().iter().map(|w| (w.packets, w.drops, w.blind)).collect();
    let wanted =
        [(100, 0, true), (90, 10, false), (5, 0, true), (4, 0, true), (0, 0, true), (11, 0, false)];
    assert_eq!(seen, wanted);
    let wire = ObservationFilter { plane: Some(Plane::Wire), ..ObservationFilter::default() };
    let page = PageRequest { limit: 10, ..PageRequest::default() };
    let facts = world.db.observations(&wire, &page).unwrap().observations;
    let gaps: Vec<_> = facts.iter().flat_map(|fact| &fact.gaps).collect();
    let told: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.to, gap.lost)).collect();
    assert_eq!(told.len(), 2, "{facts:?}");
    assert!(told.contains(&(world.at(69), world.at(70), Some(10))));
    assert!(told.contains(&(world.at(185), world.at(250), None)));
}

#[tokio::test]
async fn a_window_that_a_restart_cuts_in_two_counts_both_parts() {
    let (world, real) = (World::new(), real());
    let tell = |keeper: &mut Keeper, s: u64| {
        for n in 0..10 {
            let at = world.at(s);
            let shift = u32::try_from(s).unwrap();
            keeper.handle_handshake(&eth0(), &moved(&real, flow(1, shift + n), at, true), at);
        }
    };
    let mut before = world.keeper(clients(), world.start);
    tell(&mut before, 10);
    before.handle_status(&[status(world.start, 500, 0, Sight::Sees)], world.at(20));
    before.finish(world.at(20));
    world.put(&mut before).await;
    let mut after = world.keeper(clients(), world.at(25));
    after.handle_status(&[status(world.at(25), 70, 0, Sight::Sees)], world.at(26));
    tell(&mut after, 30);
    after.handle_timeout(world.at(62));
    world.put(&mut after).await;
    let windows = world.windows();
    assert_eq!((windows.len(), windows[0].packets, windows[0].blind), (1, 570, true));
    assert_eq!(of(&windows[0], &Cell::Asn(64_501)).slow, 20);
    assert_eq!(world.db.wire_events(&WireEventQuery::default()).unwrap().of, 20);
}

#[tokio::test]
async fn a_handshake_whose_packets_are_kept_is_kept_by_itself_and_counted_once() {
    let (world, real) = (World::new(), real());
    let mut keeper = world.keeper(clients(), world.start);
    let (interface, service): (Arc<str>, Arc<str>) = ("eth0".into(), "shop".into());
    for (n, slow) in [(1, false), (2, true)] {
        let at = world.at(u64::from(n));
        let handshake = moved(&real, flow(1, n), at, slow);
        let what = What::Handshake(Box::new(handshake));
        keeper.handle(&eth0(), &what, at);
        let (interface, service) = (Arc::clone(&interface), Some(Arc::clone(&service)));
        let told = crate::wire::WireEvent { interface, service, what };
        let kept = crate::wire::Kept {
            handshake: Some(Arc::new(told)),
            began: at,
            flow: flow(1, n),
            file: format!("{n}.pcapng"),
        };
        keeper.handle(&Source::of("eth0", None), &What::Kept(kept), at);
    }
    keeper.finish(world.at(9));
    world.put(&mut keeper).await;
    let query = WireEventQuery { notable: true, with_evidence: true, ..WireEventQuery::default() };
    let page = world.db.wire_events(&query).unwrap();
    let files: Vec<_> = page.events.iter().filter_map(|e| e.evidence.as_deref()).collect();
    assert_eq!((page.of, files), (2, vec!["2.pcapng", "1.pcapng"]));
    assert_eq!(world.db.wire_events(&WireEventQuery::default()).unwrap().of, 2);
    assert_eq!(of(&world.windows()[0], &Cell::All).handshakes, 2);
}

#[tokio::test]
async fn the_time_between_two_processes_is_a_gap_and_its_windows_are_blind() {
    let (world, real) = (World::new(), real());
    let mut keeper = world.keeper(Clients::default(), world.start);
    for (since, handshake, end) in [(0, 10, Some(70)), (85, 90, None), (250, 260, Some(270))] {
        let since = world.at(since);
        keeper.handle_status(&[status(since, 9, 0, Sight::Sees)], since);
        let at = world.at(handshake);
        keeper.handle_handshake(&eth0(), &moved(&real, flow(1, 1), at, true), at);
        keeper.handle_timeout(at);
        if let Some(end) = end {
            keeper.finish(world.at(end));
        }
        // Where there is no end it was killed: what was not drained is lost.
        world.put(&mut keeper).await;
        let next = world.at(if end.is_some() { 84 } else { 249 });
        keeper = world.keeper(Clients::default(), next);
    }
    let wire = ObservationFilter { plane: Some(Plane::Wire), ..ObservationFilter::default() };
    let facts = world.db.observations(&wire, &PageRequest::default()).unwrap().observations;
    let gaps: Vec<_> = facts.iter().flat_map(|fact| &fact.gaps).map(|g| (g.from, g.to)).collect();
    assert_eq!(gaps, [(world.at(70), world.at(250))], "that of 70 to 85 was lost with the second");
    let windows: Vec<_> = world.windows();
    let seen: Vec<_> = windows.iter().map(|w| (w.from, w.to, w.rows.len() > 1, w.blind)).collect();
    let at = |s| world.at(s);
    let wanted = [
        (at(0), at(60), true, true),
        (at(60), at(70), false, true),
        (at(120), at(180), false, true),
        (at(180), at(240), false, true),
        (at(240), at(270), true, true),
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn names_that_are_known_tell_clients_apart_unless_nobody_shall_ask() {
    let (world, real) = (World::new(), real());
    let names = Names::new(Seed(1));
    let client = flow(1, 1).client.ip();
    let cloud = "i-1.micro.cumulo.example.".to_owned();
    names.handle_answer(client, &Answer::Name(cloud), world.start);
    let mut keeper = world.keeper(
        Clients {
            asn: None,
            names: Some(names.clone()),
            nameless: BTreeSet::from(["eth1".to_owned()]),
        },
        world.start,
    );
    let at = world.at(1);
    for source in [eth0(), Source::of("eth1", None)] {
        keeper.handle_handshake(&source, &moved(&real, flow(1, 1), at, true), at);
        keeper.handle_handshake(&source, &moved(&real, flow(1, 2), at, true), at);
    }
    assert_eq!((names.poll(), names.poll()), (Some(flow(1, 2).client.ip()), None));
    keeper.finish(world.at(2));
    world.put(&mut keeper).await;
    let suffix = Cell::Rdns("*.micro.cumulo.example".into());
    let all = world.db.wire_windows(None, world.start, world.at(60)).unwrap();
    assert_eq!(of(&all[0].1, &suffix).handshakes, 1);
    assert_eq!(of(&all[1].1, &Cell::Unknown(Dimension::Rdns)).handshakes, 2);
    let query = WireEventQuery {
        rdns: Some("*.micro.cumulo.example".to_owned()),
        ..WireEventQuery::default()
    };
    assert_eq!(world.db.wire_events(&query).unwrap().of, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_before_the_end_is_in_the_store_after_it() {
    let (world, real) = (World::new(), real());
    let wire = Arc::new(Wire::default());
    let config = Config::default();
    let storing = Storing::start(
        Arc::clone(&wire),
        Arc::default(),
        world.db.clone(),
        clients().asn,
        &config,
        Options::default(),
    );
    let storing = storing.unwrap();
    for n in 0..2000 {
        let one = moved(&real, flow(1, n), clock::wall(), false);
        let what = What::Handshake(Box::new(one));
        let (interface, service) = ("replay".into(), Some("shop".into()));
        wire.tell(crate::wire::WireEvent { interface, service, what });
    }
    tokio::task::spawn_blocking(move || storing.stop()).await.unwrap();
    let (from, to) = (world.start, clock::wall().after(MINUTE));
    let windows = world.db.wire_windows(Some("replay"), from, to).unwrap();
    let sum: u64 = windows.iter().map(|(_, w)| of(w, &Cell::All).handshakes).sum();
    assert_eq!(sum, 2000);
    drop(world.dir);
}
