//! A real HAProxy in front of a real nginx: both protocols, redirects on one connection, errors.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Leaf, Valid};
use crate::peer::{Peer, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::server::{HAPROXY, NGINX, Nginx, haproxy};
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "balancer",
    proves: "HAProxy and nginx: paths, HTTP/1.1 and 2, redirects on one connection, 503, resets",
    needs: &[Need::Program(NGINX), Need::Program(HAPROXY), Need::Program("/usr/bin/openssl")],
    run,
};

const LOCATIONS: &str = "location = /old { return 302 /page; }\n\
                         location = /loop { return 302 /loop; }\n\
                         location = /cut { return 444; }\n\
                         location = /gone { return 410; }";

fn run(world: &World) -> Result<()> {
    let authority = Authority::new(world, "ca")?;
    let leaf = authority.sign("web", "DNS:shop.lab", Valid::Days(60))?;
    let nginx = Nginx::start(world, &leaf, LOCATIONS)?;
    let front = loopback(free_port()?);
    let balancer = start(world, &leaf, front, &nginx)?;
    let ca = authority.pem();
    let ask = |path: &str, to: &str| {
        let url = format!("https://shop.lab:{}{path}", front.port());
        world.check(&[&url, "--cacert", &ca, "--connect-to", to, "--timeout", "3s"])
    };
    let (by_balancer, straight) = (front.to_string(), nginx.tls.to_string());

    // The same check on two paths: through the balancer and past it.
    for to in [&by_balancer, &straight] {
        let seen = ask("/page", to)?;
        seen.is("ok", "", 0)?.adds_up()?;
        let exchange = &seen.run["exchanges"][0];
        ensure!(exchange["http_version"] == "HTTP/2", "{exchange:#}");
        ensure!(exchange["remote"] == **to, "{exchange:#}");
        ensure!(seen.phase("resolve").is_none(), "an address was given: {:#}", seen.run);
    }
    redirects(&ask("/old", &by_balancer)?.run)?;
    ask("/loop", &by_balancer)?.is("failed", "redirect_loop", 2)?;
    ask("/gone", &by_balancer)?.is("failed", "http_status", 2)?.adds_up()?;
    let cut = ask("/cut", &straight)?;
    ensure!(cut.outcome() == "failed" && cut.phase("receive").is_none(), "{:#}", cut.run);

    drop(nginx);
    let down = ask("/page", &by_balancer)?;
    down.is("failed", "http_status", 2)?;
    ensure!(down.run["exchanges"][0]["status"] == 503, "{:#}", down.run);
    drop(balancer);
    ask("/page", &by_balancer)?.is("failed", "connect_refused", 2)?.adds_up()?;
    Ok(())
}

/// One exchange per hop, the second on the first one's connection: it has no connect of its own.
fn redirects(run: &Value) -> Result<()> {
    let exchanges = run["exchanges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [first, second] = exchanges else { anyhow::bail!("expected 2 exchanges: {run:#}") };
    ensure!(first["status"] == 302 && second["status"] == 200, "{run:#}");
    ensure!(second["reused_connection"] == true, "{second:#}");
    ensure!(second["phases_ms"]["connect"].is_null(), "{second:#}");
    Ok(())
}

fn start(world: &World, leaf: &Leaf, at: std::net::SocketAddr, nginx: &Nginx) -> Result<Peer> {
    let both = std::fs::read_to_string(&leaf.certificate)? + &std::fs::read_to_string(&leaf.key)?;
    let pem = world.write("both.pem", &both)?;
    let config = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n \
         retries 0\nfrontend f\n bind {at} ssl crt {pem} alpn h2,http/1.1\n default_backend app\n\
         backend app\n server web1 {}\n",
        nginx.plain
    );
    haproxy(world, &config, at)
}
