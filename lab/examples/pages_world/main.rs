//! A made-up world for the pages: `pages_world ADDRESS [seeded|empty]` fills a store in a
//! temporary directory with a day of three services and serves everything on ADDRESS, with a new
//! run every second. `lab/pages/run.mjs` looks at it in a browser; so can a person.

mod document;
mod edge;
mod wire;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use whyslow::config::{Current, Origin, WireTap};
use whyslow::edge::Edge;
use whyslow::live::{Event, Live, RunEvent};
use whyslow::storage::{Batch, Db, StoreOptions, StoredRun};
use whyslow::web::access::Access;
use whyslow::web::server;
use whyslow::web::state::AppState;
use whyslow::wire::evidence;
use whyslow_model::observation::{Cohort, Evidence, EvidenceKind, Locus, Plane};
use whyslow_model::{Labels, Observation, Phase, Sample, Wall};
use whyslow_probe::run::{Outcome, Run};

const CONFIG: &str = r"
asn: [networks.csv]
vantage: {name: lon1, country: GB, asn: 64500}
edge:
  - {name: lb1, input: 'file:lb1.log', format: haproxy, time_zone: UTC, service: shop}
  - {name: lb2, input: 'file:not-there/lb2.log', format: nginx, service: shop}
wire:
  - {interface: eth0, ports: [443], service: shop, slow: {total: 300ms, client: 250ms, times_p99: 4}}
  - {interface: eth1, ports: [443], service: shop, slow: {total: 400ms}}
triggers:
  - name: lb_slow
    input: 'file:slow.log'
    regex: '^(?<client_ip>\S+) (?<duration_ms>\d+)'
    slow: 400ms
  - name: handshakes
    input: 'file:not-there/tls.log'
    regex: '(?<client_ip>[0-9.]+):(?<client_port>\d+) SSL handshake failure'
    cause: handshake_failure
services:
  shop:
    owner: web
    servers: {web1: {addresses: ['10.0.0.5:443']}, web2: {addresses: ['10.0.0.6:443']}}
    paths:
      cdn: {}
      lb: {connect_to: '203.0.113.40:443'}
      web1: {connect_to: '10.0.0.5:443', server: web1}
      web2: {connect_to: '10.0.0.6:443', server: web2}
    checks:
      - {name: home, kind: http, target: 'https://shop.example/', every: 15s, warn: 2s, timeout: 5s}
  books:
    owner: web
    checks:
      - {name: home, kind: http, target: 'https://books.example/', every: 15s, warn: 1s, timeout: 5s}
      - {name: login, kind: http, target: 'https://books.example/login', every: 30s, warn: 1s, timeout: 5s}
  docs:
    owner: platform
    checks:
      - {name: home, kind: http, target: 'https://docs.example/', every: 30s, timeout: 5s}
";

/// How one track behaves, as a function of the time before now.
struct Kind {
    service: &'static str,
    check: &'static str,
    path: &'static str,
    every_s: i64,
    base: [f64; 6],
    remote: &'static str,
    /// Minutes before now in which its fault lasts: from, to.
    fault: (i64, i64),
    what: Fault,
}

enum Fault {
    /// Now and then a connection is not answered, in this many of a thousand runs.
    Timeouts(u64),
    /// Loss: connects and waits are long, half the time.
    Loss,
    /// Nothing reports.
    Silent,
}

const KINDS: [Kind; 7] = [
    Kind {
        service: "shop",
        check: "home",
        path: "cdn",
        every_s: 15,
        base: [8.0, 6.0, 14.0, 0.1, 58.0, 4.0],
        remote: "203.0.113.9:443",
        fault: (1440, 440),
        what: Fault::Timeouts(8),
    },
    Kind {
        service: "shop",
        check: "home",
        path: "lb",
        every_s: 15,
        base: [0.0, 12.0, 24.0, 0.1, 64.0, 6.0],
        remote: "203.0.113.40:443",
        fault: (1440, 440),
        what: Fault::Timeouts(7),
    },
    Kind {
        service: "shop",
        check: "home",
        path: "web1",
        every_s: 15,
        base: [0.0, 10.0, 22.0, 0.1, 59.0, 5.0],
        remote: "10.0.0.5:443",
        fault: (700, 690),
        what: Fault::Timeouts(60),
    },
    Kind {
        service: "shop",
        check: "home",
        path: "web2",
        every_s: 15,
        base: [0.0, 10.0, 22.0, 0.1, 60.0, 5.0],
        remote: "10.0.0.6:443",
        fault: (1440, 440),
        what: Fault::Timeouts(18),
    },
    Kind {
        service: "books",
        check: "home",
        path: "direct",
        every_s: 15,
        base: [11.0, 23.0, 47.0, 0.2, 90.0, 9.0],
        remote: "198.51.100.7:443",
        fault: (103, 0),
        what: Fault::Loss,
    },
    Kind {
        service: "books",
        check: "login",
        path: "direct",
        every_s: 30,
        base: [11.0, 23.0, 47.0, 0.2, 160.0, 12.0],
        remote: "198.51.100.7:443",
        fault: (103, 0),
        what: Fault::Loss,
    },
    Kind {
        service: "docs",
        check: "home",
        path: "direct",
        every_s: 30,
        base: [9.0, 18.0, 38.0, 0.1, 40.0, 20.0],
        remote: "192.0.2.77:443",
        fault: (192, 0),
        what: Fault::Silent,
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().unwrap_or("127.0.0.1:7171".into()).parse()?;
    let seeded = arguments.next().as_deref() != Some("empty");
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("whyslow.yaml");
    std::fs::write(&config, if seeded { CONFIG } else { "vantage: {name: lon1}\n" })?;
    std::fs::write(dir.path().join("networks.csv"), NETWORKS)?;
    std::fs::write(dir.path().join("lb1.log"), edge::log(now_ms()))?;
    let slow_log = std::fs::File::create(dir.path().join("slow.log"))?;
    let data = dir.path().join("data");
    let origin = Origin { file: Some(config), data: Some(data.clone()), ..Origin::default() };
    let current = Arc::new(Current::open(origin).map_err(|e| anyhow::anyhow!("{e}"))?);
    let db = Db::open(&data, StoreOptions::default())?;
    if seeded {
        fill(&db, &current.config().wire).await?;
    }
    let live = Live::default();
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    let access = Access::new(listen, &[], None, &[])?;
    let mut state = AppState::new(
        db.clone(),
        live.clone(),
        current,
        Default::default,
        access,
        stopping.clone(),
    );
    let world = whyslow::pipeline::edge_world(&state, whyslow_edge::detect::Options::default());
    state.edge = Arc::new(Edge::start(&state.config(), world));
    let (wire, seed) = (Arc::clone(&state.wire), state.db.seed());
    state.evidence = Arc::new(evidence::Evidence::start(&state.config(), wire, &data, seed));
    let state = Arc::new(state);
    state.read_asn();
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("http://{listen}/");
    let router = server::router(&state);
    let serving = tokio::spawn(server::serve(listener.into(), router, stopping));
    if seeded {
        tokio::spawn(go_on(db, live, slow_log));
    }
    serving.await?;
    Ok(())
}

/// The address table that the configuration names.
const NETWORKS: &str = "203.0.113.0,203.0.113.255,64496,GB,Corvex CDN
198.51.100.0,198.51.100.255,64501,GB,Bookhost
192.0.2.0,192.0.2.255,64502,GB,Northline
192.0.0.0,192.0.0.255,64500,GB,Example Hosting
";

/// A day of runs, and two marks.
async fn fill(db: &Db, taps: &[WireTap]) -> anyhow::Result<()> {
    let now = now_ms();
    for kind in &KINDS {
        let mut batch = Batch::default();
        let every = kind.every_s * 1000;
        let mut at = (now - 86_400_000) / every * every;
        while at < now {
            if let Some(run) = run(kind, at, now) {
                add(&mut batch, kind, &run);
            }
            if batch.runs.len() >= 2000 {
                db.append(std::mem::take(&mut batch)).await?;
            }
            at += every;
        }
        db.append(batch).await?;
    }
    let marks = vec![
        mark(now - 440 * 60_000, "shop", "timestamps on"),
        mark(now - 152 * 60_000, "books", "deploy books 4.12.0"),
    ];
    db.append(Batch { observations: marks, ..Batch::default() }).await?;
    edge::fill(db, now).await?;
    wire::fill(db, taps, now).await
}

/// One run a second of the first service, told to whoever listens; and of the log that is searched
/// for incidents a line.
async fn go_on(db: Db, live: Live, mut slow_log: std::fs::File) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    for kind in KINDS.iter().cycle() {
        tick.tick().await;
        let now = now_ms();
        let took_ms = now / 1000 % 10 * 50;
        if writeln!(slow_log, "198.51.100.7 {took_ms} GET /<script>").is_err() {
            return;
        }
        let Some(run) = run(kind, now, now) else { continue };
        let mut batch = Batch::default();
        add(&mut batch, kind, &run);
        if db.append(batch).await.is_err() {
            return;
        }
        live.tell(Event::Run(Box::new(RunEvent {
            id: id(kind, &run),
            service: kind.service.into(),
            check: kind.check.into(),
            path: kind.path.into(),
            vantage: "lon1".into(),
            kind: "http".into(),
            at: run.started,
            outcome: run.outcome,
            total_ms: run.total_ms,
            phases_ms: run.phases_ms,
            code: None,
            message: None,
            late_ms: 0.0,
        })));
    }
}

fn now_ms() -> i64 {
    whyslow_sys::clock::wall().as_millis()
}

/// A figure between 0 and 1 that is the same for the same time and track.
fn chance(kind: &Kind, at: i64, salt: u64) -> f64 {
    let mut x =
        u64::try_from(at).unwrap_or(0) ^ (salt << 40) ^ (u64::from(kind.path.as_bytes()[0]) << 33);
    for _ in 0..2 {
        x = (x ^ (x >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 29;
    }
    f64::from(u32::try_from(x >> 40).unwrap_or(0)) / f64::from(1_u32 << 24)
}

fn run(kind: &Kind, at: i64, now: i64) -> Option<Run> {
    let ago_min = (now - at) / 60_000;
    let faulty = ago_min <= kind.fault.0 && ago_min >= kind.fault.1;
    // A calm curve over the day and a long tail, as real runs have.
    #[expect(clippy::cast_precision_loss, reason = "a time of day")]
    let day =
        ((at % 86_400_000) as f64 / 86_400_000.0 * std::f64::consts::TAU).sin().mul_add(-0.1, 1.0);
    let tail = if chance(kind, at, 7) > 0.97 { 1.8 } else { 1.0 };
    let mut parts = kind.base;
    for (i, part) in parts.iter_mut().enumerate() {
        *part *= day * (0.85 + 0.3 * chance(kind, at, i as u64));
    }
    parts[4] *= tail;
    let mut fails = false;
    if faulty {
        match kind.what {
            Fault::Silent => return None,
            Fault::Timeouts(of_1000) => fails = chance(kind, at, 21) * 1000.0 < of_1000 as f64,
            Fault::Loss => {
                if chance(kind, at, 22) < 0.45 {
                    parts[1] += 1020.0;
                }
                parts[4] += 300.0 * chance(kind, at, 23);
                parts[5] += 350.0 * chance(kind, at, 24);
            }
        }
    }
    Some(document::of(kind, at, parts, fails))
}

fn id(kind: &Kind, run: &Run) -> String {
    format!("lon1/{}:{}:{}/{}", kind.service, kind.check, kind.path, run.started.as_nanos())
}

/// What the prober appends for a run: series, the observation, the document.
fn add(batch: &mut Batch, kind: &Kind, run: &Run) {
    let at_ms = run.started.as_millis();
    let labels = |name: &str, more: Option<(&str, &str)>| {
        let common = [
            ("__name__", name),
            ("service", kind.service),
            ("path", kind.path),
            ("check", kind.check),
            ("vantage", "lon1"),
            ("country", "GB"),
            ("asn", "64500"),
        ];
        Labels::from_pairs(common.into_iter().chain(more))
    };
    for reading in whyslow_probe::metrics::of(run) {
        let labels = labels(reading.name, reading.label);
        batch.samples.push(Sample { labels, at_ms, value: reading.value });
    }
    let id = id(kind, run);
    let mut values = BTreeMap::from([("total_ms".to_owned(), run.total_ms)]);
    for phase in Phase::ALL {
        if let Some(ms) = run.phases_ms.of(phase) {
            values.insert(format!("{}_ms", phase.as_str()), ms);
        }
    }
    let mut words = BTreeMap::from([
        ("outcome".to_owned(), run.outcome.as_str().to_owned()),
        ("kind".to_owned(), "http".to_owned()),
        ("remote".to_owned(), kind.remote.to_owned()),
    ]);
    if let Some(failure) = &run.failure {
        words.insert("code".to_owned(), failure.code.clone());
        words.insert("phase".to_owned(), "connect".to_owned());
        words.insert("message".to_owned(), failure.message.clone());
    } else {
        words.insert("status".to_owned(), "200".to_owned());
    }
    batch.observations.push(Observation {
        id: id.clone(),
        at: run.started,
        clock_error_ms: None,
        plane: Plane::Probe,
        agent: "lon1".into(),
        cohort: Cohort {
            service: Some(kind.service.into()),
            path: Some(kind.path.into()),
            check: Some(kind.check.into()),
            vantage: Some("lon1".into()),
            country: Some("GB".into()),
            asn: Some(64500),
            ..Cohort::default()
        },
        locus: Locus::default(),
        values,
        words,
        evidence: vec![Evidence {
            kind: EvidenceKind::Run,
            reference: id.clone(),
            from: run.started,
            to: run.started,
        }],
        gaps: Vec::new(),
    });
    let keep_long = run.outcome != Outcome::Ok;
    let json = serde_json::to_string(run).unwrap_or_default();
    batch.runs.push(StoredRun { id, at: run.started, keep_long, json });
}

fn mark(at_ms: i64, service: &str, text: &str) -> Observation {
    Observation {
        id: format!("mark/{at_ms}/{service}"),
        at: Wall::from_millis(at_ms),
        clock_error_ms: None,
        plane: Plane::Mark,
        agent: "lon1".into(),
        cohort: Cohort { service: Some(service.into()), ..Cohort::default() },
        locus: Locus::default(),
        values: BTreeMap::new(),
        words: BTreeMap::from([("text".to_owned(), text.to_owned())]),
        evidence: Vec::new(),
        gaps: Vec::new(),
    }
}
