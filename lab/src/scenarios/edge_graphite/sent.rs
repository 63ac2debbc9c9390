//! A balancer's log through whyslow to a carbon and a Prometheus, both away for ten minutes of the
//! log: nothing is lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::read::now_s;
use crate::peer::{Peer, free_port, loopback};
use crate::up::{Up, curl};
use crate::world::{World, must};

const SOON: Duration = Duration::from_secs(60);
/// Where carbon keeps the hits of the one route there is.
const HITS: &str = "whisper/edge/www/app/web1/~api~:id/hits.wsp";
/// Windows of the log: before the outage, within and after it.
const WINDOWS: [i64; 3] = [12, 60, 12];

pub(super) fn reaches_carbon_and_prometheus(world: &World) -> Result<()> {
    let (plaintext, prometheus) = (loopback(free_port()?), loopback(free_port()?));
    carbon_config(world, plaintext)?;
    let mut peers = start(world, plaintext, prometheus)?;
    let log = world.write("lb.log", "")?;
    let up = Up::start(
        world,
        &format!(
            "  shop: {{}}\nedge:\n  - {{name: lb1, input: \"file:{log}\", format: haproxy, \
             service: shop, time_zone: UTC}}\ngraphite: {{send_to: \"{plaintext}\"}}\n\
             remote_write:\n  - url: http://{prometheus}/api/v1/write\n    \
             select: ['{{__name__=~\"whyslow_edge_.*\"}}']\n"
        ),
    )?;
    let begin_s = now_s() / 10 * 10 - 1500;
    let mut told = 0;
    let mut tell = |windows: i64| -> Result<()> {
        let mut file = OpenOptions::new().append(true).open(&log)?;
        for n in told..told + windows {
            file.write_all(window(begin_s + n * 10, hits(n)).as_bytes())?;
        }
        told += windows;
        Ok(())
    };
    tell(WINDOWS[0])?;
    up.wait("the first lines at carbon", SOON, || {
        Ok(std::path::Path::new(&world.path(HITS)).exists().then_some(()))
    })?;
    for mut peer in std::mem::take(&mut peers) {
        peer.signal("TERM")?;
        peer.ended(SOON)?;
    }
    tell(WINDOWS[1])?;
    up.wait("windows that wait", SOON, || waiting(&up, "graphite_windows", 58.0))?;
    up.wait("samples that wait", SOON, || waiting(&up, "remote_write_samples", 2000.0))?;
    let peers = start(world, plaintext, prometheus)?;
    tell(WINDOWS[2])?;
    up.wait("all lines at carbon", SOON, || whole(world, begin_s))?;
    println!("  carbon: the hits of all {} windows", WINDOWS.iter().sum::<i64>());
    in_prometheus(&up, prometheus, begin_s)?;
    let lost = metric(&up, "whyslow_self_graphite_windows_dropped_total", "")?;
    ensure!(lost == Some(0.0), "windows dropped: {lost:?}");
    for result in ["dropped", "refused"] {
        let lost = metric(&up, "whyslow_self_remote_write_samples_total", result)?;
        ensure!(lost == Some(0.0), "samples {result}: {lost:?}");
    }
    drop(peers);
    Ok(())
}

/// How many requests the n-th window holds.
const fn hits(n: i64) -> i64 {
    3 + n % 5
}

/// HAProxy's lines of one window, evenly spread.
fn window(start_s: i64, hits: i64) -> String {
    let line = |i: i64| {
        let at = jiff::Timestamp::from_second(start_s + i).unwrap_or_default();
        let date = at.strftime("%d/%b/%Y:%H:%M:%S");
        format!(
            "192.0.2.7:40{i:03} [{date}.250] www app/web1 0/0/1/{}/{} 200 512 - - ---- \
             1/1/1/1/0 0/0 \"GET /api/{} HTTP/1.1\"\n",
            10 + i,
            20 + i,
            1000 + i
        )
    };
    (0..hits).map(line).collect()
}

pub(in crate::scenarios) fn carbon_config(world: &World, plaintext: SocketAddr) -> Result<()> {
    let dir = world.path("");
    let other = || free_port();
    world.write("storage-schemas.conf", "[all]\npattern = .*\nretentions = 10s:1d\n")?;
    world.write(
        "carbon.conf",
        &format!(
            "[cache]\nSTORAGE_DIR = {dir}\nLOCAL_DATA_DIR = {dir}/whisper/\nCONF_DIR = {dir}\n\
             LOG_DIR = {dir}\nPID_DIR = {dir}\nUSER =\nMAX_CACHE_SIZE = inf\n\
             MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\n\
             MAX_UPDATES_PER_SECOND_ON_SHUTDOWN = inf\n\
             LINE_RECEIVER_INTERFACE = {}\nLINE_RECEIVER_PORT = {}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {}\n\
             CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {}\nENABLE_TAGS = False\n",
            plaintext.ip(),
            plaintext.port(),
            other()?,
            other()?
        ),
    )?;
    Ok(())
}

pub(in crate::scenarios) fn start(
    world: &World,
    plaintext: SocketAddr,
    prometheus: SocketAddr,
) -> Result<Vec<Peer>> {
    let mut carbon = Command::new("/usr/bin/carbon-cache");
    carbon.args(["--config", &world.path("carbon.conf"), "--nodaemon", "start"]);
    let carbon = Peer::start("carbon", world.dir(), &mut carbon)?.until_listening(plaintext)?;
    let config = world.write("prometheus.yml", "global: {}\n")?;
    let mut server = Command::new("/usr/bin/prometheus");
    server.args([
        format!("--config.file={config}"),
        format!("--storage.tsdb.path={}", world.path("tsdb")),
        format!("--web.listen-address={prometheus}"),
        "--web.enable-remote-write-receiver".to_owned(),
    ]);
    let mut server = Peer::start("prometheus", world.dir(), &mut server)?;
    let ready = format!("http://{prometheus}/-/ready");
    server.until(|| Ok(curl(&[&ready]).is_ok_and(|answer| answer.status == 200)))?;
    Ok(vec![carbon, server])
}

/// The value of whyslow's own metric, of the sample whose labels hold `word`.
pub(in crate::scenarios) fn metric(up: &Up, name: &str, word: &str) -> Result<Option<f64>> {
    let body = up.get("/metrics")?.body;
    let own = |l: &&str| l.starts_with(name) && l.contains(word);
    let text = body.lines().find(own).and_then(|l| l.rsplit(' ').next());
    Ok(text.map(str::parse).transpose()?)
}

fn waiting(up: &Up, what: &str, least: f64) -> Result<Option<()>> {
    let pending = metric(up, &format!("whyslow_self_{what}_pending{{"), "")?;
    Ok(pending.is_some_and(|n| n >= least).then_some(()))
}

/// Whether carbon's file holds the hits of every window.
fn whole(world: &World, begin_s: i64) -> Result<Option<()>> {
    let windows: i64 = WINDOWS.iter().sum();
    let (from, until) = (begin_s - 1, begin_s + windows * 10 - 1);
    let mut fetch = Command::new("/usr/bin/whisper-fetch");
    fetch.args([
        "--json",
        &format!("--from={from}"),
        &format!("--until={until}"),
        &world.path(HITS),
    ]);
    let told: Value = serde_json::from_str(&must(&mut fetch)?)?;
    let values = told["values"].as_array().context("no values")?;
    let all = (0..windows).map(hits).collect::<Vec<_>>();
    let there: Vec<i64> =
        values.iter().filter_map(Value::as_f64).map(|v| v.round() as i64).collect();
    if there.len() == all.len() && there != all {
        bail!("carbon holds {there:?}");
    }
    Ok((there == all).then_some(()))
}

/// Prometheus holds the very samples that whyslow holds.
fn in_prometheus(up: &Up, prometheus: SocketAddr, begin_s: i64) -> Result<()> {
    let windows: i64 = WINDOWS.iter().sum();
    let at = begin_s + windows * 10 + 5;
    let samples = |server: &str, query: &str| -> Result<Vec<Value>> {
        let url = format!("{server}/api/v1/query?time={at}");
        let answer = curl(&["-G", "--data-urlencode", &format!("query={query}"), &url])?;
        let body: Value = serde_json::from_str(&answer.body)?;
        let mut all = body["data"]["result"].as_array().cloned().context("no result")?;
        all.sort_by_key(|series| series["metric"].to_string());
        Ok(all)
    };
    let theirs = format!("http://{prometheus}");
    up.wait("all samples in Prometheus", SOON, || {
        for query in
            ["whyslow_edge_requests_total[40m]", "whyslow_edge_request_seconds_bucket[40m]"]
        {
            let (own, other) = (samples(&up.url(""), query)?, samples(&theirs, query)?);
            if own.is_empty() || own != other {
                return Ok(None);
            }
            println!("  {query}: {} series equal", own.len());
        }
        Ok(Some(()))
    })?;
    let query = "sum(increase(whyslow_edge_requests_total[40m]))";
    let told = samples(&theirs, query)?;
    println!("  {query} = {}", told[0]["value"][1]);
    Ok(())
}
