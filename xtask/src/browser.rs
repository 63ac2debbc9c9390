//! The pages in a real Chromium: builds a made-up world, serves it twice, with data and without,
//! and lets `lab/pages/run.mjs` look at both.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::steps::{Ended, sh};

/// Programs it needs beside what the packages bring.
const PROGRAMS: [&str; 3] = ["node", "npm", "chromium"];
const DIR: &str = "lab/pages";

/// Runs the browser's tests.
///
/// # Errors
/// Where one fails, or the world cannot be built or served.
pub fn run() -> Result<Ended> {
    if let Some(lack) = PROGRAMS.iter().find(|p| !answers(p)) {
        return Ok(Ended::Skipped(format!("{lack} is missing")));
    }
    let installed = Command::new("npm")
        .args(["ci", "--silent", "--no-audit", "--no-fund"])
        .current_dir(DIR)
        .status()
        .context("npm could not be started")?;
    if !installed.success() {
        return Ok(Ended::Skipped("npm cannot fetch playwright-core and axe-core".to_owned()));
    }
    sh(
        "cargo",
        &["build", "-q", "--release", "--locked", "-p", "whyslow-lab", "--example", "pages_world"],
    )?;
    let (seeded, empty) = (World::start("seeded")?, World::start("empty")?);
    let status = Command::new("node")
        .args(["run.mjs", &seeded.url, &empty.url, "../../target/shots"])
        .current_dir(DIR)
        .status()
        .context("node could not be started")?;
    ensure!(status.success(), "the browser's tests ended with {status}");
    Ok(Ended::Passed)
}

fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success())
}

/// One served world; ends when dropped.
struct World {
    url: String,
    child: Child,
}

impl World {
    fn start(kind: &str) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let program = crate::lab::program("examples/pages_world")?;
        let child = Command::new(program)
            .args([&free, kind])
            .stdout(Stdio::null())
            .spawn()
            .context("pages_world could not be started")?;
        Ok(Self { url: format!("http://{free}"), child })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended by itself; the tests have said so then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
