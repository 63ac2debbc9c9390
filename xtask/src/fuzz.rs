//! `cargo xtask fuzz [SECONDS] [TARGET…]`: fuzzes each of the targets named, or all, for SECONDS (60
//! unless said).
//!
//! What adds coverage is kept in `fuzz/target/corpus`, from which the next run goes on; an input
//! that does harm is kept in `fuzz/artifacts`.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::steps::{Ended, Report};

/// How long a target is fuzzed where nothing is said.
pub const SECONDS: u32 = 60;
/// Megabytes that a target may take.
const MEMORY_MB_MAX: u32 = 2048;
/// Seconds that one input may take.
const INPUT_S_MAX: u32 = 10;
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// Lines of a target that found something which are shown.
const LINES_SHOWN: usize = 60;

/// Runs the targets that are named, or all.
///
/// # Errors
/// Where there is no such target, or one of them found something.
pub fn run(arguments: &[String]) -> Result<()> {
    let (seconds, named) = match arguments.split_first() {
        Some((first, rest)) if first.bytes().all(|b| b.is_ascii_digit()) => {
            (first.parse().context("SECONDS must be a whole number")?, rest)
        }
        _ => (SECONDS, arguments),
    };
    let targets = targets()?;
    if let Some(unknown) = named.iter().find(|name| targets.iter().all(|t| t.name != **name)) {
        let names: Vec<&str> = targets.iter().map(|t| t.name.as_str()).collect();
        bail!("there is no target '{unknown}'; there are {}", names.join(", "));
    }
    let is_wanted = |t: &Target| named.is_empty() || named.contains(&t.name);
    let mut report = Report::default();
    each(&mut report, &targets.into_iter().filter(is_wanted).collect::<Vec<_>>(), seconds);
    report.close()
}

/// Runs all targets as steps of a longer report.
///
/// # Errors
/// Where the list of targets cannot be read.
pub fn all(report: &mut Report, seconds: u32) -> Result<()> {
    each(report, &targets()?, seconds);
    Ok(())
}

/// A target and the features without which it is not built.
#[derive(Debug)]
struct Target {
    name: String,
    features: Vec<String>,
}

/// Those of the manifest.
fn targets() -> Result<Vec<Target>> {
    let manifest = std::fs::read_to_string("fuzz/Cargo.toml").context("reading fuzz/Cargo.toml")?;
    let quoted = |line: &str| -> Vec<String> {
        line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut targets = Vec::new();
    for bin in manifest.split("[[bin]]").skip(1) {
        let value = |key: &str| bin.lines().find(|line| line.starts_with(key)).map(quoted);
        let name = value("name").and_then(|names| names.into_iter().next());
        let features = value("required-features").unwrap_or_default();
        targets.push(Target {
            name: name.context("a [[bin]] of fuzz/Cargo.toml has no name")?,
            features,
        });
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(targets)
}

fn each(report: &mut Report, targets: &[Target], seconds: u32) {
    // One set for all, or what they share would be built once for each.
    let features: BTreeSet<&str> =
        targets.iter().flat_map(|t| &t.features).map(String::as_str).collect();
    let features = features.into_iter().collect::<Vec<_>>().join(",");
    for target in targets {
        report.step(&format!("fuzz {} for {seconds} s", target.name), || {
            fuzz(&target.name, &features, seconds)
        });
    }
}

/// One target, on a scratch corpus that begins with the committed one.
fn fuzz(target: &str, features: &str, seconds: u32) -> Result<Ended> {
    let installed = Command::new("cargo").args(["fuzz", "--version"]).output()?.status.success();
    if !installed {
        return Ok(Ended::Skipped("cargo install cargo-fuzz".to_owned()));
    }
    let scratch = Path::new("fuzz/target/corpus").join(target);
    std::fs::create_dir_all(&scratch)?;
    let words = Path::new("fuzz/dictionaries").join(target);
    let words = words.exists().then(|| format!("-dict={}", words.display()));
    // The code is safe, so that a sanitizer would find little and cost half of the executions.
    let mut child = Command::new("cargo")
        .args(["fuzz", "run", "--sanitizer=none", "--features", features, target])
        .arg(&scratch)
        .arg(Path::new("fuzz/corpus").join(target))
        .args(["--", "-print_final_stats=1"])
        .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .arg(format!("-max_total_time={seconds}"))
        .args(words)
        // Coverage is an unstable flag of the compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .stderr(Stdio::piped())
        .spawn()
        .context("cargo fuzz could not be started")?;
    let said = child.stderr.take().context("the target's standard error")?;
    let last = follow(BufReader::new(said))?;
    let status = child.wait()?;
    if !status.success() {
        for line in last {
            println!("   {line}");
        }
        bail!(
            "{target} found something (cargo fuzz ended with {status}); where no input is kept in \
             fuzz/artifacts/{target} its stack overflowed: --sanitizer=address keeps it then"
        );
    }
    Ok(Ended::Passed)
}

/// Tells how a target gets on, and gives its last lines.
fn follow(said: impl BufRead) -> Result<VecDeque<String>> {
    let (mut last, mut told) = (VecDeque::new(), Instant::now());
    for line in said.lines() {
        let line = line?;
        let is_end = line.contains("DONE") || line.contains("number_of_executed_units");
        if is_end || told.elapsed() >= TELL_EVERY && (line.starts_with('#') || is_of_cargo(&line)) {
            println!("   {}", line.trim());
            told = Instant::now();
        }
        last.push_back(line);
        if last.len() > LINES_SHOWN {
            last.pop_front();
        }
    }
    Ok(last)
}

fn is_of_cargo(line: &str) -> bool {
    line.trim_start().starts_with("Compiling")
}
