//! Graphite and remote write beside the real ones: graphite-web over the same data answers the
//! same, carbon misses no line over an outage, and a Prometheus holds what whyslow holds.

mod grafana;
pub(super) mod read;
pub(super) mod sent;

use anyhow::Result;

use crate::scenario::{Need, Scenario};
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-graphite",
    proves: "graphite-web, carbon and Prometheus agree with whyslow's Graphite API and outputs",
    needs: &[
        Need::Program("/usr/bin/carbon-cache"),
        Need::Program("/usr/bin/graphite-manage"),
        Need::Program("/usr/bin/prometheus"),
        Need::Program("/usr/bin/curl"),
    ],
    run,
};

fn run(world: &World) -> Result<()> {
    read::agrees_with_graphite_web(world)?;
    sent::reaches_carbon_and_prometheus(world)
}
