//! What to type next when a run failed.

use whyslow_probe::run::Run;
use whyslow_probe::spec::{Target, parse_target};

use super::Asked;

/// One command or place to look that would tell more; `None` where the advice says it all.
pub fn step(run: &Run, asked: &Asked) -> Option<String> {
    let code = run.failure.as_ref()?.code.as_str();
    let target = parse_target(&run.target).ok();
    let host = asked.connect_to.as_deref().map(host_of).or_else(|| target.as_ref().map(named))?;
    let port = target.as_ref().and_then(port_of);
    Some(match code {
        "connect_timeout" | "connect_unreachable" => {
            format!("whyslow check ping:{host} tells a dead host from a port that drops")
        }
        "connect_refused" => {
            let port = port.map(|p| format!(" for port {p}")).unwrap_or_default();
            format!("ss -ltn on {host} shows whether anything listens{port}")
        }
        "resolve_nxdomain" | "resolve_no_address" | "resolve_servfail" | "resolve_timeout" => {
            let name = target.as_ref().map(named)?;
            format!("whyslow check dns:{name}@SERVER asks one name server by itself")
        }
        "ping_unanswered" => {
            format!("whyslow check tcp:{host}:443 tells whether only ICMP is dropped")
        }
        "ping_not_permitted" => "whyslow doctor prints the line that grants it".to_owned(),
        "http_status" | "wait_timeout" | "reset" | "closed"
            if asked.connect_to.is_none() && from_a_proxy(run) =>
        {
            format!(
                "whyslow check {} --connect-to ADDRESS goes past the CDN or the balancer",
                run.target
            )
        }
        code if code.starts_with("tls_") && run.kind == "http" => {
            let port = port.unwrap_or(443);
            format!("whyslow check tls:{host}:{port} --insecure -v shows the whole chain")
        }
        _ => return None,
    })
}

/// Whether a proxy may have answered for the server: a gateway's status, or none at all.
fn from_a_proxy(run: &Run) -> bool {
    let status = run.exchanges.last().and_then(|e| e.status);
    status.is_none_or(|s| matches!(s, 502..=504 | 520..=530))
}

fn host_of(address: &str) -> String {
    let parsed: Option<whyslow_probe::spec::HostPort> = address.parse().ok();
    parsed.map_or_else(|| address.to_owned(), |at| at.host)
}

fn named(target: &Target) -> String {
    match target {
        Target::Http(url) => url.host_str().unwrap_or_default().to_owned(),
        Target::Tls { host, .. } | Target::Tcp { host, .. } | Target::Ping { host } => host.clone(),
        Target::Dns { name, .. } => name.clone(),
    }
}

fn port_of(target: &Target) -> Option<u16> {
    match target {
        Target::Http(url) => url.port_or_known_default(),
        Target::Tls { port, .. } | Target::Tcp { port, .. } => Some(*port),
        Target::Dns { .. } | Target::Ping { .. } => None,
    }
}
