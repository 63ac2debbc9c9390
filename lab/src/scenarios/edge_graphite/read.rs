//! The same data in whisper files under Debian's graphite-web, and in whyslow: every target of the
//! list answers the same names, times and values.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::grafana;
use crate::peer::{Peer, free_port, loopback};
use crate::up::{Up, curl};
use crate::world::World;

const TARGETS: &str = include_str!("targets.txt");
const SERVER: &str = include_str!("graphite_web.py");
const SOON: Duration = Duration::from_secs(30);
/// Points of each series, ten seconds apart.
const POINTS: i64 = 360;

pub(super) fn agrees_with_graphite_web(world: &World) -> Result<()> {
    let end_s = now_s() / 10 * 10 - 20;
    let lines = lines(end_s);
    world.write("lines", &lines)?;
    let script = world.write("graphite_web.py", SERVER)?;
    let theirs = loopback(free_port()?);
    let mut server = Command::new("/usr/bin/python3");
    server.args([&script, &world.path(""), &theirs.port().to_string()]);
    let _server = Peer::start("graphite-web", world.dir(), &mut server)?.until_listening(theirs)?;

    let plaintext = loopback(free_port()?);
    let up = Up::start(world, &format!("  shop: {{}}\ngraphite: {{listen: \"{plaintext}\"}}\n"))?;
    TcpStream::connect(plaintext)?.write_all(lines.as_bytes())?;
    let stored = lines.lines().count() as u64;
    let counted = format!("whyslow_self_graphite_lines_in_total{{result=\"stored\"}} {stored}");
    up.wait("the lines", SOON, || Ok(up.get("/metrics")?.body.contains(&counted).then_some(())))?;

    let mut differences = Vec::new();
    let mut compared = 0;
    for target in TARGETS.lines() {
        for more in ["", "&maxDataPoints=50", "&maxDataPoints=1"] {
            let from = end_s - 1800;
            let form = format!("from={from}&until={end_s}&format=json{more}");
            let ask = |server: &str| render(server, target, &form);
            let (own, other) = (ask(&up.url(""))?, ask(&format!("http://{theirs}"))?);
            compared += 1;
            if let Err(error) = same(&own, &other) {
                differences.push(format!("{target} {more}: {error}"));
            }
        }
    }
    println!("  graphite-web: {compared} answers compared, {} differ", differences.len());
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    let theirs = format!("http://{theirs}");
    tree(&up, &theirs)?;
    grafana::replay(&up, &theirs, end_s)
}

pub(in crate::scenarios) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}

/// Counters that begin anew, latencies with gaps: no two series alike.
fn lines(end_s: i64) -> String {
    let mut out = String::new();
    let mut chance = 7u64;
    let mut dice = || {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % 1000
    };
    for (n, server) in ["a", "b", "c"].into_iter().enumerate() {
        let mut hits = 0;
        for i in 0..POINTS {
            let at = end_s - (POINTS - 1 - i) * 10;
            hits += dice();
            if n == 1 && i % 97 == 0 {
                hits = 0;
            }
            let _ = writeln!(out, "web.{server}.hits {hits} {at}");
            let is_gap = n == 2 && dice() < 250;
            if !is_gap {
                let _ = writeln!(out, "web.{server}.latency {}.{} {at}", dice() / 5, dice());
            }
            let center = if n == 1 { "par" } else { "lon" };
            let _ = writeln!(out, "disk.used;host={server};center={center} {} {at}", dice());
        }
    }
    out
}

fn render(server: &str, target: &str, form: &str) -> Result<Value> {
    let target = format!("target={target}");
    let url = format!("{server}/render?{form}");
    let answer = curl(&["-G", "--data-urlencode", &target, &url])?;
    ensure!(answer.status == 200, "{target}: {} {}", answer.status, answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

/// The same series in the same order, each with the same points.
fn same(own: &Value, other: &Value) -> Result<()> {
    let list = |v: &Value| v.as_array().cloned().context("no list");
    let (own, other) = (list(own)?, list(other)?);
    let names = |all: &[Value]| all.iter().map(|s| s["target"].to_string()).collect::<Vec<_>>();
    ensure!(names(&own) == names(&other), "names {:?} theirs {:?}", names(&own), names(&other));
    for (a, b) in own.iter().zip(&other) {
        let (a, b) = (list(&a["datapoints"])?, list(&b["datapoints"])?);
        ensure!(a.len() == b.len(), "{} points, theirs {}", a.len(), b.len());
        for (x, y) in a.iter().zip(&b) {
            ensure!(x[1] == y[1], "time {} theirs {}", x[1], y[1]);
            let equal = match (x[0].as_f64(), y[0].as_f64()) {
                (Some(x), Some(y)) => (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1.0),
                (x, y) => x == y,
            };
            ensure!(equal, "at {}: {} theirs {}", x[1], x[0], y[0]);
        }
    }
    Ok(())
}

/// The tree of paths, as the data source asks for it.
fn tree(up: &Up, theirs: &str) -> Result<()> {
    for query in ["*", "web.*", "web.*.*", "web.{a,b}.hi*", "web.a.hits", "nothing.*"] {
        for path in ["metrics/find", "metrics/expand"] {
            let ask = |server: &str| -> Result<Value> {
                let url = format!("{server}/{path}");
                let answer = curl(&["-G", "--data-urlencode", &format!("query={query}"), &url])?;
                Ok(serde_json::from_str(&answer.body)?)
            };
            let (own, other) = (ask(&up.url(""))?, ask(theirs)?);
            let shown = |v: &Value| {
                let all = v.as_array().cloned().unwrap_or_default();
                let mut ids: Vec<_> = all
                    .iter()
                    .map(|n| (n["id"].to_string(), n["text"].to_string(), n["leaf"] == 1))
                    // Tagged files lie in a directory that no other Graphite shows.
                    .filter(|(id, ..)| id != "\"_tagged\"")
                    .collect();
                ids.sort();
                let paths = v["results"].as_array().cloned().unwrap_or_default();
                (ids, paths.into_iter().filter(|path| path != "_tagged").collect::<Vec<_>>())
            };
            if shown(&own) != shown(&other) {
                bail!("{path} {query}: {own} theirs {other}");
            }
        }
    }
    Ok(())
}
