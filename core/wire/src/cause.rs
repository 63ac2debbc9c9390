//! Why SYNs got no SYN-ACK, told from what the wire showed and what the kernel counted meanwhile.
//!
//! A packet socket sees a SYN before netfilter does (`packet(7)`): one that was seen and found no
//! socket's room was either dropped by a filter, or by the socket, and the latter is counted.

use std::net::{IpAddr, SocketAddr};

use crate::event::Unanswered;

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The accept queue of this socket was full.
    AcceptQueueFull(Queue),
    /// Something between the tap and the socket dropped them: a firewall, netfilter, a policy.
    Firewall,
    /// No socket listens there.
    NoListener,
    /// The SYN-ACK left, and the SYNs came again.
    ReturnPath,
    /// The machine has no route for the SYN-ACK.
    NoRoute,
    /// A reset answered although a socket listens.
    Refused,
    /// The kernel does not say why.
    Unknown,
}

impl Cause {
    /// The word that is stored and shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::AcceptQueueFull(_) => "accept_queue_full",
            Self::Firewall => "firewall",
            Self::NoListener => "no_listener",
            Self::ReturnPath => "return_path",
            Self::NoRoute => "no_route",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// A sentence's part that says it.
    pub fn text(&self) -> String {
        match self {
            Self::AcceptQueueFull(Queue { address, waiting, backlog, owner }) => {
                let owner = owner.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
                format!(
                    "the accept queue{owner} at {address} was full: {waiting} connections waited, \
                     its backlog is {backlog}"
                )
            }
            Self::Firewall => {
                "dropped between the capture and the socket: firewall or netfilter".to_owned()
            }
            Self::NoListener => "nobody listens there".to_owned(),
            Self::ReturnPath => "the SYN-ACK left and did not arrive".to_owned(),
            Self::NoRoute => "this machine has no route for the SYN-ACK".to_owned(),
            Self::Refused => "refused by a reset although a socket listens".to_owned(),
            Self::Unknown => "the kernel does not say why".to_owned(),
        }
    }
}

/// A listening socket and those that wait to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Where it listens; unspecified where on all addresses.
    pub address: SocketAddr,
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may.
    pub backlog: u32,
    /// The process that has it, where that is known.
    pub owner: Option<String>,
}

impl Queue {
    /// Whether it takes no more: `sk_acceptq_is_full` in `include/net/sock.h`.
    pub const fn is_full(&self) -> bool {
        self.waiting > self.backlog
    }

    /// Whether connections to this address come to it. A socket at `[::]` may be for IPv6 alone;
    /// it counts for IPv4 all the same, behind any other.
    pub fn takes(&self, to: SocketAddr) -> bool {
        let ip = self.address.ip();
        let fits = match (ip.to_canonical(), to.ip().to_canonical()) {
            (own, to) if own == to => true,
            (IpAddr::V4(own), IpAddr::V4(_)) => own.is_unspecified(),
            (IpAddr::V6(own), _) => own.is_unspecified(),
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        };
        fits && self.address.port() == to.port()
    }
}

/// What the kernel said around the time of the SYNs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// SYNs and connections dropped for want of room in an accept queue (`ListenOverflows` of
    /// `TcpExt` in `/proc/net/netstat`), from before the first SYN until after the last; absent
    /// where one of the two counts is.
    pub overflows: Option<u64>,
    /// Dropped by listening sockets for whatever reason (`ListenDrops`).
    pub drops: Option<u64>,
    /// Packets of this machine for which it had no route (`OutNoRoutes` of `Ip` in
    /// `/proc/net/snmp`).
    pub no_routes: Option<u64>,
    /// Sockets that listened when they were asked for last; absent where the kernel does not tell.
    pub listeners: Option<Vec<Queue>>,
    /// Sockets that were seen full meanwhile.
    pub full: Vec<Queue>,
}

/// `ListenOverflows` and `ListenDrops` in the text of `/proc/net/netstat`: a line of names and one of
/// numbers, both of which begin with `TcpExt:`.
pub fn listen_counts(netstat: &str) -> Option<(u64, u64)> {
    Some((count(netstat, "TcpExt:", "ListenOverflows")?, count(netstat, "TcpExt:", "ListenDrops")?))
}

/// `OutNoRoutes` in the text of `/proc/net/snmp`, which is laid out alike.
pub fn no_route_count(snmp: &str) -> Option<u64> {
    count(snmp, "Ip:", "OutNoRoutes")
}

fn count(text: &str, protocol: &str, wanted: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let pairs = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
    pairs.into_iter().find(|(name, _)| *name == wanted)?.1.parse().ok()
}

/// Why SYNs to this machine got no answer.
pub fn cause(unanswered: &Unanswered, snapshot: &Snapshot) -> Cause {
    let to = unanswered.flow.server;
    let listener = snapshot.listeners.as_ref().map(|all| of(all, to));
    if unanswered.refused {
        return match listener {
            Some(None) => Cause::NoListener,
            Some(Some(_)) | None => Cause::Refused,
        };
    }
    if unanswered.syn_ack_lost {
        return Cause::ReturnPath;
    }
    let Some(listener) = listener else { return Cause::Unknown };
    let Some(listener) = listener else { return Cause::NoListener };
    let full = of(&snapshot.full, to).or(Some(listener).filter(|queue| queue.is_full()));
    match (snapshot.overflows, full) {
        (Some(1..), Some(full)) => Cause::AcceptQueueFull(full.clone()),
        (Some(0), None) if snapshot.drops == Some(0) => Cause::Firewall,
        // The listening socket counts a drop for each SYN-ACK that finds no route.
        (Some(0), None) if is_without_route(snapshot) => Cause::NoRoute,
        (_, _) => Cause::Unknown,
    }
}

/// Whether no more was dropped than found no route.
fn is_without_route(snapshot: &Snapshot) -> bool {
    let both = snapshot.drops.zip(snapshot.no_routes);
    both.is_some_and(|(drops, no_routes)| drops > 0 && no_routes >= drops)
}

/// The socket that connections to an address come to: one bound to it before one bound to all.
fn of(queues: &[Queue], to: SocketAddr) -> Option<&Queue> {
    let mut fitting: Vec<&Queue> = queues.iter().filter(|queue| queue.takes(to)).collect();
    fitting.sort_by_key(|queue| {
        let ip = queue.address.ip();
        (ip.is_unspecified(), ip.is_ipv6() != to.is_ipv6())
    });
    fitting.first().copied()
}

#[cfg(test)]
mod tests {
    use whyslow_model::Wall;

    use super::*;
    use crate::segment::FlowKey;

    fn syns(refused: bool, syn_ack_lost: bool) -> Unanswered {
        let at = Wall::from_millis(0);
        let flow = FlowKey {
            client: "192.0.2.7:40000".parse().unwrap(),
            server: "10.0.0.1:443".parse().unwrap(),
        };
        let (first, last, answered) = (at, at, refused.then_some(at));
        Unanswered { flow, interface: 0, first, last, retries: 2, answered, refused, syn_ack_lost }
    }

    fn queue(address: &str, waiting: u32) -> Queue {
        Queue { address: address.parse().unwrap(), waiting, backlog: 1, owner: None }
    }

    fn snapshot(overflows: u64, drops: u64, listeners: &[(&str, u32)]) -> Snapshot {
        Snapshot {
            overflows: Some(overflows),
            drops: Some(drops),
            no_routes: Some(0),
            listeners: Some(listeners.iter().map(|(at, n)| queue(at, *n)).collect()),
            full: Vec::new(),
        }
    }

    #[test]
    fn each_row_of_the_truth_table() {
        let (full, room) = (("0.0.0.0:443", 2), ("0.0.0.0:443", 1));
        let silent = |snapshot: &Snapshot| cause(&syns(false, false), snapshot).as_str();
        assert_eq!(silent(&snapshot(3, 3, &[full])), "accept_queue_full");
        assert_eq!(silent(&snapshot(3, 3, &[room])), "unknown", "another one's queue");
        assert_eq!(silent(&snapshot(0, 0, &[full])), "unknown", "it was not what dropped them");
        assert_eq!(silent(&snapshot(0, 0, &[room])), "firewall");
        assert_eq!(silent(&snapshot(0, 2, &[room])), "unknown", "the socket dropped some");
        let routes = |n| Snapshot { no_routes: Some(n), ..snapshot(0, 2, &[room]) };
        assert_eq!(silent(&routes(1)), "unknown", "one of them was dropped for another reason");
        assert_eq!(silent(&routes(2)), "no_route");
        assert_eq!(silent(&Snapshot { no_routes: Some(2), ..snapshot(0, 0, &[room]) }), "firewall");
        assert_eq!(silent(&Snapshot { drops: None, ..routes(2) }), "unknown");
        assert_eq!(silent(&snapshot(3, 3, &[])), "no_listener");
        assert_eq!(silent(&snapshot(0, 0, &[("0.0.0.0:80", 9)])), "no_listener");
        assert_eq!(silent(&Snapshot::default()), "unknown");
        let uncounted = Snapshot { overflows: None, ..snapshot(0, 0, &[room]) };
        assert_eq!(silent(&uncounted), "unknown");
        let meanwhile = Snapshot { full: vec![queue("0.0.0.0:443", 2)], ..snapshot(1, 1, &[room]) };
        assert_eq!(silent(&meanwhile), "accept_queue_full", "it has room again by now");
        let refused = |snapshot: &Snapshot| cause(&syns(true, false), snapshot).as_str();
        assert_eq!(refused(&snapshot(0, 0, &[])), "no_listener");
        assert_eq!(refused(&snapshot(0, 0, &[room])), "refused");
        assert_eq!(refused(&Snapshot::default()), "refused");
        assert_eq!(cause(&syns(false, true), &snapshot(9, 9, &[full])).as_str(), "return_path");
    }

    #[test]
    fn the_listener_is_the_closest_one() {
        let to = "10.0.0.1:443".parse().unwrap();
        let queues = ["[::]:443", "0.0.0.0:443", "10.0.0.1:443", "10.0.0.2:443", "0.0.0.0:80"];
        let all: Vec<Queue> = queues.iter().map(|address| queue(address, 0)).collect();
        let closest = |n: usize| of(&all[..n], to).map(|queue| queue.address.to_string());
        assert_eq!(closest(5).as_deref(), Some("10.0.0.1:443"));
        assert_eq!(closest(2).as_deref(), Some("0.0.0.0:443"));
        assert_eq!(closest(1).as_deref(), Some("[::]:443"));
        assert!(!queue("0.0.0.0:443", 0).takes("[2001:db8::1]:443".parse().unwrap()));
        assert!(queue("[::ffff:10.0.0.1]:443", 0).takes(to));
    }

    #[test]
    fn the_two_counts_are_found_by_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops New\n\
                    TcpExt: 1 20 300 4\nIpExt: InNoRoutes\nIpExt: 5\n";
        assert_eq!(listen_counts(text), Some((20, 300)));
        for broken in ["", "TcpExt: ListenOverflows ListenDrops", "TcpExt: a\nTcpExt: 1\n"] {
            assert_eq!(listen_counts(broken), None);
        }
        assert_eq!(listen_counts("TcpExt: ListenOverflows ListenDrops\nTcpExt: 1\n"), None);
        let snmp = "Ip: Forwarding OutNoRoutes\nIp: 1 17\nIcmp: OutNoRoutes\nIcmp: 9\n";
        assert_eq!(no_route_count(snmp), Some(17));
        assert_eq!(no_route_count("Icmp: OutNoRoutes\nIcmp: 9\n"), None);
    }

    #[test]
    fn a_full_queue_is_named_with_its_owner() {
        let owned = Queue { owner: Some("nginx (312)".to_owned()), ..queue("0.0.0.0:443", 2) };
        let text = Cause::AcceptQueueFull(owned).text();
        let said = "the accept queue of nginx (312) at 0.0.0.0:443 was full: 2 connections waited, \
                    its backlog is 1";
        assert_eq!(text, said);
    }
}
