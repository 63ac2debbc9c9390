//! The truth table: what is done to a handshake, with a long wire between the two, is what
//! `whyslow wire` finds in a capture of the server's end, in TLS 1.2 and 1.3.

mod rows;
mod truth;

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Valid};
use crate::line::{Crossing, Line, Rule, Tap, joined};
use crate::scenario::{Need, Scenario};
use crate::slow_tls::{Answered, Asked, Manner, NAME, Papers, Server, ask};
use crate::world::{World, must};

use rows::{ROWS, Row};
use truth::{DELAY, PHASES};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-truth",
    proves: "who waited in a handshake, and where: each phase within 2 ms of what was done to it",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/ethtool"),
        Need::Program("/usr/bin/tcpdump"),
        Need::Program("/usr/bin/openssl"),
    ],
    run,
};

/// From how long on a handshake is slow.
const SLOW_MS: f64 = 300.0;
/// How far a phase may be from the truth, in milliseconds.
const TOLERANCE_MS: f64 = 2.0;
/// Between the starts of two handshakes, so that they do not wait for each other's ciphers.
const APART: Duration = Duration::from_millis(150);
const FIRST_PORT: u16 = 8001;
/// Names in the long certificate: 25 kB of them.
const LONG_NAMES: usize = 610;

/// One row in one version.
#[derive(Clone, Copy, Debug)]
struct Case {
    row: &'static Row,
    manner: Manner,
    port: u16,
}

impl Case {
    fn name(&self) -> String {
        format!("TLS 1.{} {}", if self.manner.old { 2 } else { 3 }, self.row.name)
    }
}

/// What both programs said of one case.
type Told = (Answered, Asked);

fn run(world: &World) -> Result<()> {
    let cases = cases();
    let file = world.path("tap.pcap");
    let (told, crossings) = played(world, &cases, &file)?;
    let mut truths = Vec::new();
    let mut table = String::new();
    for (case, (answered, asked)) in cases.iter().zip(told) {
        let truth = truth::phases(case, answered, asked, &crossings)?;
        table += &format!("{} {} {truth:.3?} {}\n", case.port, asked.port, case.name());
        truths.push((case, asked, truth));
    }
    // It stays with the capture where something does not hold.
    world.write("truth.txt", &table)?;
    let said = must(world.whyslow().args(["wire", &file, "--json"]))?;
    let said: Value = serde_json::from_str(&said)?;
    let mut wrong = Vec::new();
    for (case, asked, truth) in &truths {
        wrong.extend(compared(case, *asked, truth, &said)?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn cases() -> Vec<Case> {
    let each = ROWS.iter().flat_map(|row| row.versions.iter().map(move |old| (row, *old)));
    let case = |(port, (row, old)): (u16, (&'static Row, bool))| Case {
        row,
        manner: Manner { old, ..row.manner },
        port,
    };
    (FIRST_PORT..).zip(each).map(case).collect()
}

/// Has every case played once, while a tap at the server writes to `file`.
fn played(world: &World, cases: &[Case], file: &str) -> Result<(Vec<Told>, Vec<Crossing>)> {
    let papers = papers(world)?;
    let rule = |case: &Case| {
        let (pick, fate) = case.row.fault?;
        Some(Rule { port: case.port, pick, fate })
    };
    let mut line = Line::new(DELAY, cases.iter().filter_map(rule).collect())?;
    let (ready, listening) = mpsc::channel();
    let servers: Vec<_> = cases
        .iter()
        .map(|case| {
            let (case, papers, ready) = (*case, papers.clone(), ready.clone());
            line.in_server(move || served(case, &papers, &ready))
        })
        .collect();
    for _ in cases {
        listening.recv_timeout(PATIENCE).context("a server that does not listen")?;
    }
    let tap = Tap::start(world, &line, file)?;
    let clients: Vec<_> = cases
        .iter()
        .zip(0..)
        .map(|(case, n)| {
            let (case, papers) = (*case, papers.clone());
            line.in_client(move || {
                std::thread::sleep(APART * n);
                ask(case.manner, &papers, &address(case))
            })
        })
        .collect();
    let mut told = Vec::new();
    for ((case, server), client) in cases.iter().zip(servers).zip(clients) {
        let asked = joined(client).with_context(|| format!("the client of '{}'", case.row.name))?;
        let answered =
            joined(server).with_context(|| format!("the server of '{}'", case.row.name))?;
        told.push((answered, asked));
    }
    tap.finish(&line)?;
    Ok((told, line.stop()?))
}

const PATIENCE: Duration = Duration::from_secs(30);

fn served(case: Case, papers: &Papers, ready: &mpsc::Sender<()>) -> Result<Answered> {
    let server = Server::new(case.manner, papers, &address(case))?;
    ready.send(())?;
    if case.manner.resume {
        server.answer()?;
    }
    server.answer()
}

fn address(case: Case) -> String {
    format!("{}:{}", Line::SERVER, case.port)
}

fn papers(world: &World) -> Result<Papers> {
    let authority = Authority::new(world, "ca")?;
    let short = authority.sign("short", &format!("DNS:{NAME}"), Valid::Days(30))?;
    let names: Vec<String> =
        (0..LONG_NAMES).map(|n| format!("DNS:one-of-very-many-names-{n:05}.{NAME}")).collect();
    let long =
        authority.sign("long", &format!("DNS:{NAME},{}", names.join(",")), Valid::Days(30))?;
    Ok(Papers { authority: authority.pem(), short, long })
}

/// What was found that should not have been, a line each; prints the row.
fn compared(case: &Case, asked: Asked, truth: &[f64; 9], said: &Value) -> Result<Vec<String>> {
    let name = case.name();
    let client = format!("{}:{}", Line::CLIENT, asked.port);
    let all = said["handshakes"].as_array().context("no handshakes")?;
    let found = all.iter().find(|h| h["client"] == client && h["server"] == address(*case));
    let found = found.with_context(|| format!("{name}: no handshake of {client}"))?;
    let mut wrong = Vec::new();
    let mut line = format!("    {name:<56}");
    for (phase, truth) in PHASES.iter().zip(truth) {
        // What was not observed is as wrong as can be.
        let seen = found["phases_ms"][phase].as_f64().unwrap_or(f64::INFINITY);
        if *phase == case.row.phase {
            line += &format!(" {phase} {seen:.1} of {truth:.1} ms,");
        }
        if (seen - truth).abs() > TOLERANCE_MS {
            wrong.push(format!("{name}: {phase} is {seen:.3} ms, the truth {truth:.3}"));
        }
    }
    let (blame, most) = (found["blame"].as_str().unwrap_or_default(), largest(found));
    println!("{line} {most} most, blame {blame}");
    // What was not slow is nobody's fault, but most of it was somebody's time.
    let slow = found["total_ms"].as_f64().is_some_and(|ms| ms >= SLOW_MS);
    let whose = if slow { case.row.blame } else { "none" };
    if (blame, most) != (whose, case.row.blame) {
        wrong.push(format!("{name}: blames {blame}, {most} has most: {found:#}"));
    }
    let kinds = [("resumed", case.manner.resume), ("retry", case.manner.retry)];
    for (field, truth) in kinds {
        if found[field].as_bool().unwrap_or(false) != truth {
            wrong.push(format!("{name}: {field} is {}", found[field]));
        }
    }
    if found["outcome"] != "complete" {
        wrong.push(format!("{name}: its outcome is {}", found["outcome"]));
    }
    Ok(wrong)
}

/// Whose share is the largest.
fn largest(found: &Value) -> &'static str {
    let share = |name: &&str| found["shares"][*name].as_f64().unwrap_or_default();
    let names = ["server", "network", "client", "unknown"];
    names.into_iter().max_by(|a, b| share(a).total_cmp(&share(b))).unwrap_or_default()
}
