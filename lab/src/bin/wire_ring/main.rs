//! `wire_ring [SECONDS]`: what recording costs and loses beside tcpdump: 1400-byte frames over a
//! virtual wire as fast as one core sends them, then TLS handshakes one after the other.
//! `wire_ring blast TO SECONDS` is the sender.
//!
//! Build it, and `whyslow`, with `--release`; the figures mean nothing else.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use whyslow_lab::namespace::Pair;
use whyslow_lab::peer::Peer;
use whyslow_lab::world::{World, must};
use whyslow_sys::datagrams::send_again;

/// With the headers of Ethernet, IPv4 and UDP a frame of 1400 bytes.
const PAYLOAD_BYTES: usize = 1358;
/// Datagrams of one system call.
const AT_ONCE: usize = 32;
const LIMIT: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["blast", to, seconds] => blast(to, seconds.parse()?),
        [] => measure(60),
        [seconds] => measure(seconds.parse()?),
        _ => bail!("wire_ring [SECONDS] | wire_ring blast TO SECONDS"),
    }
}

fn blast(to: &str, seconds: u64) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    let payload = [0x55; PAYLOAD_BYTES];
    let (began, mut sent) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        // A port that nobody listens on is told as an error of the next call, which sends too.
        sent += send_again(&socket, &payload, AT_ONCE).unwrap_or(0) as u64;
    }
    let kpps = sent as f64 / began.elapsed().as_secs_f64() / 1e3;
    println!("sent {sent} frames, {kpps:.0} thousand a second");
    Ok(())
}

fn measure(seconds: u64) -> Result<()> {
    let world = World::new("wire-ring")?;
    let pair = Pair::new()?;
    let itself = std::env::current_exe()?.display().to_string();
    let blast = format!("{itself} blast {}:9 {seconds}", Pair::SERVER);
    println!("no recorder: {}", must(&mut pair.client(&blast))?.trim());
    let (whyslow, pcap) = (world.whyslow_path(), world.path("peer.pcap"));
    let recorder = format!("{whyslow} wire -i w0 --ring 256MiB --json-lines");
    let peer = format!("tcpdump -Z root -n -i w0 -w {pcap}");
    for (name, line, ready) in
        [("whyslow", recorder.as_str(), "following"), ("tcpdump", peer.as_str(), "listening")]
    {
        beside(&world, &pair, name, line, ready, &blast, seconds)?;
    }
    handshakes(&world, &pair, &recorder, seconds)
}

/// Runs `load` beside a recorder; says what the recorder used and lost.
fn beside(
    world: &World,
    pair: &Pair,
    name: &str,
    recorder: &str,
    ready: &str,
    load: &str,
    seconds: u64,
) -> Result<()> {
    let mut peer = Peer::start(name, world.dir(), &mut pair.server(recorder))?;
    let log = world.path(&format!("{name}.log"));
    let text = || std::fs::read_to_string(&log).unwrap_or_default();
    peer.until(|| Ok(text().contains(ready)))?;
    let before = peer.cpu_s()?;
    let said = must(&mut pair.client(load))?;
    let cpu_s = peer.cpu_s()? - before;
    peer.signal("INT")?;
    peer.ended(LIMIT)?;
    let told = text();
    let last = told.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let lost = match last {
        Some(totals) => format!(
            "{} packets, {} dropped, {} handshakes",
            totals["packets"], totals["drops"], totals["handshake_count"]
        ),
        None => told.lines().filter(|l| l.contains("packets")).collect::<Vec<_>>().join(", "),
    };
    let share = cpu_s / seconds as f64 * 100.0;
    let said = said.lines().last().unwrap_or_default();
    println!("{name}: {said}; {lost}; {cpu_s:.2} s of a core, {share:.1} %");
    Ok(())
}

fn handshakes(world: &World, pair: &Pair, recorder: &str, seconds: u64) -> Result<()> {
    let (key, certificate) = (world.path("key.pem"), world.path("cert.pem"));
    let make = format!(
        "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
         -subj /CN=lab -keyout {key} -out {certificate}"
    );
    must(&mut pair.server(&make))?;
    let server = format!("openssl s_server -accept 443 -www -quiet -key {key} -cert {certificate}");
    let mut server = Peer::start("s_server", world.dir(), &mut pair.server(&server))?;
    let address = format!("{}:443", Pair::SERVER);
    let try_once = format!("openssl s_time -connect {address} -new -time 1");
    server.until(|| Ok(pair.client(&try_once).output()?.status.success()))?;
    let load = format!("openssl s_time -connect {address} -new -time {seconds}");
    beside(world, pair, "handshakes", recorder, "following", &load, seconds)
        .context("handshakes one after the other")
}
