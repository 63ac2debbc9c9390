//! Real handshakes of every kind, captured: what is read of them is what tshark reads, record by
//! record and nanosecond by nanosecond; and tshark reads what is written as evidence.

mod conversations;
mod evidence;
mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whyslow_wire::opening::{Opening, Outcome};

use crate::line::{Line, Tap};
use crate::packets;
use crate::scenario::{Need, Scenario};
use crate::server::NGINX;
use crate::world::World;

use conversations::fields;
use records::{ByPort, Seen, nanos};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-tshark",
    proves: "records, times and fields of real handshakes are tshark's; tshark reads our captures",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/ethtool"),
        Need::Program("/usr/bin/tcpdump"),
        Need::Program("/usr/bin/tshark"),
        Need::Program("/usr/bin/openssl"),
        Need::Program("/usr/bin/curl"),
        Need::Program(NGINX),
    ],
    run,
};

const DELAY: Duration = Duration::from_millis(5);

fn run(world: &World) -> Result<()> {
    let file = world.path("tap.pcap");
    let mut line = Line::new(DELAY, Vec::new())?;
    let tap = Tap::start(world, &line, &file)?;
    conversations::hold(world, &line)?;
    tap.finish(&line)?;
    line.stop()?;

    let bytes = std::fs::read(&file)?;
    let servers = conversations::ports();
    let (ours, theirs) = (records::ours(&bytes, &servers)?, records::tsharks(&file, &servers)?);
    ensure!(ours.len() == conversations::COUNT, "{} of {}", ours.len(), conversations::COUNT);
    for (port, theirs) in &theirs {
        let ours = ours.get(port).with_context(|| format!("no records of port {port}"))?;
        ensure!(ours == theirs, "port {port}: ours {ours:#?}, tshark's {theirs:#?}");
    }
    ensure!(ours.len() == theirs.len(), "tshark has {} connections", theirs.len());
    let openings = packets::openings(&bytes)?;
    openings_are_tsharks(&openings, &file, &theirs)?;
    for (kind, wanted, is) in KINDS {
        let found = openings.iter().filter(|opening| is(opening)).count();
        ensure!(found == *wanted, "{found} of {wanted} are {kind}: {openings:#?}");
    }
    evidence::is_read(world, &bytes)?;
    let records: usize = ours.values().map(Vec::len).sum();
    println!("    {records} records of {} connections", ours.len());
    Ok(())
}

/// What is known of the conversations, so that none is quietly of another kind.
type Kind = (&'static str, usize, fn(&Opening) -> bool);
const KINDS: &[Kind] = &[
    ("resumed", 3, |o| o.tls.as_ref().is_some_and(|tls| tls.resumed == Some(true))),
    ("with early data", 1, |o| o.tls.as_ref().is_some_and(|tls| tls.early_data)),
    ("with a client's certificate", 2, |o| {
        o.tls.as_ref().is_some_and(|tls| tls.client_auth == Some(true))
    }),
    ("asked for another hello", 1, |o| o.retry.is_some()),
    ("TLS 1.2", 4, |o| o.tls.as_ref().is_some_and(|tls| tls.version == 0x0303)),
];

/// What tshark tells of one connection.
#[derive(Clone, Debug, Default)]
struct Told {
    syn: i64,
    syn_ack: i64,
    acked: i64,
    hellos: Vec<i64>,
    answers: Vec<i64>,
    sni: String,
    alpn: Vec<String>,
    version: u16,
    cipher: u16,
}

fn openings_are_tsharks(openings: &[Opening], file: &str, records: &ByPort) -> Result<()> {
    let told = told(file)?;
    ensure!(openings.len() == told.len(), "{} openings, tshark {}", openings.len(), told.len());
    for opening in openings {
        let port = opening.flow.client.port();
        let told = told.get(&port).with_context(|| format!("tshark does not know {port}"))?;
        let reply =
            finished(&records[&port], told).with_context(|| format!("no Finished: {told:?}"))?;
        let tls = opening.tls.as_ref().with_context(|| format!("{opening:#?} is no TLS"))?;
        let (hello, flight) = opening.hello.zip(opening.flight).context("no flights")?;
        let at = |wall: Option<whyslow_model::Wall>| wall.map_or(0, |at| at.as_nanos());
        let found = (
            [at(opening.syns.first), at(opening.syn_acks.last), at(opening.acked)],
            [hello.last.as_nanos(), flight.span.first.as_nanos()],
            at(opening.reply.map(|reply| reply.span.last)),
            (tls.sni.clone().unwrap_or_default(), tls.version, tls.cipher),
        );
        let last = |all: &[i64]| all.last().copied().unwrap_or_default();
        let wanted = (
            [told.syn, told.syn_ack, told.acked],
            [last(&told.hellos), last(&told.answers)],
            reply,
            (told.sni.clone(), told.version, Some(told.cipher)),
        );
        ensure!(found == wanted, "{found:?}\nis not tshark's\n{wanted:?}\nof {opening:#?}");
        // Of a very long list the first ones are kept.
        ensure!(told.alpn.starts_with(&tls.alpn), "{:?} is not {:?}", tls.alpn, told.alpn);
        ensure!(tls.alpn.is_empty() == told.alpn.is_empty(), "{told:?}");
        ensure!(opening.retry.is_some() == (told.hellos.len() == 2), "{opening:#?}");
        ensure!(opening.outcome == Outcome::Complete, "{opening:#?}");
    }
    Ok(())
}

/// When the client's Finished was whole: up to 1.2 the record behind its `ChangeCipherSpec`, in
/// 1.3 the sealed record of that size after the server's answer.
fn finished(records: &[Seen], told: &Told) -> Option<i64> {
    let answer = *told.answers.last()?;
    let mut mine = records.iter().filter(|r| r.from_client && r.at_ns > answer);
    if told.version == 0x0304 {
        let len = if told.cipher == 0x1302 { 69 } else { 53 };
        return mine.find(|r| r.kind == 23 && r.len == len).map(|r| r.at_ns);
    }
    mine.find(|r| r.kind == 20)?;
    mine.next().map(|r| r.at_ns)
}

fn told(file: &str) -> Result<BTreeMap<u16, Told>> {
    let mut told: BTreeMap<u16, Told> = BTreeMap::new();
    let names = ["frame.time_epoch", "tcp.srcport", "tcp.dstport", "tcp.flags.ack"];
    for row in fields(file, "tcp.flags.syn==1", &names)? {
        let at = nanos(&row[0])?;
        if row[3] == "1" {
            told.entry(row[2].parse()?).or_default().syn_ack = at;
        } else {
            told.entry(row[1].parse()?).or_default().syn = at;
        }
    }
    let first_ack = "tcp.flags.syn==0 && tcp.seq==1 && tcp.ack==1 && tcp.len==0";
    for row in fields(file, first_ack, &names)? {
        if let Some(told) = told.get_mut(&row[1].parse()?).filter(|told| told.acked == 0) {
            told.acked = nanos(&row[0])?;
        }
    }
    let names = [
        "frame.time_epoch",
        "tcp.srcport",
        "tls.handshake.extensions_server_name",
        "tls.handshake.extensions_alpn_str",
    ];
    for row in fields(file, "tls.handshake.type==1", &names)? {
        let told = told.get_mut(&row[1].parse()?).context("a hello of nobody")?;
        told.hellos.push(nanos(&row[0])?);
        told.sni.clone_from(&row[2]);
        told.alpn = row[3].split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect();
    }
    let names = [
        "frame.time_epoch",
        "tcp.dstport",
        "tls.handshake.version",
        "tls.handshake.extensions.supported_version",
        "tls.handshake.ciphersuite",
    ];
    for row in fields(file, "tls.handshake.type==2", &names)? {
        let told = told.get_mut(&row[1].parse()?).context("an answer to nobody")?;
        told.answers.push(nanos(&row[0])?);
        told.version = number(if row[3].is_empty() { &row[2] } else { &row[3] })?;
        told.cipher = number(&row[4])?;
    }
    Ok(told)
}

fn number(text: &str) -> Result<u16> {
    let hex = text.strip_prefix("0x").with_context(|| format!("a number: {text}"))?;
    Ok(u16::from_str_radix(hex, 16)?)
}
