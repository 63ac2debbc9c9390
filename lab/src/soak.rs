//! The demo left running: it must neither grow nor fall silent.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::peer::{free_port, loopback};
use crate::up::Up;
use crate::world::World;

/// Memory may grow by this much after the first quarter, in MB: caches fill, history is kept.
const GROWTH_MB_MAX: f64 = 24.0;

/// Runs the demo for so long and prints memory and processor time along the way.
///
/// # Errors
/// Where it grows, stops answering or stops storing.
pub fn run(length: Duration) -> Result<()> {
    let world = World::new("soak")?;
    let address = loopback(free_port()?);
    let mut command = world.whyslow();
    command.env("TMPDIR", world.dir());
    command.args(["demo", "--listen", &address.to_string()]);
    let up = Up::run(&world, address, &mut command)?;
    let began = Instant::now();
    let mut early_mb = f64::NAN;
    for quarter in 1..=4 {
        std::thread::sleep((length * quarter / 4).saturating_sub(began.elapsed()));
        let (mb, cpu_s) = (up.peer.rss_mb()?, up.peer.cpu_s()?);
        let stored = up.value("sum(count_over_time(probe_success[20s]))")?.unwrap_or_default();
        let after = began.elapsed().as_secs();
        println!("after {after} s: {mb:.1} MB, {cpu_s:.1} s of processor, {stored} runs in 20 s");
        ensure!(stored > 0.0, "nothing was stored in the last 20 s");
        if quarter == 1 {
            early_mb = mb;
        }
        ensure!(quarter == 1 || mb <= early_mb + GROWTH_MB_MAX, "grew from {early_mb} to {mb} MB");
    }
    Ok(())
}
