//! The lab part of `cargo xtask test`: one short run of each scenario, by the built `whyslow-lab`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{Ended, Report};

/// The exit code by which a lab program says it could not run here.
const SKIPPED: i32 = 77;

/// Runs every scenario as a step of its own.
///
/// # Errors
/// Where the lab is not built.
pub fn steps(report: &mut Report) -> Result<()> {
    let listed = Command::new(program("whyslow-lab")?).arg("list").output();
    let listed = listed.context("whyslow-lab could not be started")?;
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let (name, proves) = line.split_once('\t').unwrap_or((line, ""));
        report.step(&format!("lab {name}: {proves}"), || scenario(name));
    }
    report.step("the pages in a real browser", crate::browser::run);
    Ok(())
}

/// `cargo xtask lab [NAME…]`: the scenarios named, or all, without the rest of `test`.
///
/// # Errors
/// Where one does not hold.
pub fn run(arguments: &[String]) -> Result<()> {
    crate::bench::build()?;
    let mut report = Report::default();
    if arguments.is_empty() {
        steps(&mut report)?;
    }
    for name in arguments {
        report.step(&format!("lab {name}"), || scenario(name));
    }
    report.close()
}

/// Plays one scenario.
///
/// # Errors
/// Where it does not hold.
pub fn scenario(name: &str) -> Result<Ended> {
    let output = Command::new(program("whyslow-lab")?)
        .args(["run", name])
        .stderr(Stdio::inherit())
        .output()
        .context("whyslow-lab could not be started")?;
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => Ok(Ended::Passed),
        Some(SKIPPED) => Ok(Ended::Skipped(said.trim().to_owned())),
        _ => bail!("{}", said.trim()),
    }
}

/// A program of the release build.
///
/// # Errors
/// Where the build's own place is unknown.
pub fn program(name: &str) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = target.join("release").join(name);
    anyhow::ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}
