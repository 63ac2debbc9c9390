//! Our PromQL beside Debian's Prometheus: the same data, the same queries, equal answers.
//!
//! `promql_peer small|full [up] [RUNS]`: `small` proves equality in under a minute; `full` has
//! 2,050 series and 4.3 M samples and measures. Every query of `lab/queries/promql.txt` is asked
//! as a range query and at two instants; numbers must agree to 1e-9.
//!
//! Without `up` the evaluator reads from memory, in this process. Half of the times then meet
//! samples exactly, with ranges closed on the left as Prometheus 2 has them; the other half never
//! do, with ranges open as is our default. With `up` a running `whyslow up` is fed by remote
//! write and asked over HTTP just as Prometheus is, at times of the second kind.
//!
//! Exit: 0 all equal · 1 not · 64 usage · 77 no prometheus.

mod answer;
mod data;
mod engine;
mod http;
mod memory;
mod queries;
mod rest;
mod server;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use whyslow_lab::up::Up;
use whyslow_lab::world::World;
use whyslow_promql::LeftEdge;

use answer::difference;
use data::{EVERY_MS, PHASE_MS, Size};
use engine::{Direct, Engine};
use memory::Memory;
use queries::Line;
use server::Server;
use tally::Tally;

/// Steps of the range queries.
const STEPS: i64 = 360;
/// The start of the data where nothing depends on the present.
const START_S: i64 = 1_700_000_000;
const HOUR_S: i64 = 3600;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (hosts, points, runs) = match words.first() {
        Some(&"small") => (3, 1080, 1),
        Some(&"full") => (41, 2160, 5),
        _ => {
            eprintln!("promql_peer small|full [up] [RUNS]");
            return ExitCode::from(64);
        }
    };
    if !Path::new("/usr/bin/prometheus").exists() {
        println!("/usr/bin/prometheus is missing: apt-get install prometheus");
        return ExitCode::from(77);
    }
    let with_up = words.contains(&"up");
    let runs = words.last().and_then(|n| n.parse().ok()).unwrap_or(runs);
    let start_s = if with_up { recent_start_s() } else { START_S };
    let size = Size { hosts, points, start_ms: start_s * 1000 + PHASE_MS };
    match run(size, runs, with_up) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// A store keeps raw samples for a day, so what it is fed must be of today.
fn recent_start_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_s = i64::try_from(now.as_secs()).unwrap_or(0);
    (now_s / HOUR_S - 7) * HOUR_S
}

fn run(size: Size, runs: usize, with_up: bool) -> Result<usize> {
    let dir = tempfile::tempdir()?;
    let series = data::series(size);
    let samples: usize = series.iter().map(|s| s.times_ms.len()).sum();
    println!("{} series of {} hosts, {samples} samples", series.len(), size.hosts);
    let rate = |took: Duration| samples as f64 / took.as_secs_f64() / 1e6;
    let (peer, address) = server::prometheus(dir.path())?;
    let mut theirs = Server::connect(address)?;
    println!("prometheus took {:.2} M samples/s", rate(theirs.feed(&series)?));
    let mut up = None;
    let ours: Box<dyn Engine> = if with_up {
        let world = World::new("promql-peer")?;
        let running = Up::start(&world, "  {}\n")?;
        let mut server = Server::connect(running.address)?;
        println!("whyslow took {:.2} M samples/s", rate(server.feed(&series)?));
        up = Some((running, world));
        Box::new(server)
    } else {
        Box::new(Direct { memory: Memory::new(series), edge: LeftEdge::Open })
    };
    let mut pair = Pair { ours, theirs, size, runs };
    let mut tally = Tally::default();
    for line in queries::all(size.start_ms / 1000 - START_S) {
        pair.compare(&line, &mut tally).with_context(|| line.query.clone())?;
    }
    println!("prometheus holds {:.0} MB", peer.rss_mb()?);
    if let Some((running, world)) = up {
        println!("whyslow holds {:.0} MB", running.peer.rss_mb()?);
        let each = |bytes: u64| bytes as f64 / samples as f64;
        let theirs = each(rest::of_prometheus(&mut pair.theirs, dir.path())?);
        println!("prometheus takes {theirs:.3} bytes a sample on disk, its head as a block");
        let ours = each(rest::of_whyslow(running, &world)?);
        println!("whyslow takes {ours:.3} bytes a sample on disk, its whole directory");
    }
    tally.print();
    Ok(tally.differing)
}

/// Both engines, with the same data.
struct Pair {
    ours: Box<dyn Engine>,
    theirs: Server,
    size: Size,
    runs: usize,
}

impl Pair {
    fn compare(&mut self, line: &Line, tally: &mut Tally) -> Result<()> {
        let mut edges = vec![LeftEdge::Closed, LeftEdge::Open];
        edges.retain(|edge| self.ours.has_edge(*edge));
        if line.closed_only {
            edges.retain(|edge| *edge == LeftEdge::Closed);
        }
        let mut equal = true;
        for edge in &edges {
            self.ours.set_edge(*edge);
            // 2 ms earlier than the samples no range's end meets one.
            let shift_ms = if *edge == LeftEdge::Open { -2 } else { 0 };
            if let Some(what) = self.differs(line, shift_ms, tally)? {
                if !line.departs {
                    println!("DIFFERS {edge:?} {}\n        {what}", line.query);
                }
                equal = false;
            }
        }
        if line.departs {
            tally.departing += usize::from(!equal);
        } else if !edges.is_empty() {
            tally.queries += 1;
            tally.differing += usize::from(!equal);
        }
        Ok(())
    }

    fn differs(&mut self, line: &Line, shift_ms: i64, tally: &mut Tally) -> Result<Option<String>> {
        let span_ms = self.size.points as i64 * EVERY_MS;
        let from_ms = self.size.start_ms + shift_ms;
        let step_ms = span_ms / STEPS;
        let times = (from_ms, from_ms + (STEPS - 1) * step_ms, step_ms);
        let (mut ours_took, mut theirs_took) = (Vec::new(), Vec::new());
        for run in 0..self.runs {
            let (theirs, took) = self.theirs.range(&line.query, times)?;
            theirs_took.push(took);
            let (ours, took) = self.ours.range(&line.query, times)?;
            ours_took.push(took);
            if run == 0
                && let Some(what) = difference(ours, theirs, false)
            {
                return Ok(Some(format!("over {times:?}: {what}")));
            }
        }
        tally.add(&line.query, median(&mut ours_took), median(&mut theirs_took));
        for at_ms in [from_ms + span_ms / 20 * 7, from_ms + span_ms - EVERY_MS] {
            let (theirs, _) = self.theirs.instant(&line.query, at_ms)?;
            let (ours, _) = self.ours.instant(&line.query, at_ms)?;
            if let Some(what) = difference(ours, theirs, line.ordered) {
                return Ok(Some(format!("at {at_ms}: {what}")));
            }
        }
        Ok(None)
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
