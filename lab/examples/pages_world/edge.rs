//! What the made-up balancer saw: seventy minutes of requests through the real windows, in which
//! one of twelve servers slows on one route, with its slow requests, readings and findings.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use whyslow::storage::{Batch, Db, EdgeBatch};
use whyslow_edge::record::{EdgePhase, End, Record, Span};
use whyslow_edge::routes::Routes;
use whyslow_edge::slow::{Reason, SlowCount, SlowPhase, SlowRow};
use whyslow_edge::windows::{Options, Windows};
use whyslow_model::asn::{AsnTable, Owner, Range};
use whyslow_model::observation::{Cohort, Locus};
use whyslow_model::reading::{Against, Finding, Reading, Stat, Status};
use whyslow_model::seeded::Seed;
use whyslow_model::{Segment, Wall};

/// How long ago the first request came, and since when app7 is slow, in seconds.
const BEGAN_S: i64 = 70 * 60;
const SLOW_SINCE_S: i64 = 38 * 60;
/// Requests over this are kept, in microseconds.
const SLOW_US: u64 = 36_000;
const SOURCE: &str = "lb1";
const BID_SERVERS: u64 = 12;
const SYNC_SERVERS: u64 = 4;

/// One request, owned.
struct Made {
    at_us: i64,
    vip: &'static str,
    backend: &'static str,
    server: String,
    path: String,
    code: u16,
    client: IpAddr,
    asn: u32,
    /// Client in, queue, connect, wait, body; none of what the balancer answered itself.
    parts_us: Option<[u64; 5]>,
}

/// Fills the store; `now_ms` is the present.
pub(super) async fn fill(db: &Db, now_ms: i64) -> anyhow::Result<()> {
    let (now_s, asn) = (now_ms / 1000, Arc::new(networks()));
    let mut windows = Windows::new(Options {
        span_s: 10,
        routes: Routes::default(),
        asn: Some(asn),
        seed: Seed(1),
        lateness_s: 60,
    });
    let mut slow = Vec::new();
    let mut n = 0;
    for second in (now_s - BEGAN_S)..now_s {
        let faulty = now_s - second < SLOW_SINCE_S;
        for _ in 0..34 {
            n += 1;
            let made = request(n, second, faulty);
            windows.handle_record(&record(&made), Wall::from_millis(second * 1000));
            slow.extend(kept(&made, n));
        }
        if second % 300 == 0 {
            store(db, &mut windows, &mut slow).await?;
        }
    }
    windows.finish();
    store(db, &mut windows, &mut slow).await?;
    let edge = EdgeBatch {
        readings: readings(now_s),
        findings: findings(now_s),
        slow_counts: vec![SlowCount {
            source: SOURCE.into(),
            start_s: now_s / 10 * 10 - 60,
            route: "/bid".into(),
            reason: Reason::OverThreshold,
            seen: 1200,
            kept: 480,
        }],
        ..EdgeBatch::default()
    };
    db.append(Batch { edge, ..Batch::default() }).await?;
    Ok(())
}

async fn store(db: &Db, windows: &mut Windows, slow: &mut Vec<SlowRow>) -> anyhow::Result<()> {
    let mut edge = EdgeBatch { slow: std::mem::take(slow), ..EdgeBatch::default() };
    while let Some(closed) = windows.poll_window() {
        let rows = closed.rows.into_iter();
        edge.rows.extend(rows.map(|row| (Arc::from(SOURCE), closed.revision, row)));
    }
    db.append(Batch { edge, ..Batch::default() }).await?;
    Ok(())
}

/// A figure between 0 and 1, the same for the same n and salt.
fn chance(n: u64, salt: u64) -> f64 {
    let mut z = (n ^ (salt << 48)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, ..] = (z ^ (z >> 31)).to_le_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

fn pick(n: u64, salt: u64, of: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `of`")]
    let picked = (chance(n, salt) * f64::from(u32::try_from(of).unwrap_or(1))) as u64;
    picked
}

fn request(n: u64, second: i64, faulty: bool) -> Made {
    let sync = chance(n, 1) < 0.12;
    // A slow server gets less: the balancer sends it fewer.
    let mut server = 1 + pick(n, 2, if sync { SYNC_SERVERS } else { BID_SERVERS });
    if faulty && !sync && server == 7 && chance(n, 3) < 0.45 {
        server = 1 + pick(n, 4, 6);
    }
    let kind = chance(n, 5);
    let path = match kind {
        _ if sync => "/sync".to_owned(),
        k if k < 0.80 => "/bid".to_owned(),
        k if k < 0.92 => format!("/win/{}", pick(n, 6, 100_000)),
        k if k < 0.995 => "/imp".to_owned(),
        _ => "/<script>alert(1)</script>".to_owned(),
    };
    let code = match chance(n, 7) {
        c if c < 0.985 => 200,
        c if c < 0.998 => 404,
        _ => 503,
    };
    let (asn, net) = [(64_496, [203, 0, 113]), (64_501, [198, 51, 100]), (64_502, [192, 0, 2])]
        [usize::try_from(pick(n, 8, 3)).unwrap_or(0)];
    let host = u8::try_from(1 + pick(n, 9, 250)).unwrap_or(1);
    let micros = i64::try_from(pick(n, 10, 1_000_000)).unwrap_or(0);
    let times = if faulty && server == 7 && path == "/bid" { 2.3 } else { 1.0 };
    let local = chance(n, 11) < 0.001;
    Made {
        at_us: second * 1_000_000 + micros,
        vip: if sync { "sync" } else { "bid" },
        backend: if sync { "sync" } else { "bidders" },
        server: match (local, sync) {
            (true, _) => "<NOSRV>".to_owned(),
            (false, true) => format!("sync{server}"),
            (false, false) => format!("app{server}"),
        },
        code: if local { 503 } else { code },
        client: Ipv4Addr::new(net[0], net[1], net[2], host).into(),
        asn,
        parts_us: (!local).then(|| parts(n, &path, times)),
        path,
    }
}

/// A long tail around the route's usual.
fn parts(n: u64, path: &str, times: f64) -> [u64; 5] {
    let usual = match path.as_bytes() {
        b"/bid" => 8000.0,
        b"/sync" => 2100.0,
        _ => 3500.0,
    };
    let tail = (chance(n, 12) * 1.9 - 0.9).exp2();
    let far = if chance(n, 13) > 0.99 { 3.2 } else { 1.0 };
    let us = |x: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let us = x as u64;
        us
    };
    [
        us(120.0 * chance(n, 14)),
        if chance(n, 15) > 0.97 { 900 } else { 0 },
        us(300.0 + 400.0 * chance(n, 16)),
        us(usual * tail * far * times),
        us(500.0 * chance(n, 17)),
    ]
}

fn record(made: &Made) -> Record<'_> {
    let mut record = Record {
        at_us: Some(made.at_us),
        client: Some(made.client),
        vip: made.vip.as_bytes(),
        backend: made.backend.as_bytes(),
        server: made.server.as_bytes(),
        method: b"GET",
        path: made.path.as_bytes(),
        code: made.code,
        bytes_out: Some(1800),
        end: End { flags: b"----", local: made.parts_us.is_none(), ..End::default() },
        ..Record::default()
    };
    if let Some(parts) = made.parts_us {
        for (phase, us) in EdgePhase::ALL.into_iter().zip(parts) {
            let mixed = phase == EdgePhase::Body;
            record.phases.set(phase, if mixed { Span::mixed(us) } else { Span::exact(us) });
        }
        record.total = Span::exact(parts.iter().sum());
    }
    record
}

/// The request as it is kept, if it is slow.
fn kept(made: &Made, n: u64) -> Option<SlowRow> {
    let parts = made.parts_us?;
    let total_us: u64 = parts.iter().sum();
    if total_us < SLOW_US {
        return None;
    }
    let record = record(made);
    let phases = EdgePhase::ALL.into_iter().zip(parts).map(|(phase, us)| SlowPhase {
        phase,
        us,
        mark: record.phases.of(phase).mark,
    });
    Some(SlowRow {
        id: format!("{n:016x}"),
        at: Wall::from_nanos(made.at_us * 1000),
        source: SOURCE.into(),
        client: Some(made.client),
        client_port: 50_000,
        asn: Some(made.asn),
        country: Some("GB".to_owned()),
        prefix: None,
        vip: made.vip.to_owned(),
        backend: made.backend.to_owned(),
        server: made.server.clone(),
        method: "GET".to_owned(),
        host: "bid.example".to_owned(),
        path: made.path.clone(),
        route: if made.path.starts_with("/win/") { "/win/{n}".into() } else { made.path.clone() },
        code: made.code,
        flags: "----".to_owned(),
        blamed: None,
        client_aborted: false,
        phases: phases.collect(),
        total_us,
        total_mark: record.total.mark,
        bytes_out: Some(1800),
        bytes_in: None,
        retries: 0,
        redispatched: false,
        attempts: Vec::new(),
        queued: Some((0, 0)),
        server_conns: Some(12),
        client_rtt_us: Some(24_000),
        client_retransmits: None,
        request_id: String::new(),
        dominant: Some(EdgePhase::Wait),
        reason: Reason::OverThreshold,
        limit_us: SLOW_US,
        stands_for: 1.0,
    })
}

fn stat(n: u64, middle: f64, lo: f64, hi: f64) -> Stat {
    Stat {
        n,
        bad: None,
        median: Some(middle),
        lo95: Some(lo),
        hi95: Some(hi),
        unit: "ms".to_owned(),
    }
}

fn readings(now_s: i64) -> Vec<Reading> {
    let reading = |code: &str, server: &str, status, here, there: Option<Stat>| Reading {
        code: code.to_owned(),
        cohort: Cohort { service: Some("shop".to_owned()), ..Cohort::default() },
        locus: Locus {
            backend: Some("bidders".to_owned()),
            server: Some(server.to_owned()),
            route: Some("/bid".to_owned()),
            ..Locus::default()
        },
        from: Wall::from_millis((now_s - 70) * 1000),
        to: Wall::from_millis((now_s - 10) * 1000),
        status,
        here,
        against: there.is_some().then_some(Against::Peers),
        there,
        completeness: Some(if status == Status::Blind { 0.4 } else { 1.0 }),
        evidence: Vec::new(),
    };
    let code = "edge_server_slower_than_twins";
    let twins = Some(stat(1340, 8.2, 8.1, 8.4));
    let mut all = vec![
        reading(code, "app7", Status::Abnormal, stat(62, 18.4, 16.9, 20.1), twins.clone()),
        reading(code, "app9", Status::TooFew, stat(4, 8.0, 6.0, 12.0), twins.clone()),
        reading("edge_queueing", "app2", Status::Blind, Stat::default(), None),
    ];
    for i in [1, 2, 3, 4, 5, 6, 8, 10, 11, 12] {
        let server = format!("app{i}");
        all.push(reading(code, &server, Status::Normal, stat(120, 8.2, 7.9, 8.6), twins.clone()));
    }
    all
}

fn findings(now_s: i64) -> Vec<Finding> {
    let finding = |id: &str, server: &str, opened, closed: Option<i64>, text: &str| Finding {
        id: id.to_owned(),
        code: "edge_server_slower_than_twins".to_owned(),
        cohort: Cohort { service: Some("shop".to_owned()), ..Cohort::default() },
        locus: Locus {
            backend: Some("bidders".to_owned()),
            server: Some(server.to_owned()),
            route: Some("/bid".to_owned()),
            ..Locus::default()
        },
        opened: Wall::from_millis(opened * 1000),
        closed: closed.map(|s| Wall::from_millis(s * 1000)),
        readings: 40,
        implicates: vec![Segment::Host, Segment::Backend],
        text: text.to_owned(),
        evidence: Vec::new(),
    };
    vec![
        finding(
            "f1",
            "app7",
            now_s - SLOW_SINCE_S,
            None,
            "app7 answers /bid 2.3 times slower than its twins.",
        ),
        finding(
            "f2",
            "app3",
            now_s - 3400,
            Some(now_s - 3100),
            "app3 answered /imp 1.9 times slower than its twins.",
        ),
    ]
}

/// A log for the source to read: the last seconds' lines, and a few that are none.
pub(super) fn log(now_ms: i64) -> String {
    let at = Wall::from_millis(now_ms - 20_000).to_string();
    let (day, clock) = (&at[8..10], &at[11..19]);
    let (year, month) = (&at[..4], at[5..7].parse::<usize>().unwrap_or(1));
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            [month - 1];
    let line = |n: u64| {
        format!(
            "203.0.113.{}:50{n:03} [{day}/{month}/{year}:{clock}.{n:03}] sync sync/sync1 0/0/0/{}/{} 200 1800 - - ---- 3/3/1/1/0 0/0 \"GET /sync HTTP/1.1\"\n",
            1 + n % 200,
            2 + n % 3,
            3 + n % 3
        )
    };
    let mut text: String = (0..400).map(line).collect();
    text.push_str("203.0.113.9:5000 [yesterday] sync sync/sync1 0/0/0/2/3 200 1\n");
    text.push_str("<script>alert(1)</script> \u{1b}[31m this is no line of a log\n");
    text
}

/// The same networks as the configuration's table.
fn networks() -> AsnTable {
    let range = |net: [u8; 3], asn, name: &str| Range {
        first: Ipv4Addr::new(net[0], net[1], net[2], 0).into(),
        last: Ipv4Addr::new(net[0], net[1], net[2], 255).into(),
        owner: Owner { asn: Some(asn), country: None, name: Some(name.into()) },
    };
    AsnTable::build(vec![
        range([203, 0, 113], 64_496, "Corvex CDN"),
        range([198, 51, 100], 64_501, "Bookhost"),
        range([192, 0, 2], 64_502, "Northline"),
    ])
}
