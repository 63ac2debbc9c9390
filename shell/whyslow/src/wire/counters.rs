//! What each recorder counts, and the series that are made of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_SERVERS_MAX;
use whyslow_sys::ring::Depth;
use whyslow_wire::handshake::Handshake;
use whyslow_wire::opening::Outcome;
use whyslow_wire::packet;
use whyslow_wire::plan::Loss;

use super::tap::Sight;
use crate::edge_out::buckets::Growing;

/// The name under which servers are counted that find no room of their own.
pub const OTHER: &str = "other";
/// A server without handshakes for so long gives its room up.
const FORGET: Duration = Duration::from_mins(10);

/// The parts of a handshake that are told apart, as the label `part` says them.
pub(super) const PARTS: [&str; 4] = ["server", "network", "client", "total"];

/// What one recorder counted since it was started.
#[derive(Clone, Debug, Default)]
pub struct TapCounts {
    /// Packets that went into the ring.
    pub packets: u64,
    /// Packets the ring had no room for.
    pub drops: u64,
    /// How often it was full.
    pub freezes: u64,
    /// What the packets turned out to be.
    pub decoded: packet::Counters,
    /// Blocks that could not be read to their end.
    pub broken_blocks: u64,
    /// Losses that are no longer remembered one by one.
    pub losses_forgotten: u64,
    /// For how long nothing was seen, by why; what goes on just now is not in it.
    pub unseen: BTreeMap<&'static str, Duration>,
    /// How often a limit of the engine was reached, by the limit's name.
    pub limits: BTreeMap<&'static str, u64>,
    /// Servers counted under [`OTHER`].
    pub servers_folded: u64,
    /// Times that following ended in a mistake of ours and began anew.
    pub restarts: u64,
    /// By server.
    pub(super) servers: BTreeMap<Arc<str>, Server>,
}

/// How a recorder stands just now.
#[derive(Clone, Debug, Default)]
pub struct TapGauges {
    /// What the ring holds.
    pub depth: Option<Depth>,
    /// Bytes of the whole ring.
    pub ring_bytes: u64,
    /// Blocks that wait to be followed.
    pub waiting: u64,
    /// Connections that are followed.
    pub flows: u64,
    /// Whether the interface can be seen; `None` while there is no ring.
    pub sight: Option<Sight>,
    /// What stands in the way, where something does, and what mends it.
    pub problem: Option<String>,
}

/// What is counted of one server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Handshakes that were completed, by part.
    pub(super) parts: [Growing; PARTS.len()],
    /// Openings, by how they ended, and when the first was that nobody was told of yet.
    pub(super) outcomes: BTreeMap<&'static str, (Option<Wall>, u64)>,
    /// SYNs that got no SYN-ACK: connections, not packets.
    pub(super) unanswered: u64,
    /// When it was met last.
    pub(super) active: Wall,
    /// When its series begin, until they were told.
    pub(super) born: Option<Wall>,
}

impl TapCounts {
    /// Counts an opening that was judged.
    pub(super) fn handle_handshake(&mut self, server: &str, handshake: &Handshake) {
        let opening = &handshake.opening;
        let at = opening.last;
        let counted = self.server(server, at);
        counted.outcomes.entry(opening.outcome.word()).or_insert((Some(at), 0)).1 += 1;
        if opening.outcome != Outcome::Complete || opening.tls.is_none() {
            return;
        }
        let shares = handshake.shares;
        let parts = [shares.server, shares.network, shares.client, 1.0];
        for (counted, share) in counted.parts.iter_mut().zip(parts) {
            counted.observe(micros(handshake.total_ms * share));
        }
    }

    /// Counts a stretch of time in which nothing was seen.
    pub(super) fn handle_loss(&mut self, loss: &Loss) {
        if loss.lost.is_none() {
            *self.unseen.entry(loss.why.word()).or_default() += loss.to.since(loss.from);
        }
    }

    /// Counts SYNs without an answer.
    pub(super) fn handle_unanswered(&mut self, server: &str, at: Wall) {
        self.server(server, at).unanswered += 1;
    }

    /// The server's counters: its own, or where there are too many, those of all others.
    fn server(&mut self, name: &str, at: Wall) -> &mut Server {
        let known = self.servers.contains_key(name);
        let name = if known || self.servers.len() < WIRE_SERVERS_MAX {
            name
        } else {
            self.servers_folded += 1;
            OTHER
        };
        let new = || Server {
            parts: std::array::from_fn(|_| Growing::default()),
            outcomes: BTreeMap::new(),
            unanswered: 0,
            active: at,
            born: Some(at),
        };
        let server = self.servers.entry(Arc::from(name)).or_insert_with(new);
        server.active = server.active.max(at);
        server
    }

    /// The series were stored as they stood at `at`: those that began have begun, and servers not
    /// met for long are let go of.
    pub(super) fn handle_stored(&mut self, at: Wall) {
        self.servers.retain(|_, server| !server.is_over(at));
        for server in self.servers.values_mut() {
            server.born = server.born.filter(|born| *born >= at);
            for (born, _) in server.outcomes.values_mut() {
                *born = born.filter(|born| *born >= at);
            }
        }
    }
}

impl Server {
    /// Whether its series end.
    pub(super) fn is_over(&self, now: Wall) -> bool {
        now.since(self.active) >= FORGET
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; as cuts off")]
fn micros(ms: f64) -> u64 {
    (ms * 1000.0).round().clamp(0.0, 1e15) as u64
}

/// One recorder's counters, shared with whoever reads them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<Mutex<(TapCounts, TapGauges)>>);

impl Counted {
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut TapCounts, &mut TapGauges) -> T) -> T {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, gauges) = &mut *both;
        change(counts, gauges)
    }

    pub(super) fn read(&self) -> (TapCounts, TapGauges) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_beyond_the_limit_are_counted_together() {
        let mut counts = TapCounts::default();
        for n in 0..WIRE_SERVERS_MAX + 5 {
            counts.handle_unanswered(&format!("192.0.2.1:{n}"), Wall::from_millis(5));
        }
        counts.handle_unanswered("192.0.2.1:0", Wall::from_millis(6));
        assert_eq!(counts.servers.len(), WIRE_SERVERS_MAX + 1);
        assert_eq!((counts.servers[OTHER].unanswered, counts.servers_folded), (5, 5));
        assert_eq!(counts.servers["192.0.2.1:0"].unanswered, 2);
        counts.handle_stored(Wall::from_millis(600_005));
        assert_eq!(counts.servers.len(), 1);
    }

    #[test]
    fn milliseconds_become_whole_microseconds() {
        assert_eq!((micros(1.2345), micros(-1.0), micros(f64::NAN)), (1235, 0, 0));
    }
}
