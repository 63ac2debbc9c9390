//! The configuration changed while lines come by a unix stream and by UDP: another source added,
//! then the sources' own keys changed. Each line is counted, or its loss is, and no sender notices.

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use whyslow_sys::clock;

use crate::log::{self, Windows};
use crate::peer::{free_port, loopback};
use crate::scenario::Scenario;
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-reload",
    proves: "a change of the configuration while lines come by sockets loses none unsaid",
    needs: &[],
    run,
};

const ROUNDS: u64 = 120;
const LINES_PER_ROUND: u64 = 100;
const ROUND: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

fn run(world: &World) -> Result<()> {
    let (socket, port) = (world.path("lb.sock"), free_port()?);
    let edge = |slow: &str, more: &str| {
        format!(
            "  web: {{owner: lab}}\nedge:\n  - {{name: stream, input: \"unix-stream:{socket}\", \
             format: haproxy, time_zone: UTC, service: web, slow: {slow}}}\n  - {{name: udp, \
             input: \"syslog-udp:127.0.0.1:{port}\", format: haproxy, time_zone: UTC, service: \
             web, slow: {slow}}}\n{more}"
        )
    };
    let mut up = Up::start(world, &edge("1s", ""))?;
    let config = std::fs::read_to_string(world.path("whyslow.yaml"))?;
    let change = |up: &Up, slow: &str, more: &str| -> Result<()> {
        let head = config.split("services:\n").next().unwrap_or_default();
        world.write("whyslow.yaml", &format!("{head}services:\n{}", edge(slow, more)))?;
        up.peer.signal("HUP")
    };
    let other = format!(
        "  - {{name: other, input: \"unix-dgram:{}\", format: haproxy}}\n",
        world.path("other.sock")
    );
    let mut stream = UnixStream::connect(&socket)?;
    let datagrams = UdpSocket::bind("127.0.0.1:0")?;
    datagrams.connect(loopback(port))?;
    let mut written = Windows::new();
    for round in 0..ROUNDS {
        let lines = log::lines(clock::wall(), LINES_PER_ROUND, &mut written);
        // A piece ends within a line, which goes on in the next one.
        let (first, rest) = lines.split_at(lines.len() / 2);
        stream.write_all(first.as_bytes())?;
        match round {
            20 => change(&up, "1s", &other)?,
            40 => change(&up, "2s", &other)?,
            60 => change(&up, "3s", "")?,
            80 => change(&up, "1s", "")?,
            _ => {}
        }
        for line in lines.lines() {
            // Where nobody listened, this would fail.
            datagrams.send(line.as_bytes())?;
        }
        stream.write_all(rest.as_bytes())?;
        std::thread::sleep(ROUND);
    }
    let sent: u64 = written.values().sum();
    drop(stream);
    // Counts are since a source was started anew: what is stored tells of all.
    up.wait("all sockets to be read", PATIENCE, || {
        let sources = up.json("/api/v1/edge/sources")?;
        let all = sources["sources"].as_array().cloned().unwrap_or_default();
        ensure!(all.iter().all(|source| source["problem"].is_null()), "{sources:#}");
        let newest =
            |name: &str| all.iter().find(|s| s["name"] == name).map(|s| s["newest"].clone());
        let done = newest("stream") == newest("udp") && all.iter().all(|s| s["connections"] == 0);
        Ok(done.then_some(()))
    })?;
    let sources = up.json("/api/v1/edge/sources")?;
    let lost = sources["sources"].as_array().into_iter().flatten();
    let lost: u64 = lost.filter_map(|s: &Value| s["kernel_dropped"].as_u64()).sum();
    up.peer.signal("TERM")?;
    up.peer.ended(PATIENCE)?;
    let stream = log::stored(&world.path("data"), "stream")?;
    ensure!(stream == written, "by the stream {stream:?}\nwritten {written:?}");
    let udp: u64 = log::stored(&world.path("data"), "udp")?.values().sum();
    ensure!(udp + lost == sent, "of {sent} datagrams {udp} were counted and {lost} lost");
    println!("    of {sent} lines by each way all were counted by the stream, {udp} by UDP");
    Ok(())
}
