//! `cargo xtask proof [SECONDS]`: what takes too long for every change. Kills, repeats, fuzzing for
//! SECONDS a parser (60 unless said), and the demo left running.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::build;
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
        [] => 60,
        [seconds, ..] => seconds.parse().context("SECONDS must be a whole number")?,
    };
    build()?;
    let mut report = Report::default();
    repeats(&mut report)?;
    report.step("100 kills of a store", || ran(Command::new(program("kill9")?).arg("100")));
    report.step("demo soak", || lab(&["soak", &seconds.to_string()]));
    for target in fuzz_targets()? {
        report.step(&format!("fuzz {target} for {seconds} s"), || fuzz(&target, seconds));
    }
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

/// The names of the fuzz targets, from their files.
fn fuzz_targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("fuzz/fuzz_targets").context("reading fuzz/fuzz_targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// One target, on a scratch corpus that begins with the committed one.
fn fuzz(target: &str, seconds: u32) -> Result<Ended> {
    let installed = Command::new("cargo").args(["fuzz", "--version"]).output()?.status.success();
    if !installed {
        return Ok(Ended::Skipped("cargo install cargo-fuzz".to_owned()));
    }
    let scratch = Path::new("fuzz/target/corpus").join(target);
    std::fs::create_dir_all(&scratch)?;
    let status = Command::new("cargo")
        .args(["fuzz", "run", "--sanitizer=none", target])
        .arg(&scratch)
        .arg(Path::new("fuzz/corpus").join(target))
        .args(["--", "-verbosity=0", "-print_final_stats=1", "-rss_limit_mb=1024", "-timeout=5"])
        .arg(format!("-max_total_time={seconds}"))
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .context("cargo fuzz could not be started")?;
    anyhow::ensure!(status.success(), "cargo fuzz run {target} ended with {status}");
    Ok(Ended::Passed)
}
