//! SYNs without an answer, by server.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use whyslow_model::Wall;
use whyslow_model::limits::WIRE_REPORT_SERVERS_MAX;
use whyslow_model::seeded::{Seed, SeededMap};

use crate::event::Unanswered;

/// Clients of one server that are told apart.
const CLIENTS_MAX: usize = 256;

/// What became of a SYN without a SYN-ACK, as far as the packets alone say; with what the kernel
/// knows, [`crate::cause::Cause`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SynFate {
    /// A reset came back: nobody listens there, or a firewall refuses.
    Refused,
    /// A SYN-ACK was seen, and SYNs came again: it is lost on the way back.
    ReturnPath,
    /// Nothing came back at all: a full accept queue, a firewall that drops, or a host that is
    /// not there. The packets do not tell which.
    Silence,
}

impl SynFate {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ReturnPath => "return_path",
            Self::Silence => "silence",
        }
    }

    /// The sentence for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Refused => "refused: nobody listens, or a firewall resets",
            Self::ReturnPath => "SYN-ACK seen and SYNs came again: the way back loses it",
            Self::Silence => "no answer at all: accept queue full, firewall, or no such host",
        }
    }
}

impl Unanswered {
    /// What the packets alone say of why.
    pub const fn cause(&self) -> SynFate {
        if self.refused {
            SynFate::Refused
        } else if self.syn_ack_lost {
            SynFate::ReturnPath
        } else {
            SynFate::Silence
        }
    }
}

/// Unanswered SYNs to one server; `None` for those beyond the limit of servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// To where.
    pub server: Option<SocketAddr>,
    /// Connections that were tried.
    pub connections: u64,
    /// Their SYNs, the first ones and those sent again.
    pub syns: u64,
    /// Those that were answered in the end.
    pub answered_late: u64,
    /// Connections by cause, in the order of [`SynFate`].
    pub causes: [u64; 3],
    /// Client addresses, up to 256.
    pub clients: usize,
    /// There were more clients than those.
    pub more_clients: bool,
    /// The first SYN.
    pub first: Wall,
    /// The last one.
    pub last: Wall,
}

impl Silence {
    /// The cause of most.
    pub fn cause(&self) -> SynFate {
        let causes = [SynFate::Refused, SynFate::ReturnPath, SynFate::Silence];
        let most = causes.into_iter().zip(self.causes).max_by_key(|(_, n)| *n);
        most.map_or(SynFate::Silence, |(cause, _)| cause)
    }
}

#[derive(Debug)]
pub(super) struct Silences {
    servers: SeededMap<Option<SocketAddr>, (Silence, BTreeSet<IpAddr>)>,
}

impl Silences {
    pub(super) fn new(seed: Seed) -> Self {
        Self { servers: seed.map() }
    }

    pub(super) fn observe(&mut self, of: &Unanswered) {
        let known = self.servers.contains_key(&Some(of.flow.server));
        let room = known || self.servers.len() < WIRE_REPORT_SERVERS_MAX;
        let server = room.then_some(of.flow.server);
        let nothing = Silence {
            server,
            connections: 0,
            syns: 0,
            answered_late: 0,
            causes: [0; 3],
            clients: 0,
            more_clients: false,
            first: of.first,
            last: of.last,
        };
        let (silence, clients) =
            self.servers.entry(server).or_insert_with(|| (nothing, BTreeSet::new()));
        silence.connections += 1;
        silence.syns += 1 + u64::from(of.retries);
        silence.answered_late += u64::from(of.answered.is_some() && !of.refused);
        silence.causes[of.cause() as usize] += 1;
        silence.first = silence.first.min(of.first);
        silence.last = silence.last.max(of.last);
        let client = of.flow.client.ip();
        if clients.len() < CLIENTS_MAX {
            clients.insert(client);
            silence.clients = clients.len();
        } else {
            silence.more_clients |= !clients.contains(&client);
        }
    }

    pub(super) fn rows(self) -> Vec<Silence> {
        let mut rows: Vec<Silence> =
            self.servers.into_iter().map(|(_, (silence, _))| silence).collect();
        rows.sort_by(|a, b| b.connections.cmp(&a.connections).then(a.server.cmp(&b.server)));
        rows
    }
}
