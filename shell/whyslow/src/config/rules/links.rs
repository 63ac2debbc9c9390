//! Links to other systems: that each leads somewhere, and none to whyslow itself.

use whyslow_model::limits::REMOTE_WRITES_MAX;

use super::super::types::Config;
use super::super::world::World;
use super::Findings;

/// More than this would not be room for an outage but all of it.
const QUEUE_MIB_MAX: u32 = 64 << 10;

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    if let Some(graphite) = &config.graphite {
        let listens = graphite.listen.filter(|a| !a.ip().is_loopback());
        if listens.is_some() && graphite.from.is_empty() {
            let what = "lines are taken beyond loopback, but nobody may send any".to_owned();
            findings.add(&["graphite".into(), "listen".into()], what).hint =
                Some("name the senders' networks in `from`".to_owned());
        }
        if graphite.listen == Some(config.listen) && config.listen.port() != 0 {
            let what = format!("{} is the listener of the pages", config.listen);
            findings.add(&["graphite".into(), "listen".into()], what);
        }
    }
    if config.remote_write.len() > REMOTE_WRITES_MAX {
        let n = config.remote_write.len();
        let what = format!("{n} receivers; at most {REMOTE_WRITES_MAX} are served");
        findings.add(&["remote_write".into()], what);
    }
    for (index, remote) in config.remote_write.iter().enumerate() {
        let before = &config.remote_write[..index];
        if before.iter().any(|other| other.url == remote.url) {
            let at = ["remote_write".into(), index.into(), "url".into()];
            findings.add(&at, format!("{} is written to already", remote.url.shown())).hint =
                Some("write all its selectors under one `select`".to_owned());
        }
        let to = remote.url.0.socket_addrs(|| None).unwrap_or_default();
        if config.listen.port() != 0 && to.contains(&config.listen) {
            let at = ["remote_write".into(), index.into(), "url".into()];
            findings.add(&at, "this is whyslow itself".to_owned());
        }
        let at = ["remote_write".into(), index.into(), "queue_mib".into()];
        queue(remote.queue_mib, &at, findings);
    }
}

fn queue(mib: Option<u32>, at: &[super::super::node::Step<'_>], findings: &mut Findings<'_, '_>) {
    if mib.is_some_and(|mib| mib == 0 || mib > QUEUE_MIB_MAX) {
        findings.add(at, format!("between 1 and {QUEUE_MIB_MAX} MiB may wait"));
    }
}
