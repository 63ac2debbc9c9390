//! `whyslow check TARGET`: one measurement now, or one every so often.

mod spec;

use std::sync::Arc;
use std::time::Duration as StdDuration;

use tokio::time::MissedTickBehavior;
use whyslow_dial::Dial;
use whyslow_model::Duration;
use whyslow_probe::run::{Outcome, Run};
use whyslow_probe::spec::{CheckSpec, Kind};

use super::render::{Asked, nagios, report};
use super::{Exit, Output, Stop};
use crate::config::{Config, load::settle};
use crate::prober::sockets::{Opener, Sockets, give_up_privileges};
use crate::prober::{Pinger, carry};

/// Measures a target once, now, and shows where its time goes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: spec::SpecArgs,
    /// Prints the run as one JSON document.
    #[arg(long, conflicts_with_all = ["json_lines", "nagios"], help_heading = "Output")]
    json: bool,
    /// Prints each run as a JSON document on a line of its own.
    #[arg(long, conflicts_with = "nagios", help_heading = "Output")]
    json_lines: bool,
    /// Prints one line as Nagios plugins do, with performance data.
    #[arg(long, help_heading = "Output")]
    nagios: bool,
    /// Shows everything that happened, in order.
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
    /// Measures again and again, so often.
    #[arg(long, value_name = "D", help_heading = "Repeating")]
    every: Option<Duration>,
    /// Ends after so many runs.
    #[arg(long, value_name = "N", requires = "every", help_heading = "Repeating",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// The status a run ends with: 0 fine, 1 slow or with a warning, 2 failed, 3 cannot tell.
pub fn exit_of(run: &Run) -> Exit {
    let blind = run.failure.as_ref().is_some_and(|f| {
        matches!(f.code.as_str(), "ping_not_permitted" | "local_failure" | "target_unusable")
    });
    match run.outcome {
        Outcome::Failed if blind => Exit::Unknown,
        Outcome::Failed => Exit::Failed,
        Outcome::Slow => Exit::Degraded,
        Outcome::Ok if run.warnings.is_empty() => Exit::Ok,
        Outcome::Ok => Exit::Degraded,
    }
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let spec = Arc::new(args.spec.spec()?);
    if args.every.is_some_and(|every| every < Duration::from_millis(100)) {
        return Err(Stop::usage("--every is shorter than 100ms").hint("write 1s or more"));
    }
    let sockets = sockets_for(&spec);
    give_up_privileges().map_err(|e| Stop {
        exit: Exit::Unknown,
        ..Stop::operation(format!("cannot drop privileges: {e}"))
    })?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| Stop {
            exit: Exit::Unknown,
            ..Stop::operation(format!("cannot start: {e}"))
        })?;
    runtime.block_on(measure(args, spec, sockets, out))
}

/// Only a ping needs sockets opened before privileges are given up.
fn sockets_for(spec: &CheckSpec) -> Option<Sockets> {
    let program = std::env::current_exe();
    (spec.kind == Kind::Ping).then(|| match &program {
        Ok(program) => Sockets::open(Opener::Child(program), 0),
        Err(e) => Sockets::without(&format!("cannot find our own program: {e}")),
    })
}

async fn measure(
    args: &Args,
    spec: Arc<CheckSpec>,
    sockets: Option<Sockets>,
    out: &mut Output,
) -> Result<Exit, Stop> {
    let mut vantage = Config::default();
    settle(&mut vantage);
    let pinger = Pinger::start(sockets.unwrap_or_default());
    let dial = Dial::new();
    let asked = args.asked(&spec);
    let mut worst = Exit::Ok;
    let mut done: u64 = 0;
    let mut ticks = tokio::time::interval(args.every.map_or(StdDuration::MAX / 4, Duration::std));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(worst);
            }
        }
        let waiting = super::progress::waiting(out, &spec.target);
        let ping = |ask| {
            let pinger = pinger.clone();
            async move { pinger.round(ask).await }
        };
        let run = carry::run_once(Arc::clone(&spec), &vantage.vantage.name, &dial, ping).await;
        drop(waiting);
        print(args, &run, &asked, out)?;
        worst = worse(worst, exit_of(&run));
        done += 1;
        if args.every.is_none() || args.count.is_some_and(|count| done >= count) {
            return Ok(worst);
        }
    }
}

fn worse(a: Exit, b: Exit) -> Exit {
    if b as u8 > a as u8 { b } else { a }
}

fn print(args: &Args, run: &Run, asked: &Asked, out: &mut Output) -> Result<(), Stop> {
    if args.json_lines || (args.json && args.every.is_some()) {
        return out.json_line(run);
    }
    if args.json {
        return out.json(run);
    }
    if args.nagios {
        out.line(nagios(run))?;
    } else {
        for line in report(run, asked) {
            out.line(line.coloured())?;
        }
        if args.every.is_some() {
            out.line("")?;
        }
    }
    Ok(out.flush()?)
}

impl Args {
    fn asked(&self, spec: &CheckSpec) -> Asked {
        Asked {
            connect_to: spec.connect_to.as_ref().map(ToString::to_string),
            method: spec.method.clone().or_else(|| spec.body.as_ref().map(|_| "POST".to_owned())),
            transcript: self.verbose,
        }
    }
}
