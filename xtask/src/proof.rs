//! `cargo xtask proof [SECONDS]`: what takes too long for every change. Kills, repeats, fuzzing for
//! SECONDS a parser (60 unless said), and the demo left running.

use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::build;
use crate::fuzz;
use crate::lab::{program, scenario};
use crate::steps::{Ended, Report};

/// How often each scenario is repeated.
const REPEATS: usize = 5;

/// Runs all of it.
///
/// # Errors
/// Where something does not hold.
pub fn run(arguments: &[String]) -> Result<()> {
    let seconds: u32 = match arguments {
        [] => fuzz::SECONDS,
        [seconds, ..] => seconds.parse().context("SECONDS must be a whole number")?,
    };
    build()?;
    let mut report = Report::default();
    repeats(&mut report)?;
    report.step("100 kills of a store", || ran(Command::new(program("kill9")?).arg("100")));
    report.step("demo soak", || lab(&["soak", &seconds.to_string()]));
    fuzz::all(&mut report, seconds)?;
    report.close()
}

fn repeats(report: &mut Report) -> Result<()> {
    let listed = Command::new(program("whyslow-lab")?).arg("list").output()?;
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split('\t').next().unwrap_or_default();
        report.step(&format!("lab {name}, {REPEATS} times"), || {
            for _ in 1..REPEATS {
                scenario(name)?;
            }
            scenario(name)
        });
    }
    Ok(())
}

fn lab(arguments: &[&str]) -> Result<Ended> {
    ran(Command::new(program("whyslow-lab")?).args(arguments))
}

fn ran(command: &mut Command) -> Result<Ended> {
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Ended::Passed)
}
