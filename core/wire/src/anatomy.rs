//! From what was seen of an opening to whose time it was.
//!
//! The time points cut an opening into phases ([`crate::handshake::Phases`]); where the tap stands
//! says which of them a round trip is part of; and each phase is given to whom it waited for, or
//! to nobody where that cannot be told. Three things can show that a packet was lost before it
//! reached the tap: bytes that were missing and came later, packet numbers that were left out, and
//! the sender's own clock. What they say, and which of them there were, is the evidence.

use std::time::Duration;

use crate::handshake::{Blame, Bounds, Handshake, Phase, Phases, VantagePoint};
use crate::opening::Opening;

mod clock;
mod evidence;
mod figures;
mod fuzz;
mod gap;
mod numbers;
mod owners;
mod parts;
mod timeline;
mod vantage;

#[cfg(test)]
pub(crate) mod tests;

use owners::{Found, Sight};
use parts::{Owner, Parts, float};
use timeline::Timeline;

pub use fuzz::fuzz_judge;
pub use vantage::{Place, Vantage};

/// What an opening is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judge {
    /// From how long on a handshake is slow.
    pub slow: Duration,
    /// From how long on it is slow however short the whole was: the server's part of it.
    pub server: Option<Duration>,
    /// The network's part.
    pub network: Option<Duration>,
    /// The client's part.
    pub client: Option<Duration>,
    /// Whether sentences are wanted of those too that were not slow; they cost more than all the
    /// rest of the judgment.
    pub evidence_of_all: bool,
}

impl Default for Judge {
    fn default() -> Self {
        Self { slow: SLOW, server: None, network: None, client: None, evidence_of_all: true }
    }
}

/// From how long on a handshake is slow unless somebody says otherwise.
pub const SLOW: Duration = Duration::from_millis(300);

/// Judges one opening that was seen from `vantage` (see [`Vantage::point`]). Whatever the opening
/// holds, the phases that were observed add up to the total and the shares to 1.
pub fn judge(opening: impl Into<Box<Opening>>, vantage: VantagePoint, by: &Judge) -> Handshake {
    judged(opening.into(), vantage, by)
}

fn judged(opening: Box<Opening>, vantage: VantagePoint, by: &Judge) -> Handshake {
    let sight = Sight::new(&opening, vantage);
    let timeline = Timeline::of(&opening, sight.rtt_client_ns);
    let mut parts = Parts::default();
    let found = sight.divide(&timeline, &mut parts);
    let total = timeline.whole.ns();
    let slow = Duration::from_nanos(total.unsigned_abs()) >= by.slow;
    let blame = if slow { blame(&opening, &parts) } else { blame_of_part(&opening, &parts, by) };
    let evidence = if blame != Blame::None || by.evidence_of_all {
        evidence::sentences(&sight, &timeline, &found)
    } else {
        Vec::new()
    };
    Handshake {
        vantage,
        phases: phases(&timeline),
        phase_owners: found.phases,
        total_ms: ms(total),
        shares: parts.shares(),
        blame,
        bounds: bounds(&parts, &found),
        rtt_ref_ms: sight.rtt_ns().map(ms),
        estimated: timeline.ack_estimated(),
        evidence,
        opening,
    }
}

/// The one with the largest part, if it had the largest whichever of the bounds are true.
fn blame(opening: &Opening, parts: &Parts) -> Blame {
    let owners = [Owner::Server, Owner::Network, Owner::Client];
    let Some(first) = owners.into_iter().max_by_key(|owner| parts.of(*owner).ns) else {
        return Blame::Unknown;
    };
    let part = parts.of(first);
    let others = owners.into_iter().filter(|owner| *owner != first);
    let most_of_others = others.map(|owner| parts.of(owner).most).max().unwrap_or(0);
    if opening.gaps.drops > 0 || parts.unknown() > part.ns || part.least <= most_of_others {
        return Blame::Unknown;
    }
    blamed(first)
}

/// Of one that was not slow as a whole: the one whose part was long, by the most of its limit. It
/// has to be long whichever of the bounds are true, or nobody can say whose time it was.
fn blame_of_part(opening: &Opening, parts: &Parts, by: &Judge) -> Blame {
    let limits =
        [(Owner::Server, by.server), (Owner::Network, by.network), (Owner::Client, by.client)];
    let long = limits.into_iter().filter_map(|(owner, limit)| {
        let (part, limit) = (parts.of(owner), limit?);
        let is_long = Duration::from_nanos(part.ns.max(0).unsigned_abs()) >= limit;
        let limit_ns = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        is_long.then(|| (float(part.ns) / float(limit_ns.max(1)), part.least >= limit_ns, owner))
    });
    let Some((_, sure, owner)) = long.max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return Blame::None;
    };
    if sure && opening.gaps.drops == 0 { blamed(owner) } else { Blame::Unknown }
}

const fn blamed(owner: Owner) -> Blame {
    match owner {
        Owner::Server => Blame::Server,
        Owner::Network => Blame::Network,
        Owner::Client => Blame::Client,
    }
}

fn phases(timeline: &Timeline) -> Phases {
    let of = |phase: Phase| timeline.get(phase).map(|observed| ms(observed.stretch.ns()));
    Phases {
        syn_wait: of(Phase::SynWait),
        syn_ack: of(Phase::SynAck),
        network: of(Phase::Network),
        hello_wait: of(Phase::HelloWait),
        server_think: of(Phase::ServerThink),
        server_flight: of(Phase::ServerFlight),
        ack: of(Phase::Ack),
        client_think: of(Phase::ClientThink),
        finish: of(Phase::Finish),
    }
}

fn bounds(parts: &Parts, found: &Found) -> Bounds {
    Bounds {
        client_think: found.client_think.map(|(least, most)| (ms(least), ms(most))),
        ack_delay: found.ack.map(|(_, excess)| (0.0, ms(excess))),
        ..parts.bounds()
    }
}

/// Nanoseconds as milliseconds.
fn ms(ns: i64) -> f64 {
    float(ns) / 1e6
}
