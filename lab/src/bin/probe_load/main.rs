//! How much a check costs, and whether 2,000 of them start in time on one core.
//!
//! `probe_load` measures each kind in a process of its own, pinned to one core, and then the
//! peers on the same targets: blackbox_exporter for https and tcp, fping for ping.
//! `probe_load KIND [CHECKS] [SECONDS]` measures one kind in this process, `probe_load floor` what
//! the kernel alone takes for a bare connection made as rarely.

mod floor;
mod load;
mod peers;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use whyslow_lab::figure::{Figure, HEAD};
use whyslow_lab::world::World;

use load::{Kind, Load, Targets};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        None => compare(),
        Some("floor") => {
            let world = World::new("probe-load")?;
            println!("{}", floor::cpu_ms(Targets::start(&world)?.plain)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(kind) => {
            let kind: Kind = kind.parse()?;
            let load = Load::of(kind, &arguments[1..])?;
            let world = World::new("probe-load")?;
            let targets = Targets::start(&world)?;
            println!("{}", load.measure(&world, &targets)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Everything, ours beside the peers', as one table.
fn compare() -> Result<ExitCode> {
    let world = World::new("probe-load-peers")?;
    let targets = Targets::start(&world)?;
    let mut measured = Vec::new();
    for kind in [Kind::Https, Kind::Tcp, Kind::Ping] {
        measured.push(alone(&[kind.as_str()])?);
    }
    let [https, tcp, ping] = &measured[..] else { bail!("three kinds are measured") };
    let floor = alone(&["floor"])?;
    let blackbox = peers::Blackbox::start(&world)?;
    let figures = [
        cost("CPU of an https check, 2,000 every 15 s on one core", https, 0.6).beside(
            "blackbox_exporter",
            blackbox.cpu_ms("https", &format!("https://{}/page", targets.tls))?,
            0.6,
        ),
        cost("CPU of a tcp check, 2,000 every 15 s on one core", tcp, 0.1).beside(
            "blackbox_exporter",
            blackbox.cpu_ms("tcp", &targets.plain.to_string())?,
            1.0,
        ),
        cost("CPU of a ping, 200 targets, 20 packets each", ping, 0.05).beside(
            "fping",
            peers::fping_cpu_ms(&world)?,
            1.0,
        ),
        late("lateness of https starts, p99", https, "late_p99_ms", 20.0),
        late("lateness of https starts, worst", https, "late_max_ms", 250.0),
        late("lateness of tcp starts, p99", tcp, "late_p99_ms", 20.0),
        late("memory under the https load", https, "rss_mb", 60.0),
    ];
    println!("{HEAD}");
    figures.iter().for_each(|figure| println!("{figure}"));
    println!("\nThe kernel alone, for a bare connection opened and closed as rarely: {floor} ms.");
    for measured in &measured {
        println!("\n{measured}");
    }
    let all = figures.iter().all(|figure| figure.holds);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures in a process of its own on the last core; returns what it says.
fn alone(arguments: &[&str]) -> Result<Value> {
    let core = std::thread::available_parallelism()?.get() - 1;
    let done = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()
        .context("taskset could not be started")?;
    if !done.status.success() {
        bail!("{arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

fn cost(what: &str, measured: &Value, most: f64) -> Figure {
    Figure::at_most(what, "ms", number(measured, "cpu_ms"), most)
}

fn late(what: &str, measured: &Value, name: &str, most: f64) -> Figure {
    let unit = if name.ends_with("_mb") { "MB" } else { "ms" };
    Figure::at_most(what, unit, number(measured, name), most)
}

fn number(measured: &Value, name: &str) -> f64 {
    measured[name].as_f64().unwrap_or(f64::NAN)
}
