//! A real HAProxy that logs each request by UDP, a unix datagram socket, TCP and a unix stream, and
//! a burst of UDP that the kernel cannot hold: each line is counted, or its loss is.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use whyslow_sys::clock;

use crate::log::{self, Windows};
use crate::peer::{Peer, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::up::Up;
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-sockets",
    proves: "each line by UDP, TCP and unix sockets is counted, and lost datagrams exactly",
    needs: &[Need::Program("/usr/sbin/haproxy")],
    run,
};

const REQUESTS: u64 = 400;
const BURST: u64 = 200_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn run(world: &World) -> Result<()> {
    let (udp, tcp, burst, front) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let (dgram, stream) = (world.path("lb.dgram"), world.path("lb.sock"));
    let stats = world.path("stats.sock");
    let source = |name: &str, input: String| {
        format!("  - {{name: {name}, input: \"{input}\", format: haproxy, service: web}}\n")
    };
    let edge = [
        "  web: {owner: lab}\nedge:\n".to_owned(),
        source("udp", format!("syslog-udp:127.0.0.1:{udp}")),
        source("tcp", format!("syslog-tcp:127.0.0.1:{tcp}")),
        source("dgram", format!("unix-dgram:{dgram}")),
        source("stream", format!("unix-stream:{stream}")),
        source("burst", format!("syslog-udp:127.0.0.1:{burst}")),
    ];
    let up = Up::start(world, &edge.concat())?;
    let config = ["global\n  stats socket ", &stats, "\n"].concat()
        + &haproxy(udp, tcp, &dgram, &stream, front);
    let config = world.write("haproxy.cfg", &config)?;
    let mut command = Command::new("/usr/sbin/haproxy");
    let balancer = Peer::start("haproxy", world.dir(), command.args(["-db", "-f", &config]))?;
    let balancer = balancer.until_listening(loopback(front))?;
    let url = format!("http://127.0.0.1:{front}/cart/[1-{REQUESTS}]");
    must(Command::new("curl").args(["-sS", "--max-time", "50", "-o", "/dev/null", &url]))?;
    up.wait("all lines", PATIENCE, || {
        let mut parsed = Vec::new();
        for name in ["tcp", "stream", "udp", "dgram"] {
            let source = of(&up, name)?;
            ensure!(source["problem"].is_null(), "{source:#}");
            parsed.push(source["lines"]["parsed"].as_u64().unwrap_or(0));
        }
        // The look whether it listens is a connection without a request.
        ensure!(parsed.iter().all(|n| *n <= REQUESTS + 1), "{parsed:?}");
        // HAProxy does not wait for a datagram socket that is full, but counts what it drops.
        let datagrams = parsed[2] + parsed[3] + dropped(&stats)?;
        let streams = parsed[0] >= REQUESTS && parsed[1] >= REQUESTS;
        Ok((streams && datagrams >= 2 * REQUESTS).then_some(()))
    })?;
    println!("    HAProxy dropped {} of {} datagrams", dropped(&stats)?, 2 * REQUESTS);
    drop(balancer);
    flood(&up, burst)
}

/// Sends more than the kernel can hold, as fast as can be.
fn flood(up: &Up, port: u16) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(loopback(port))?;
    let lines = log::lines(clock::wall(), 1000, &mut Windows::new());
    let lines: Vec<String> = lines.lines().map(|l| format!("<134>{l}\n")).collect();
    let mut sent = 0;
    while sent < BURST {
        for line in &lines {
            socket.send(line.as_bytes())?;
            sent += 1;
        }
    }
    let found = up.wait("all datagrams to be accounted for", PATIENCE, || {
        let source = of(up, "burst")?;
        let n = |value: &Value| value.as_u64().unwrap_or(0);
        let (parsed, lost) = (n(&source["lines"]["parsed"]), n(&source["kernel_dropped"]));
        ensure!(parsed + lost <= sent, "{source:#}");
        Ok((parsed + lost == sent).then_some((parsed, lost)))
    })?;
    println!("    of {sent} datagrams {} were counted and {} lost in the kernel", found.0, found.1);
    Ok(())
}

/// Lines that HAProxy dropped, as it says itself.
fn dropped(stats: &str) -> Result<u64> {
    let mut socket = UnixStream::connect(stats)?;
    socket.write_all(b"show info\n")?;
    let mut said = String::new();
    socket.read_to_string(&mut said)?;
    let count = said.lines().find_map(|line| line.strip_prefix("DroppedLogs: "));
    Ok(count.with_context(|| format!("no DroppedLogs in {said}"))?.trim().parse()?)
}

fn of(up: &Up, name: &str) -> Result<Value> {
    let all = up.json("/api/v1/edge/sources")?;
    let mut sources = all["sources"].as_array().cloned().unwrap_or_default().into_iter();
    let source = sources.find(|source| source["name"] == name);
    source.ok_or_else(|| anyhow::anyhow!("no source {name} in {all:#}"))
}

fn haproxy(udp: u16, tcp: u16, dgram: &str, stream: &str, front: u16) -> String {
    format!(
        "ring by_tcp\n  format rfc3164\n  maxlen 2000\n  size 65536\n  timeout connect 5s\n  \
         timeout server 10s\n  server whyslow 127.0.0.1:{tcp} log-proto octet-count\n\
         ring by_stream\n  format rfc3164\n  maxlen 2000\n  size 65536\n  timeout connect 5s\n  \
         timeout server 10s\n  server whyslow unix@{stream}\n\
         defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend web\n  bind 127.0.0.1:{front}\n  option httplog\n  option dontlognull\n  \
         log 127.0.0.1:{udp} local0\n  log {dgram} local0\n  log ring@by_tcp local0\n  \
         log ring@by_stream local0\n  http-request return status 200 content-type text/plain \
         string ok\n"
    )
}
