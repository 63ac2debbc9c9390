//! A machine that stands still, or lets whyslow run in snatches only: what was missed is admitted,
//! nothing is made up for in a burst, and the target is not blamed.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Valid};
use crate::scenario::{Need, Scenario};
use crate::server::{NGINX, Nginx};
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "stall",
    proves: "a stopped prober admits what it missed, and one run in snatches blames nobody",
    needs: &[Need::Program(NGINX), Need::Program("/usr/bin/curl")],
    run,
};

const SOON: Duration = Duration::from_secs(30);
/// Checks of one run a second each.
const CHECKS: usize = 20;
const STOPPED: Duration = Duration::from_secs(6);
/// The starved prober sleeps and runs for this long in turn.
const SNATCHES: u32 = 20;
const ASLEEP: Duration = Duration::from_millis(400);
const AWAKE: Duration = Duration::from_millis(100);

fn run(world: &World) -> Result<()> {
    let authority = Authority::new(world, "ca")?;
    let leaf = authority.sign("shop", "IP:127.0.0.1", Valid::Days(90))?;
    let nginx = Nginx::start(world, &leaf, "")?;
    let checks: String = (0..CHECKS)
        .map(|n| {
            format!(
                "      - {{name: c{n}, kind: http, every: 1s, warn: 250ms, timeout: 5s, \
                 target: \"https://{}/page\", ca_file: {}}}\n",
                nginx.tls,
                authority.pem()
            )
        })
        .collect();
    let up = Up::start(world, &format!("  shop:\n    checks:\n{checks}"))?;
    let runs = || up.value("sum(count_over_time(probe_success[1h]))");
    let enough = CHECKS as f64 * 3.0;
    up.wait("first runs", SOON, || Ok(runs()?.filter(|n| *n >= enough)))?;

    let before = runs()?.unwrap_or_default();
    up.peer.signal("STOP")?;
    std::thread::sleep(STOPPED);
    up.peer.signal("CONT")?;
    let is_blind = |o: &Value| o["words"]["outcome"] == "blind";
    let blind = up.wait("the blind stretch", SOON, || observed(&up, "&outcome=blind", is_blind))?;
    let missed = blind["gaps"][0]["lost"].as_u64().unwrap_or_default();
    ensure!((60..=140).contains(&missed), "{CHECKS} checks missed {missed} runs: {blind:#}");
    // In the second after waking up no more runs start than in any other.
    let after = runs()?.unwrap_or_default();
    ensure!(after - before <= enough, "{before} runs before, {after} after");

    for _ in 0..SNATCHES {
        up.peer.signal("STOP")?;
        std::thread::sleep(ASLEEP);
        up.peer.signal("CONT")?;
        std::thread::sleep(AWAKE);
    }
    // Whether one of these short runs was itself cut in two is chance; `starved` demands that.
    let then = runs()?.unwrap_or_default();
    up.wait("runs after the snatches", SOON, || Ok(runs()?.filter(|n| *n >= then + enough)))?;
    let slow = up.value("sum(sum_over_time(whyslow_check_slow[1h]))")?;
    ensure!(slow == Some(0.0), "{slow:?} slow");
    // A run that was under way when everything stopped has run out of time since: it failed, and
    // says that the target did not do it.
    let is_blamed = |o: &Value| o["words"]["segment_hint"] != "vantage";
    let blamed = observed(&up, "&outcome=failed", is_blamed)?;
    ensure!(blamed.is_none(), "the target is blamed: {blamed:#?}");
    Ok(())
}

/// The newest observation, of those the query selects, that is `wanted`.
fn observed(up: &Up, query: &str, wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
    let page = up.json(&format!("/api/v1/observations?plane=probe{query}"))?;
    let all = page["data"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().find(wanted))
}
