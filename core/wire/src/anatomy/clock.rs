//! The client's own clock, as its timestamps show it (TSval, RFC 7323).
//!
//! A client stamps each segment when it sends it. If its clock stood still over a gap, the gap
//! arose on the way; if it ran as long as the gap, the client was there and sent nothing.

use crate::opening::Side;

/// Two packets must be so far apart for the tick to be told from them.
const FIT_NS: i64 = 500_000_000;
/// A tick is one of these, in nanoseconds, or is not known: Linux since 6.7 may use microseconds,
/// else kernels use 1, 4, 10 or 100 ms.
const TICKS_NS: [f64; 5] = [1e3, 1e6, 4e6, 1e7, 1e8];
/// How late, against the quickest one, a packet may be that the tick is told from.
const JITTER_NS: f64 = 20e6;

/// A client's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    /// What one step of it is worth, in nanoseconds.
    pub(super) tick_ns: f64,
}

impl Clock {
    /// Fits the clock to one side's segments: with the right tick, two packets at least 0.5 s apart
    /// took the same time on their way, and no packet a shorter one.
    pub(super) fn fit(side: &Side) -> Option<Self> {
        let (first, first_value) = stamped(side).next()?;
        let (last, _) = stamped(side).last()?;
        if last.saturating_sub(first) < FIT_NS {
            return None;
        }
        let clocks = TICKS_NS.into_iter().map(|tick_ns| Self { tick_ns });
        clocks.into_iter().find(|clock| clock.fits(side, first, first_value))
    }

    fn fits(self, side: &Side, first: i64, first_value: u32) -> bool {
        // Time under way less that of the first packet's.
        let under_way = |(at, value): (i64, u32)| {
            let shown = self.between_ns(first_value, value)?;
            Some((at, float(at.saturating_sub(first)) - shown))
        };
        let least =
            stamped(side).filter_map(under_way).map(|(_, ns)| ns).fold(f64::INFINITY, f64::min);
        let allowed = least + JITTER_NS.max(2.0 * self.tick_ns);
        let mut quick = stamped(side).filter_map(under_way).filter(|(_, ns)| *ns <= allowed);
        let Some((from, _)) = quick.next() else { return false };
        quick.last().is_some_and(|(to, _)| to.saturating_sub(from) >= FIT_NS)
    }

    /// Time the clock ran between two stamps, in nanoseconds, known to one tick.
    pub(super) fn between_ns(self, from: u32, to: u32) -> Option<f64> {
        ahead(from, to).map(|ticks| f64::from(ticks) * self.tick_ns)
    }
}

/// Ticks from one stamp to another that was sent later.
pub(super) fn ahead(from: u32, to: u32) -> Option<i32> {
    i32::try_from(to.wrapping_sub(from)).ok()
}

fn stamped(side: &Side) -> impl Iterator<Item = (i64, u32)> {
    side.seen.iter().filter_map(|seen| Some((seen.at.as_nanos(), seen.tsval?)))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
fn float(ns: i64) -> f64 {
    ns as f64
}

#[cfg(test)]
mod tests {
    use whyslow_model::Wall;

    use crate::opening::Seen;

    use super::*;

    fn side(stamps: &[(i64, u32)]) -> Side {
        let seen = stamps.iter().map(|(ms, tsval)| Seen {
            at: Wall::from_millis(*ms),
            ip_id: None,
            tsval: Some(*tsval),
            seq: 0,
            len: 0,
            ack: None,
            again: false,
            filled: false,
        });
        Side { seen: seen.collect(), ..Side::default() }
    }

    #[test]
    fn the_tick_is_measured_and_not_assumed() {
        let linux = side(&[(0, 100), (50, 150), (51, 151), (460, 560), (760, 860)]);
        assert_eq!(Clock::fit(&linux), Some(Clock { tick_ns: 1e6 }));
        let android = side(&[(0, 7), (60, 22), (1716, 436)]);
        assert_eq!(Clock::fit(&android), Some(Clock { tick_ns: 4e6 }));
    }

    #[test]
    fn half_a_second_is_needed_and_a_tick_that_no_kernel_has_is_none() {
        assert_eq!(Clock::fit(&side(&[(0, 100), (405, 505)])), None);
        assert_eq!(Clock::fit(&side(&[(0, 100), (900, 400)])), None);
        assert_eq!(Clock::fit(&side(&[(0, 100), (900, 100)])), None);
    }

    #[test]
    fn a_packet_held_up_does_not_change_the_tick() {
        // 1 ms clock, and the last packet was held for 1.2 s: 1.6 s over 400 ticks look like 4 ms.
        let held = side(&[(0, 0), (200, 200), (300, 300), (1600, 400)]);
        assert_eq!(Clock::fit(&held), None);
        let and_on = side(&[(0, 0), (200, 200), (300, 300), (1600, 400), (1601, 1601)]);
        assert_eq!(Clock::fit(&and_on), Some(Clock { tick_ns: 1e6 }));
    }

    #[test]
    fn stamps_may_wrap() {
        let wrapping = side(&[(0, u32::MAX - 99), (600, 500)]);
        let clock = Clock::fit(&wrapping).unwrap();
        assert_eq!(clock.between_ns(u32::MAX, 4), Some(5e6));
    }
}
