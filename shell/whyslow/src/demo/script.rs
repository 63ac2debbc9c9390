//! The demo's script: which fault holds when. Data only, so that a test can ask it any moment.

use std::time::Duration;

/// How long one round of the script lasts; then it begins anew.
pub const ROUND: Duration = Duration::from_secs(210);

/// What a fault does to the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// One backend takes this much longer for every answer.
    BackendSlows(usize, Duration),
    /// The first resolver takes this much longer for every answer.
    ResolverSlows(Duration),
    /// The balancer shows a certificate that ends within days.
    CertificateEnds,
    /// One backend's port is closed.
    BackendRefuses(usize),
    /// Packets of the network with this number in [`crate::demo::networks::NETWORKS`] take this
    /// much longer, once for a handshake and once for an answer.
    NetworkSlows(usize, Duration),
    /// Clients of the network with this number wait so long for themselves before they end a
    /// handshake; packets show it, and nothing else does.
    ClientsStall(usize, Duration),
}

/// One entry of the script.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// When it begins, counted from the start of a round.
    pub begins: Duration,
    /// When it is over.
    pub ends: Duration,
    /// What it does.
    pub trouble: Trouble,
    /// What the mark on the charts says.
    pub mark: &'static str,
    /// What to look for, told to whoever started the demo.
    pub look: &'static str,
}

/// The faults of one round, in order; between them all is well.
pub const FAULTS: [Fault; 6] = [
    Fault {
        begins: Duration::from_secs(20),
        ends: Duration::from_secs(48),
        trouble: Trouble::BackendSlows(1, Duration::from_millis(820)),
        mark: "demo: web2 slows",
        look: "every second answer of the balancer waits; straight to web2 all do, web1 none; \
               /edge shows web2 beside its twin",
    },
    Fault {
        begins: Duration::from_secs(60),
        ends: Duration::from_secs(82),
        trouble: Trouble::ResolverSlows(Duration::from_millis(700)),
        mark: "demo: the first resolver slows",
        look: "the resolve phase grows, except by the other resolver",
    },
    Fault {
        begins: Duration::from_secs(94),
        ends: Duration::from_secs(116),
        trouble: Trouble::CertificateEnds,
        mark: "demo: the balancer shows a certificate that ends within days",
        look: "a warning at the balancer, none at web1 and web2",
    },
    Fault {
        begins: Duration::from_secs(126),
        ends: Duration::from_secs(148),
        trouble: Trouble::BackendRefuses(0),
        mark: "demo: web1 refuses connections",
        look: "web1 is down; the balancer fails a few requests, then goes round it",
    },
    Fault {
        begins: Duration::from_secs(156),
        ends: Duration::from_secs(176),
        trouble: Trouble::NetworkSlows(1, Duration::from_millis(400)),
        mark: "demo: the network Northline slows",
        look: "only the vantage inside Northline waits, in tls and in wait; on /edge its clients' \
               answers take longer to leave",
    },
    Fault {
        begins: Duration::from_secs(182),
        ends: Duration::from_secs(206),
        trouble: Trouble::ClientsStall(2, Duration::from_millis(420)),
        mark: "demo: clients of Rheinkabel stall",
        look: "/wire shows that they wait for themselves after the ServerHello; the server, the \
               network and everybody else are as fast as ever",
    },
];

/// How the shop behaves at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Added to each answer of web1 and web2.
    pub backend_delay: [Duration; 2],
    /// Whether the ports of web1 and web2 are closed.
    pub backend_refuses: [bool; 2],
    /// Added to each answer of the first resolver.
    pub resolver_delay: Duration,
    /// Whether the balancer shows the certificate that ends soon.
    pub certificate_ends: bool,
    /// A network's number, and what its handshakes and answers take longer.
    pub network_delay: Option<(usize, Duration)>,
    /// A network's number, and how long its clients wait for themselves in a handshake.
    pub client_stall: Option<(usize, Duration)>,
}

/// The fault that holds `at` this long after the demo's start, if one does. Faults never overlap.
pub fn fault(at: Duration) -> Option<&'static Fault> {
    let at = within_round(at);
    FAULTS.iter().find(|f| f.begins <= at && at < f.ends)
}

/// How the shop behaves `at` this long after the demo's start.
pub fn conditions(at: Duration) -> Conditions {
    let mut now = Conditions::default();
    match fault(at).map(|f| f.trouble) {
        Some(Trouble::BackendSlows(n, by)) => now.backend_delay[n] = by,
        Some(Trouble::ResolverSlows(by)) => now.resolver_delay = by,
        Some(Trouble::CertificateEnds) => now.certificate_ends = true,
        Some(Trouble::BackendRefuses(n)) => now.backend_refuses[n] = true,
        Some(Trouble::NetworkSlows(n, by)) => now.network_delay = Some((n, by)),
        Some(Trouble::ClientsStall(n, by)) => now.client_stall = Some((n, by)),
        None => {}
    }
    now
}

/// How long after `at` the script changes next; never zero.
pub fn until_change(at: Duration) -> Duration {
    let at = within_round(at);
    let next = FAULTS.iter().flat_map(|f| [f.begins, f.ends]).find(|t| *t > at);
    next.unwrap_or(ROUND) - at
}

fn within_round(at: Duration) -> Duration {
    let rounds = u32::try_from(at.as_nanos() / ROUND.as_nanos()).unwrap_or(u32::MAX);
    at.saturating_sub(ROUND.saturating_mul(rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_follow_each_other_and_fit_the_round() {
        for pair in FAULTS.windows(2) {
            assert!(pair[0].ends < pair[1].begins, "{} runs into {}", pair[0].mark, pair[1].mark);
        }
        assert!(FAULTS.iter().all(|f| f.begins < f.ends && f.ends < ROUND));
    }

    #[test]
    fn every_fault_changes_the_shop_and_nothing_is_left_of_it_afterwards() {
        for f in &FAULTS {
            assert_ne!(conditions(f.begins), Conditions::default(), "{}", f.mark);
            assert_eq!(conditions(f.ends), Conditions::default(), "{}", f.mark);
        }
    }

    #[test]
    fn the_second_round_is_like_the_first() {
        for s in 0..210 {
            let at = Duration::from_secs(s);
            assert_eq!(conditions(at), conditions(at + ROUND));
        }
    }

    #[test]
    fn following_the_changes_meets_every_fault_once_a_round() {
        let (mut at, mut met) = (Duration::ZERO, Vec::new());
        while at < ROUND {
            met.extend(fault(at).map(|f| f.mark));
            at += until_change(at);
        }
        assert_eq!(met, FAULTS.map(|f| f.mark));
        assert_eq!(at, ROUND);
    }
}
