//! The right to record packets, and what stands in the way of the interfaces that are configured.

use whyslow_sys::privilege::{self, Capability};
use whyslow_sys::ring::interface;
use whyslow_sys::ring::{Interface, Link};

use super::Finding;
use crate::config::{Config, Size, WireTap};

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut found = vec![right(!config.wire.is_empty())];
    found.extend(config.wire.iter().filter_map(tap));
    found.extend(memory(config));
    found
}

fn right(wanted: bool) -> Finding {
    let name = "packets";
    let told = privilege::probe();
    if told.is_ok_and(|told| told.capabilities.has(Capability::NetRaw)) {
        return Finding::works(name, "interfaces can be recorded (CAP_NET_RAW)");
    }
    let what = "no CAP_NET_RAW: nothing can be recorded; capture files can be read all the same";
    let finding = if wanted { Finding::broken(name, what) } else { Finding::limited(name, what) };
    let program = std::env::current_exe().map(|p| p.display().to_string());
    let program = program.unwrap_or_else(|_| "$(command -v whyslow)".to_owned());
    finding
        .mend(format!("sudo setcap cap_net_raw+ep '{program}'"))
        .mend("docker run --cap-add NET_RAW --network host …")
}

fn tap(of: &WireTap) -> Option<Finding> {
    let name = "recorded interface";
    let wanted = &of.interface;
    match Interface::named(wanted) {
        Err(error) => Some(Finding::limited(name, error.to_string()).mend("ip link")),
        Ok(None) => {
            let what = format!("there is no {wanted}; it is waited for");
            let there = interface::names().join(", ");
            Some(Finding::limited(name, what).mend(format!("name one of {there}")))
        }
        Ok(Some(Interface { up: false, .. })) => {
            let what = format!("{wanted} is down; it is waited for");
            Some(Finding::limited(name, what).mend(format!("sudo ip link set {wanted} up")))
        }
        Ok(Some(Interface { link: Link::Unknown(kind), .. })) => {
            let what = format!("frames of {wanted} are not read (hardware type {kind})");
            Some(Finding::broken(name, what).mend("name the interface that carries its IP packets"))
        }
        Ok(Some(_)) => None,
    }
}

/// Rings are memory that cannot be swapped out.
fn memory(config: &Config) -> Option<Finding> {
    let wanted: u64 = config.wire.iter().map(|tap| tap.ring.0).sum();
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let free = kib << 10;
    (wanted > free / 2).then(|| {
        let (wanted, free) = (Size(wanted >> 20 << 20), Size(free >> 20 << 20));
        let what = format!("{wanted} of the kernel's memory, of {free} that are free");
        Finding::limited("rings", what).mend("set smaller rings: `ring: 64MiB` under `wire`")
    })
}
