//! An outage of carbon and Prometheus over which whyslow is killed twice, and a kill while they
//! take what is sent: every point is there once, revised windows as they were revised.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::edge_graphite::read::now_s;
use super::edge_graphite::sent::{carbon_config, metric, start};
use crate::peer::{free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::up::{Up, curl};
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-outage",
    proves: "an outage of carbon and Prometheus loses no point, whyslow being killed meanwhile",
    needs: &[
        Need::Program("/usr/bin/carbon-cache"),
        Need::Program("/usr/bin/prometheus"),
        Need::Program("/usr/bin/curl"),
    ],
    run,
};

const SOON: Duration = Duration::from_secs(60);
const READ: &str = include_str!("read_points.py");
/// What a row tells of each window.
const METRICS: [&str; 13] = [
    "hits",
    "tps_avg",
    "tps_max",
    "latency_avg",
    "latency_max",
    "latency_total",
    "p50",
    "p90",
    "p99",
    "http_200",
    "bytes_out",
    "client_aborted",
    "retries",
];
/// The rows of a vip, a backend, a server and a route.
const ROWS: [&str; 4] = ["www", "www/app", "www/app/web1", "www/app/web1/~api~:id"];

/// The log, and what an independent count of it says.
struct Log {
    path: String,
    begin_s: i64,
    windows: i64,
    /// By window: requests, and the milliseconds they took.
    told: BTreeMap<i64, (u64, u64)>,
}

fn run(world: &World) -> Result<()> {
    let (plaintext, prometheus) = (loopback(free_port()?), loopback(free_port()?));
    carbon_config(world, plaintext)?;
    let mut peers = start(world, plaintext, prometheus)?;
    let begin_s = now_s() / 10 * 10 - 1500;
    let path = world.write("lb.log", "")?;
    let mut log = Log { path, begin_s, windows: 0, told: BTreeMap::new() };
    let (address, config) = configure(world, &log, plaintext, prometheus)?;
    let up = || {
        let mut command = world.whyslow();
        command.args(["up", "--config", &config]);
        Up::run(world, address, &mut command)
    };
    let mut whyslow = up()?;
    log.tell(12)?;
    whyslow.wait("the first windows in carbon", SOON, || {
        let hits = points(world, &log)?.get(&file("www", "hits")).map_or(0, BTreeMap::len);
        // The newest window is still open.
        Ok((hits >= 9).then_some(()))
    })?;
    for mut peer in std::mem::take(&mut peers) {
        peer.signal("TERM")?;
        peer.ended(SOON)?;
    }
    log.tell(30)?;
    // A request that took long belongs to a window that was told before.
    log.tell_late(4)?;
    log.tell(1)?;
    waits(&whyslow, 28.0)?;
    whyslow.peer.signal("KILL")?;
    whyslow.peer.ended(SOON)?;
    log.tell(20)?;
    let mut whyslow = up()?;
    log.tell_late(6)?;
    log.tell(2)?;
    waits(&whyslow, 48.0)?;
    whyslow.peer.signal("KILL")?;
    whyslow.peer.ended(SOON)?;
    let mut whyslow = up()?;
    let _peers = start(world, plaintext, prometheus)?;
    log.tell(12)?;
    agree(world, &whyslow, prometheus, &log)?;
    nothing_is_given_up(&whyslow)?;
    // Whatever was on its way when it is killed is sent again, and taken once.
    log.tell(6)?;
    whyslow.wait("some samples to be on their way", SOON, || {
        Ok(metric(&whyslow, "whyslow_self_remote_write_samples_pending", "")?
            .is_some_and(|n| n > 0.0)
            .then_some(()))
    })?;
    whyslow.peer.signal("KILL")?;
    whyslow.peer.ended(SOON)?;
    let whyslow = up()?;
    log.tell(6)?;
    agree(world, &whyslow, prometheus, &log)?;
    println!(
        "  {} windows, {} requests: carbon and Prometheus hold each once",
        log.windows,
        log.told.values().map(|(hits, _)| hits).sum::<u64>()
    );
    Ok(())
}

fn configure(
    world: &World,
    log: &Log,
    plaintext: SocketAddr,
    prometheus: SocketAddr,
) -> Result<(SocketAddr, String)> {
    Up::configure(
        world,
        &format!(
            "  shop: {{}}\nedge:\n  - {{name: lb1, input: \"file:{}\", format: haproxy, \
             service: shop, time_zone: UTC}}\ngraphite: {{send_to: \"{plaintext}\"}}\n\
             remote_write:\n  - url: http://{prometheus}/api/v1/write\n    \
             select: ['{{__name__=~\"whyslow_edge_.*\"}}']\n",
            log.path
        ),
    )
}

impl Log {
    /// Writes requests of further windows.
    fn tell(&mut self, windows: i64) -> Result<()> {
        for n in self.windows..self.windows + windows {
            (0..3 + n % 5).try_for_each(|i| self.line(n, i, 20 + i))?;
        }
        self.windows += windows;
        Ok(())
    }

    /// Writes a request of the window so many before the last one, which ends only now.
    fn tell_late(&mut self, before: i64) -> Result<()> {
        let took_ms = before * 10_000;
        self.line(self.windows - 1 - before, 9, took_ms)
    }

    /// Appends HAProxy's line of a request in the i-th second of a window.
    fn line(&mut self, window: i64, i: i64, took_ms: i64) -> Result<()> {
        let start_s = self.begin_s + window * 10;
        let at = jiff::Timestamp::from_second(start_s + i)?;
        let date = at.strftime("%d/%b/%Y:%H:%M:%S");
        let line = format!(
            "192.0.2.7:40{i:03} [{date}.250] www app/web1 0/0/1/{}/{took_ms} 200 512 - - ---- \
             1/1/1/1/0 0/0 \"GET /api/{} HTTP/1.1\"\n",
            took_ms - 5,
            1000 + i
        );
        OpenOptions::new().append(true).open(&self.path)?.write_all(line.as_bytes())?;
        let (hits, total_ms) = self.told.entry(start_s).or_default();
        (*hits, *total_ms) = (*hits + 1, *total_ms + took_ms.unsigned_abs());
        Ok(())
    }

    /// Windows that are told: the newest one is still open.
    fn whole(&self) -> impl Iterator<Item = (i64, (u64, u64))> {
        let newest = self.begin_s + (self.windows - 1) * 10;
        self.told.iter().map(|(start, told)| (*start, *told)).filter(move |(s, _)| *s < newest)
    }
}

/// Waits until so many windows wait for carbon, and something for Prometheus.
fn waits(up: &Up, windows: f64) -> Result<()> {
    up.wait("windows that wait", SOON, || {
        let waits = |name: &str| metric(up, name, "");
        let lines = waits("whyslow_self_graphite_windows_pending{")?;
        let samples = waits("whyslow_self_remote_write_samples_pending{")?;
        let enough = lines.is_some_and(|n| n >= windows) && samples.is_some_and(|n| n > 0.0);
        Ok(enough.then_some(()))
    })
}

fn file(row: &str, metric: &str) -> String {
    format!("{row}/{metric}.wsp")
}

/// What carbon's files hold of the log's time: by file and time.
fn points(world: &World, log: &Log) -> Result<BTreeMap<String, BTreeMap<i64, f64>>> {
    let script = world.write("read_points.py", READ)?;
    let end_s = log.begin_s + log.windows * 10;
    let mut read = Command::new("/usr/bin/python3");
    read.args([&script, &world.path("whisper/edge"), &log.begin_s.to_string()]);
    let said = must(read.arg(end_s.to_string()))?;
    let mut all: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().with_context(|| format!("a short line: {line}"));
        let (file, at, value) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
        all.entry(file).or_default().insert(at, value);
    }
    Ok(all)
}

/// Waits until carbon and Prometheus hold everything, and compares all of it.
fn agree(world: &World, up: &Up, prometheus: SocketAddr, log: &Log) -> Result<()> {
    let mut last = String::new();
    let all = up.wait("every point in carbon", SOON, || {
        let all = points(world, log)?;
        last = differs(&all, log);
        Ok(last.is_empty().then_some(all))
    });
    let all = all.with_context(|| last.clone())?;
    let n: usize = all.values().map(BTreeMap::len).sum();
    println!("  carbon: {n} points in {} files, as counted", all.len());
    in_prometheus(up, prometheus, log)
}

/// Where carbon's files are not what the log says; empty where they are.
fn differs(all: &BTreeMap<String, BTreeMap<i64, f64>>, log: &Log) -> String {
    let windows = log.whole().count();
    let newest = log.begin_s + (log.windows - 1) * 10;
    if all.len() != ROWS.len() * METRICS.len() {
        return format!("{} files", all.len());
    }
    for (row, metric) in ROWS.iter().flat_map(|row| METRICS.map(|metric| (row, metric))) {
        let none = BTreeMap::new();
        let there = all.get(&file(row, metric)).unwrap_or(&none);
        let n = there.keys().filter(|at| **at < newest).count();
        if n != windows {
            return format!("{row} {metric}: {n} points of {windows}");
        }
        for (at, (hits, total_ms)) in log.whole() {
            #[expect(clippy::cast_precision_loss, reason = "counts of a small log")]
            let wanted = match metric {
                "hits" | "http_200" => hits as f64,
                "latency_total" => total_ms as f64,
                "bytes_out" => hits as f64 * 512.0,
                _ => continue,
            };
            let value = there.get(&at).copied().unwrap_or(f64::NAN);
            if (value - wanted).abs() > 1e-6 {
                return format!("{row} {metric} at {at}: {value}, counted {wanted}");
            }
        }
    }
    String::new()
}

/// Prometheus holds the very samples that whyslow holds, and they add up to the requests.
fn in_prometheus(up: &Up, prometheus: SocketAddr, log: &Log) -> Result<()> {
    let at = now_s() + 60;
    let samples = |server: &str| -> Result<Vec<Value>> {
        let url = format!("{server}/api/v1/query?time={at}");
        let query =
            "query={__name__=~\"whyslow_edge_(requests|request_seconds|phase_seconds).*\"}[1h]";
        let answer = curl(&["-G", "--data-urlencode", query, &url])?;
        let body: Value = serde_json::from_str(&answer.body)?;
        let mut all = body["data"]["result"].as_array().cloned().context("no result")?;
        all.sort_by_key(|series| series["metric"].to_string());
        Ok(all)
    };
    let theirs = format!("http://{prometheus}");
    let all = up.wait("every sample in Prometheus", SOON, || {
        let (own, other) = (samples(&up.url(""))?, samples(&theirs)?);
        let requests = log.whole().map(|(_, (hits, _))| hits).sum::<u64>();
        let same = own == other && counted(&other) >= requests;
        Ok(same.then_some(other))
    })?;
    let n: usize = all.iter().filter_map(|s| s["values"].as_array()).map(Vec::len).sum();
    println!("  Prometheus: {n} samples in {} series, the same as in the store", all.len());
    let newest = log.told.values().next_back().map_or(0, |(hits, _)| *hits);
    let whole = log.told.values().map(|(hits, _)| hits).sum::<u64>();
    let counted = counted(&all);
    let told = [whole - newest, whole];
    ensure!(told.contains(&counted), "{counted} requests counted, {told:?} written");
    Ok(())
}

/// What the counters of requests grew by in all, over their new beginnings.
fn counted(series: &[Value]) -> u64 {
    let is_count = |s: &&Value| s["metric"]["__name__"] == "whyslow_edge_requests_total";
    let value = |point: &Value| point[1].as_str()?.parse::<f64>().ok();
    let mut sum = 0.0;
    for one in series.iter().filter(is_count) {
        let mut before = 0.0;
        for value in one["values"].as_array().into_iter().flatten().filter_map(value) {
            sum += if value < before { value } else { value - before };
            before = value;
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let sum = sum as u64;
    sum
}

fn nothing_is_given_up(up: &Up) -> Result<()> {
    let windows = metric(up, "whyslow_self_graphite_windows_dropped_total", "")?;
    ensure!(windows == Some(0.0), "windows given up: {windows:?}");
    for result in ["dropped", "refused"] {
        let lost = metric(up, "whyslow_self_remote_write_samples_total", result)?;
        ensure!(lost == Some(0.0), "samples {result}: {lost:?}");
    }
    Ok(())
}
