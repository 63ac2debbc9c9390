//! The right to send pings.

use whyslow_sys::privilege::{self, Capability};

use super::Finding;
use crate::config::Config;

const NAME: &str = "ping";

pub(super) fn look(_: &Config) -> Vec<Finding> {
    let program = std::env::current_exe().map(|p| p.display().to_string());
    let program = program.unwrap_or_else(|_| "$(command -v whyslow)".to_owned());
    let told = match privilege::probe() {
        Ok(told) => told,
        Err(error) => {
            return vec![
                Finding::broken(NAME, error.to_string())
                    .mend("run whyslow where the kernel says what a process may do"),
            ];
        }
    };
    if told.capabilities.has(Capability::NetRaw) {
        return vec![Finding::works(NAME, "raw sockets with kernel stamps (CAP_NET_RAW)")];
    }
    let setcap = format!("sudo setcap cap_net_raw+ep '{program}'");
    if told.datagram_ping {
        let what = "datagram sockets only (ping_group_range); raw ones see more of what goes wrong";
        return vec![Finding::limited(NAME, what).mend(setcap)];
    }
    let gid = told.gid;
    vec![
        Finding::broken(
            NAME,
            "neither CAP_NET_RAW nor ping_group_range; other checks are not hurt",
        )
        .mend(setcap)
        .mend(format!("sudo sysctl -w net.ipv4.ping_group_range='{gid} {gid}'")),
    ]
}
