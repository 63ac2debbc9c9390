//! The demo's configuration, written as an operator would write it for a shop of their own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use whyslow_edge::detect::Options;
use whyslow_model::notice::Patience;

use super::log::FORMAT;
use super::networks::Network;
use super::shop::{BACKENDS, NAME, Shop};
use crate::wire::store;

/// The vantage that sees every path.
pub const INSIDE: &str = "demo-inside";
/// Its AS number, set aside for documentation like those of the networks.
pub const INSIDE_ASN: u32 = 64_500;

/// The stream socket, beside the configuration, at which the balancer's lines are read.
pub const LOG_SOCKET: &str = "lb.sock";

/// How the balancer's windows are judged: the script's faults last half a minute, so each window
/// of ten seconds is judged by itself, and two of three are enough. Real faults last longer.
pub fn judging() -> Options {
    Options {
        window_s: 10,
        delay_s: 3,
        patience: Patience { open_after: 2, of_last: 3, close_after: 3 },
        ..Options::default()
    }
}

/// How the windows of the replayed packets are judged, for the same reason.
pub fn judging_of_wire() -> store::Options {
    let patience = judging().patience;
    store::Options {
        window: Duration::from_secs(10),
        judging: whyslow_wire::detect::Options { patience, ..Default::default() },
        ..store::Options::default()
    }
}

/// The configuration of the vantage that runs every check on every path and serves the pages.
pub fn inside(
    shop: &Shop,
    data: &Path,
    listen: SocketAddr,
    ca_file: &Path,
    log_socket: &Path,
) -> String {
    let port = shop.balancer.port();
    let mut yaml = format!(
        "# Everything here is a demo: a sample shop on loopback, with faults on purpose.\n\
         vantage: {{name: {INSIDE}, country: GB, asn: {INSIDE_ASN}, tags: [demo, inside]}}\n\
         data: {}\n\
         listen: {listen}\n\
         services:\n  shop:\n    owner: demo\n    servers:\n",
        quoted(data),
    );
    for (name, at) in BACKENDS.iter().zip(shop.backends) {
        let _ = writeln!(
            yaml,
            "      {name}: {{backend: app, host: {name}.{NAME}, addresses: [\"{at}\"], \
             edge_names: [app/{name}]}}"
        );
    }
    let ca = quoted(ca_file);
    let _ = write!(
        yaml,
        "    paths:\n      \
         lb: {{resolver: \"{}\", ca_file: {ca}}}\n      \
         other-resolver: {{resolver: \"{}\", ca_file: {ca}}}\n",
        shop.resolver, shop.other_resolver,
    );
    for (name, at) in BACKENDS.iter().zip(shop.backends) {
        let _ =
            writeln!(yaml, "      {name}: {{connect_to: \"{at}\", server: {name}, ca_file: {ca}}}");
    }
    let _ = write!(
        yaml,
        "    checks:\n      \
         - {{name: home, kind: http, target: \"https://{NAME}:{port}/\", every: 1s, warn: 400ms, \
         timeout: 3s}}\n      \
         - {{name: search, kind: http, target: \"https://{NAME}:{port}/search?q=lamp\", \
         paths: [lb], every: 2s, warn: 500ms, timeout: 3s}}\n      \
         - {{name: certificate, kind: tls, target: \"{NAME}:{port}\", paths: [lb, web1, web2], \
         every: 2s, timeout: 3s}}\n      \
         - {{name: port, kind: tcp, target: \"{NAME}:{port}\", paths: [lb, web1, web2], \
         every: 2s, timeout: 3s}}\n      \
         - {{name: name, kind: dns, target: {NAME}, paths: [lb, other-resolver], every: 2s, \
         warn: 300ms, timeout: 3s}}\n"
    );
    let _ = write!(
        yaml,
        "# The demo's balancer writes a line for each request it really served.\n\
         edge:\n  - name: demo-lb\n    input: {}\n    format: '{FORMAT}'\n    time_zone: UTC\n    \
         service: shop\n    routes: [\"/\", \"/search\", \"/basket\", \"/item/*\"]\n    slow: 400ms\n",
        serde_json::Value::from(format!("unix-stream:{}", log_socket.display())),
    );
    yaml
}

/// The configuration of a vantage inside one simulated client network: the front door only.
pub fn client(shop: &Shop, network: &Network, data: &Path, ca_file: &Path) -> String {
    let port = shop.balancer.port();
    format!(
        "vantage: {{name: {}, country: {}, asn: {}, tags: [demo, outside]}}\n\
         data: {}\n\
         services:\n  shop:\n    owner: demo\n    paths:\n      \
         lb: {{resolver: \"{}\", ca_file: {}, source: {}}}\n    checks:\n      \
         - {{name: home, kind: http, target: \"https://{NAME}:{port}/\", every: 2s, warn: 400ms, \
         timeout: 3s}}\n",
        network.vantage,
        network.country,
        network.asn,
        quoted(data),
        shop.other_resolver,
        quoted(ca_file),
        network.source(),
    )
}

/// A path as a YAML scalar: JSON's strings are YAML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::config::problem::Source;
    use crate::config::world::World;
    use crate::config::{Config, read};
    use crate::demo::log::Log;
    use crate::demo::networks::NETWORKS;
    use crate::demo::script::Conditions;

    fn read_back(text: String) -> Config {
        let source = Source { name: "demo.yaml".to_owned(), text };
        read::read(vec![source], &World::nowhere()).unwrap_or_else(|p| panic!("{p}"))
    }

    #[tokio::test]
    async fn what_the_demo_writes_is_a_configuration_without_mistakes() {
        let (_script, conditions) = watch::channel(Conditions::default());
        let shop = Shop::open(&conditions, Log::nowhere()).await.unwrap();
        let (data, ca) = (Path::new("/tmp/a \"b\""), Path::new("/tmp/ca.pem"));
        let listen = SocketAddr::from(([127, 0, 0, 1], 7070));
        let config = read_back(inside(&shop, data, listen, ca, Path::new("/tmp/a b/lb.sock")));
        let ids: Vec<String> = config.planned_checks().iter().map(|p| p.id.to_string()).collect();
        assert_eq!(ids.len(), 13, "{ids:?}");
        assert_eq!(config.edge[0].input.to_string(), "unix-stream:/tmp/a b/lb.sock");
        for id in ["shop:home:lb", "shop:home:other-resolver", "shop:port:web1", "shop:name:lb"] {
            assert!(ids.iter().any(|i| i == id), "{id} is not among {ids:?}");
        }
        for network in &NETWORKS {
            let config = read_back(client(&shop, network, data, ca));
            assert_eq!(config.vantage.asn, Some(network.asn));
            assert_eq!(config.planned_checks().len(), 1);
        }
    }
}
