//! The wire's API as a client meets it, over what a keeper stored.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use whyslow::storage::Db;
use whyslow::wire::What;
use whyslow::wire::store::{Clients, Keeper, Options, Source};
use whyslow_model::Wall;
use whyslow_model::asn::{AsnTable, Owner, Range};
use whyslow_model::seeded::Seed;
use whyslow_wire::capture::{Reader, Step};
use whyslow_wire::event::{Ending, EndingKind, Unanswered};
use whyslow_wire::handshake::{Blame, Handshake};
use whyslow_wire::segment::FlowKey;
use whyslow_wire::watch::{self, Told, Watch};

use crate::api::Up;

const CAPTURE: &[u8] =
    include_bytes!("../../../../core/wire/tests/fixtures/handshakes/tls13_full.pcap");

/// The handshake of a real capture.
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

fn flow(net: u8, n: u32) -> FlowKey {
    let [.., high, low] = n.to_be_bytes();
    FlowKey { client: ([10, net, high, low], 40_000).into(), server: ([192, 0, 2, 1], 443).into() }
}

/// Three windows: 40 handshakes of network 7 in each, of which 30 are slow, among 40 others.
fn keep(db: &Db, start: Wall) -> Keeper {
    let range = |net: u8| Range {
        first: [10, net, 0, 0].into(),
        last: [10, net, 255, 255].into(),
        owner: Owner { asn: Some(64_500 + u32::from(net)), ..Owner::default() },
    };
    let asn = Some(Arc::new(AsnTable::build([1, 7].map(range))));
    let clients = Clients { asn, ..Clients::default() };
    let options = Options { window: Duration::from_secs(10), ..Options::default() };
    let mut keeper = Keeper::of(db, options, clients, start);
    let (source, real) = (Source::of("eth0", Some("shop")), real());
    for n in 0..120_u32 {
        let at = start.after(Duration::from_millis(u64::from(n) * 250));
        keeper.handle_timeout(at);
        for (net, slow) in [(7, n % 4 > 0), (1, false)] {
            let mut one = real.clone();
            one.opening.flow = flow(net, n);
            one.opening.first = at;
            if slow {
                (one.blame, one.total_ms) = (Blame::Client, 900.0 + f64::from(n));
            }
            keeper.handle(&source, &What::Handshake(Box::new(one)), at);
        }
    }
    let first = start.after(Duration::from_secs(2));
    let last = start.after(Duration::from_secs(5));
    let syns = Unanswered {
        flow: flow(1, 500),
        interface: 0,
        first,
        last,
        retries: 2,
        answered: None,
        refused: false,
        syn_ack_lost: true,
    };
    keeper.handle(&source, &What::Unanswered(syns), last);
    let ending = Ending {
        flow: flow(1, 501),
        interface: 0,
        first,
        at: last,
        kind: EndingKind::BeforeRequest,
        reset: false,
        by_client: true,
        client_bytes: 600,
        server_bytes: 3000,
        phase: "request",
    };
    keeper.handle(&source, &What::Ending(ending), last);
    keeper.handle_timeout(start.after(Duration::from_secs(32)));
    keeper
}

async fn json(up: &Up, path: &str) -> Value {
    let (status, said) = up.get(path).await;
    assert_eq!(status, 200, "{said}");
    let body = said.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).expect("JSON")
}

async fn error(up: &Up, path: &str, status: u16) -> Value {
    let (told, said) = up.get(path).await;
    assert_eq!(told, status, "{path}: {said}");
    let body = said.split_once("\r\n\r\n").expect("a body").1;
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["status"], "error");
    body
}

/// A running whyslow whose store holds the three windows, and when they began.
async fn filled() -> (Up, Wall) {
    let up = Up::start(&[]).await;
    let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
    let start = Wall::from_millis((now_s / 10 - 6) * 10_000);
    let db = up.running.state().db.clone();
    let mut keeper = keep(&db, start);
    db.append(keeper.drain()).await.expect("it is stored");
    (up, start)
}

#[tokio::test]
async fn windows_add_up_over_the_range_by_the_dimension_asked_for() {
    let (up, start) = filled().await;
    let all = json(&up, "/api/v1/wire/windows?by=asn").await;
    assert_eq!((&all["windows"], &all["taps"]), (&3.into(), &serde_json::json!(["eth0"])));
    assert_eq!(all["seen_share"], 1.0);
    let row = |kind: &str, value: Value| {
        let rows = all["rows"].as_array().expect("rows").iter();
        rows.clone().find(|r| r["kind"] == kind && r["value"] == value).expect("the row").clone()
    };
    let (sum, slow) = (row("all", Value::Null), row("asn", 64_507.into()));
    assert_eq!((&sum["handshakes"], &sum["unanswered"]), (&240.into(), &1.into()));
    assert_eq!((&slow["handshakes"], &slow["slow"]), (&120.into(), &90.into()));
    assert_eq!(slow["blame"]["client"], 90);
    assert!(slow["total_ms"]["p90"].as_f64().expect("a number") > 900.0, "{slow}");
    assert_eq!(sum["endings"]["before_request"], 1);
    let from = start.after(Duration::from_secs(10));
    let narrow = format!(
        "/api/v1/wire/windows?tap=eth0&from={from}&to={}",
        from.after(Duration::from_secs(10))
    );
    let one = json(&up, &narrow).await;
    assert_eq!((&one["windows"], &one["rows"][0]["handshakes"]), (&1.into(), &80.into()));
    assert_eq!(one["rows"].as_array().map(Vec::len), Some(1), "no dimension, no cells");
    assert_eq!(json(&up, "/api/v1/wire/windows?tap=eth9").await["windows"], 0);
    assert!(error(&up, "/api/v1/wire/windows?by=colour", 400).await["hint"].is_string());
    error(&up, "/api/v1/wire/windows?from=0", 400).await;
    up.running.stop().await;
}

#[tokio::test]
async fn single_events_are_found_by_filters_and_by_id() {
    let (up, _) = filled().await;
    let slow =
        json(&up, "/api/v1/wire/handshakes?asn=64507&notable=1&blame=client&order=slowest&limit=2")
            .await;
    assert_eq!((&slow["of"], &slow["handshakes"][0]["total_ms"]), (&90.into(), &1019.0.into()));
    let first = &slow["handshakes"][0];
    assert!(first["phases_ms"]["server_think"].is_number(), "{first}");
    assert_eq!((&first["tap"], &first["asn"]), (&"eth0".into(), &64_507.into()));
    assert_eq!(slow["handshakes"].as_array().map(Vec::len), Some(2));
    let id = first["id"].as_str().expect("an id");
    assert_eq!(json(&up, &format!("/api/v1/wire/events/{id}")).await, *first);
    error(&up, "/api/v1/wire/events/0", 404).await;
    error(&up, "/api/v1/wire/events/x", 404).await;
    let all = json(&up, "/api/v1/wire/handshakes").await;
    assert_eq!(all["of"], 180, "90 slow ones, and of the others 30 of each window");
    let prefix = json(&up, "/api/v1/wire/handshakes?prefix=10.7.0.9/24&notable=1").await;
    assert_eq!(prefix["of"], 90);
    let syns = json(&up, "/api/v1/wire/unanswered?cause=return_path").await;
    assert_eq!((&syns["of"], &syns["unanswered"][0]["retries"]), (&1.into(), &2.into()));
    assert_eq!(json(&up, "/api/v1/wire/unanswered?cause=refused").await["of"], 0);
    let endings = json(&up, "/api/v1/wire/endings?kind=before_request").await;
    assert_eq!(endings["endings"][0]["phase"], "request");
    for wrong in ["handshakes?order=fastest", "endings?limit=many", "unanswered?asn=shop"] {
        error(&up, &format!("/api/v1/wire/{wrong}"), 400).await;
    }
    up.running.stop().await;
}

#[tokio::test]
async fn what_the_wire_notices_is_at_its_own_address() {
    let (up, _) = filled().await;
    let found = json(&up, "/api/v1/wire/findings?open=1").await;
    let codes: Vec<&Value> =
        found["findings"].as_array().expect("findings").iter().map(|f| &f["code"]).collect();
    assert!(codes.contains(&&"wire_client_network_slow".into()), "{found}");
    let read = json(&up, "/api/v1/wire/readings?status=abnormal").await;
    assert!(read["readings"][0]["code"].as_str().is_some_and(|c| c.starts_with("wire_")));
    for edge in ["/api/v1/findings", "/api/v1/readings"] {
        let name = edge.rsplit('/').next().expect("a name");
        assert_eq!(json(&up, edge).await[name], serde_json::json!([]));
        error(&up, &format!("{edge}?code=wire_client_network_slow"), 400).await;
    }
    up.running.stop().await;
}

#[tokio::test]
async fn evidence_is_handed_out_and_nothing_else() {
    let up = Up::start(&[]).await;
    let data = up.running.state().current.data().to_path_buf();
    std::fs::create_dir_all(data.join("wire")).expect("a folder");
    std::fs::write(data.join("wire/one.pcapng"), "packets").expect("a file");
    std::fs::write(data.join("secret.pcapng"), "secret").expect("a file");
    std::os::unix::fs::symlink(data.join("secret.pcapng"), data.join("wire/link.pcapng"))
        .expect("a link");
    let (status, said) = up.get("/api/v1/wire/evidence/one.pcapng").await;
    assert!(status == 200 && said.ends_with("\r\n\r\npackets"), "{said}");
    assert!(said.contains("content-type: application/vnd.tcpdump.pcap"), "{said}");
    for name in ["two.pcapng", "link.pcapng", "..%2Fsecret.pcapng", "%2e%2e", ".pcapng"] {
        error(&up, &format!("/api/v1/wire/evidence/{name}"), 404).await;
    }
    assert_eq!(json(&up, "/api/v1/wire/taps").await["taps"], serde_json::json!([]));
    up.running.stop().await;
}
