//! The pages in a real browser: `lab/pages/run.mjs` against two made-up worlds.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::steps::{Ended, sh};

/// Where the two worlds listen: one with a day of data, one that watches nothing yet.
const SEEDED: &str = "127.0.0.1:17171";
const EMPTY: &str = "127.0.0.1:17172";
const OUTPUT: &str = "target/pages";

/// Builds the worlds, installs the browser's driver, and looks at every page.
///
/// # Errors
/// Where something cannot be built, installed or started, or a page is not as it should be.
pub fn run() -> Result<Ended> {
    if Command::new("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Ok(Ended::Skipped("npm is not installed".to_owned()));
    }
    sh("npm", &["ci", "--prefix", "lab/pages", "--no-audit", "--no-fund", "--silent"])?;
    let example = ["--release", "--locked", "-p", "whyslow-lab", "--example", "pages_world"];
    sh("cargo", &[&["build", "-q"], &example[..]].concat())?;
    let _seeded = World::start(&[SEEDED])?;
    let _empty = World::start(&[EMPTY, "empty"])?;
    let of = |address: &str| format!("http://{address}");
    sh("node", &["lab/pages/run.mjs", &of(SEEDED), &of(EMPTY), OUTPUT])
}

/// A world that runs until it is dropped.
struct World(Child);

impl World {
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new("target/release/examples/pages_world");
        let child = command.args(arguments).stdout(Stdio::null()).spawn();
        child.map(Self).context("pages_world could not be started")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Both fail only where it has ended by itself, which the browser has told.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
