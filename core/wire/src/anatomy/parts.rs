//! Whose time it was, piece by piece.

use crate::handshake::{Blame, Bounds, Shares};

/// Somebody who can have taken time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Server,
    Network,
    Client,
}

const SERVER_OR_NETWORK: &[Owner] = &[Owner::Server, Owner::Network];
const NETWORK_OR_CLIENT: &[Owner] = &[Owner::Network, Owner::Client];
const ANYBODY: &[Owner] = &[Owner::Server, Owner::Network, Owner::Client];

/// One owner's time in nanoseconds; `least <= ns <= most`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) ns: i64,
    pub(super) least: i64,
    pub(super) most: i64,
}

/// The pieces so far. Each nanosecond of the whole is added once, to an owner or to nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    owners: [Part; 3],
    unknown: i64,
}

impl Parts {
    pub(super) const fn of(&self, owner: Owner) -> Part {
        self.owners[owner as usize]
    }

    pub(super) const fn unknown(&self) -> i64 {
        self.unknown
    }

    /// It was `owner`'s time for certain.
    pub(super) fn sure(&mut self, owner: Owner, ns: i64) {
        let ns = ns.max(0);
        let part = &mut self.owners[owner as usize];
        part.ns = part.ns.saturating_add(ns);
        part.least = part.least.saturating_add(ns);
        part.most = part.most.saturating_add(ns);
    }

    /// It was `owner`'s as far as can be told, or `other`'s.
    pub(super) fn likely(&mut self, owner: Owner, other: Owner, ns: i64) {
        let ns = ns.max(0);
        let part = &mut self.owners[owner as usize];
        part.ns = part.ns.saturating_add(ns);
        part.most = part.most.saturating_add(ns);
        let other = &mut self.owners[other as usize];
        other.most = other.most.saturating_add(ns);
    }

    pub(super) fn server_or_network(&mut self, ns: i64) {
        self.open(ns, SERVER_OR_NETWORK);
    }

    pub(super) fn network_or_client(&mut self, ns: i64) {
        self.open(ns, NETWORK_OR_CLIENT);
    }

    pub(super) fn anybody(&mut self, ns: i64) {
        self.open(ns, ANYBODY);
    }

    /// Nobody can say whose of these it was.
    fn open(&mut self, ns: i64, among: &[Owner]) {
        let ns = ns.max(0);
        self.unknown = self.unknown.saturating_add(ns);
        for owner in among {
            let part = &mut self.owners[*owner as usize];
            part.most = part.most.saturating_add(ns);
        }
    }

    /// Whose most of the time was that came in since.
    pub(super) fn most_since(&self, before: &Self) -> Blame {
        let [server, network, client] = [Owner::Server, Owner::Network, Owner::Client]
            .map(|owner| self.of(owner).ns - before.of(owner).ns);
        let unknown = self.unknown - before.unknown;
        let by = [
            (unknown, Blame::Unknown),
            (server, Blame::Server),
            (client, Blame::Client),
            (network, Blame::Network),
        ];
        let most = by.into_iter().max_by_key(|(ns, _)| *ns).filter(|(ns, _)| *ns > 0);
        most.map_or(Blame::None, |(_, whose)| whose)
    }

    /// The shares; all is unknown of an opening that took no time.
    pub(super) fn shares(&self) -> Shares {
        let [server, network, client] = self.owners.map(|part| float(part.ns));
        let whole = server + network + client + float(self.unknown);
        if whole <= 0.0 {
            return Shares { unknown: 1.0, ..Shares::default() };
        }
        Shares {
            server: server / whole,
            network: network / whole,
            client: client / whole,
            unknown: float(self.unknown) / whole,
        }
    }

    /// The three owners' bounds in milliseconds; those of single phases are not known here.
    pub(super) fn bounds(&self) -> Bounds {
        let [server, network, client] =
            self.owners.map(|part| Some((float(part.least) / 1e6, float(part.most) / 1e6)));
        Bounds { server, network, client, client_think: None, ack_delay: None }
    }
}

/// Nanoseconds as a float.
#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
pub(super) const fn float(ns: i64) -> f64 {
    ns as f64
}
