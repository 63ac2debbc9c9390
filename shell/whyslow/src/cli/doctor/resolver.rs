//! The name servers this machine asks.

use std::net::IpAddr;
use std::sync::Arc;

use whyslow_dial::Dial;
use whyslow_model::Duration;
use whyslow_probe::run::{Outcome, Run};
use whyslow_probe::spec::{CheckSpec, parse_target};

use super::Finding;
use crate::config::Config;
use crate::prober::sockets::Sockets;
use crate::prober::{Pinger, carry};

const NAME: &str = "resolver";
/// How long one name server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many are asked; the C library asks no more (resolv.conf(5)).
const SERVERS_MAX: usize = 3;

pub(super) fn look(_: &Config) -> Vec<Finding> {
    let file = "/etc/resolv.conf";
    let servers = match std::fs::read_to_string(file) {
        Ok(text) => servers_in(&text),
        Err(error) => {
            return vec![
                Finding::limited(NAME, format!("cannot read {file}: {error}"))
                    .mend(format!("echo 'nameserver ADDRESS' | sudo tee {file}")),
            ];
        }
    };
    if servers.is_empty() {
        let what = format!("{file} names no server, so the one on this machine is asked");
        let mend = format!("echo 'nameserver ADDRESS' | sudo tee -a {file}");
        return vec![Finding::limited(NAME, what).mend(mend)];
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return vec![Finding::limited(NAME, "could not be asked").mend("ulimit -n 1024")];
    };
    servers.into_iter().filter_map(|server| runtime.block_on(ask(server))).collect()
}

/// Asks for the root's name servers, which every resolver knows.
async fn ask(server: IpAddr) -> Option<Finding> {
    let target = parse_target(&format!("dns:.@{}", bracketed(server))).ok()?;
    let mut spec = CheckSpec::of(NAME, &target);
    spec.record = Some("NS".to_owned());
    spec.timeout = TIMEOUT;
    let pinger = Pinger::start(Sockets::without("no echo is sent"));
    let no_ping = |ask| pinger.round(ask);
    let run = carry::run_once(Arc::new(spec), "doctor", &Dial::new(), no_ping).await;
    Some(judged(server, &run))
}

fn judged(server: IpAddr, run: &Run) -> Finding {
    // Any answer shows that the server is there; some know nothing of the root.
    let answered = run.dns.as_ref().is_some_and(|d| d.rcode.is_some());
    if answered || run.outcome != Outcome::Failed {
        return Finding::works(NAME, format!("{server} answers in {:.1} ms", run.total_ms));
    }
    let why = run.failure.as_ref().map_or("no answer", |f| f.message.as_str());
    Finding::limited(NAME, format!("{server} does not help: {why}"))
        .mend(format!("whyslow check dns:example.com@{} -v", bracketed(server)))
}

fn bracketed(server: IpAddr) -> String {
    match server {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]:53"),
    }
}

fn servers_in(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers = lines.filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
    servers.take(SERVERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_c_library_reads_them() {
        let text = "# x\nsearch lan\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 # y\nnameserver what\n";
        let servers = servers_in(text);
        let shown: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.53", "2001:db8::53"]);
    }
}
