//! A real rsyslog that relays to whyslow by UDP and by TCP, with line feeds and with octet counts;
//! and a real journald, whose lines are read over a `kill -9`. Each line is in its window once.
//!
//! HAProxy itself does not wait for a syslog socket that is full, and drops the line: what is
//! counted here is written by a sender that waits.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whyslow_sys::clock;

use crate::journald::{JOURNALCTL, JOURNALD, Journald};
use crate::log::{self, Windows};
use crate::peer::{Peer, free_port};
use crate::scenario::{Need, Scenario};
use crate::up::Up;
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-syslog",
    proves: "each line that rsyslog relays or journald keeps is counted once",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/rsyslogd"),
        Need::Program(JOURNALD),
        Need::Program(JOURNALCTL),
    ],
    run,
};

/// Lines at once; a journal takes 10 000 of one sender in 30 seconds.
const LINES: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(30);

fn run(world: &World) -> Result<()> {
    relayed(world)?;
    journal(&World::new("edge-journal")?)
}

/// rsyslog takes the lines by its unix socket and relays each in three ways.
fn relayed(world: &World) -> Result<()> {
    let ways = ["udp", "lines", "octets"];
    let (udp, lines, octets) = (free_port()?, free_port()?, free_port()?);
    let edge = [
        "  web: {owner: lab}\nedge:\n".to_owned(),
        source("udp", &format!("syslog-udp:127.0.0.1:{udp}")),
        source("lines", &format!("syslog-tcp:127.0.0.1:{lines}")),
        source("octets", &format!("syslog-tcp:127.0.0.1:{octets}")),
    ];
    let mut up = Up::start(world, &edge.concat())?;
    let socket = world.path("log");
    let rules = world.write("rsyslog.conf", &rules(&socket, udp, lines, octets))?;
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.args(["-n", "-f", &rules, "-i", &world.path("rsyslog.pid")]);
    let mut relay = Peer::start("rsyslogd", world.dir(), &mut command)?;
    relay.until(|| Ok(Path::new(&socket).exists()))?;
    let mut written = Windows::new();
    send(&sender(&socket)?, LINES, &mut written)?;
    for name in ways {
        up.wait(&format!("all lines by {name}"), PATIENCE, || {
            let source = of(&up, name)?;
            let parsed = parsed(&source)?;
            ensure!(parsed <= LINES, "{source:#}");
            Ok((parsed == LINES).then_some(()))
        })?;
    }
    up.peer.signal("TERM")?;
    up.peer.ended(PATIENCE)?;
    ways.iter().try_for_each(|name| is_stored(world, name, &written))
}

/// Lines reach a journald in a mount namespace of its own, where whyslow runs too: some come when
/// it was killed before it stored anything, some are in stored windows and some are not when it is
/// killed again, some come while it is down and some after.
fn journal(world: &World) -> Result<()> {
    let mut journald = Journald::start(world, "")?;
    let sender = sender(&journald.socket())?;
    let edge = ["  web: {owner: lab}\nedge:\n", &source("lb", "journald:")].concat();
    let (address, config) = Up::configure(world, &edge)?;
    // What was there before whyslow is not read.
    send(&sender, 3, &mut Windows::new())?;
    let entries = "journalctl --quiet --output=cat SYSLOG_IDENTIFIER=haproxy";
    let mut listed = journald.inside(entries);
    journald.peer.until(|| Ok(must(&mut listed)?.lines().count() == 3))?;
    let start = || {
        let line = format!("{} up --config {config}", world.whyslow_path());
        Up::run(world, address, &mut journald.inside(&line))
    };
    let mut up = start()?;
    up.wait("a place to be stored", PATIENCE, || {
        ensure!(parsed(&of(&up, "lb")?)? == 0, "lines of before are read");
        Ok(is_noted(world).then_some(()))
    })?;
    up.peer.signal("KILL")?;
    up.peer.ended(PATIENCE)?;
    let mut written = Windows::new();
    send(&sender, LINES, &mut written)?;
    let mut up = start()?;
    up.wait("the first window to be stored", PATIENCE, || {
        let report = up.json("/api/v1/edge?by=vip&r=15m")?;
        Ok(report["groups"].as_array().is_some_and(|groups| !groups.is_empty()).then_some(()))
    })?;
    send(&sender, LINES, &mut written)?;
    up.wait("the next lines to be read", PATIENCE, || {
        Ok((parsed(&of(&up, "lb")?)? == 2 * LINES).then_some(()))
    })?;
    up.peer.signal("KILL")?;
    up.peer.ended(PATIENCE)?;
    send(&sender, LINES, &mut written)?;
    let mut up = start()?;
    let last = send(&sender, LINES, &mut written)?;
    // How many are read once more is not told: the last line's time is.
    up.wait("the last line to be counted", PATIENCE, || {
        Ok((of(&up, "lb")?["newest"] == last.as_str()).then_some(()))
    })?;
    up.peer.signal("TERM")?;
    up.peer.ended(PATIENCE)?;
    is_stored(world, "lb", &written)
}

/// Whether it is noted from where the journal is read after a restart.
fn is_noted(world: &World) -> bool {
    let files = ["resume.db", "resume.db-wal"].map(|name| world.path(&format!("data/{name}")));
    let holds = |bytes: Vec<u8>| bytes.windows(9).any(|some| some == b"\"journal\"");
    files.iter().any(|file| std::fs::read(file).is_ok_and(holds))
}

fn is_stored(world: &World, source: &str, written: &Windows) -> Result<()> {
    let stored = log::stored(&world.path("data"), source)?;
    ensure!(stored == *written, "by {source} stored {stored:?}\nwritten {written:?}");
    Ok(())
}

/// A socket that waits while the other side's queue is full.
fn sender(path: &str) -> Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path).with_context(|| format!("connecting to {path}"))?;
    Ok(socket)
}

/// Writes `count` lines as a program does by syslog(3), and gives the last one's time, which no
/// other one has.
fn send(socket: &UnixDatagram, count: u64, written: &mut Windows) -> Result<String> {
    let before = clock::wall();
    let lines = log::lines(before, count - 1, written);
    let last = std::iter::repeat_with(clock::wall)
        .find(|at| at.as_millis() > before.as_millis())
        .context("the clock stands")?;
    let last_line = log::lines(last, 1, written);
    for line in lines.lines().chain(last_line.lines()) {
        socket.send(format!("<134>Jan  1 00:00:00 haproxy[1]: {line}").as_bytes())?;
    }
    Ok(whyslow_model::Wall::from_millis(last.as_millis()).to_string())
}

/// The requests a source has read; it must have no problem.
fn parsed(source: &Value) -> Result<u64> {
    ensure!(source["problem"].is_null(), "{source:#}");
    source["lines"]["parsed"].as_u64().with_context(|| format!("no count in {source:#}"))
}

fn of(up: &Up, name: &str) -> Result<Value> {
    let all = up.json("/api/v1/edge/sources")?;
    let mut sources = all["sources"].as_array().cloned().unwrap_or_default().into_iter();
    let source = sources.find(|source| source["name"] == name);
    source.with_context(|| format!("no source {name} in {all:#}"))
}

fn source(name: &str, input: &str) -> String {
    format!(
        "  - {{name: {name}, input: \"{input}\", format: haproxy, time_zone: UTC, service: web}}\n"
    )
}

fn rules(socket: &str, udp: u16, lines: u16, octets: u16) -> String {
    let to = |protocol: &str, port: u16, template: &str, more: &str| {
        format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" protocol=\"{protocol}\" port=\"{port}\" \
             template=\"{template}\" {more})\n"
        )
    };
    let counted = "TCP_Framing=\"octet-counted\"";
    [
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\n".to_owned(),
        format!("input(type=\"imuxsock\" Socket=\"{socket}\" RateLimit.Interval=\"0\")\n"),
        to("udp", udp, "RSYSLOG_ForwardFormat", ""),
        to("tcp", lines, "RSYSLOG_ForwardFormat", ""),
        to("tcp", octets, "RSYSLOG_SyslogProtocol23Format", counted),
    ]
    .concat()
}
