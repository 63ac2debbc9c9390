//! A store killed again and again keeps all it acknowledged; `cargo xtask proof` kills it more often.

use anyhow::{Result, ensure};

use crate::scenario::Scenario;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "kills",
    proves: "nothing acknowledged is lost by kill -9 at any moment",
    needs: &[],
    run,
};

const KILLS: &str = "12";

fn run(world: &World) -> Result<()> {
    let status = world.sibling("kill9")?.arg(KILLS).status()?;
    ensure!(status.success(), "kill9 {KILLS} ended with {status}");
    Ok(())
}
