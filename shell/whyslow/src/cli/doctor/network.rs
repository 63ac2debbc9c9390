//! Ways out, by address family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::Finding;
use crate::config::Config;

/// Addresses for documentation (RFC 5737, RFC 3849): nobody is there, and nothing is sent.
const FAMILIES: [(&str, IpAddr, IpAddr); 2] = [
    ("ipv4", IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    (
        "ipv6",
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ),
];

pub(super) fn look(_: &Config) -> Vec<Finding> {
    FAMILIES.iter().map(|(name, any, far)| family(name, *any, *far)).collect()
}

/// Asks the kernel for a route by connecting a UDP socket, which sends no packet.
fn family(name: &'static str, any: IpAddr, far: IpAddr) -> Finding {
    let local = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(far, 9))?;
        socket.local_addr()
    });
    match local {
        Ok(local) => Finding::works(name, format!("leaves from {}", local.ip())),
        Err(error) => {
            let what = format!("no way out ({error}); checks of such addresses will fail");
            let flag = if any.is_ipv4() { "-4" } else { "-6" };
            Finding::limited(name, what).mend(format!("ip {flag} route show default"))
        }
    }
}
