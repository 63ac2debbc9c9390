//! The recorder's filter, as a classic BPF program that the kernel runs on every frame.
//!
//! The program's answer is how many bytes of the frame are kept, 0 for none. X holds where the IP
//! header begins, later where the TCP header does, so that tagged and plain frames share the tests.
//!
//! ```text
//! EtherType, tags ─ X ─┬─ IPv4: hosts, protocol, fragment ─┬─ ports ─ bytes kept
//!                      └─ IPv6: hosts, next header ────────┘
//! ```

mod program;

use ipnet::IpNet;
use whyslow_model::limits::{WIRE_FILTER_INSTRUCTIONS_MAX, WIRE_PACKET_BYTES_MAX};

pub use program::Instruction;
use program::{Label, Program};

/// What frames begin with on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Ethernet, with up to two VLAN tags that the card left in the frame.
    Ethernet,
    /// The IP header at once, as on tunnels.
    Raw,
}

/// A port that is recorded, at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The TCP port.
    pub number: u16,
    /// Bytes kept of each frame; [`WHOLE`] for all.
    pub snap_len: u32,
}

/// What is to be recorded: TCP of these hosts and these ports.
///
/// Fragments, and IPv6 packets with other headers before TCP, are kept whole whatever their ports
/// are, for their ports cannot be told by a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What frames begin with.
    pub framing: Framing,
    /// Either end is in one of these; none stand for any host.
    pub hosts: Vec<IpNet>,
    /// Either end is one of these; none stand for any port.
    pub ports: Vec<Port>,
    /// Bytes kept of each frame when there are no ports.
    pub snap_len: u32,
}

/// The filter has more instructions than the kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter would need {needed} instructions, the kernel takes {WIRE_FILTER_INSTRUCTIONS_MAX}"
)]
pub struct TooLong {
    /// How many it would need.
    pub needed: usize,
}

impl TooLong {
    /// What the operator can do.
    pub const fn hint(self) -> &'static str {
        "name fewer hosts and ports, or prefixes instead of hosts"
    }
}

/// All bytes of a frame: more than any has.
#[expect(clippy::cast_possible_truncation, reason = "262,144, which fits")]
pub const WHOLE: u32 = WIRE_PACKET_BYTES_MAX as u32;

/// Writes the program.
///
/// # Errors
/// [`TooLong`] where hosts and ports are too many for the kernel.
pub fn compile(wanted: &Wanted) -> Result<Vec<Instruction>, TooLong> {
    let mut p = Program::default();
    let [v4, v6, ports] = [p.label(), p.label(), p.label()];
    let (whole, none) = (p.label(), p.label());
    match wanted.framing {
        Framing::Ethernet => ethernet(&mut p, v4, v6),
        Framing::Raw => {
            p.load_x(0);
            p.load_byte(0);
            p.and(0xf0);
            p.if_equal(0x40, v4);
            p.if_equal(0x60, v6);
        }
    }
    p.answer(0);
    p.place(v4);
    hosts_v4(&mut p, &wanted.hosts, none);
    p.load_byte(9);
    p.unless_equal(6, none);
    p.load_half(6);
    p.if_any(0x1fff, whole);
    p.load_byte(0);
    p.and(0x0f);
    p.shift_left(2);
    p.add_x();
    p.move_to_x();
    p.jump(ports);
    p.place(v6);
    hosts_v6(&mut p, &wanted.hosts, none);
    p.load_byte(6);
    // Headers that stand before TCP: hop-by-hop, routing, fragment, authentication, destination.
    for header in [0, 43, 44, 51, 60] {
        p.if_equal(header, whole);
    }
    p.unless_equal(6, none);
    p.load(40);
    p.add_x();
    p.move_to_x();
    p.place(ports);
    ports_of(&mut p, wanted);
    p.place(none);
    p.answer(0);
    p.place(whole);
    p.answer(WHOLE);
    let instructions = p.finish();
    let needed = instructions.len();
    if needed > WIRE_FILTER_INSTRUCTIONS_MAX { Err(TooLong { needed }) } else { Ok(instructions) }
}

/// Finds the IP header behind none, one or two tags; falls through where there is none.
fn ethernet(p: &mut Program, v4: Label, v6: Label) {
    for header_len in [14, 18, 22] {
        let tagged = p.label();
        p.load_x(header_len);
        p.load_half_at(header_len - 2);
        p.if_equal(0x0800, v4);
        p.if_equal(0x86dd, v6);
        p.if_equal(0x8100, tagged);
        p.if_equal(0x88a8, tagged);
        p.answer(0);
        p.place(tagged);
    }
}

/// Goes to `none` unless an end is in one of the networks. X stays.
fn hosts_v4(p: &mut Program, hosts: &[IpNet], none: Label) {
    if hosts.is_empty() {
        return;
    }
    let found = p.label();
    for host in hosts {
        let IpNet::V4(net) = host else { continue };
        for end in [12, 16] {
            p.load_word(end);
            p.and(net.netmask().to_bits());
            p.if_equal(net.network().to_bits(), found);
        }
    }
    p.jump(none);
    p.place(found);
}

/// The same with four words for each address.
fn hosts_v6(p: &mut Program, hosts: &[IpNet], none: Label) {
    if hosts.is_empty() {
        return;
    }
    let found = p.label();
    for host in hosts {
        let IpNet::V6(net) = host else { continue };
        let words = |bits: u128| bits.to_be_bytes().as_chunks::<4>().0.to_vec();
        let network = words(net.network().to_bits());
        let mask = words(net.netmask().to_bits());
        for end in [8, 24] {
            let other = p.label();
            for ((word, mask), at) in network.iter().zip(&mask).zip([0, 4, 8, 12]) {
                let mask = u32::from_be_bytes(*mask);
                if mask == 0 {
                    break;
                }
                p.load_word(end + at);
                p.and(mask);
                p.unless_equal(u32::from_be_bytes(*word), other);
            }
            p.jump(found);
            p.place(other);
        }
    }
    p.jump(none);
    p.place(found);
}

/// Answers by the ports at X; falls through where none is wanted. Where both ends are, the one of
/// which more is kept decides.
fn ports_of(p: &mut Program, wanted: &Wanted) {
    if wanted.ports.is_empty() {
        p.answer(wanted.snap_len);
        return;
    }
    let mut lens: Vec<u32> = wanted.ports.iter().map(|port| port.snap_len).collect();
    lens.sort_unstable();
    lens.dedup();
    for len in lens.into_iter().rev() {
        let [found, other] = [p.label(), p.label()];
        for end in [0, 2] {
            p.load_half(end);
            for port in wanted.ports.iter().filter(|port| port.snap_len == len) {
                p.if_equal(u32::from(port.number), found);
            }
        }
        p.jump(other);
        p.place(found);
        p.answer(len);
        p.place(other);
    }
}

#[cfg(test)]
mod tests;
