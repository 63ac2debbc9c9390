//! Our PromQL beside Debian's Prometheus: the same data, the same queries, equal answers.
//!
//! `promql_peer small|full [RUNS]`: `small` proves equality in under a minute; `full` has
//! 2,050 series and 4.4 M samples and measures. Every query of `lab/queries/promql.txt` is asked
//! as a range query and at two instants; numbers must agree to 1e-9. Half of the queries' times
//! meet samples exactly, with ranges closed on the left as Prometheus 2 has them; the other half
//! never do, with ranges open as is our default. Exit: 0 all equal · 1 not · 77 no prometheus.

mod answer;
mod data;
mod http;
mod memory;
mod server;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use whyslow_promql::{EvalOptions, LeftEdge, parse};

use answer::{Answer, difference};
use data::{EVERY_MS, START_MS, Size};
use memory::Memory;
use server::Server;

const QUERIES: &str = include_str!("../../../queries/promql.txt");
/// Steps of the range queries.
const STEPS: i64 = 360;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (size, runs) = match arguments.first().map(String::as_str) {
        Some("small") => (Size { hosts: 3, points: 1080 }, 1),
        Some("full") => (Size { hosts: 41, points: 2160 }, 5),
        _ => {
            eprintln!("promql_peer small|full [RUNS]");
            return ExitCode::from(64);
        }
    };
    let runs = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(runs);
    if !Path::new("/usr/bin/prometheus").exists() {
        println!("/usr/bin/prometheus is missing: apt-get install prometheus");
        return ExitCode::from(77);
    }
    match run(size, runs) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// One line of the query list.
struct Line {
    query: &'static str,
    /// Meant only for times at which samples lie.
    closed_only: bool,
    /// The order of an instant's samples counts.
    ordered: bool,
    /// Known to differ, on purpose.
    departs: bool,
}

fn lines() -> Vec<Line> {
    let lines = QUERIES.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(line).collect()
}

fn line(text: &'static str) -> Line {
    let (mark, query) = text.split_once(": ").unwrap_or(("", text));
    let (closed_only, departs) = (mark == "closed", mark == "departs");
    let query = if closed_only || departs { query } else { text };
    Line { query, closed_only, departs, ordered: query.starts_with("sort") }
}

fn run(size: Size, runs: usize) -> Result<usize> {
    let dir = tempfile::tempdir()?;
    let series = data::series(size);
    let samples: usize = series.iter().map(|s| s.times_ms.len()).sum();
    println!("{} series of {} hosts, {samples} samples", series.len(), size.hosts);
    let (peer, address) = server::prometheus(dir.path())?;
    let mut prometheus = Server::connect(address)?;
    let fed = prometheus.feed(&series)?;
    println!("prometheus took {:.2} M samples/s", samples as f64 / fed.as_secs_f64() / 1e6);
    let mut engines = Engines { ours: Memory::new(series), theirs: prometheus, size, runs };
    let mut tally = Tally::default();
    for line in lines() {
        engines.compare(&line, &mut tally).with_context(|| line.query)?;
    }
    println!("prometheus holds {:.0} MB", peer.rss_mb()?);
    tally.print();
    Ok(tally.differing)
}

struct Engines {
    ours: Memory,
    theirs: Server,
    size: Size,
    runs: usize,
}

impl Engines {
    fn compare(&mut self, line: &Line, tally: &mut Tally) -> Result<()> {
        tally.queries += usize::from(!line.departs);
        let mut equal = true;
        for edge in [LeftEdge::Closed, LeftEdge::Open] {
            if edge == LeftEdge::Open && line.closed_only {
                continue;
            }
            // 2 ms earlier than the samples no range's end meets one.
            let shift_ms = if edge == LeftEdge::Open { -2 } else { 0 };
            let options = EvalOptions { left_edge: edge, ..EvalOptions::default() };
            let differs = self.differs(line, shift_ms, &options, tally)?;
            if line.departs {
                tally.departing += usize::from(differs.is_some());
                return Ok(());
            }
            if let Some(what) = differs {
                println!("DIFFERS {edge:?} {}\n        {what}", line.query);
                equal = false;
            }
        }
        tally.differing += usize::from(!equal);
        Ok(())
    }

    fn differs(
        &mut self,
        line: &Line,
        shift_ms: i64,
        options: &EvalOptions<'_>,
        tally: &mut Tally,
    ) -> Result<Option<String>> {
        let span_ms = self.size.points as i64 * EVERY_MS;
        let from_ms = START_MS + shift_ms;
        let step_ms = span_ms / STEPS;
        let times = (from_ms, from_ms + (STEPS - 1) * step_ms, step_ms);
        let (mut ours_took, mut theirs_took) = (Vec::new(), Vec::new());
        for run in 0..self.runs {
            let (theirs, took) = self.theirs.range(line.query, times)?;
            theirs_took.push(took);
            let began = Instant::now();
            let ours = range(&self.ours, line.query, times, options);
            ours_took.push(began.elapsed());
            if run == 0
                && let Some(what) = difference(ours, theirs, false)
            {
                return Ok(Some(format!("over {times:?}: {what}")));
            }
        }
        tally.add(line.query, median(&mut ours_took), median(&mut theirs_took));
        for at_ms in [from_ms + span_ms / 20 * 7, from_ms + span_ms - EVERY_MS] {
            let (theirs, _) = self.theirs.instant(line.query, at_ms)?;
            let ours = instant(&self.ours, line.query, at_ms, options);
            if let Some(what) = difference(ours, theirs, line.ordered) {
                return Ok(Some(format!("at {at_ms}: {what}")));
            }
        }
        Ok(None)
    }
}

fn range(
    memory: &Memory,
    query: &str,
    (from_ms, to_ms, step_ms): (i64, i64, i64),
    options: &EvalOptions<'_>,
) -> Answer {
    let parsed = match parse(query) {
        Ok(parsed) => parsed,
        Err(e) => return Answer::Failed(e.to_string()),
    };
    match parsed.range(memory, from_ms, to_ms, step_ms, options) {
        Ok(answer) => Answer::of_matrix(answer.matrix),
        Err(e) => Answer::Failed(e.to_string()),
    }
}

fn instant(memory: &Memory, query: &str, at_ms: i64, options: &EvalOptions<'_>) -> Answer {
    let parsed = match parse(query) {
        Ok(parsed) => parsed,
        Err(e) => return Answer::Failed(e.to_string()),
    };
    match parsed.instant(memory, at_ms, options) {
        Ok(answer) => Answer::of_instant(answer),
        Err(e) => Answer::Failed(e.to_string()),
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What came out so far.
#[derive(Default)]
struct Tally {
    queries: usize,
    differing: usize,
    departing: usize,
    /// Of each range query: text, ours, theirs.
    times: Vec<(String, Duration, Duration)>,
}

impl Tally {
    fn add(&mut self, query: &str, ours: Duration, theirs: Duration) {
        self.times.push((query.to_owned(), ours, theirs));
    }

    fn print(&self) {
        let mut slowest: Vec<_> = self.times.iter().collect();
        slowest.sort_by_key(|(_, ours, _)| std::cmp::Reverse(*ours));
        for (query, ours, theirs) in slowest.iter().take(8) {
            println!("{:8.2} ms, prometheus {:8.2} ms  {query}", ms(*ours), ms(*theirs));
        }
        let mut ours: Vec<Duration> = self.times.iter().map(|t| t.1).collect();
        let mut theirs: Vec<Duration> = self.times.iter().map(|t| t.2).collect();
        for (who, times) in [("whyslow", &mut ours), ("prometheus", &mut theirs)] {
            times.sort();
            let at = |q: f64| ms(times[((times.len() - 1) as f64 * q) as usize]);
            println!(
                "{who}: range query median {:.2} ms, p90 {:.2} ms, worst {:.2} ms",
                at(0.5),
                at(0.9),
                at(1.0)
            );
        }
        let equal = self.queries - self.differing;
        println!(
            "{equal} of {} queries equal to 1e-9; {} depart on purpose",
            self.queries, self.departing
        );
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
