//! What of an interface is recorded, as the programs that the kernel runs on every frame.

use whyslow_sys::ring::{Instruction, Link};
use whyslow_wire::filter::{Framing, Port, TooLong, WHOLE, Wanted, compile};

use crate::config::WireTap;

/// A program for each kind of frame.
#[derive(Clone, Debug)]
pub struct Programs {
    ethernet: Vec<Instruction>,
    raw: Vec<Instruction>,
}

impl Programs {
    /// Those that let in what is to be recorded.
    ///
    /// # Errors
    /// [`TooLong`] where ports and hosts are too many.
    pub fn of(tap: &WireTap) -> Result<Self, TooLong> {
        let (ethernet, raw) = (program(tap, Framing::Ethernet)?, program(tap, Framing::Raw)?);
        Ok(Self { ethernet, raw })
    }

    /// The one for an interface.
    pub fn for_link(&self, link: Link) -> &[Instruction] {
        match link {
            Link::Ethernet | Link::Loopback => &self.ethernet,
            Link::Raw | Link::Unknown(_) => &self.raw,
        }
    }
}

fn program(tap: &WireTap, framing: Framing) -> Result<Vec<Instruction>, TooLong> {
    let any = tap.snap.iter().find(|snap| snap.ports.is_empty());
    let snap_len = any.map_or(WHOLE, |snap| snap.bytes);
    if tap.ports.is_empty() && tap.hosts.is_empty() {
        // Everything, also what is not TCP.
        return Ok(vec![Instruction { code: RETURN, jt: 0, jf: 0, k: snap_len }]);
    }
    let port = |number: &u16| {
        let own = tap.snap.iter().find(|snap| snap.ports.contains(number));
        Port { number: *number, snap_len: own.map_or(snap_len, |snap| snap.bytes) }
    };
    let wanted = Wanted {
        framing,
        hosts: tap.hosts.iter().map(|network| network.0).collect(),
        ports: tap.ports.iter().map(port).collect(),
        snap_len,
    };
    let own = |i: whyslow_wire::filter::Instruction| {
        let whyslow_wire::filter::Instruction { code, jt, jf, k } = i;
        Instruction { code, jt, jf, k }
    };
    Ok(compile(&wanted)?.into_iter().map(own).collect())
}

/// `BPF_RET | BPF_K`.
const RETURN: u16 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ports_and_hosts_everything_is_let_in() {
        let mut tap = WireTap::of("eth0");
        let only = |tap: &WireTap| {
            let programs = Programs::of(tap).unwrap();
            let [one] = programs.for_link(Link::Ethernet) else { unreachable!("one instruction") };
            (one.code, one.k)
        };
        assert_eq!(only(&tap), (RETURN, WHOLE));
        tap.snap = serde_json::from_str(r#"[{"bytes": 192}]"#).unwrap();
        assert_eq!(only(&tap), (RETURN, 192));
        tap.ports = vec![443];
        let programs = Programs::of(&tap).unwrap();
        assert!(programs.for_link(Link::Ethernet).len() > programs.for_link(Link::Raw).len());
        let answers = programs.for_link(Link::Raw).iter().filter(|i| i.code == RETURN);
        assert!(answers.map(|i| i.k).collect::<Vec<_>>().contains(&192));
    }
}
