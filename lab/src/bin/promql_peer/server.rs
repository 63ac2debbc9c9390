//! A server that speaks the Prometheus HTTP API: Debian's Prometheus, or a running `whyslow up`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whyslow::remote_write::body::Body;
use whyslow_lab::peer::{Peer, free_port, loopback};
use whyslow_model::Labels;
use whyslow_model::read::SeriesPoints;

use crate::answer::{Answer, Row};
use crate::data::EVERY_MS;
use crate::http::Connection;

/// How much time one remote-write request covers.
const SLICE_MS: i64 = 30 * EVERY_MS;

/// Starts Debian's Prometheus with an empty database under `dir`.
///
/// # Errors
/// Where it does not start.
pub fn prometheus(dir: &Path) -> Result<(Peer, SocketAddr)> {
    let address = loopback(free_port()?);
    let config = dir.join("prometheus.yml");
    std::fs::write(&config, "global: {}\n")?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-remote-write-receiver")
        .arg("--web.enable-admin-api")
        .arg("--storage.tsdb.retention.time=100y");
    let mut peer = Peer::start("prometheus", dir, &mut command)?;
    peer.until(|| {
        let ready = Connection::open(address).and_then(|mut c| c.post("/-/ready", "", b""));
        // It answers GET only, but it answers POST otherwise once it is up.
        Ok(ready.is_ok_and(|r| r.status != 503))
    })?;
    Ok((peer, address))
}

/// A connection, and how long its queries took.
#[derive(Debug)]
pub struct Server {
    connection: Connection,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self { connection: Connection::open(address)? })
    }

    /// Sends all series by remote write, in order of time, and says how long that took.
    ///
    /// # Errors
    /// Where a request is refused.
    pub fn feed(&mut self, series: &[SeriesPoints]) -> Result<Duration> {
        let mut bodies = Vec::new();
        let first = series.iter().filter_map(|s| s.times_ms.first()).min().context("no data")?;
        let last = series.iter().filter_map(|s| s.times_ms.last()).max().context("no data")?;
        let mut from_ms = *first;
        while from_ms <= *last {
            bodies.push(slice(series, from_ms, from_ms + SLICE_MS).to_bytes());
            from_ms += SLICE_MS;
        }
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                       X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        let began = Instant::now();
        for body in bodies {
            let reply = self.connection.post("/api/v1/write", headers, &body)?;
            let said = String::from_utf8_lossy(&reply.body);
            ensure!(reply.status / 100 == 2, "remote write: {} {said}", reply.status);
        }
        Ok(began.elapsed())
    }

    /// Has Prometheus write all it holds as blocks, its head too.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn snapshot(&mut self) -> Result<()> {
        let reply = self.connection.post("/api/v1/admin/tsdb/snapshot", "", b"")?;
        let said = String::from_utf8_lossy(&reply.body);
        ensure!(reply.status == 200, "snapshot: {} {said}", reply.status);
        Ok(())
    }

    /// Asks a range query; also how long until the whole body was here.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub fn range(
        &mut self,
        query: &str,
        (from_ms, to_ms, step_ms): (i64, i64, i64),
    ) -> Result<(Answer, Duration)> {
        let times = format!("start={}&end={}&step={}", s(from_ms), s(to_ms), s(step_ms));
        self.ask("/api/v1/query_range", query, &times)
    }

    /// Asks an instant query.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub fn instant(&mut self, query: &str, at_ms: i64) -> Result<(Answer, Duration)> {
        self.ask("/api/v1/query", query, &format!("time={}", s(at_ms)))
    }

    fn ask(&mut self, path: &str, query: &str, times: &str) -> Result<(Answer, Duration)> {
        let body = format!("query={}&{times}", escaped(query));
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let began = Instant::now();
        let reply = self.connection.post(path, headers, body.as_bytes())?;
        let took = began.elapsed();
        let value: Value = serde_json::from_slice(&reply.body).context("reading an answer")?;
        Ok((read(&value)?, took))
    }
}

/// Seconds with milliseconds, exact.
fn s(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn read(value: &Value) -> Result<Answer> {
    if value["status"] != "success" {
        return Ok(Answer::Failed(value["error"].as_str().unwrap_or_default().to_owned()));
    }
    let result = &value["data"]["result"];
    let rows = match value["data"]["resultType"].as_str() {
        Some("string") => return Ok(Answer::Text(result[1].as_str().unwrap_or("").to_owned())),
        Some("scalar") => vec![Row { labels: Labels::empty(), points: vec![point(result)?] }],
        _ => result.as_array().context("no result")?.iter().map(row).collect::<Result<_>>()?,
    };
    Ok(Answer::Rows(rows))
}

fn row(value: &Value) -> Result<Row> {
    let metric = value["metric"].as_object().context("no metric")?;
    let pairs = metric.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap_or_default()));
    let points = match &value["values"] {
        Value::Array(points) => points.iter().map(point).collect::<Result<_>>()?,
        _ => vec![point(&value["value"])?],
    };
    Ok(Row { labels: Labels::from_pairs(pairs), points })
}

fn point(value: &Value) -> Result<(i64, f64)> {
    let seconds = value[0].as_f64().context("no time")?;
    let text = value[1].as_str().context("no value")?;
    Ok(((seconds * 1000.0).round() as i64, text.parse()?))
}

fn slice(series: &[SeriesPoints], from_ms: i64, to_ms: i64) -> Body {
    let mut body = Body::default();
    for points in series {
        let from = points.times_ms.partition_point(|t| *t < from_ms);
        let to = points.times_ms.partition_point(|t| *t < to_ms);
        if from == to {
            continue;
        }
        body.series(points.labels.iter());
        (from..to).for_each(|i| body.sample(points.times_ms[i], points.values[i]));
    }
    body
}
