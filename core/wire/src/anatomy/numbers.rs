//! The packet numbers of one side (the IPv4 identification, RFC 791): where a sender counts its
//! packets one by one, a number that is missing at the tap is a packet that was lost, or is late.

use whyslow_model::limits::WIRE_SEEN_PER_SIDE_MAX;

use crate::opening::{Seen, Side};

/// Payloads above this are several packets put together by the receiving card, whose numbers it
/// took away but the first: no full-size segment of an Ethernet is larger.
const ONE_PACKET_BYTES_MAX: u32 = 1460;
/// A step above this is no loss but another way of counting.
const STEP_MAX: i16 = 16;

/// How one side numbers its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// One by one: holes are losses.
    Counted,
    /// IPv6 has none.
    None,
    /// Always the same: zero, as some systems send with "do not fragment".
    Constant(u16),
    /// By no rule that would show a loss.
    Scattered,
    /// Too few packets to tell.
    TooFew,
}

/// What the numbers say of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Across {
    /// The last number before, and the first one in it.
    pub(super) ends: Option<(u16, u16)>,
    /// Numbers missing between the two.
    pub(super) missing: u16,
    /// One of those came later after all: it was held up, not lost.
    pub(super) came_late: bool,
}

impl Numbers {
    /// Finds out how a side counts.
    pub(super) fn of(side: &Side) -> Self {
        let mut ids = side.seen.iter().filter_map(|seen| seen.ip_id);
        let Some(first) = ids.next() else { return Self::None };
        if side.seen.len() > 1 && ids.all(|id| id == first) {
            return Self::Constant(first);
        }
        let mut offsets = [0_i32; WIRE_SEEN_PER_SIDE_MAX];
        let (mut n, mut offset) = (0, 0);
        for pair in side.seen.windows(2) {
            let [a, b] = pair else { continue };
            let Some(step) = step(a, b) else { continue };
            if !(-STEP_MAX..=STEP_MAX).contains(&step) || step == 0 {
                return Self::Scattered;
            }
            offset += i32::from(step);
            if let Some(place) = offsets.get_mut(n + 1) {
                *place = offset;
                n += 1;
            }
        }
        if n < 2 {
            return Self::TooFew;
        }
        // In the order in which they were sent, whatever overtook what on the way.
        let sent = &mut offsets[..=n];
        sent.sort_unstable();
        let ones = sent.windows(2).filter(|pair| pair[1] - pair[0] == 1).count();
        if ones * 2 >= n { Self::Counted } else { Self::Scattered }
    }

    /// Looks at the packets just before and at the first one at or after `to`.
    pub(super) fn across(self, side: &Side, from: i64, to: i64) -> Option<Across> {
        if self != Self::Counted {
            return None;
        }
        let after = side.seen.iter().position(|seen| {
            let at = seen.at.as_nanos();
            at >= to && at > from
        })?;
        let end = side.seen.get(after)?;
        let before = side.seen.get(..after)?.iter().rev().find(|s| s.at.as_nanos() <= from)?;
        let (before_id, end_id) = (before.ip_id?, end.ip_id?);
        let span = end_id.wrapping_sub(before_id).cast_signed();
        let mut across = Across { ends: Some((before_id, end_id)), missing: 0, came_late: false };
        if before.len > ONE_PACKET_BYTES_MAX || !(1..=STEP_MAX).contains(&span) {
            return (before.len <= ONE_PACKET_BYTES_MAX).then_some(across);
        }
        for step in 1..span.unsigned_abs() {
            let id = before_id.wrapping_add(step);
            let mut seen = side.seen.iter().enumerate().filter(|(_, seen)| seen.ip_id == Some(id));
            match seen.next() {
                None => across.missing += 1,
                Some((at, _)) if at > after => {
                    across.missing += 1;
                    across.came_late = true;
                }
                Some(_) => {}
            }
        }
        Some(across)
    }
}

/// From one packet's number to the next one's, unless the first stands for several packets.
fn step(a: &Seen, b: &Seen) -> Option<i16> {
    let (from, to) = (a.ip_id?, b.ip_id?);
    (a.len <= ONE_PACKET_BYTES_MAX).then(|| to.wrapping_sub(from).cast_signed())
}

#[cfg(test)]
mod tests {
    use whyslow_model::Wall;

    use super::*;

    fn side(ids: &[(i64, u16)]) -> Side {
        let seen = ids.iter().map(|(ms, id)| Seen {
            at: Wall::from_millis(*ms),
            ip_id: Some(*id),
            tsval: None,
            seq: 0,
            len: 0,
            ack: None,
            again: false,
            filled: false,
        });
        Side { seen: seen.collect(), ..Side::default() }
    }

    fn ms(n: i64) -> i64 {
        n * 1_000_000
    }

    #[test]
    fn a_side_that_counts_shows_what_is_missing() {
        let side = side(&[(0, 0x7d48), (50, 0x7d49), (320, 0x7d4b), (371, 0x7d4c)]);
        let numbers = Numbers::of(&side);
        assert_eq!(numbers, Numbers::Counted);
        let across = numbers.across(&side, ms(50), ms(320)).unwrap();
        assert_eq!((across.ends, across.missing), (Some((0x7d49, 0x7d4b)), 1));
        assert_eq!(numbers.across(&side, ms(320), ms(371)).unwrap().missing, 0);
    }

    #[test]
    fn a_number_that_comes_later_was_held_up() {
        let side = side(&[(0, 1), (50, 2), (118, 4), (350, 3), (351, 5)]);
        let across = Numbers::of(&side).across(&side, ms(50), ms(118)).unwrap();
        assert_eq!((across.missing, across.came_late), (1, true));
    }

    #[test]
    fn other_ways_of_numbering_prove_nothing() {
        assert_eq!(Numbers::of(&side(&[(0, 0), (1, 0), (2, 0)])), Numbers::Constant(0));
        assert_eq!(Numbers::of(&side(&[(0, 9), (1, 777), (2, 31)])), Numbers::Scattered);
        assert_eq!(Numbers::of(&side(&[(0, 9), (1, 10)])), Numbers::TooFew);
        assert_eq!(Numbers::of(&Side::default()), Numbers::None);
        assert_eq!(Numbers::Scattered.across(&side(&[(0, 9), (1, 777)]), 0, ms(1)), None);
    }

    #[test]
    fn packets_put_together_by_the_card_leave_no_hole() {
        let mut merged = side(&[(0, 1), (50, 2), (51, 3), (100, 6), (120, 7)]);
        merged.seen[2].len = 4344;
        let numbers = Numbers::of(&merged);
        assert_eq!(numbers, Numbers::Counted);
        assert_eq!(numbers.across(&merged, ms(51), ms(100)), None);
    }
}
