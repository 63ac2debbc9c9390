//! One data directory over its life: a second process, a new configuration, a broken one, an end
//! by request and one without.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scenario::{Need, Scenario};
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "restart",
    proves: "a second process is refused, SIGHUP reloads or keeps the old, ends lose nothing",
    needs: &[Need::Program("/usr/bin/curl")],
    run,
};

const SOON: Duration = Duration::from_secs(30);

fn run(world: &World) -> Result<()> {
    let check = |name: &str| {
        format!(
            "      - {{name: {name}, kind: tcp, every: 1s, timeout: 500ms, \
             target: \"127.0.0.1:1\"}}\n"
        )
    };
    let services = format!("  shop:\n    checks:\n{}", check("first"));
    let (address, config) = Up::configure(world, &services)?;
    let text = std::fs::read_to_string(&config)?;
    let start = || Up::run(world, address, world.whyslow().args(["up", "--config", &config]));
    let mut up = start()?;
    let runs = |up: &Up, of: &str| {
        up.value(&format!("count_over_time(probe_success{{check=\"{of}\"}}[1h])"))
    };
    up.wait("first runs", SOON, || Ok(runs(&up, "first")?.filter(|n| *n >= 2.0)))?;

    let data = world.path("data");
    let listen = format!("127.0.0.1:{}", crate::peer::free_port()?);
    let second = world.whyslow().args(["up", "--data", &data, "--listen", &listen]).output()?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(!second.status.success() && said.contains(&data), "the second process: {said}");

    std::fs::write(&config, format!("{text}{}", check("second")))?;
    up.peer.signal("HUP")?;
    up.wait("the new check", SOON, || runs(&up, "second"))?;
    std::fs::write(&config, format!("{text}      - {{nmae: third}}\n"))?;
    up.peer.signal("HUP")?;
    up.wait("being told of the broken file", SOON, || {
        let metrics = up.get("/metrics")?.body;
        Ok(metrics.contains("whyslow_self_config_last_reload_successful 0").then_some(()))
    })?;
    ensure!(up.get("/")?.body.contains("The configuration was not replaced"), "no banner");
    let before = runs(&up, "second")?.unwrap_or_default();
    up.wait("the old ones running on", SOON, || Ok(runs(&up, "second")?.filter(|n| *n > before)))?;
    std::fs::write(&config, &text)?;

    for signal in ["TERM", "KILL"] {
        let before = runs(&up, "first")?.unwrap_or_default();
        up.peer.signal(signal)?;
        let code = up.peer.ended(Duration::from_secs(20))?;
        ensure!(signal == "KILL" || code == Some(0), "{signal}: {code:?} {}", up.peer.output());
        up = start()?;
        let after = runs(&up, "first")?.unwrap_or_default();
        ensure!(after >= before, "after SIG{signal} {after} of {before} runs are left");
    }
    Ok(())
}
