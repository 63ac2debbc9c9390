//! What recording costs and loses beside tcpdump, over a virtual wire: frames of 1400 bytes at one
//! rate, run after run, and as fast as one processor sends them; then TLS handshakes at one rate.
//!
//! `wire_ring [SECONDS [RUNS [FRAMES/S [HANDSHAKES/S]]]]`: 60 5 360000 2000 where left out. It needs
//! root. `wire_ring blast TO SECONDS [FRAMES/S]` is the sender of frames, `wire_ring replay CLIENT
//! SERVER CAPTURE SECONDS HANDSHAKES/S` that of handshakes.
//!
//! Build it, and `whyslow`, with `--release`; the figures mean nothing else.

mod beside;
mod blast;
mod handshakes;
mod replay;
mod wire;

use anyhow::{Result, bail};
use whyslow_lab::figure::{Figure, HEAD};
use whyslow_lab::world::World;

use beside::{Recorder, Run};
use wire::Wire;

/// What is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seconds: u64,
    runs: u32,
    frames_per_s: u64,
    handshakes_per_s: u64,
}

/// Seconds in which the sender is measured alone.
const ALONE_S: u64 = 10;
/// Of a processor, in percent, what following frames without handshakes may cost.
const SHARE_MAX: f64 = 3.0;
/// Frames a second at least.
const FRAMES_PER_S_MIN: f64 = 350_000.0;
/// Of five runs, those that may not lose anything.
const WHOLE_OF_FIVE: f64 = 4.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |at: usize, usual: u64| arguments.get(at).map_or(Ok(usual), |text| text.parse());
    match arguments[..] {
        ["blast", to, seconds] => blast::run(to, seconds.parse()?, None),
        ["blast", to, seconds, rate] => blast::run(to, seconds.parse()?, Some(rate.parse()?)),
        ["replay", client, server, capture, seconds, rate] => {
            replay::run(client, server, capture, seconds.parse()?, rate.parse()?)
        }
        [] | [_] | [_, _] | [_, _, _] | [_, _, _, _] => measure(Plan {
            seconds: number(0, 60)?,
            runs: u32::try_from(number(1, 5)?)?,
            frames_per_s: number(2, 360_000)?,
            handshakes_per_s: number(3, 2000)?,
        }),
        _ => bail!("wire_ring [SECONDS [RUNS [FRAMES/S [HANDSHAKES/S]]]]"),
    }
}

fn measure(plan: Plan) -> Result<()> {
    let (world, wire) = (World::new("wire-ring")?, Wire::new()?);
    let whyslow = Recorder::whyslow(&world);
    let tcpdump = Recorder::tcpdump();
    println!("no recorder: {}", wire.blast(ALONE_S, None)?.trim());
    println!("\n{}", beside::HEAD);
    let mut runs = Vec::new();
    for n in 1..=plan.runs {
        runs.push(told(&format!("{n}"), &whyslow.frames(&world, &wire, plan, true)?));
    }
    told("the same", &tcpdump.frames(&world, &wire, plan, true)?);
    told("unpaced", &whyslow.frames(&world, &wire, plan, false)?);
    told("unpaced", &tcpdump.frames(&world, &wire, plan, false)?);
    println!("\n{HEAD}");
    demands(&runs).iter().for_each(|figure| println!("{figure}"));
    println!();
    handshakes::measure(&world, &wire, plan)
}

fn told(name: &str, run: &Run) -> Run {
    println!("{}", run.row(name));
    run.clone()
}

/// What the runs at one rate have to show.
fn demands(runs: &[Run]) -> Vec<Figure> {
    let most = |of: fn(&Run) -> f64| runs.iter().map(of).fold(f64::NAN, f64::max);
    let lost = runs.iter().filter(|run| run.dropped + run.unseen() > 0).count();
    let may = (runs.len() as f64 * (1.0 - WHOLE_OF_FIVE / 5.0)).floor();
    let slowest = runs.iter().map(Run::frames_per_s).fold(f64::NAN, f64::min);
    let short = FRAMES_PER_S_MIN - slowest;
    vec![
        Figure::at_most("runs that lost a frame", "runs", lost as f64, may),
        Figure::at_most("the most of a core", "%", most(|run| run.share_percent()), SHARE_MAX),
        Figure::at_most("frames short of 350,000", "1/s", short, 0.0),
    ]
}
