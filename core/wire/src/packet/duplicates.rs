//! Segments that a tap shows twice though they were sent once.
//!
//! On a loopback interface every packet is seen leaving and arriving; the members of a bond or a
//! bridge show what the bond shows, and a mirror port may show both sides of a router. Taken for
//! retransmissions, such copies would turn every verdict into "loss".

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use foldhash::quality::SeedableRandomState;
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use crate::segment::Segment;

/// Copies follow each other within microseconds, through a busy bridge within a few milliseconds;
/// the soonest retransmission of a segment with the same timestamps comes later.
const APART_MAX: Duration = Duration::from_millis(5);
/// Segments remembered; a power of two. At a million packets a second they are 4 ms of them.
const SLOTS: usize = 4096;

/// Tells copies of segments from retransmissions.
#[derive(Debug)]
pub struct Duplicates {
    state: SeedableRandomState,
    /// Some bits of each slot's digest. Most segments are no copies, and these few kilobytes, which
    /// stay in a processor's first cache, tell so.
    tags: Vec<u32>,
    /// The last segment of each slot: of two in one slot the older is forgotten, which at worst
    /// lets a copy through.
    slots: Vec<Slot>,
    dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    digest: u64,
    at: Wall,
    interface: u32,
    outgoing: Option<bool>,
}

impl Duplicates {
    /// A filter that has seen nothing; `seed` keeps senders from choosing what collides.
    pub fn new(seed: Seed) -> Self {
        let empty =
            Slot { digest: 0, at: Wall::from_nanos(i64::MIN), interface: 0, outgoing: None };
        Self { state: seed.state(), tags: vec![0; SLOTS], slots: vec![empty; SLOTS], dropped: 0 }
    }

    /// Segments that were copies.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the tap showed this very segment just before.
    ///
    /// The same bits again are a copy where they came another way (arriving what had been leaving,
    /// or on another interface), or where an IPv4 identification that is not 0 says so. Otherwise
    /// they may be a duplicate acknowledgment, which is sent on purpose.
    pub fn is_again(&mut self, segment: &Segment<'_>) -> bool {
        let digest = self.digest(segment);
        let place = usize::try_from(digest % SLOTS as u64).unwrap_or(0);
        let (Some(tag), Some(slot)) = (self.tags.get_mut(place), self.slots.get_mut(place)) else {
            return false;
        };
        let Segment { at, interface, outgoing, .. } = *segment;
        let upper = (digest >> 32) as u32;
        if std::mem::replace(tag, upper) == upper {
            let seen = *slot;
            let same = seen.digest == digest && at.since(seen.at) <= APART_MAX;
            let other_way = seen.interface != interface
                || matches!((seen.outgoing, outgoing), (Some(a), Some(b)) if a != b);
            if same && (other_way || segment.ip_id.is_some_and(|id| id != 0)) {
                self.dropped += 1;
                return true;
            }
        }
        *slot = Slot { digest, at, interface, outgoing };
        false
    }

    /// What two copies have in common, and a retransmission has not: routers may have counted the
    /// time to live down in between, so that is left out.
    fn digest(&self, s: &Segment<'_>) -> u64 {
        let mut hasher = self.state.build_hasher();
        match (s.from.ip(), s.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                hasher.write_u64(u64::from(from.to_bits()) << 32 | u64::from(to.to_bits()));
            }
            (from, to) => [from, to].into_iter().for_each(|ip| hasher.write_u128(bits(ip))),
        }
        let ports = u64::from(s.from.port()) << 16 | u64::from(s.to.port());
        let id = u64::from(s.ip_id.unwrap_or(0));
        hasher.write_u64(ports << 32 | id << 16 | u64::from(s.window));
        hasher.write_u64(u64::from(s.seq) << 32 | u64::from(s.ack));
        let (value, echo) = s.options.timestamps.unwrap_or((0, 0));
        hasher.write_u64(u64::from(value) << 32 | u64::from(echo));
        hasher.write_u64(u64::from(s.len) << 8 | u64::from(s.flags.0));
        if let Some((left, right)) = s.options.sack[0] {
            hasher.write_u64(u64::from(left) << 32 | u64::from(right));
        }
        hasher.finish()
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Flags, Options};

    fn segment() -> Segment<'static> {
        Segment {
            at: Wall::from_millis(1000),
            interface: 1,
            outgoing: Some(true),
            from: "127.0.0.1:50000".parse().unwrap(),
            to: "127.0.0.1:443".parse().unwrap(),
            ip_id: Some(0),
            ttl: 64,
            seq: 1,
            ack: 2,
            flags: Flags(Flags::ACK),
            window: 512,
            options: Options::default(),
            len: 0,
            payload: &[],
        }
    }

    #[test]
    fn what_left_and_arrives_is_one_segment() {
        let mut d = Duplicates::new(Seed(7));
        assert!(!d.is_again(&segment()));
        let arrives =
            Segment { outgoing: Some(false), at: Wall::from_nanos(1_000_004_000), ..segment() };
        assert!(d.is_again(&arrives));
        assert_eq!(d.dropped(), 1);
    }

    #[test]
    fn duplicate_acknowledgments_and_retransmissions_are_no_copies() {
        let mut d = Duplicates::new(Seed(7));
        assert!(!d.is_again(&segment()));
        assert!(!d.is_again(&segment()), "the same way, and its identification tells nothing");
        let later = Segment { outgoing: Some(false), at: Wall::from_millis(1201), ..segment() };
        assert!(!d.is_again(&later), "too late for a copy");
        let other_id = Segment { ip_id: Some(8), ..segment() };
        assert!(!d.is_again(&Segment { ip_id: Some(7), ..segment() }));
        assert!(!d.is_again(&other_id));
        assert_eq!(d.dropped(), 0);
    }

    #[test]
    fn a_mirrored_segment_is_known_by_its_identification_or_its_interface() {
        let mut d = Duplicates::new(Seed(7));
        let with_id = Segment { ip_id: Some(7), outgoing: None, ..segment() };
        assert!(!d.is_again(&with_id));
        assert!(d.is_again(&Segment { ttl: 63, ..with_id }));
        assert!(!d.is_again(&segment()));
        assert!(d.is_again(&Segment { interface: 2, ..segment() }));
    }
}
