//! A full disk: reading goes on, the fact is said, and writing resumes by itself.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scenario::{Need, Scenario};
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "disk",
    proves: "on a full disk reads are served, the trouble is named, and writing resumes",
    needs: &[Need::Root, Need::Program("/usr/bin/curl"), Need::Program("/usr/bin/unshare")],
    run,
};

const SOON: Duration = Duration::from_secs(40);

fn run(world: &World) -> Result<()> {
    let services = "  shop:\n    checks:\n      - {name: port, kind: tcp, every: 1s, timeout: 500ms, \
                    target: \"127.0.0.1:1\"}\n";
    let (address, config) = Up::configure(world, services)?;
    let data = world.path("data");
    std::fs::create_dir(&data)?;
    // The mount is in a namespace of its own and goes with the process.
    let script = "mount -t tmpfs -o size=24m tmpfs \"$1\" && exec \"$2\" up --config \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh", &data, &world.whyslow_path(), &config]);
    let up = Up::run(world, address, &mut command)?;
    let stored = || up.value("count_over_time(probe_success[1h])");
    let before = up.wait("first samples", SOON, || Ok(stored()?.filter(|n| *n >= 2.0)))?;

    let filler = format!("/proc/{}/root{data}/filler", up.peer.pid());
    let full =
        Command::new("dd").args(["if=/dev/zero", "bs=4k", &format!("of={filler}")]).output()?;
    ensure!(!full.status.success(), "the little disk did not fill up");
    up.wait("being told of the full disk", SOON, || {
        let said = up.get("/readyz")?;
        Ok((said.status != 200 && said.body.contains("disk")).then_some(()))
    })?;
    ensure!(stored()?.is_some_and(|n| n >= before), "what was stored is no longer read");
    ensure!(up.get("/")?.status == 200, "the overview is not served");

    std::fs::remove_file(&filler)?;
    let there = stored()?.unwrap_or_default();
    up.wait("resuming", SOON, || Ok(stored()?.filter(|n| *n > there)))?;
    up.wait("being ready again", SOON, || Ok((up.get("/readyz")?.status == 200).then_some(())))?;
    Ok(())
}
