//! `cargo xtask bench`: figures beside the peers, all in one run on one machine.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::lab::program;

/// What measures, in order: a program of the lab and its arguments.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("whyslow-lab", &["bench"]),
    ("probe_load", &[]),
    ("promql_peer", &["full"]),
    ("promql_peer", &["full", "up"]),
    ("edge_bench", &[]),
    ("edge_live", &["stream", "60", "500000"]),
    ("edge_live", &["udp", "60", "600000"]),
    ("wire_bench", &[]),
    ("wire_ring", &["60"]),
    ("store_bench", &["many"]),
];

/// Builds for speed, then runs every program; each prints its own table.
///
/// # Errors
/// Where a program cannot be built or run.
pub fn run(_: &[String]) -> Result<()> {
    build()?;
    machine();
    let mut failed = Vec::new();
    for (name, arguments) in PROGRAMS {
        println!("\n── {name} {}", arguments.join(" "));
        let status = Command::new(program(name)?)
            .args(*arguments)
            .status()
            .with_context(|| format!("{name} could not be started"))?;
        if !status.success() {
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("{} could not measure", failed.join(", "));
    }
    Ok(())
}

/// The release build of the program and the lab.
///
/// # Errors
/// Where it does not build.
pub fn build() -> Result<()> {
    crate::steps::sh(
        "cargo",
        &["build", "-q", "--release", "--locked", "-p", "whyslow", "-p", "whyslow-lab"],
    )
    .map(drop)
}

/// Says what the figures were taken on, since they mean little without it.
fn machine() {
    let first = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default().to_owned();
        line.rsplit(':').next().unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("{} × {}", cores, first("/proc/cpuinfo", "model name"));
    println!("Linux {}", first("/proc/sys/kernel/osrelease", ""));
    println!("load {}", first("/proc/loadavg", ""));
}
