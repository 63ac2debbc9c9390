//! A log file under load: rotated by rename and by copy and truncation, whyslow restarted and
//! killed in between, and once rotated while it is down. Every line is in its window once.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whyslow_sys::clock;

use crate::log::{self, Windows};
use crate::scenario::Scenario;
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-files",
    proves: "no line of a rotated log is counted twice or lost, over kill -9 and restarts",
    needs: &[],
    run,
};

const ROUNDS: u64 = 80;
const LINES_PER_ROUND: u64 = 400;
const ROUND: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

fn run(world: &World) -> Result<()> {
    let input = world.path("lb.log");
    let edge = format!(
        "  web: {{owner: lab}}\nedge:\n  - {{name: lb, input: \"file:{input}\", format: haproxy, \
         time_zone: UTC, service: web}}\n"
    );
    let mut up = Some(Up::start(world, &edge)?);
    let address = up.as_ref().context("running")?.address;
    let config = world.path("whyslow.yaml");
    let start = |up: &mut Option<Up>| -> Result<()> {
        let mut command = world.whyslow();
        command.args(["up", "--config", &config]);
        *up = Some(Up::run(world, address, &mut command)?);
        Ok(())
    };
    let mut written = Windows::new();
    for round in 0..ROUNDS {
        append(&input, &log::lines(clock::wall(), LINES_PER_ROUND, &mut written))?;
        std::thread::sleep(ROUND);
        match round {
            10 | 45 => rename(&input)?,
            18 | 60 => copy_and_truncate(&input)?,
            25 | 52 => {
                kill(&mut up)?;
                start(&mut up)?;
            }
            33 => kill(&mut up)?,
            36 => rename(&input)?,
            40 => start(&mut up)?,
            66 => {
                let mut running = up.take().context("running")?;
                running.peer.signal("TERM")?;
                running.peer.ended(PATIENCE)?;
                start(&mut up)?;
            }
            _ => {}
        }
    }
    let mut last = up.take().context("running")?;
    last.wait("all of the file to be read", PATIENCE, || {
        let sources = last.json("/api/v1/edge/sources")?;
        let source = &sources["sources"][0];
        ensure!(source["unsure"] == 0, "{source:#}");
        Ok((source["behind_bytes"] == 0 && source["lines"]["parsed"] != 0).then_some(()))
    })?;
    // The directory is looked at twice a second, the files ten times.
    std::thread::sleep(Duration::from_secs(2));
    last.peer.signal("TERM")?;
    last.peer.ended(PATIENCE)?;
    let stored = log::stored(&world.path("data"), "lb")?;
    ensure!(stored == written, "stored {stored:?}\nwritten {written:?}");
    Ok(())
}

fn kill(up: &mut Option<Up>) -> Result<()> {
    let mut running = up.take().context("running")?;
    running.peer.signal("KILL")?;
    running.peer.ended(PATIENCE)?;
    Ok(())
}

fn append(path: &str, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn older(path: &str) -> Result<()> {
    for n in (1..8).rev() {
        let from = format!("{path}.{n}");
        if fs::exists(&from)? {
            fs::rename(&from, format!("{path}.{}", n + 1))?;
        }
    }
    Ok(())
}

fn rename(path: &str) -> Result<()> {
    older(path)?;
    fs::rename(path, format!("{path}.1"))?;
    File::create(path)?;
    Ok(())
}

fn copy_and_truncate(path: &str) -> Result<()> {
    older(path)?;
    fs::copy(path, format!("{path}.1"))?;
    OpenOptions::new().write(true).open(path)?.set_len(0)?;
    Ok(())
}
