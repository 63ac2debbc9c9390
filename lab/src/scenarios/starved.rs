//! A machine without processor time to spare: whyslow is late and says so, and nothing it watches
//! is blamed for it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Valid};
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::server::{NGINX, Nginx};
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "starved",
    proves: "with every processor taken, lateness is shown and the target is not blamed",
    needs: &[Need::Program(NGINX), Need::Program("/usr/bin/curl")],
    run,
};

/// How long the machine is kept busy.
const BUSY: Duration = Duration::from_secs(12);
const SOON: Duration = Duration::from_secs(30);
/// Busy loops per processor.
const HOGS_PER_CORE: usize = 4;

fn run(world: &World) -> Result<()> {
    let leaf = Authority::new(world, "ca")?.sign("web", "DNS:shop.lab", Valid::Days(60))?;
    let nginx = Nginx::start(world, &leaf, "")?;
    let services = format!(
        "  shop:\n    checks:\n      - {{name: home, kind: http, every: 1s, warn: 100ms, \
         timeout: 3s, target: \"http://{}/page\"}}\n",
        nginx.plain
    );
    // The hogs have the same right to the processors as nginx has, and more than whyslow: so the
    // observer starves and the target does not.
    let (address, config) = Up::configure(world, &services)?;
    let mut command = Command::new("nice");
    command.args(["-n", "19", &world.whyslow_path(), "up", "--config", &config]);
    let up = Up::run(world, address, &mut command)?;
    let count = || up.value("count_over_time(probe_success[1h])");
    up.wait("first runs", SOON, || Ok(count()?.filter(|n| *n >= 3.0)))?;

    let cores = std::thread::available_parallelism()?.get();
    let mut hogs = Vec::new();
    for n in 0..cores * HOGS_PER_CORE {
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        hogs.push(Peer::start(&format!("hog{n}"), world.dir(), &mut busy)?);
    }
    std::thread::sleep(BUSY);
    drop(hogs);
    let page = up.json("/api/v1/observations?plane=probe&limit=1000")?;
    let runs = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let starved = runs.iter().filter(|r| r["values"]["starved_ms"].is_f64()).count();
    ensure!(starved > 0, "no run of {} says that the machine held it up", runs.len());
    let blamed = |r: &&Value| {
        let held_against = r["words"]["outcome"] == "slow" || r["words"]["outcome"] == "failed";
        held_against
            && !r["values"]["starved_ms"].is_f64()
            && r["words"]["segment_hint"] != "vantage"
    };
    let blamed: Vec<&Value> = runs.iter().filter(blamed).collect();
    ensure!(blamed.is_empty(), "the target was blamed in {} runs: {:#}", blamed.len(), blamed[0]);
    let lateness = up.value("max_over_time(whyslow_self_probe_lateness_seconds[1h])")?;
    ensure!(lateness.is_some_and(|s| s > 0.0), "lateness is not shown: {lateness:?}");
    Ok(())
}
