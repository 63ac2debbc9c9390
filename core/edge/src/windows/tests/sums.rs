//! Any requests: what must add up whatever their order, and however windows are merged.

use proptest::prelude::*;

use super::*;

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
