//! A running `whyslow up`, and curl to talk to it as any client would.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::peer::{Peer, free_port, loopback};
use crate::world::{World, must};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running `whyslow up`; killed when dropped.
#[derive(Debug)]
pub struct Up {
    /// Where it serves pages and API.
    pub address: SocketAddr,
    /// The process.
    pub peer: Peer,
}

impl Up {
    /// Starts it with `services`, the YAML below `services:`, and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(world: &World, services: &str) -> Result<Self> {
        let (address, config) = Self::configure(world, services)?;
        let mut command = world.whyslow();
        command.args(["up", "--config", &config]);
        Self::run(world, address, &mut command)
    }

    /// Writes a configuration with a free port and gives both.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn configure(world: &World, services: &str) -> Result<(SocketAddr, String)> {
        let address = loopback(free_port()?);
        let config = format!(
            "vantage: {{name: lab, country: GB, asn: 64500}}\ndata: {}\nlisten: {address}\n\
             services:\n{services}",
            world.path("data")
        );
        Ok((address, world.write("whyslow.yaml", &config)?))
    }

    /// Starts it by a command already put together.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn run(world: &World, address: SocketAddr, command: &mut Command) -> Result<Self> {
        let mut up = Self { address, peer: Peer::start("up", world.dir(), command)? };
        let url = up.url("/readyz");
        up.peer.until(|| Ok(curl(&[&url]).is_ok_and(|answer| answer.status == 200)))?;
        Ok(up)
    }

    /// The address of one of its pages.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GET, whatever the status.
    ///
    /// # Errors
    /// Where nothing answers.
    pub fn get(&self, path: &str) -> Result<Answer> {
        curl(&[&self.url(path)])
    }

    /// GET of a JSON document with status 200.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn json(&self, path: &str) -> Result<Value> {
        let answer = self.get(path)?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("{path}: {}", answer.body))
    }

    /// The results of an instant PromQL query.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn query(&self, promql: &str) -> Result<Vec<Value>> {
        let url = self.url("/api/v1/query");
        let answer = curl(&["-G", "--data-urlencode", &format!("query={promql}"), &url])?;
        let body: Value = serde_json::from_str(&answer.body)?;
        ensure!(body["status"] == "success", "{promql}: {body:#}");
        Ok(body["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// The value of the first result of an instant query.
    ///
    /// # Errors
    /// Where the query is refused.
    pub fn value(&self, promql: &str) -> Result<Option<f64>> {
        let results = self.query(promql)?;
        let text = results.first().and_then(|r| r["value"][1].as_str());
        Ok(text.map(str::parse).transpose()?)
    }

    /// Waits until `look` finds something, for at most `limit`.
    ///
    /// # Errors
    /// Where it does not, naming `what` was waited for.
    pub fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if began.elapsed() > limit {
                bail!("{what}: not within {limit:?}; it says:\n{}", self.peer.output());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// One request by curl.
///
/// # Errors
/// Where nothing answers.
pub fn curl(arguments: &[&str]) -> Result<Answer> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]).args(arguments);
    let said = must(&mut command)?;
    let (body, status) = said.rsplit_once('\n').context("curl said nothing")?;
    Ok(Answer { status: status.parse()?, body: body.to_owned() })
}
