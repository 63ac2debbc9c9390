//! Handshakes at one rate: real ones are captured first, then sent again under other addresses, so
//! that their ends' cryptography does not take the processor that is to be measured.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whyslow_lab::namespace::Pair;
use whyslow_lab::peer::Peer;
use whyslow_lab::world::{World, must};

use crate::beside::{HEAD, Recorder};
use crate::wire::Wire;
use crate::{Plan, replay};

const LIMIT: Duration = Duration::from_secs(20);

/// Measures them beside both recorders.
///
/// # Errors
/// Where a part of it fails.
pub(crate) fn measure(world: &World, wire: &Wire, plan: Plan) -> Result<()> {
    let capture = world.path("handshakes.pcap");
    take(world, wire, &capture).context("capturing handshakes")?;
    println!("{HEAD}");
    let ours = Recorder::whyslow(world);
    let mut wanted = 0;
    for recorder in [&ours, &Recorder::tcpdump()] {
        let mut load = String::new();
        let run = recorder.run(world, wire, || {
            load = wire.replay(&capture, plan.seconds, plan.handshakes_per_s)?;
            Ok(load.clone())
        })?;
        wanted = load.split_whitespace().nth(5).context("no count of handshakes")?.parse()?;
        println!("{}", run.row("handshakes"));
        println!("{}: {}", recorder.name, load.trim());
        let each = run.cpu_s / wanted as f64 * 1e6;
        println!("{}: {each:.1} µs of a core for each handshake", recorder.name);
    }
    println!("{}", counted(&ours.log(world), wanted)?);
    Ok(())
}

/// Captures handshakes of TLS 1.3 and 1.2 at the server's end.
fn take(world: &World, wire: &Wire, capture: &str) -> Result<()> {
    let pair = &wire.pair;
    let (key, certificate) = (world.path("key.pem"), world.path("cert.pem"));
    let make = format!(
        "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
         -subj /CN=lab -keyout {key} -out {certificate}"
    );
    must(&mut pair.server(&make))?;
    let server = format!("openssl s_server -accept 443 -www -quiet -key {key} -cert {certificate}");
    let mut server = Peer::start("s_server", world.dir(), &mut pair.server(&server))?;
    let address = format!("{}:443", Pair::SERVER);
    let load = |more: &str| format!("openssl s_time -connect {address} -new -time 1 {more}");
    server.until(|| Ok(pair.client(&load("")).output()?.status.success()))?;
    let tcpdump = format!("tcpdump -Z root -U --immediate-mode -i w0 -w {capture} tcp port 443");
    let mut tcpdump = Peer::start("taker", world.dir(), &mut pair.server(&tcpdump))?;
    tcpdump
        .until(|| Ok(std::fs::read_to_string(world.path("taker.log"))?.contains("listening")))?;
    must(&mut pair.client(&load("-tls1_3")))?;
    must(&mut pair.client(&load("-tls1_2")))?;
    tcpdump.signal("INT")?;
    tcpdump.ended(LIMIT)?;
    Ok(())
}

/// Whether every handshake was told once and judged complete, in one sentence.
fn counted(log: &str, wanted: u64) -> Result<String> {
    let (mut told, mut outcomes) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let mut bounded = 0_u64;
    for line in BufReader::new(std::fs::File::open(log)?).lines() {
        let Ok(of) = serde_json::from_str::<Value>(&line?) else { continue };
        if of["kind"] == "handshake" {
            let client = of["client"].as_str().context("a handshake without a client")?;
            *told.entry(client.to_owned()).or_default() += 1;
            let outcome = of["outcome"].as_str().context("a handshake without an outcome")?;
            *outcomes.entry(outcome.to_owned()).or_default() += 1;
            bounded += u64::from(of["total_ms"].as_f64().is_some_and(|ms| ms > 0.0));
        }
    }
    let once = told.iter().filter(|(_, times)| **times == 1);
    let (once, clients) = (once.count() as u64, told.len() as u64);
    ensure!(clients <= wanted, "{clients} handshakes told, {wanted} sent");
    let foreign = told.keys().filter(|client| !replay::is_ours(client)).count();
    Ok(format!(
        "{wanted} handshakes sent, {once} told once, {} oftener, {foreign} of strangers, {bounded} \
         with a duration; outcomes: {outcomes:?}",
        clients - once
    ))
}
