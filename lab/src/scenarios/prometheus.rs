//! promtool, a Prometheus server and a Grafana find in whyslow what they expect.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::certificates::{Authority, Valid};
use crate::peer::{Peer, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::server::{NGINX, Nginx};
use crate::up::{Up, curl};
use crate::world::{World, must, words};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "prometheus",
    proves: "promtool queries, Grafana's requests and a Prometheus' remote write are answered",
    needs: &[
        Need::Program("/usr/bin/promtool"),
        Need::Program("/usr/bin/prometheus"),
        Need::Program(NGINX),
        Need::Program("/usr/bin/curl"),
    ],
    run,
};

const SOON: Duration = Duration::from_secs(30);

fn run(world: &World) -> Result<()> {
    let leaf = Authority::new(world, "ca")?.sign("web", "DNS:shop.lab", Valid::Days(60))?;
    let nginx = Nginx::start(world, &leaf, "")?;
    let up = Up::start(
        world,
        &format!(
            "  shop:\n    checks:\n      - {{name: home, kind: http, every: 1s, \
             target: \"http://{}/page\"}}\n",
            nginx.plain
        ),
    )?;
    up.wait("probe_success", SOON, || up.value("probe_success == 1"))?;
    promtool(world, &up)?;
    grafana(&up)?;
    remote_write(world, &up)
}

fn promtool(world: &World, up: &Up) -> Result<()> {
    let server = up.url("");
    let ask = |line: &str| must(words(&format!("promtool query {line}")).arg("probe_success"));
    for line in [
        format!("instant {server}"),
        format!("range --start=1700000000 --end=1700000600 --step=60s {server}"),
    ] {
        ask(&line)?;
    }
    let instant = ask(&format!("instant {server}"))?;
    ensure!(instant.contains("service=\"shop\"") && instant.contains("=> 1"), "{instant}");
    let series =
        must(&mut words(&format!("promtool query series --match=probe_success {server}")))?;
    ensure!(series.contains("check=\"home\""), "{series}");
    let labels = must(&mut words(&format!("promtool query labels {server} vantage")))?;
    ensure!(labels.trim() == "lab", "{labels}");

    let metrics = world.write("metrics", &up.get("/metrics")?.body)?;
    let line = format!("promtool check metrics < {metrics}");
    must(std::process::Command::new("sh").args(["-c", &line]))?;
    Ok(())
}

/// The requests Grafana's Prometheus data source makes: health, variables, explore, a panel.
fn grafana(up: &Up) -> Result<()> {
    let build = up.json("/api/v1/status/buildinfo")?;
    ensure!(build["status"] == "success" && build["data"]["version"].is_string(), "{build:#}");
    for path in [
        "/api/v1/labels",
        "/api/v1/label/__name__/values",
        "/api/v1/metadata",
        "/api/v1/series?match[]=probe_success",
    ] {
        let answer = curl(&["-g", &up.url(path)])?;
        ensure!(answer.status == 200 && answer.body.contains("success"), "{path}: {answer:?}");
    }
    let health = curl(&["-d", "query=1%2B1&time=1700000000", &up.url("/api/v1/query")])?;
    ensure!(health.status == 200 && health.body.contains("\"2\""), "{health:?}");
    let panel = "query=rate(probe_success[1m])&start=1700000000&end=1700003600&step=15";
    let panel = curl(&["-d", panel, &up.url("/api/v1/query_range")])?;
    ensure!(panel.status == 200 && panel.body.contains("matrix"), "{panel:?}");
    let wrong = up.get("/api/v1/query?query=sum(")?;
    ensure!(wrong.status == 400 && wrong.body.contains("bad_data"), "{wrong:?}");
    Ok(())
}

/// A real Prometheus scrapes whyslow and writes what it scraped back into it.
fn remote_write(world: &World, up: &Up) -> Result<()> {
    let listens = loopback(free_port()?);
    let config = world.write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: self\n    \
             static_configs: [{{targets: [\"{}\"]}}]\nremote_write:\n  - url: {}\n    \
             queue_config: {{batch_send_deadline: 1s}}\n",
            up.address,
            up.url("/api/v1/write")
        ),
    )?;
    let mut command = words(&format!(
        "prometheus --config.file={config} --storage.tsdb.path={} --web.listen-address={listens}",
        world.path("prometheus")
    ));
    let peer = Peer::start("prometheus", world.dir(), &mut command)?.until_listening(listens)?;
    up.wait("a scraped series, written back", SOON, || up.value("up{job=\"self\"} == 1"))
        .with_context(|| format!("prometheus says:\n{}", peer.output()))?;
    Ok(())
}
