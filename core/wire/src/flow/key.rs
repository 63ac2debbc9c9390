//! What a packet's connection is looked up by, whichever way the packet goes.

use std::net::{IpAddr, SocketAddr};

use crate::segment::Segment;

/// Two ends and a tap. The end that compares less comes first, so that both directions agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    low: u128,
    high: u128,
    ports: u32,
    interface: u32,
}

impl Pair {
    pub(crate) fn of(segment: &Segment<'_>) -> Self {
        let (a, b) = (end(segment.from), end(segment.to));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let ports = u32::from(low.1) << 16 | u32::from(high.1);
        Self { low: low.0, high: high.0, ports, interface: segment.interface }
    }
}

fn end(address: SocketAddr) -> (u128, u16) {
    let ip = match address.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) | 0xffff << 32,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    (ip, address.port())
}
