//! Debian's Prometheus and whyslow answer a list of queries alike, on the same data.

use anyhow::{Result, ensure};

use crate::scenario::{Need, Scenario};
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "promql",
    proves: "PromQL answers equal a real Prometheus' to 1e-9, in process and through the API",
    needs: &[Need::Program("/usr/bin/prometheus")],
    run,
};

fn run(world: &World) -> Result<()> {
    for arguments in [&["small"][..], &["small", "up"]] {
        let said = must(world.sibling("promql_peer")?.args(arguments))?;
        let last = said.lines().last().unwrap_or_default();
        ensure!(last.contains("equal to 1e-9"), "{said}");
        println!("{last}");
    }
    Ok(())
}
