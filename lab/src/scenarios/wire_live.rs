//! An interface as it is now, beside a capture of the same traffic read afterwards.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::namespace::Pair;
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::world::{World, must};

/// See [`Scenario::proves`].
pub const SCENARIO: Scenario = Scenario {
    name: "wire-live",
    proves: "live and offline tell the same of one stretch of traffic; drops and gaps are admitted",
    needs: &[
        Need::Root,
        Need::Program("/usr/bin/openssl"),
        Need::Program("/usr/bin/tcpdump"),
        Need::Program("/usr/bin/curl"),
    ],
    run,
};

/// How long anything may take to begin or end.
const LIMIT: Duration = Duration::from_secs(20);
const HANDSHAKES: usize = 12;

fn run(world: &World) -> Result<()> {
    let pair = Pair::new()?;
    let _server = tls_server(world, &pair)?;
    same_live_and_offline(world, &pair)?;
    down_and_up(world, &pair)?;
    too_small(world, &pair)
}

fn tls_server(world: &World, pair: &Pair) -> Result<Peer> {
    let (key, certificate) = (world.path("key.pem"), world.path("cert.pem"));
    must(Command::new("openssl").args(["req", "-x509", "-nodes", "-days", "2"]).args([
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-subj",
        "/CN=lab",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]))?;
    let line = format!("openssl s_server -accept 443 -www -quiet -key {key} -cert {certificate}");
    let mut server = Peer::start("s_server", world.dir(), &mut pair.server(&line))?;
    server.until(|| Ok(get(pair, "--tlsv1.3").is_ok()))?;
    Ok(server)
}

/// One exchange; its TLS version is chosen by `how`.
fn get(pair: &Pair, how: &str) -> Result<String> {
    let server = Pair::SERVER;
    must(&mut pair.client(&format!("curl -sk -m 5 -o /dev/null {how} https://{server}/")))
}

/// `whyslow wire -i` on the server's end, once it follows.
fn live(world: &World, pair: &Pair, name: &str, more: &str) -> Result<Peer> {
    let program = world.whyslow_path();
    let line = format!("{program} wire -i w0 --server-port 443 --json-lines {more}");
    let mut peer = Peer::start(name, world.dir(), &mut pair.server(&line))?;
    let log = world.path(&format!("{name}.log"));
    peer.until(|| Ok(text(&log).contains("following w0")))?;
    Ok(peer)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The documents of a kind among lines of JSON.
fn documents(text: &str, kind: &str) -> Vec<Value> {
    let read = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    read.filter(|document| document["kind"] == kind).collect()
}

/// Ends what follows and gives what it said.
fn end(world: &World, mut peer: Peer, name: &str) -> Result<String> {
    peer.signal("INT")?;
    let code = peer.ended(LIMIT)?;
    let said = text(&world.path(&format!("{name}.log")));
    ensure!(code == Some(0), "{name} ended with {code:?}:\n{said}");
    Ok(said)
}

fn same_live_and_offline(world: &World, pair: &Pair) -> Result<()> {
    let capture = world.path("peer.pcap");
    let line = format!("tcpdump -Z root -U --immediate-mode -i w0 -w {capture} tcp port 443");
    let mut tcpdump = Peer::start("tcpdump", world.dir(), &mut pair.server(&line))?;
    let log = world.path("tcpdump.log");
    tcpdump.until(|| Ok(text(&log).contains("listening on")))?;
    let peer = live(world, pair, "live", "")?;
    for n in 0..HANDSHAKES {
        get(pair, if n % 2 == 0 { "--tlsv1.3" } else { "--tls-max 1.2" })?;
    }
    let said = end(world, peer, "live")?;
    tcpdump.signal("INT")?;
    tcpdump.ended(LIMIT)?;
    let mut offline = world.whyslow();
    let offline = must(offline.args(["wire", "--json-lines", &capture]))?;
    let (live, offline) = (documents(&said, "handshake"), documents(&offline, "handshake"));
    ensure!(live.len() == HANDSHAKES, "{} handshakes live of {HANDSHAKES}", live.len());
    ensure!(offline.len() == HANDSHAKES, "{} offline of {HANDSHAKES}", offline.len());
    for (a, b) in live.iter().zip(&offline) {
        same(a, b)?;
    }
    let totals = documents(&said, "totals");
    ensure!(totals.len() == 1 && totals[0]["drops"] == 0, "totals are {totals:?}");
    Ok(())
}

/// Each socket stamps a packet by itself, microseconds apart; all else must be the same.
fn same(live: &Value, offline: &Value) -> Result<()> {
    for key in ["client", "server", "sni", "version", "resumed", "retry", "outcome", "blame"] {
        ensure!(live[key] == offline[key], "{key} differs: {live:#} and {offline:#}");
    }
    let near = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 1.0,
        (None, None) => true,
        _ => false,
    };
    ensure!(near(&live["total_ms"], &offline["total_ms"]), "{live:#} and {offline:#}");
    let phases = live["phases_ms"].as_object().context("no phases_ms")?;
    for (phase, ms) in phases {
        ensure!(near(ms, &offline["phases_ms"][phase]), "{phase}: {live:#} and {offline:#}");
    }
    Ok(())
}

fn down_and_up(world: &World, pair: &Pair) -> Result<()> {
    let mut peer = live(world, pair, "away", "")?;
    let log = world.path("away.log");
    get(pair, "--tlsv1.3")?;
    must(&mut pair.server("ip link set w0 down"))?;
    peer.until(|| Ok(text(&log).contains("the interface is down")))?;
    must(&mut pair.server("ip link set w0 up"))?;
    peer.until(|| Ok(text(&log).contains("nothing was seen from")))?;
    peer.until(|| Ok(get(pair, "--tlsv1.3").is_ok()))?;
    let said = end(world, peer, "away")?;
    let seen = documents(&said, "handshake").len();
    ensure!(seen >= 2, "{seen} handshakes around the gap:\n{said}");
    Ok(())
}

/// More than a ring of a mebibyte holds between two looks.
fn too_small(world: &World, pair: &Pair) -> Result<()> {
    let program = world.whyslow_path();
    let line = format!("{program} wire -i w0 --ring 1MiB --json-lines");
    let mut peer = Peer::start("small", world.dir(), &mut pair.server(&line))?;
    let log = world.path("small.log");
    peer.until(|| Ok(text(&log).contains("following w0")))?;
    let blast = world.sibling("wire_ring")?;
    let program = Path::new(blast.get_program()).display().to_string();
    must(&mut pair.client(&format!("{program} blast {}:9 3", Pair::SERVER)))?;
    let said = end(world, peer, "small")?;
    let totals = documents(&said, "totals").pop().context("no totals")?;
    let drops = totals["drops"].as_u64().context("no drops")?;
    ensure!(drops > 0, "nothing was dropped: {totals:#}");
    Ok(())
}
