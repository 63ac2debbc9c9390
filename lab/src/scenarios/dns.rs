//! A dns check reads what a real resolver answers.

use anyhow::{Context, Result, ensure};

use crate::peer::{free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::server::{UNBOUND, Unbound};
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "dns",
    proves: "answers, NXDOMAIN, SERVFAIL, REFUSED and silence of a real unbound are told apart",
    needs: &[Need::Program(UNBOUND)],
    run,
};

const ZONES: &str = r#"
 local-zone: "shop.lab." static
 local-data: "www.shop.lab. 60 IN A 192.0.2.10"
 local-data: "www.shop.lab. 60 IN A 192.0.2.11"
 local-zone: "refused.lab." refuse
 local-zone: "." refuse
 local-zone: "silent.lab." deny
"#;

fn run(world: &World) -> Result<()> {
    let unbound = Unbound::start(world, ZONES)?;
    let at = |name: &str| format!("dns:{name}@{}", unbound.address);

    let seen = world.check(&[&at("www.shop.lab")])?;
    seen.is("ok", "", 0)?.adds_up()?;
    let dns = &seen.run["dns"];
    ensure!(dns["rcode"] == "NOERROR", "{dns:#}");
    let answers = dns["answers"].as_array().context("no answers")?;
    for address in ["192.0.2.10", "192.0.2.11"] {
        let found = answers.iter().any(|a| a.as_str().is_some_and(|a| a.contains(address)));
        ensure!(found, "{address} is not among {answers:?}");
    }

    let seen = world.check(&[&at("nobody.shop.lab")])?;
    ensure!(seen.outcome() == "failed" && seen.exit == 2, "{:#}", seen.run);
    ensure!(seen.run["dns"]["rcode"] == "NXDOMAIN", "{:#}", seen.run);
    let seen = world.check(&[&at("www.refused.lab")])?;
    ensure!(seen.run["dns"]["rcode"] == "REFUSED" && seen.exit == 2, "{:#}", seen.run);

    let seen = world.check(&[&at("www.silent.lab"), "--timeout", "700ms"])?;
    ensure!(seen.outcome() == "failed" && seen.code().ends_with("timeout"), "{:#}", seen.run);

    let nobody = loopback(free_port()?);
    let seen = world.check(&[&format!("dns:www.shop.lab@{nobody}"), "--timeout", "700ms"])?;
    ensure!(seen.outcome() == "failed", "nobody listens: {:#}", seen.run);

    let missing =
        world.check(&["http://nobody.shop.lab/", "--resolver", &unbound.address.to_string()])?;
    missing.is("failed", "resolve_nxdomain", 2)?.adds_up()?;
    Ok(())
}
