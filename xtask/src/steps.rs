//! Running steps one after the other, saying which and how long.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What became of one step.
#[derive(Debug)]
pub enum Ended {
    /// It held.
    Passed,
    /// It could not run here, and why.
    Skipped(String),
    /// It did not hold, and why.
    Failed(String),
}

/// The steps run so far.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(String, Duration, Ended)>,
}

impl Report {
    /// Runs one step, prints its name before and its time after, and keeps the result.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Ended>) {
        println!("── {name}");
        let began = Instant::now();
        let ended = work().unwrap_or_else(|e| Ended::Failed(format!("{e:#}")));
        let took = began.elapsed();
        println!("   {} after {:.1} s", word(&ended), took.as_secs_f64());
        self.rows.push((name.to_owned(), took, ended));
    }

    /// Prints all rows and a closing count.
    ///
    /// # Errors
    /// Where a step failed, or was skipped under CI.
    pub fn close(self) -> Result<()> {
        println!("\nsummary");
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, took, ended) in &self.rows {
            let why = match ended {
                Ended::Passed => {
                    passed += 1;
                    ""
                }
                Ended::Skipped(why) => {
                    skipped += 1;
                    why
                }
                Ended::Failed(why) => {
                    failed += 1;
                    why
                }
            };
            println!("  {:<8} {:>7.1} s  {name}  {why}", word(ended), took.as_secs_f64());
        }
        println!("\n{passed} passed, {failed} failed, {skipped} skipped");
        if failed > 0 {
            bail!("{failed} steps failed");
        }
        if skipped > 0 && in_ci() {
            bail!("{skipped} steps were skipped, which CI does not accept");
        }
        Ok(())
    }
}

const fn word(ended: &Ended) -> &'static str {
    match ended {
        Ended::Passed => "passed",
        Ended::Skipped(_) => "skipped",
        Ended::Failed(_) => "failed",
    }
}

/// Whether a skip counts as a failure.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|v| v == "true")
}

/// Runs a command to its end with our own output streams.
///
/// # Errors
/// Where it cannot be started or does not end with 0.
pub fn sh(program: &str, arguments: &[&str]) -> Result<Ended> {
    let status = Command::new(program)
        .args(arguments)
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{program} {} ended with {status}", arguments.join(" "));
    }
    Ok(Ended::Passed)
}
